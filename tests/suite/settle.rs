//! After an install (S68, S75, S76): settling, probes, ways back, reports; and restarts into a
//! release.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use reld_api::response::{Committed, HistoryEntry, HistoryKind, HistoryList, Outcome, Report, Spawned};
use reld_tests::{Node, Run, assert_contains, eventually, release};

use crate::doctored::{doctored, edit};

/// Returns a node that runs stage 1.0.0 and has unpacked 2.0.0 and 3.0.0.
fn stage() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    for next in ["stage-2.0.0", "stage-3.0.0"] {
        node.ok(&["unpack", &release(next)]);
    }
    node
}

/// Runs relctl in the background.
pub(crate) fn beside(node: &Node, args: &[&str]) -> Child {
    let mut relctl = node.relctl(args);
    relctl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("relctl can be run")
}

/// Runs relctl in the background on a terminal, and returns the lines that it prints there.
pub(crate) fn on_a_terminal(node: &Node, args: &[&str]) -> (Child, impl Iterator<Item = String>) {
    let terminal = nix::pty::openpty(None, None).expect("the system has terminals");
    let mut relctl = node.relctl(args);
    relctl.stdout(Stdio::piped()).stderr(terminal.slave);
    let lines = BufReader::new(File::from(terminal.master)).lines();
    // Reading from the terminal fails once no process has it open.
    (relctl.spawn().expect("relctl can be run"), lines.map_while(Result::ok))
}

