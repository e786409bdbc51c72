//! Releases on disk and restarts (S65, S66, S68, S74).

use std::process::Stdio;

use reld_api::response::ReleaseStatus::{Current, Old, Permanent, Unpacked};
use reld_api::response::{self, ReleaseStatus};
use reld_tests::{Node, Run, assert_contains, assert_in_order, folder, profile, release};

use crate::doctored::doctored;
use crate::lockstep::Lockstep;

fn statuses(node: &Node) -> Vec<(String, ReleaseStatus)> {
    let mut rows: Vec<_> = node.releases().into_iter().map(|row| (row.version, row.status)).collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    rows
}

#[track_caller]
fn check(node: &Node, expected: &[(&str, ReleaseStatus)]) {
    let expected: Vec<_> = expected.iter().map(|(version, status)| (version.to_string(), *status)).collect();
    assert_eq!(statuses(node), expected);
}

/// Unpacks a release and returns whether it was new.
fn unpack(node: &Node, tarball: &str) -> bool {
    node.read::<response::Unpacked>(&["unpack", tarball]).changed
}

#[test]
fn s65_unpacking_is_idempotent_and_a_damaged_tarball_leaves_nothing() {
    let node = Node::start();
    let tarball = release("shop-1.0.0");
    assert_eq!([(); 2].map(|()| unpack(&node, &tarball)), [true, false]);
    let mut bytes = std::fs::read(release("shop-1.1.0")).expect("the tarball exists");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let damaged = node.root().join("damaged.tar.gz");
    std::fs::write(&damaged, bytes).expect("the root can be written");
    node.run(&["unpack", &damaged.to_string_lossy()]).expect(1);
    check(&node, &[("1.0.0", Unpacked)]);
    assert!(!node.root().join("releases/1.1.0").exists());
}

#[test]
fn s66_releases_go_through_otp_s_states_and_illegal_moves_are_refused() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    check(&node, &[("1.0.0", Permanent)]);
    node.ok(&["unpack", &release("shop-1.1.0")]);
    node.run(&["commit", "1.1.0"]).expect(1);
    node.run(&["reboot-old", "1.1.0"]).expect(1);
    node.run(&["remove", "1.0.0"]).expect(1);
    node.ok(&["install", "1.1.0"]);
    check(&node, &[("1.0.0", Permanent), ("1.1.0", Current)]);
    node.ok(&["commit"]);
    check(&node, &[("1.0.0", Old), ("1.1.0", Permanent)]);
    node.ok(&["remove", "1.0.0"]);
    check(&node, &[("1.1.0", Permanent)]);
    assert!(!node.root().join("lib/counter-0.1.0").exists());
}

#[test]
fn s68_a_killed_daemon_always_boots_the_permanent_release() {
    let mut node = Node::start();
    node.kill_9_and_restart();
    assert_eq!(node.status().release, None);
    node.ok(&["unpack", &release("shop-1.0.0")]);
    node.kill_9_and_restart();
    assert_eq!(node.status().release, None);
    node.ok(&["upgrade", "1.0.0"]);
    node.kill_9_and_restart();
    assert_eq!(node.version(), "1.0.0");
    node.ok(&["upgrade", &release("shop-1.1.0"), "--no-commit"]);
    assert_eq!(node.version(), "1.1.0");
    node.kill_9_and_restart();
    assert_eq!(node.version(), "1.0.0");
    check(&node, &[("1.0.0", Permanent), ("1.1.0", Unpacked)]);
    node.ok(&["upgrade", "1.1.0"]);
    node.kill_9_and_restart();
    assert_eq!(node.version(), "1.1.0");
    assert!(node.terminate().success());
}

/// Checks that a node runs one of two releases without parts of the other, and returns its version.
fn check_whole(node: &Node) -> String {
    let version = node.version();
    let app = if version == "1.0.0" { "0.1.0" } else { "0.1.1" };
    assert_eq!(node.app("counter").version, app);
    node.assert_code(app);
    let statuses = statuses(node);
    assert!(statuses.contains(&(version.clone(), Permanent)), "{statuses:?}");
    node.ok(&["call", &node.pid("counter", 10_000), "get"]);
    version
}

/// Upgrades by tarball and kills the daemon after `after` lines of its log. Returns the lines, or
/// fewer if the upgrade has succeeded before.
fn kill_during_upgrade(node: &mut Node, after: usize) -> Vec<String> {
    let mut daemon = Lockstep::start(node);
    let mut upgrade = node.relctl(&["upgrade", &release("shop-1.1.0")]);
    let mut upgrade = upgrade.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("relctl can be run");
    let mut lines = Vec::new();
    while lines.len() < after {
        lines.push(daemon.line());
        if lines.len() < after && lines.concat().contains("outcome=\"installed\"") {
            assert!(upgrade.wait().expect("relctl ends").success());
            break;
        }
    }
    drop(daemon);
    upgrade.wait().expect("relctl ends with its daemon");
    node.kill_9_and_restart();
    lines
}

