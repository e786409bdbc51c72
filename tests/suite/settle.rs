//! What comes after an install (S68, S75, S76): watching, probing, going back, telling; and restarts into a release.

use std::process::{Child, Stdio};

use reld_tests::{Node, Run, eventually, release};
use serde_json::{Value, json};

/// A node that runs stage 1.0.0 and has 2.0.0 and 3.0.0.
fn stage() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    for next in ["stage-2.0.0", "stage-3.0.0"] {
        node.ok(&["unpack", &release(next)]);
    }
    node
}

/// Runs relctl beside the test.
fn beside(node: &Node, args: &[&str]) -> Child {
    let mut relctl = node.relctl(args);
    relctl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("relctl can be run")
}

fn end(child: Child) -> Run {
    let output = child.wait_with_output().expect("relctl ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

fn runs(node: &Node) -> (Value, Value) {
    let status = node.json(&["status"]);
    (status["release"]["version"].clone(), status["release"]["status"].clone())
}

#[track_caller]
fn check_runs(node: &Node, version: &str, status: &str) {
    assert_eq!(runs(node), (json!(version), json!(status)));
}

/// Waits until the upgrade under way is at a step that begins like this.
fn await_step(node: &Node, step: &str) {
    eventually(step, || {
        let upgrade = node.json(&["status"])["upgrade"]["text"].clone();
        upgrade.as_str().is_some_and(|text| text.starts_with(step)).then_some(())
    });
}

fn last_entry(node: &Node) -> Value {
    let entries = node.json(&["history"])["entries"].clone();
    entries.as_array().and_then(|entries| entries.last()).cloned().expect("the history has entries")
}

#[test]
fn s76_a_release_whose_process_crashes_while_it_settles_is_taken_back_live() {
    let node = stage();
    let [a, b] = ["a", "b"].map(|id| node.pid("stage", id));
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    await_step(&node, "settle for 600s");
    check_runs(&node, "2.0.0", "current");
    let text = node.ok(&["status"]).stdout;
    assert!(text.contains("2.0.0 is not committed: a restart boots 1.0.0"), "{text}");
    node.run(&["call", &a, "panic"]).expect(1);
    let failed = end(upgrade).expect(4);
    for words in ["release 2.0.0 was taken back; the node runs 1.0.0 again", &a, "asked to panic"] {
        assert!(failed.stderr.contains(words), "no {words} in:\n{}", failed.stderr);
    }
    check_runs(&node, "1.0.0", "permanent");
    assert_eq!(node.pid("stage", "b"), b, "who did not crash lives on");
    assert_eq!(node.call(&b, "step"), 0, "it runs the code of before");
    let entry = last_entry(&node);
    assert_eq!((&entry["kind"], &entry["outcome"]), (&json!("upgrade"), &json!("taken_back")));
    assert_eq!(entry["report"]["way_back"]["outcome"], json!("installed"), "{entry:#}");
    assert_eq!(entry["uid"], json!(nix::unistd::geteuid().as_raw()));
    let number = entry["number"].to_string();
    let told = node.ok(&["history", &number]).stdout;
    assert!(told.contains("taken back") && told.contains("asked to panic"), "{told}");
}

#[test]
fn s76_a_probe_decides_whether_a_release_is_kept() {
    let node = stage();
    let bad = "echo the till is shut; exit 3";
    let failed = node.run(&["upgrade", "2.0.0", "--settle", "1", "--probe", bad]).expect(4);
    for words in ["was taken back", "the probe exited with 3", "the probe wrote: the till is shut"] {
        assert!(failed.stderr.contains(words), "no {words} in:\n{}", failed.stderr);
    }
    check_runs(&node, "1.0.0", "permanent");
    let slow = node.run(&["upgrade", "2.0.0", "--probe", "sleep 60", "--probe-timeout", "1"]).expect(4);
    assert!(slow.stderr.contains("did not end within 1s"), "{}", slow.stderr);
    let good = r#"test -S "$RELD_SOCKET" && test "$RELD_FROM" = 1.0.0 && test "$RELD_TO" = 2.0.0"#;
    let report = node.json(&["upgrade", "2.0.0", "--settle", "1", "--probe", good]);
    assert_eq!((&report["committed"], &report["settled"]["probe"]["passed"]), (&json!(true), &json!(true)));
    check_runs(&node, "2.0.0", "permanent");
}

#[test]
fn s75_one_command_takes_every_step_and_its_exit_code_says_how_that_ended() {
    let mut node = Node::start();
    let [first, second] = ["stage-1.0.0", "stage-2.0.0"].map(release);
    node.ok(&["upgrade", &first]);
    let failed = node.run(&["upgrade", &second, "--settle", "1", "--probe", "false"]).expect(4);
    assert!(failed.stderr.contains("was taken back"), "{}", failed.stderr);
    check_runs(&node, "1.0.0", "permanent");
    let report = node.json(&["upgrade", &second, "--settle", "1", "--probe", "true"]);
    let probe = &report["settled"]["probe"]["passed"];
    assert_eq!(
        (&report["outcome"], probe, &report["committed"]),
        (&json!("installed"), &json!(true), &json!(true))
    );
    check_runs(&node, "2.0.0", "permanent");
    assert_eq!(node.json(&["upgrade", &second])["changed"], json!(false));
    node.run(&["upgrade", "9.0.0"]).expect(1);
    node.run(&["upgrade", &second, "--probe"]).expect(2);

    // Each step alone.
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

#[test]
fn s68_a_daemon_that_stops_while_a_release_settles_stops_in_order_and_boots_the_one_before() {
    let mut node = stage();
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    await_step(&node, "settle for 600s");
    assert!(node.terminate().success());
    end(upgrade);
    node.kill_9_and_restart();
    check_runs(&node, "1.0.0", "permanent");
    let entry = last_entry(&node);
    assert_eq!(entry["kind"], json!("boot"));
    let given_up = "release 2.0.0 ran and was not committed; it was given up";
    assert_eq!(entry["report"]["warnings"], json!([given_up]), "{entry:#}");
}

#[test]
fn s68_what_a_crash_of_the_daemon_interrupts_is_told_by_the_history() {
    let mut node = stage();
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    await_step(&node, "settle for 600s");
    node.kill_9_and_restart();
    end(upgrade).expect(3);
    check_runs(&node, "1.0.0", "permanent");
    let entries = node.json(&["history"])["entries"].clone();
    let outcomes: Vec<_> = entries.as_array().into_iter().flatten().map(|e| e["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("installed"), json!("interrupted"), json!("installed")], "{entries:#}");
    assert!(
        entries[2]["report"]["warnings"][0].as_str().is_some_and(|text| text.contains("2.0.0")),
        "{entries:#}"
    );
    let text = node.ok(&["history"]).stdout;
    assert!(text.contains("interrupted") && text.contains("boot"), "{text}");
}

#[test]
fn an_uncommitted_release_is_no_ground_to_go_on_from_unless_told() {
    let node = stage();
    node.ok(&["upgrade", "2.0.0", "--no-commit"]);
    for verb in ["upgrade", "install"] {
        let refused = node.run(&[verb, "3.0.0"]).expect(1);
        for words in
            ["2.0.0 runs and is not committed; a restart boots 1.0.0", "relctl commit", "--supersede"]
        {
            assert!(refused.stderr.contains(words), "no {words} in:\n{}", refused.stderr);
        }
    }
    check_runs(&node, "2.0.0", "current");
    node.ok(&["downgrade"]);
    check_runs(&node, "1.0.0", "permanent");
    node.ok(&["install", "2.0.0"]);
    node.ok(&["commit"]);
    assert_eq!(last_entry(&node)["kind"], json!("commit"));
    node.ok(&["upgrade", "3.0.0", "--no-commit"]);
    node.run(&["upgrade", "1.0.0"]).expect(1);
    node.ok(&["upgrade", "2.0.0"]);
    node.ok(&["install", "3.0.0"]);
    node.ok(&["upgrade", "2.0.0", "--supersede"]);
    check_runs(&node, "2.0.0", "permanent");
}

#[test]
fn an_upgrade_is_detached_followed_and_aborted() {
    let node = stage();
    let idle = node.ok(&["attach"]).stdout;
    assert!(idle.contains("nothing is under way") && idle.contains("the last: upgrade to 1.0.0"), "{idle}");
    node.run(&["abort"]).expect(1);
    let begun = node.ok(&["upgrade", "2.0.0", "--detach", "--settle", "600"]).stdout;
    assert!(begun.contains("on the way to 2.0.0"), "{begun}");
    await_step(&node, "settle for 600s");
    let attached = beside(&node, &["attach"]);
    // It follows when it has been answered; an abort before that would leave it nothing to follow.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let aborted = node.ok(&["abort"]).stdout;
    assert!(aborted.contains("aborted by the operator"), "{aborted}");
    let followed = end(attached).expect(4);
    assert!(followed.stderr.contains("release 2.0.0 was taken back"), "{}", followed.stderr);
    check_runs(&node, "1.0.0", "permanent");
    // A detached order that is refused says so at once.
    let refused = node.run(&["upgrade", "9.9.9", "--detach"]).expect(1);
    assert!(refused.stderr.contains("no_such_release"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`relctl releases` lists those that are"), "{}", refused.stderr);
    node.ok(&["upgrade", "2.0.0", "--detach"]);
    eventually("it is committed", || (runs(&node) == (json!("2.0.0"), json!("permanent"))).then_some(()));
}

#[test]
fn a_release_that_fails_to_boot_three_times_gives_way_with_an_alarm() {
    let mut node = stage();
    node.ok(&["upgrade", "2.0.0"]);
    assert!(node.terminate().success());
    let library = node.root().join("lib/stage-0.2.0/stage.so");
    let sound = std::fs::read(&library).expect("the release is here");
    std::fs::write(&library, b"no library").expect("the root can be written");
    for _ in 0..2 {
        let mut daemon = Node::daemon_in(&node.root());
        let failed = Run::of(daemon.arg("--socket").arg(node.socket())).expect(1);
        assert!(failed.stderr.contains("2.0.0"), "{}", failed.stderr);
    }
    node.kill_9_and_restart();
    check_runs(&node, "1.0.0", "permanent");
    let alarm = "release 2.0.0 failed to boot 3 times and gave way to 1.0.0, which is permanent now";
    assert_eq!(node.json(&["status"])["alarms"], json!([alarm]));
    node.kill_9_and_restart();
    let text = node.ok(&["status"]).stdout;
    assert!(text.contains(&format!("alarm      {alarm}")), "{text}");
    std::fs::write(&library, sound).expect("the root can be written");
    node.ok(&["upgrade", "2.0.0"]);
    assert_eq!(node.json(&["status"])["alarms"], json!([]));
}

#[test]
fn r22_a_restart_brings_the_node_to_a_release_that_no_appup_leads_to() {
    let node = stage();
    node.run(&["upgrade", "3.0.0"]).expect(1);
    let id = node.id();
    let shown = node.ok(&["upgrade", "3.0.0", "--mode", "restart"]).stdout;
    assert!(shown.contains("installed 3.0.0 from 1.0.0"), "{shown}");
    check_runs(&node, "3.0.0", "permanent");
    assert_eq!(node.json(&["status"])["os_pid"], json!(id), "the daemon has executed itself");
    assert_eq!(node.call(&node.pid("stage", "a"), "step"), 3);
    let kinds: Vec<_> = node.json(&["history"])["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| (entry["kind"].clone(), entry["outcome"].clone()))
        .collect();
    let expected = [("upgrade", "installed"), ("restart", "installed"), ("boot", "installed")];
    assert_eq!(kinds, expected.map(|(kind, outcome)| (json!(kind), json!(outcome))));
    node.ok(&["upgrade", "1.0.0", "--mode", "restart"]);
    check_runs(&node, "1.0.0", "permanent");
    let again = node.json(&["upgrade", "1.0.0", "--mode", "restart"]);
    assert_eq!(again["changed"], json!(false));
}

#[test]
fn r22_a_release_that_does_not_boot_after_a_restart_gives_way_to_the_one_that_ran() {
    let node = stage();
    let a = node.pid("stage", "a");
    node.ok(&["cast", &a, r#"{"trap_exit": true}"#]);
    let slow = beside(&node, &["call", &a, r#"{"slow": 3000}"#]);
    // Nothing tells from outside that a process waits inside a callback.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let upgrade = beside(&node, &["upgrade", "3.0.0", "--mode", "restart"]);
    // Its files were good when it was asked for. The apps take a while to stop.
    eventually("the restart has begun", || {
        let boots = std::fs::read_to_string(node.root().join("boots.toml")).ok()?;
        boots.contains("back_to").then_some(())
    });
    std::fs::write(node.root().join("lib/stage-0.3.0/stage.so"), b"no library")
        .expect("the root can be written");
    let failed = end(upgrade).expect(4);
    for words in ["release 3.0.0 did not boot", "the node runs 1.0.0 again"] {
        assert!(failed.stderr.contains(words), "no {words} in:\n{}", failed.stderr);
    }
    end(slow);
    check_runs(&node, "1.0.0", "permanent");
    let alarms = node.json(&["status"])["alarms"].clone();
    assert!(alarms[0].as_str().is_some_and(|alarm| alarm.contains("3.0.0 failed to boot once")), "{alarms}");
}

#[test]
fn r15_a_commit_kills_nobody_and_lists_who_lingers() {
    let node = stage();
    let task = node.json(&["spawn", "looper", "0"])["pid"].as_str().expect("a pid").to_owned();
    let dry = node.ok(&["check", "2.0.0"]).stdout;
    assert!(dry.contains(&format!("task {task}")) && dry.contains("stays on its version"), "{dry}");
    node.ok(&["install", "2.0.0"]);
    let committed = node.json(&["commit"]);
    assert_eq!(committed["killed"], json!([]));
    assert_eq!(committed["lingering"][0]["pid"], json!(task), "{committed:#}");
    assert_eq!(node.call(&task, "step"), 0, "it runs on in its own code");
    // What the next upgrade would have to purge is an obstacle, and nothing is done.
    let refused = node.run(&["upgrade", "3.0.0"]).expect(1);
    assert!(refused.stderr.contains(&task), "{}", refused.stderr);
}