pub(crate) fn end(child: Child) -> Run {
    let output = child.wait_with_output().expect("relctl ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

fn runs(node: &Node) -> [String; 2] {
    let release = node.status().release.expect("the node runs a release");
    [release.version, release.status.to_string()]
}

#[track_caller]
fn check_runs(node: &Node, version: &str, status: &str) {
    assert_eq!(runs(node), [version, status]);
}

/// Waits until the current upgrade is at a step that begins with `step`.
fn await_step(node: &Node, step: &str) {
    eventually(step, || node.status().upgrade.filter(|upgrade| upgrade.text.starts_with(step)));
}

fn history(node: &Node) -> Vec<HistoryEntry> {
    node.read::<HistoryList>(&["history"]).entries
}

fn last_entry(node: &Node) -> HistoryEntry {
    history(node).pop().expect("the history has entries")
}

/// Returns the warnings in the report of an entry.
fn warnings(entry: HistoryEntry) -> Vec<String> {
    entry.report.expect("something was done").warnings
}

/// Returns whether the probe of a release passed.
fn passed(report: &Report) -> bool {
    let settled = report.settled.as_ref().expect("the release was looked at");
    settled.probe.as_ref().expect("a probe was run").passed
}

#[test]
fn s76_a_release_with_a_crash_while_it_settles_is_taken_back_live() {
    let node = stage();
    let [a, b] = ["a", "b"].map(|id| node.pid("stage", id));
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    await_step(&node, "settle for 600s");
    check_runs(&node, "2.0.0", "current");
    let text = node.ok(&["status"]).stdout;
    assert_contains(&text, &["2.0.0 is not committed: a restart boots 1.0.0"]);
    node.run(&["call", &a, "panic"]).expect(1);
    let failed = end(upgrade).expect(4).stderr;
    let parts = ["release 2.0.0 was taken back; the node runs 1.0.0 again", &a, "asked to panic"];
    assert_contains(&failed, &parts);
    check_runs(&node, "1.0.0", "permanent");
    assert_eq!(node.pid("stage", "b"), b, "the other process lives on");
    assert_eq!(node.call(&b, "step"), 0, "it runs the code of before");
    let entry = last_entry(&node);
    assert_eq!((entry.kind, entry.outcome), (HistoryKind::Upgrade, Outcome::TakenBack));
    let way_back = entry.report.and_then(|report| report.way_back).expect("there was a way back");
    assert_eq!(way_back.outcome, Outcome::Installed);
    assert_eq!(entry.uid, Some(nix::unistd::geteuid().as_raw()));
    let number = entry.number.expect("it is on disk").to_string();
    assert_contains(&node.ok(&["history", &number]).stdout, &["taken back", "asked to panic"]);
}

#[test]
fn s76_a_probe_file_of_the_operator_is_sent_and_a_missing_probe_command_is_refused() {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let upgrade = |probe: &str| {
        let args = ["upgrade", "2.0.0", "--settle", "1", "--probe", probe];
        Run::of(node.relctl(&args).current_dir(home.path()))
    };
    let refused = upgrade("./smoke.sh").expect(1).stderr;
    assert_contains(&refused, &["cannot run the probe `./smoke.sh`", "finds no program ./smoke.sh", "sends"]);
    let path = home.path().join("smoke.sh");
    fs::write(&path, "echo from $0 to $RELD_TO\nexit 3\n").expect("the folder can be written");
    let refused = upgrade("./smoke.sh").expect(1).stderr;
    assert_contains(&refused, &["it is not executable", "chmod +x ./smoke.sh"]);
    assert_eq!(node.version(), "1.0.0");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("the file can be changed");
    let failed = upgrade("./smoke.sh").expect(4).stderr;
    assert_contains(&failed, &["the probe exited with 3", "to 2.0.0"]);
    let folder = node.root().join("run/uploads");
    assert_eq!(fs::read_dir(&folder).expect("the folder exists").count(), 0, "nothing is left of it");
    assert_eq!(node.version(), "1.0.0");
    fs::write(&path, "#!/bin/sh\ntest $RELD_TO = 2.0.0\n").expect("the folder can be written");
    upgrade("./smoke.sh").expect(0);
    assert_eq!(node.version(), "2.0.0");
}

#[test]
fn s76_a_probe_decides_whether_a_release_is_kept() {
    let node = stage();
    let bad = "echo the till is shut; exit 3";
    let failed = node.run(&["upgrade", "2.0.0", "--settle", "1", "--probe", bad]).expect(4).stderr;
    let parts = ["was taken back", "the probe exited with 3", "the probe wrote: the till is shut"];
    assert_contains(&failed, &parts);
    check_runs(&node, "1.0.0", "permanent");
    let slow = node.run(&["upgrade", "2.0.0", "--probe", "sleep 60", "--probe-timeout", "1"]).expect(4);
    assert_contains(&slow.stderr, &["did not end within 1s"]);
    let good = r#"test -S "$RELD_SOCKET" && test "$RELD_FROM" = 1.0.0 && test "$RELD_TO" = 2.0.0"#;
    let report = node.report(&["upgrade", "2.0.0", "--settle", "1", "--probe", good]);
    assert_eq!((report.committed, passed(&report)), (true, true));
    check_runs(&node, "2.0.0", "permanent");
}

#[test]
fn s75_one_command_takes_every_step_and_its_exit_code_is_the_result() {
    let mut node = Node::start();
    let [first, second] = ["stage-1.0.0", "stage-2.0.0"].map(release);
    node.ok(&["upgrade", &first]);
    let failed = node.run(&["upgrade", &second, "--settle", "1", "--probe", "false"]).expect(4);
    assert_contains(&failed.stderr, &["was taken back"]);
    check_runs(&node, "1.0.0", "permanent");
    let report = node.report(&["upgrade", &second, "--settle", "1", "--probe", "true"]);
    assert_eq!((report.outcome, passed(&report), report.committed), (Outcome::Installed, true, true));
    check_runs(&node, "2.0.0", "permanent");
    assert!(!node.report(&["upgrade", &second]).changed);
    node.run(&["upgrade", "9.0.0"]).expect(1);
    node.run(&["upgrade", &second, "--probe"]).expect(2);

    // Each step as a command of its own.
    node.ok(&["unpack", &release("stage-3.0.0")]);
    node.ok(&["check", "3.0.0"]);
    check_runs(&node, "2.0.0", "permanent");
    node.ok(&["install", "3.0.0"]);
    check_runs(&node, "3.0.0", "current");
    node.ok(&["commit"]);
    check_runs(&node, "3.0.0", "permanent");

    assert!(node.terminate().success());
    node.run(&["upgrade", &second]).expect(3);
}

/// Returns a node that runs yard 1.0.0 with two apps of this start type, and has unpacked 2.0.0.
/// Its upgrade does not restart shed.
fn yard(start_type: &str) -> Node {
    let tarball = |version: &str| {
        let (place, tarball) = doctored(&format!("yard-{version}"), |files| {
            let release = format!("releases/{version}/release.toml");
            edit(files, &release, "type = \"permanent\"", &format!("type = \"{start_type}\""));
            if version == "2.0.0" {
                let restart = "instructions = [{ restart_application = \"shed\" }]";
                let update = "instructions = [{ update = \"shed_pump\" }, { update = \"shed_tank\" }]";
                edit(files, "lib/shed-2.0.0/appup.toml", restart, update);
            }
        });
        (place, tarball)
    };
    let node = Node::start();
    let (_old, old) = tarball("1.0.0");
    node.ok(&["upgrade", &old]);
    let (_new, new) = tarball("2.0.0");
    node.ok(&["unpack", &new]);
    node
}

/// Starts an upgrade of yard to 2.0.0 that settles, and returns its relctl.
fn yard_settles(node: &Node, more: &[&str]) -> Child {
    node.ok(&["cast", &node.pid("yard", "a"), "7"]);
    let upgrade = beside(node, &[&["upgrade", "2.0.0", "--settle", "600"], more].concat());
    await_step(node, "settle for 600s");
    upgrade
}

/// Checks that yard went back to 1.0.0 with its state, and that shed was started afresh.
#[track_caller]
fn check_shed_began_anew(node: &Node, worker: &str, upgrade: Child) {
    let failed = end(upgrade).expect(4).stderr;
    let lost = "the node runs 1.0.0 again, with app shed started afresh: its states are lost";
    assert_contains(&failed, &["release 2.0.0 was taken back", lost]);
    check_runs(node, "1.0.0", "permanent");
    assert_eq!(node.pid("yard", "a"), worker);
    assert_eq!(node.call(worker, "get"), 7, "the other app went back with its state");
    let pump = node.pid("shed", "pump");
    assert_eq!(node.proc(&pump).process.version, "1.0.0");
    assert_eq!(node.call(&pump, "stroke"), 1, "it began anew");
    let entry = last_entry(node);
    let report = entry.report.expect("something was done");
    assert_contains(&report.warnings.join("\n"), &["app shed was started afresh: its states are lost"]);
    let way_back = report.way_back.expect("there was a way back");
    assert!(way_back.restarted.iter().any(|started| started.pid == pump), "{way_back:#?}");
    assert!(!node.log().contains("and stops"), "the node lives: {}", node.log());
}

#[test]
fn a_permanent_app_that_ends_while_a_release_settles_is_restarted_by_the_way_back_and_the_node_lives() {
    let node = yard("permanent");
    let worker = node.pid("yard", "a");
    let upgrade = yard_settles(&node, &[]);
    node.ok(&["kill", &node.supervisor("shed")]);
    check_shed_began_anew(&node, &worker, upgrade);
}

#[test]
fn a_temporary_app_that_ends_while_a_release_settles_is_restarted_by_the_way_back() {
    let node = yard("temporary");
    let worker = node.pid("yard", "a");
    let upgrade = yard_settles(&node, &[]);
    node.ok(&["kill", &node.supervisor("shed")]);
    check_shed_began_anew(&node, &worker, upgrade);
}

#[test]
fn the_end_of_a_permanent_app_takes_a_release_back_even_with_ignored_crashes() {
    let node = yard("permanent");
    let worker = node.pid("yard", "a");
    let upgrade = yard_settles(&node, &["--crashes", "ignore"]);
    // More crashes than the supervisor's restart intensity.
    let pump = node.pid("shed", "pump");
    node.ok(&["kill", &pump]);
    let pump = node.restarted("shed", "pump", &pump);
    node.ok(&["kill", &pump]);
    check_shed_began_anew(&node, &worker, upgrade);
}

#[test]
fn s68_a_daemon_that_stops_while_a_release_settles_stops_in_order_and_boots_the_previous_one() {
    let mut node = stage();
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    await_step(&node, "settle for 600s");
    assert!(node.terminate().success());
    let stopped = end(upgrade).expect(7).stderr;
    assert_contains(&stopped, &["release 2.0.0 runs, and is not committed", "the daemon stops before"]);
    node.kill_9_and_restart();
    check_runs(&node, "1.0.0", "permanent");
    let entry = last_entry(&node);
    assert_eq!(entry.kind, HistoryKind::Boot);
    let given_up = "release 2.0.0 ran without a commit and was given up";
    assert_eq!(warnings(entry), [given_up]);
}

#[test]
fn a_failed_commit_after_settling_is_reported_by_exit_code_alarm_and_history() {
    let node = stage();
    // With a folder in place of the status table, the commit cannot write the table.
    let table = node.root().join("releases/RELEASES.toml");
    let kept = fs::read(&table).expect("the file exists");
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "2"]);
    await_step(&node, "settle for 2s");
    fs::remove_file(&table).and_then(|()| fs::create_dir(&table)).expect("the root can be written");
    let failed = end(upgrade).expect(7).stderr;
    assert_contains(&failed, &["release 2.0.0 runs, and is not committed", "`relctl commit` keeps it"]);
    check_runs(&node, "2.0.0", "current");
    assert_contains(&node.status().alarms.join("\n"), &["release 2.0.0 runs and is not committed"]);
    let entry = last_entry(&node);
    assert_eq!((entry.outcome, entry.committed), (Outcome::Installed, false));
    assert_eq!(entry.failure.map(|failure| failure.kind).as_deref(), Some("not_committed"));
    fs::remove_dir(&table).and_then(|()| fs::write(&table, kept)).expect("the root can be written");
    node.ok(&["commit"]);
    check_runs(&node, "2.0.0", "permanent");
    assert_eq!(node.status().alarms, [""; 0]);
}

