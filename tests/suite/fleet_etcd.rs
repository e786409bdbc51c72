//! Rollouts that the nodes of a fleet drive themselves, through etcd (S118 to S125, S129).

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use reld_api::response::{HistoryList, Outcome};
use reld_tests::{Etcd, Fleet, Node, Run, assert_contains, eventually, release};
use serde_json::Value;

use crate::fleet::states;

fn fleet() -> Option<Fleet> {
    Fleet::start(&release("stage-1.0.0"))
}

/// Starts a rollout of stage 2.0.0 with these lines of the policy, and watches it in the
/// background.
fn begin(fleet: &Fleet, lines: &str) -> Child {
    let policy = fleet.policy(&release("stage-2.0.0"), lines);
    let progress = File::create(fleet.path("progress")).expect("the folder can be written");
    let mut relctl = fleet.relctl(&["start", &policy, "--fleet"]);
    relctl.stdout(Stdio::piped()).stderr(progress).spawn().expect("relctl can be run")
}

/// Starts a rollout, which must be refused or end with this exit code.
#[track_caller]
fn start(fleet: &Fleet, lines: &str, code: i32) -> Run {
    let policy = fleet.policy(&release("stage-2.0.0"), lines);
    fleet.run(&["start", &policy, "--fleet"]).expect(code)
}

fn await_log(fleet: &Fleet, line: &str) {
    eventually(line, || fleet.log().iter().any(|logged| logged == line).then_some(()));
}

/// Waits for the end of a rollout that is watched.
#[track_caller]
fn ended(watcher: Child) -> (Option<i32>, Value) {
    let ended = watcher.wait_with_output().expect("relctl ends");
    let answer = serde_json::from_slice(&ended.stdout).unwrap_or(Value::Null);
    (ended.status.code(), answer)
}

