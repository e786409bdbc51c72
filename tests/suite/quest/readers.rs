//! Readers are upgraded before writers: a session must be able to read the messages of players of
//! processquest 1.1.0 (S78).

use reld_tests::{assert_contains, assert_in_order, eventually, release};
use tempfile::TempDir;

use super::session::{Game, QUICK_MS};
use crate::doctored::{Files, doctored, edit, files};

const LIBRARY: &str = "lib/sockserv-1.0.0/sockserv.so";

/// Replaces the library of sockserv 1.0.0 by one that cannot read quests.
fn mute(of: &mut Files) {
    let mute = files(&release("mute-1.0.0")).remove(LIBRARY).expect("it has a library");
    assert!(of.insert(LIBRARY.to_owned(), mute).is_some());
}

/// Returns the release 1.0.0 with sessions that cannot read quests.
fn deaf() -> (TempDir, String) {
    doctored("quest-1.0.0", mute)
}

/// Returns the release 1.1.0 with sockserv 1.0.0, after a change of its files.
fn with_old_sessions(change: impl FnOnce(&mut Files)) -> (TempDir, String) {
    doctored("quest-1.1.0", |of| {
        of.retain(|path, _| !path.starts_with("lib/sockserv-"));
        let old = files(&release("quest-1.0.0")).into_iter();
        of.extend(old.filter(|(path, _)| path.starts_with("lib/sockserv-")));
        edit(of, "releases/1.1.0/release.toml", "version = \"1.0.1\"", "version = \"1.0.0\"");
        change(of);
    })
}

/// Returns the release 1.1.0 without the dependency of players on sessions.
fn careless() -> (TempDir, String) {
    doctored("quest-1.1.0", independent)
}

fn independent(files: &mut Files) {
    edit(files, "lib/processquest-1.1.0/appup.toml", ", \"sockserv_serv\"", "");
}

#[test]
fn s78_a_session_that_cannot_read_quests_crashes_at_the_first_one() {
    let (_before, tarball) = deaf();
    let game = Game::start_tarball(&tarball, QUICK_MS);
    let mut ada = game.play("ada");
    let (_after, tarball) = with_old_sessions(|files| {
        mute(files);
        independent(files);
    });
    game.go(&["upgrade", &tarball]);
    ada.is_cut_off();
    eventually("the session has ended", || game.processes("sockserv_serv").is_empty().then_some(()));
    assert_contains(&game.node.log(), &["unknown variant `quest`"]);
}

#[test]
fn s78_a_dependency_across_apps_refuses_a_release_in_which_the_readers_stay_behind() {
    let (_before, before) = deaf();
    let (_after, after) = with_old_sessions(mute);
    let game = Game::start_tarball(&before, QUICK_MS);
    let refused = game.node.run(&["upgrade", &after]).expect(1).stderr;
    assert_contains(
        &refused,
        &["module pq_player depends on sockserv_serv, which has no instruction of its own"],
    );
    assert_eq!(game.node.version(), "1.0.0");
}

#[test]
fn s78_a_session_that_already_reads_quests_is_safe_in_any_order_of_the_apps() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let mut ada = game.play("ada");
    let (_scratch, tarball) = with_old_sessions(independent);
    game.go(&["upgrade", &tarball]);
    ada.until_ledger(|ledger| ledger.quests > 1);
    game.check_and_quit("ada", ada);
}

#[test]
fn s78_with_group_windows_a_dependency_across_apps_upgrades_the_readers_first() {
    let (_before, before) = deaf();
    let (_careless, careless) = careless();
    let game = Game::start_tarball(&before, QUICK_MS);
    let plan = |to: &str| game.node.ok(&["plan", &before, to, "--window", "group"]).stdout;
    let careful = release("quest-1.1.0");
    assert_in_order(&plan(&careless), &["load pq_player ", "load sockserv_serv "]);
    assert_in_order(&plan(&careful), &["load sockserv_serv ", "load pq_player "]);

    let mut ada = game.play("ada");
    let report = game.go(&["upgrade", &careful, "--group-windows"]);
    assert!(report.windows.len() > 1, "{report:#?}");
    ada.until_ledger(|ledger| ledger.quests > 1);
    game.check_and_quit("ada", ada);
}

#[test]
fn s78_with_one_window_the_order_of_modules_does_not_matter() {
    let (_before, before) = deaf();
    let (_careless, careless) = careless();
    let game = Game::start_tarball(&before, QUICK_MS);
    let mut ada = game.play("ada");
    game.go(&["upgrade", &careless]);
    ada.until_ledger(|ledger| ledger.quests > 1);
    game.check_and_quit("ada", ada);
}