#[test]
fn s68_an_upgrade_interrupted_by_a_crash_of_the_daemon_is_in_the_history() {
    let mut node = stage();
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    await_step(&node, "settle for 600s");
    node.kill_9_and_restart();
    end(upgrade).expect(3);
    check_runs(&node, "1.0.0", "permanent");
    let outcomes: Vec<_> = history(&node).iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Installed, Outcome::Interrupted, Outcome::Installed]);
    assert_contains(&warnings(last_entry(&node))[0], &["2.0.0"]);
    assert_contains(&node.ok(&["history"]).stdout, &["interrupted", "boot"]);
}

#[test]
fn an_upgrade_from_an_uncommitted_release_needs_supersede() {
    let node = stage();
    node.ok(&["upgrade", "2.0.0", "--no-commit"]);
    for verb in ["upgrade", "install"] {
        let refused = node.run(&[verb, "3.0.0"]).expect(1).stderr;
        let parts =
            ["2.0.0 runs and is not committed; a restart boots 1.0.0", "relctl commit", "--supersede"];
        assert_contains(&refused, &parts);
    }
    check_runs(&node, "2.0.0", "current");
    node.ok(&["downgrade"]);
    check_runs(&node, "1.0.0", "permanent");
    node.ok(&["install", "2.0.0"]);
    node.ok(&["commit"]);
    assert_eq!(last_entry(&node).kind, HistoryKind::Commit);
    node.ok(&["upgrade", "3.0.0", "--no-commit"]);
    node.run(&["upgrade", "1.0.0"]).expect(1);
    node.ok(&["upgrade", "2.0.0"]);
    node.ok(&["install", "3.0.0"]);
    node.ok(&["upgrade", "2.0.0", "--supersede"]);
    check_runs(&node, "2.0.0", "permanent");
}

