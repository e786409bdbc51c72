//! States and messages that another version reads differently (S13 to S15).

use reld_tests::{Node, Run, assert_contains, field, folder, release};
use serde_json::{Value, json};

fn board() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("board-1.0.0")]);
    node
}

fn root(node: &Node) -> String {
    node.supervisor("board")
}

/// Starts a tally, bumps it `times` times, and returns its pid.
fn tally(node: &Node, module: &str, bump: &Value, times: u64) -> String {
    let spec = json!({"id": module, "module": module}).to_string();
    node.ok(&["child", "start", &root(node), &spec]);
    let pid = node.pid("board", module);
    bumped(node, &pid, bump, times);
    pid
}

fn bumped(node: &Node, pid: &str, bump: &Value, times: u64) {
    for _ in 0..times {
        node.ok(&["cast", pid, &bump.to_string()]);
    }
}

fn say(node: &Node, pid: &str, what: &str) -> Value {
    node.call(pid, what)
}

fn up(node: &Node) -> Run {
    node.run(&["upgrade", &release("board-2.0.0")])
}

#[test]
fn s13_a_state_that_changed_without_a_change_code_takes_the_upgrade_back_and_names_the_field() {
    let node = board();
    let pid = tally(&node, "board_stiff", &json!(5), 2);
    let refused = up(&node).expect(4).stderr;
    assert_contains(&refused, &["board_stiff", "2.0.0", "missing field `max`"]);
    assert_eq!(say(&node, &pid, "sum"), 10, "nothing has changed");
}

#[test]
fn s13_by_hand_such_a_process_ends_with_the_typed_error_and_is_restarted_with_a_first_state() {
    let node = board();
    let pid = tally(&node, "board_stiff", &json!(5), 2);
    let dir = folder("tests/fixtures/lib/board-2.0.0");
    node.ok(&["load", &dir.to_string_lossy(), "--profile", "dev", "--force"]);
    let new = node.restarted("board", "board_stiff", &pid);
    assert_eq!(say(&node, &new, "sum"), 0, "never the old bytes read as something else");
    let log = node.log();
    let report = log.lines().find(|line| line.contains("a process ended") && line.contains(&pid));
    let report = report.unwrap_or_else(|| panic!("no crash report of {pid} in:\n{log}"));
    let parts = ["module=\"board_stiff\"", "version=\"1.0.0\"", "undecodable: ", "missing field `max`"];
    assert_contains(report, &parts);
}

#[test]
fn s13_a_field_gone_from_items_and_entries_is_declared_as_the_diff_spells_it() {
    let node = board();
    let diff = node.json(&["diff", &release("board-1.0.0"), &release("board-2.0.0")]);
    let apps: Vec<Value> = field(&diff, "apps");
    let modules: Vec<Value> = field(&apps[0], "modules");
    let mut modules = modules.iter();
    let notes = modules.find(|it| field::<String>(it, "module") == "board_notes").expect("is compared");
    let declared = ["last.author", "sheets.*.[].author"]
        .map(|place| format!("`{place}` is gone, and declared in DROPPED"));
    assert_eq!(field::<String>(notes, "change"), "additive");
    assert_eq!(field::<Vec<String>>(notes, "up"), declared);

    let note = |text: &str| json!({ "text": text, "author": "ann" });
    let notes =
        json!({ "sheets": { "left": [note("a"), note("b")], "right": [note("c")] }, "last": note("d") });
    let spec = json!({ "id": "board_notes", "module": "board_notes", "args": notes }).to_string();
    node.ok(&["child", "start", &root(&node), &spec]);
    let pid = node.pid("board", "board_notes");
    up(&node).expect(0);
    let text = |text: &str| json!({ "text": text });
    let left =
        json!({ "sheets": { "left": [text("a"), text("b")], "right": [text("c")] }, "last": text("d") });
    assert_eq!(node.state(&pid), left);
    node.ok(&["downgrade"]);
    assert_eq!(field::<Value>(&node.state(&pid), "last"), json!({ "text": "d", "author": "" }));
}

#[test]
fn s14_a_queued_message_of_the_old_form_crashes_a_receiver_without_a_clause_for_it() {
    let node = board();
    let pid = tally(&node, "board_strict", &json!("bump"), 3);
    assert_eq!(say(&node, &pid, "sum"), 3);
    node.ok(&["suspend", &pid]);
    bumped(&node, &pid, &json!("bump"), 2);
    up(&node).expect(0);
    assert_eq!(node.pid("board", "board_strict"), pid);
    node.ok(&["resume", &pid]);
    let new = node.restarted("board", "board_strict", &pid);
    let log = node.log();
    let report = log.lines().find(|line| line.contains("a process ended") && line.contains(&pid));
    let report = report.unwrap_or_else(|| panic!("no crash report of {pid} in:\n{log}"));
    let parts = [
        "module=\"board_strict\"",
        "version=\"2.0.0\"",
        "last_message=\"cast",
        "bump",
        "undecodable: board_strict 2.0.0: cast: ",
    ];
    assert_contains(report, &parts);
    bumped(&node, &new, &json!({"bump": 7}), 1);
    assert_eq!(say(&node, &new, "sum"), 7);
}

#[test]
fn s14_with_a_clause_for_the_old_form_every_queued_message_counts() {
    let node = board();
    let pid = tally(&node, "board_tally", &json!("bump"), 3);
    node.ok(&["suspend", &pid]);
    bumped(&node, &pid, &json!("bump"), 2);
    up(&node).expect(0);
    node.ok(&["resume", &pid]);
    assert_eq!(say(&node, &pid, "sum"), 5);
    assert_eq!(node.pid("board", "board_tally"), pid);
}

#[test]
fn s15_a_tally_upgraded_under_mixed_messages_has_the_right_sum_and_maximum() {
    let node = board();
    let pid = tally(&node, "board_tally", &json!("bump"), 3);
    let expected = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sum = 3;
            for round in 0..40 {
                // A cast that the running version does not understand is refused and not sent.
                let (by, cast) =
                    if round % 2 == 0 { (1, json!("bump")) } else { (round, json!({ "bump": round })) };
                let sent = node.run(&["cast", &pid, &cast.to_string()]);
                sum += if sent.code == 0 { by } else { 0 };
            }
            sum
        });
        up(&node).expect(0);
        sender.join().expect("the sender ends")
    });
    bumped(&node, &pid, &json!({"bump": 1_000}), 1);
    assert_eq!(say(&node, &pid, "sum"), expected + 1_000);
    assert_eq!(say(&node, &pid, "max"), 1_000);
    assert_eq!(node.pid("board", "board_tally"), pid, "nothing has crashed");
    node.ok(&["downgrade"]);
    assert_eq!(say(&node, &pid, "sum"), expected + 1_000);
}