fn trouble(fleet: &Fleet, node: usize, trouble: &str) {
    let pid = fleet.nodes[node].pid("stage", "a");
    fleet.nodes[node].ok(&["cast", &pid, &format!(r#"{{"trouble": {trouble}}}"#)]);
}

#[test]
fn s118_s125_a_fleet_upgrades_itself_in_order_and_can_be_paused_halted_and_taken_back() {
    let Some(fleet) = fleet() else { return };
    let none = fleet.run(&["status"]).expect(0).json();
    assert_eq!(none["rollout"], Value::Null);
    assert_contains(&fleet.run(&["pause"]).expect(1).error().message, &["no rollout"]);
    let program = start(&fleet, "probe = '/bin/true'", 1).error();
    assert_eq!(program.kind, "probe", "etcd names no program for a node");
    fleet.write("n1.hold", "");
    let watcher = begin(&fleet, "waves = ['50%', '100%']\nprobe = 'smoke'");
    await_log(&fleet, "n1 begins");
    let status = fleet.await_state("n1", "upgrading");
    assert_eq!((status["outcome"].as_str(), &*states(&status)[1]), (Some("running"), "waiting"));
    assert_contains(&status["nodes"][1]["why"].to_string(), &["waits for n1"]);
    let second = start(&fleet, "", 1).error();
    assert_eq!(second.kind, "rolling_out");
    assert_contains(&second.message, &["stage-2.0.0-", "begun by ", "@", " at 2"]);
    let locks = fleet.run(&["locks"]).expect(0).json();
    assert_eq!(
        (&locks["holders"][0]["node"], &locks["holders"][0]["connected"]),
        (&"n1".into(), &true.into())
    );

    fleet.run(&["pause"]).expect(0);
    fleet.remove("n1.hold");
    let status = fleet.await_state("n1", "committed");
    assert_eq!((status["outcome"].as_str(), &*states(&status)[1]), (Some("paused"), "waiting"));
    fleet.run(&["resume"]).expect(0);
    let (code, report) = ended(watcher);
    assert_eq!((code, report["outcome"].as_str()), (Some(0), Some("done")));
    let log = ["n1 begins", "n1 ends", "n2 begins", "n2 ends", "n3 begins", "n3 ends"];
    assert_eq!(fleet.log(), log, "one after the other");
    let id = report["rollout"].as_str().expect("a rollout has a name");
    for node in &fleet.nodes {
        let history = node.read::<HistoryList>(&["history", "--rollout", id]).entries;
        let [entry] = history.as_slice() else { panic!("{history:?}") };
        assert_eq!((entry.outcome, entry.committed), (Outcome::Installed, true));
    }

    let report = fleet.run(&["take-back"]).expect(4).json();
    assert_eq!(report["outcome"], "taken_back");
    assert_eq!(fleet.versions(), ["1.0.0"; 3]);
    fleet.write("n1.hold", "");
    let watcher = begin(&fleet, "probe = 'smoke'");
    eventually("n1 is under way again", || (fleet.log().len() == 7).then_some(()));
    fleet.run(&["halt"]).expect(0);
    assert_eq!(fleet.status()["outcome"], "halting");
    fleet.remove("n1.hold");
    let (code, error) = ended(watcher);
    assert_eq!(code, Some(6), "{error}");
    assert_eq!(states(&error["error"]["details"]), ["committed", "waiting", "waiting"]);
    assert_contains(&error["error"]["message"].to_string(), &["has halted it"]);
    assert_eq!(fleet.versions(), ["2.0.0", "1.0.0", "1.0.0"]);
    assert_contains(&fleet.run(&["halt"]).expect(1).error().message, &["is halted"]);
}

#[test]
fn s119_a_failed_node_halts_the_fleet_and_the_others_go_back_on_order_or_by_policy() {
    let Some(fleet) = fleet() else { return };
    trouble(&fleet, 1, r#""fail""#);
    let error = start(&fleet, "", 6).error();
    assert_eq!(states(&error.details), ["committed", "failed", "waiting"]);
    assert_contains(&error.message, &["halted: failed: n2"]);
    assert_eq!(error.step.and_then(|step| step.kind).as_deref(), Some("change_code"));
    assert_eq!(fleet.versions(), ["2.0.0", "1.0.0", "1.0.0"]);
    let status = fleet.run(&["status", "--wait"]).expect(6).json();
    assert_eq!(status["nodes"][1]["step"]["kind"], "change_code");
    assert_contains(&status["nodes"][1]["why"].to_string(), &["change_code"]);
    assert_eq!(fleet.run(&["take-back"]).expect(4).json()["outcome"], "taken_back");
    assert_eq!(fleet.versions(), ["1.0.0"; 3]);

    let report = start(&fleet, "on_failure = 'take_back'", 4).json();
    assert_contains(&report["why"].to_string(), &["failed: n2"]);
    assert_eq!(fleet.versions(), ["1.0.0"; 3]);
    trouble(&fleet, 1, "null");
    start(&fleet, "", 0);
    assert_eq!(fleet.versions(), ["2.0.0"; 3]);
}

#[test]
fn s120_s121_a_rollout_survives_its_operator_and_an_outage_of_etcd() {
    let Some(fleet) = fleet() else { return };
    fleet.write("n1.hold", "");
    let mut watcher = begin(&fleet, "probe = 'smoke'");
    await_log(&fleet, "n1 begins");
    watcher.kill().expect("relctl can be killed");
    watcher.wait().expect("a killed program ends");
    fleet.etcd.pause();
    fleet.remove("n1.hold");
    // The node needs no etcd for the end of its own upgrade.
    fleet.nodes[0].ok(&["wait", "--for", "committed"]);
    let status = eventually("the node misses etcd", || {
        fleet.nodes[0].status().fleet.filter(|text| !text.contains("connected"))
    });
    assert_contains(&status, &["shop", "n1"]);
    assert_eq!(fleet.log(), ["n1 begins", "n1 ends"], "no other upgrade begins without etcd");
    fleet.etcd.resume();
    assert_eq!(fleet.run(&["status", "--wait"]).expect(0).json()["outcome"], "done");
    let begun: Vec<_> = fleet.log().into_iter().filter(|line| line.ends_with("begins")).collect();
    assert_eq!(begun, ["n1 begins", "n2 begins", "n3 begins"], "each has begun once");
    assert_eq!(fleet.versions(), ["2.0.0"; 3]);
}

#[test]
fn s122_s124_a_node_that_is_cut_off_keeps_its_slot_and_one_that_is_gone_is_waited_for_or_skipped() {
    let Some(mut fleet) = fleet() else { return };
    fleet.write("n2.hold", "");
    let watcher = begin(&fleet, "canary = 0\nprobe = 'smoke'");
    await_log(&fleet, "n2 begins");
    fleet.lines[1].cut();
    fleet.expire("n2");
    let holder = eventually("n2 is missed", || {
        let locks = fleet.run(&["locks"]).expect(0).json();
        Some(locks["holders"][0].clone()).filter(|holder| holder["missing_since"].is_string())
    });
    assert_eq!((&holder["node"], &holder["connected"]), (&"n2".into(), &false.into()));
    fleet.remove("n2.hold");
    fleet.nodes[1].ok(&["wait", "--for", "committed"]);
    let status = fleet.await_state("n2", "upgrading");
    assert_eq!(states(&status), ["committed", "upgrading", "waiting"], "the slot is held");
    assert_contains(&status["nodes"][2]["why"].to_string(), &["waits for n2"]);
    fleet.lines[1].heal();
    let (code, report) = ended(watcher);
    assert_eq!((code, report["outcome"].as_str()), (Some(0), Some("done")));
    assert_eq!(fleet.run(&["locks"]).expect(0).json()["holders"], serde_json::json!([]));

    fleet.run(&["take-back"]).expect(4);
    fleet.nodes[2].kill_9();
    fleet.expire("n3");
    fleet.await_nodes(2);
    let watcher = begin(&fleet, "probe = 'smoke'");
    let status = fleet.await_state("n3", "unreachable");
    assert_contains(&status["nodes"][0]["why"].to_string(), &["waits for n3: unreachable since 2"]);
    assert_eq!(fleet.log().len(), 6, "the budget is used up");
    fleet.run(&["skip", "n3"]).expect(0);
    let (code, report) = ended(watcher);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(states(&report), ["committed", "committed", "skipped"]);
    assert_contains(&report["nodes"][2]["why"].to_string(), &["has left it out"]);
    assert_contains(&fleet.run(&["nodes", "--remove", "n1"]).expect(1).error().message, &["n1", "connected"]);
    fleet.run(&["nodes", "--remove", "n3"]).expect(0);
    assert_eq!(fleet.run(&["nodes"]).json()["nodes"].as_array().map(Vec::len), Some(2));
}

#[test]
fn s123_a_node_that_is_killed_in_its_upgrade_tries_again_and_fails_after_three_attempts() {
    let Some(mut fleet) = fleet() else { return };
    fleet.write("n1.hold", "");
    let watcher = begin(&fleet, "canary = 0\nprobe = 'smoke'");
    for attempt in 1..=3 {
        eventually("n1 is under way", || (fleet.log().len() == attempt).then_some(()));
        assert_eq!(fleet.run(&["locks"]).expect(0).json()["holders"][0]["attempt"], attempt);
        fleet.nodes[0].kill_9_and_restart();
        assert_eq!(fleet.nodes[0].version(), "1.0.0");
    }
    let (code, error) = ended(watcher);
    assert_eq!(code, Some(4), "{error}");
    assert_eq!(states(&error["error"]["details"]), ["failed", "waiting", "waiting"]);
    assert_contains(&error["error"]["causes"].to_string(), &["n1 failed: ", "3 attempts"]);
    assert_eq!(fleet.log(), ["n1 begins"; 3]);
    assert_eq!(fleet.versions(), ["1.0.0"; 3]);
}

/// Starts a node with this `fleet.toml`, and waits until its status has these words.
fn await_words(folder: &Path, lines: &str, words: &[&str]) -> Node {
    let file = folder.join("fleet.toml");
    fs::write(&file, format!("fleet = 'shop'\nnode = 'n1'\nallow_unsigned = true\n{lines}"))
        .expect("the folder can be written");
    let node = Node::start_with(&["--fleet", &file.to_string_lossy()]);
    let text = || node.status().fleet.unwrap_or_default();
    eventually(words[0], || words.iter().all(|word| text().contains(word)).then_some(()));
    assert!(text().starts_with("shop as n1: cannot ") && !text().contains('\n'), "{}", text());
    node
}

#[test]
fn s129_a_node_without_a_way_to_etcd_names_the_reason_and_runs_on() {
    let Some(etcd) = Etcd::start() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    etcd.require_password("reld", "right");
    let password = folder.path().join("password");
    fs::write(&password, "wrong").expect("the folder can be written");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let endpoint = &etcd.endpoints()[0];
    let login = format!("endpoints = ['{endpoint}']\nuser = 'reld'\npassword_file = 'password'\n");
    let node = await_words(folder.path(), &login, &["as reld", "password", "correct `user`"]);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    assert_contains(&node.status().alarms.join("\n"), &["the node runs on"]);
    let refused = node.refused(&["rollout", "nodes"]);
    assert_eq!(refused.kind, "no_etcd");
    assert_contains(&refused.message, &["correct `user`"]);

    if let Some(etcd) = Etcd::start_with_tls() {
        let lines = format!("endpoints = ['{}']\n", etcd.endpoints()[0]);
        await_words(folder.path(), &lines, &["cannot trust etcd", "`ca`"]);
    }
    let etcd = Etcd::start_without_gateway().expect("it was started before");
    let lines = format!("endpoints = ['{}']\n", etcd.endpoints()[0]);
    await_words(folder.path(), &lines, &["JSON gateway is switched off", "--enable-grpc-gateway"]);

    let refused = Node::start().refused(&["rollout", "nodes"]);
    assert_eq!(refused.kind, "no_fleet");
    assert_contains(&refused.hint.unwrap_or_default(), &["reld --fleet"]);
}

#[test]
fn a_fleet_upgrades_without_a_member_of_etcd_and_a_node_that_joins_later_follows() {
    let Some(mut etcd) = Etcd::start_three() else { return };
    let (endpoints, folder) =
        (etcd.endpoints(), tempfile::tempdir().expect("a temporary folder can be made"));
    let write = |file: &str, text: String| {
        let path = folder.path().join(file);
        fs::write(&path, text).expect("the folder can be written");
        path.to_string_lossy().into_owned()
    };
    let join = |name: &str| {
        let member = format!("fleet = 'shop'\nnode = '{name}'\nfollow = true\nallow_unsigned = true\n");
        let file = write(&format!("{name}.toml"), format!("endpoints = {endpoints:?}\n{member}"));
        Node::start_with(&["--fleet", &file])
    };
    let n1 = join("n1");
    n1.ok(&["upgrade", &release("stage-1.0.0")]);
    eventually("n1 has joined", || n1.status().fleet.filter(|text| text.contains("n1: connected")));
    etcd.kill_member(0);
    let policy = write("rollout.toml", format!("release = '{}'\n", release("stage-2.0.0")));
    n1.ok(&["rollout", "start", &policy, "--fleet"]);
    assert_eq!(n1.version(), "2.0.0");

    let n2 = join("n2");
    n2.ok(&["wait", "--for", "committed"]);
    assert_eq!(n2.version(), "2.0.0", "an idle node follows too");
    let last = n2.read::<HistoryList>(&["history"]).entries.pop().expect("n2 has a history");
    assert_contains(&last.rollout.expect("the order is that of the rollout"), &["stage-2.0.0-"]);
}