#[test]
fn while_a_release_settles_no_unpacked_release_is_replaced() {
    let node = stage();
    let (_scratch, changed) = doctored("stage-3.0.0", |files| {
        files.insert("releases/3.0.0/note".to_owned(), b"changed".to_vec());
    });
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    await_step(&node, "settle for 600s");
    assert_eq!(node.refused(&["unpack", &changed]).kind, "other_content");
    node.ok(&["commit"]);
    end(upgrade).expect(0);
    let unpacked = node.ok(&["unpack", &changed]).stdout;
    assert_contains(&unpacked, &["unpacked stage 3.0.0 in place of other content"]);
}

#[test]
fn an_upgrade_is_detached_followed_and_aborted() {
    let node = stage();
    let idle = node.ok(&["attach"]).stdout;
    assert_contains(&idle, &["nothing is under way", "the last: upgrade to 1.0.0"]);
    node.run(&["abort"]).expect(1);
    let begun = node.ok(&["upgrade", "2.0.0", "--detach", "--settle", "600"]).stdout;
    assert_contains(&begun, &["on the way to 2.0.0"]);
    await_step(&node, "settle for 600s");
    let (attached, mut shown) = on_a_terminal(&node, &["attach"]);
    // The abort must come after the follower has attached.
    shown.find(|line| line.contains("settle for 600s")).expect("it shows the step");
    assert_contains(&node.ok(&["abort"]).stdout, &["aborted by the operator"]);
    end(attached).expect(4);
    shown.find(|line| line.contains("release 2.0.0 was taken back")).expect("it prints the outcome");
    check_runs(&node, "1.0.0", "permanent");
    // A detached order that is refused reports the refusal immediately.
    let refused = node.run(&["upgrade", "9.9.9", "--detach"]).expect(1).stderr;
    assert_contains(&refused, &["no_such_release", "`relctl releases` lists the unpacked ones"]);
    node.ok(&["upgrade", "2.0.0", "--detach"]);
    eventually("it is committed", || (runs(&node) == ["2.0.0", "permanent"]).then_some(()));
}