#[test]
fn s68_a_daemon_killed_at_any_moment_of_an_upgrade_boots_one_of_the_two_releases_whole() {
    let mut node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let mut versions = Vec::new();
    let lines = loop {
        let lines = kill_during_upgrade(&mut node, versions.len() + 1);
        versions.push(check_whole(&node));
        if lines.len() < versions.len() {
            break lines;
        }
        if node.version() == "1.1.0" {
            node.ok(&["downgrade", "1.0.0"]);
        }
        if statuses(&node).len() == 2 {
            node.ok(&["remove", "1.1.0"]);
        }
    };
    let steps = ["/unpack", "/upgrade", "precopy", "suspend", "switch", "resume", "soft_purge", "installed"];
    assert_in_order(&lines.concat(), &steps);
    // Both outcomes occurred, and the release is permanent after the last line.
    assert!(versions.iter().any(|version| version == "1.0.0"), "{versions:?}");
    assert_eq!(versions.last().map(String::as_str), Some("1.1.0"), "a reported upgrade is kept");
}

#[test]
fn s74_a_downgrade_reaches_the_very_first_release_and_a_changed_record_of_it_stops_the_boot() {
    let mut node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    node.ok(&["upgrade", &release("shop-1.1.0")]);
    node.ok(&["downgrade"]);
    check(&node, &[("1.0.0", Permanent), ("1.1.0", Old)]);
    node.ok(&["upgrade", "1.1.0"]);
    assert!(node.terminate().success());

    let table = node.root().join("releases/RELEASES.toml");
    let sound = std::fs::read_to_string(&table).expect("the node has written it");
    for (from, to) in
        [("\"old\"", "\"unpacked\""), ("counter-0.1.0", "counter-0.2.0"), ("[[release]]", "[[release]")]
    {
        assert!(sound.contains(from), "no {from} in:\n{sound}");
        std::fs::write(&table, sound.replacen(from, to, 1)).expect("the root can be written");
        let refused =
            Run::of(Node::daemon_in(&node.root()).arg("--socket").arg(node.socket())).expect(1).stderr;
        assert_contains(
            &refused,
            &[&format!("{} was changed by something other than reld", table.display())],
        );
    }

    // The refused boot has deleted nothing.
    std::fs::write(&table, sound).expect("the root can be written");
    node.kill_9_and_restart();
    assert_eq!(node.version(), "1.1.0");
    node.ok(&["downgrade"]);
    assert_eq!(node.version(), "1.0.0");
}

#[test]
fn a_release_that_was_taken_back_does_not_block_its_version() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let edited = |word: &'static str| {
        doctored("shop-1.1.0", move |files| {
            let document = files.get_mut("lib/counter-0.1.1/app.toml").expect("the app has a document");
            document.extend(format!("# {word}\n").into_bytes());
        })
    };
    let document = || {
        let path = node.root().join("lib/counter-0.1.1/app.toml");
        std::fs::read_to_string(path).expect("the node has the app")
    };
    let ((_one, mended), (_other, next)) = (edited("mended"), edited("next"));
    node.run(&["upgrade", &release("shop-1.1.0"), "--probe", "false"]).expect(4);
    check(&node, &[("1.0.0", Permanent), ("1.1.0", Old)]);
    // A dry run does not touch what is there.
    let refused = node.refused(&["upgrade", &mended, "--dry-run"]);
    assert_eq!(refused.kind, "other_content");
    assert_contains(&refused.hint.expect("a remedy"), &["`relctl remove VSN`", "`relctl load DIR`"]);
    assert!(!document().contains("mended"));

    assert_contains(
        &node.ok(&["unpack", &mended]).stdout,
        &["unpacked shop 1.1.0 in place of other content"],
    );
    check(&node, &[("1.0.0", Permanent), ("1.1.0", Unpacked)]);
    node.ok(&["upgrade", &mended]);
    assert_eq!(node.version(), "1.1.0");
    assert!(document().contains("mended"));
    node.ok(&["call", "counter/10000", "get"]);

    // What was permanent keeps its content, whether it runs or not.
    for _ in 0..2 {
        assert_eq!(node.refused(&["unpack", &next]).kind, "other_content");
        node.run(&["downgrade"]);
    }
    check(&node, &[("1.0.0", Permanent), ("1.1.0", Old)]);
    assert!(document().contains("mended"));
}

#[test]
fn refusals_of_a_version_that_runs_name_the_load_of_an_app() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let app = folder("examples/counter-0.1.0").to_string_lossy().into_owned();
    let profile = profile();
    for arguments in [&["remove", "1.0.0"][..], &["upgrade", "--app", "counter", &app, "--profile", &profile]]
    {
        let hint = node.refused(arguments).hint.expect("a remedy");
        assert_contains(&hint, &["`relctl load DIR`"]);
    }
}