#[test]
fn r22_a_restart_brings_the_node_to_a_release_that_no_appup_leads_to() {
    let node = stage();
    node.run(&["upgrade", "3.0.0"]).expect(1);
    let id = node.id();
    let shown = node.ok(&["upgrade", "3.0.0", "--mode", "restart"]).stdout;
    assert_contains(&shown, &["installed 3.0.0 from 1.0.0"]);
    check_runs(&node, "3.0.0", "permanent");
    assert_eq!(node.status().os_pid, id, "the daemon has executed itself");
    assert_eq!(node.call(&node.pid("stage", "a"), "step"), 3);
    let kinds: Vec<_> = history(&node).iter().map(|entry| (entry.kind, entry.outcome)).collect();
    let expected = [HistoryKind::Upgrade, HistoryKind::Restart, HistoryKind::Boot];
    assert_eq!(kinds, expected.map(|kind| (kind, Outcome::Installed)));
    node.ok(&["upgrade", "1.0.0", "--mode", "restart"]);
    check_runs(&node, "1.0.0", "permanent");
    assert!(!node.report(&["upgrade", "1.0.0", "--mode", "restart"]).changed);
}

#[test]
fn r22_a_restart_brings_the_node_back_where_no_appup_leads_back() {
    let node = stage();
    node.ok(&["upgrade", "3.0.0", "--mode", "restart"]);
    for arguments in [&["downgrade"][..], &["downgrade", "--dry-run"]] {
        assert_eq!(node.error(1, arguments).kind, "version_not_in_appup", "{arguments:?}");
    }
    let shown = node.ok(&["downgrade", "--mode", "restart"]).stdout;
    assert_contains(&shown, &["installed 1.0.0 from 3.0.0"]);
    check_runs(&node, "1.0.0", "permanent");
    let kinds: Vec<_> = history(&node).iter().rev().take(2).map(|entry| entry.kind).collect();
    assert_eq!(kinds, [HistoryKind::Boot, HistoryKind::Restart]);
    // Restarts obey the rules of downgrades.
    for arguments in [&["downgrade", "2.0.0", "--mode", "restart"][..], &["downgrade", "2.0.0", "--dry-run"]]
    {
        assert_eq!(node.error(1, arguments).kind, "bad_status", "2.0.0 never ran: {arguments:?}");
    }
    node.run(&["downgrade", "3.0.0", "--mode", "restart", "--settle", "1"]).expect(2);
    check_runs(&node, "1.0.0", "permanent");
}

#[test]
fn a_dry_run_of_a_downgrade_prints_the_script_and_changes_nothing() {
    let node = stage();
    assert_eq!(node.error(1, &["downgrade", "--dry-run"]).kind, node.error(1, &["downgrade"]).kind);
    node.ok(&["upgrade", "2.0.0"]);
    let entries = history(&node).len();
    let shown = node.ok(&["downgrade", "--dry-run"]).stdout;
    assert_contains(&shown, &["from 2.0.0 to 1.0.0; nothing was executed", "suspend"]);
    assert_eq!(node.ok(&["downgrade", "1.0.0", "--dry-run"]).stdout, shown);
    check_runs(&node, "2.0.0", "permanent");
    assert_eq!(history(&node).len(), entries);
    node.ok(&["downgrade"]);
    check_runs(&node, "1.0.0", "permanent");
}

#[test]
fn r22_a_release_that_does_not_boot_after_a_restart_gives_way_to_the_previous_one() {
    let node = stage();
    let a = node.pid("stage", "a");
    node.ok(&["cast", &a, r#"{"trap_exit": true}"#]);
    let slow = beside(&node, &["call", &a, r#"{"slow": 3000}"#]);
    eventually("it waits in its callback", || node.proc(&a).process.callback);
    let upgrade = beside(&node, &["upgrade", "3.0.0", "--mode", "restart"]);
    // The files are damaged after the order was accepted, while the apps stop.
    eventually("the restart has begun", || {
        let boots = std::fs::read_to_string(node.root().join("boots.toml")).ok()?;
        boots.contains("back_to").then_some(())
    });
    std::fs::write(node.root().join("lib/stage-0.3.0/stage.so"), b"no library")
        .expect("the root can be written");
    let failed = end(upgrade).expect(4).stderr;
    assert_contains(&failed, &["release 3.0.0 did not boot", "the node runs 1.0.0 again"]);
    end(slow);
    check_runs(&node, "1.0.0", "permanent");
    assert_contains(&node.status().alarms[0], &["3.0.0 failed to boot once"]);
}

#[test]
fn r15_a_commit_kills_no_process_and_lists_lingerers() {
    let node = stage();
    let task = node.read::<Spawned>(&["spawn", "looper", "0"]).pid;
    let dry = node.ok(&["check", "2.0.0"]).stdout;
    assert_contains(&dry, &[&format!("task {task}"), "stays on its version"]);
    node.ok(&["install", "2.0.0"]);
    let committed: Committed = node.read(&["commit"]);
    assert_eq!(committed.killed, []);
    assert_eq!(committed.lingering[0].pid, task);
    assert_eq!(node.call(&task, "step"), 0, "it runs on in its own code");
    // A lingerer in code that the next upgrade would have to purge is an obstacle.
    let refused = node.run(&["upgrade", "3.0.0"]).expect(1).stderr;
    assert_contains(&refused, &[&task]);
}
