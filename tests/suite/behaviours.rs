//! Behaviours of an app: state machines, event handlers, supervisors of every strategy (S77).

use std::process::Stdio;

use reld_api::request::Restart;
use reld_api::response::{
    Behaviour, ChildSpecShown, LoggedMessage, MessageCounts, Outcome, ProcessLog, ProcessStatistics, Replied,
    SysStatus, Told, TopList,
};
use reld_tests::{Node, assert_contains, eventually, field, release};
use serde::Deserialize;
use serde_json::{Value, json};

fn board() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("board-1.0.0")]);
    node
}

fn child_pid(node: &Node, id: &str) -> Option<String> {
    node.child("board", id).pid
}

// --- supervisors ---------------------------------------------------------------------------------

#[test]
fn rest_for_one_restarts_later_children_and_one_for_all_restarts_all() {
    let node = board();
    let ids = ["events", "door", "jobs", "helper", "a", "b"];
    let pids = || ids.map(|id| node.pid("board", id));
    let [events, door, jobs, ..] = pids();
    node.ok(&["kill", &door]);
    node.restarted("board", "door", &door);
    node.restarted("board", "jobs", &jobs);
    assert_eq!(node.pid("board", "events"), events, "it came before the door");
    eventually("all jobs are back", || child_pid(&node, "b"));
    let [.., helper, a, b] = pids();
    node.ok(&["kill", &a]);
    node.restarted("board", "helper", &helper);
    node.restarted("board", "b", &b);
    assert_eq!(node.pid("board", "events"), events);
}

#[test]
fn a_supervisor_ends_with_the_last_of_its_significant_children() {
    let node = board();
    let [a, b] = ["a", "b"].map(|id| node.pid("board", id));
    // `handle_continue` has run before the first call is answered.
    assert_eq!(node.call(&a, "get"), json!(["init", "a"]));
    let shown: ChildSpecShown = node.read(&["child", "spec", &node.pid("board", "jobs"), "a"]);
    assert_eq!((shown.spec.significant, shown.spec.restart), (true, Restart::Transient));
    node.ok(&["cast", &a, "1"]);
    eventually("the first job is done", || child_pid(&node, "a").is_none().then_some(()));
    assert_eq!(child_pid(&node, "b"), Some(b.clone()));
    node.ok(&["cast", &b, "1"]);
    eventually("the jobs are done", || child_pid(&node, "jobs").is_none().then_some(()));
    assert!(child_pid(&node, "door").is_some());
    // The jobs ended with `shutdown`, so this transient child stays down until a restart by hand.
    node.ok(&["child", "restart", &node.supervisor("board"), "jobs"]);
    assert!(child_pid(&node, "a").is_some());
}

// --- applications --------------------------------------------------------------------------------

#[test]
fn h3_an_app_runs_its_start_phases_in_order_and_gets_the_reason_of_its_stop() {
    let mut node = board();
    let logged = |node: &Node, word: &str| -> Vec<String> {
        let log = node.log();
        let logged = log.lines().filter_map(|line| line.split_once(word).map(|(_, rest)| rest));
        logged.map(|rest| rest.split(" app=").next().unwrap_or(rest).to_owned()).collect()
    };
    assert_eq!(logged(&node, "board phase "), [r#"wipe Some({"sponge": "wet"})"#, "hang None"]);
    node.ok(&["app", "stop", "board"]);
    node.ok(&["app", "start", "board"]);
    node.terminate();
    assert_eq!(logged(&node, "board is stopped "), ["ByHand", "NodeStops"]);
}

// --- sys -----------------------------------------------------------------------------------------

fn statistics(node: &Node, process: &str) -> Option<MessageCounts> {
    node.read::<ProcessStatistics>(&["sys", "statistics", process]).statistics
}

fn log(node: &Node, process: &str) -> Option<Vec<LoggedMessage>> {
    node.read::<ProcessLog>(&["sys", "log", process]).messages
}

fn sys_status(node: &Node, process: &str) -> SysStatus {
    node.read(&["sys", "status", process])
}

#[test]
fn sys_statistics_log_replace_state_and_terminate_work_by_hand() {
    let node = board();
    let a = node.pid("board", "a");
    assert_eq!(statistics(&node, &a), None);
    node.ok(&["sys", "statistics", &a, "--on"]);
    node.ok(&["sys", "log", &a, "--keep", "2"]);
    for _ in 0..3 {
        node.ok(&["call", &a, "get"]);
    }
    let counted = statistics(&node, &a).expect("the process counts messages");
    assert_eq!((counted.messages_in, counted.messages_out), (3, 3));
    let kept = log(&node, &a).expect("the process keeps messages");
    let kept: Vec<_> = kept.iter().map(|of| (&*of.way, &*of.what, &of.message)).collect();
    let (asked, answered) = (json!("get"), json!(["init", "a"]));
    assert_eq!(kept, [("in", "call", &asked), ("out", "reply", &answered)]);
    node.ok(&["sys", "log", &a, "--off"]);
    assert_eq!(log(&node, &a), None);
    node.ok(&["sys", "replace-state", &a, r#"{"steps": ["x"]}"#]);
    assert_eq!(node.call(&a, "get"), json!(["x"]));
    node.run(&["sys", "replace-state", &a, r#"{"stps": []}"#]).expect(1);
    assert_eq!(node.call(&a, "get"), json!(["x"]), "the old state stays");
    node.ok(&["suspend", &a]);
    node.ok(&["sys", "terminate", &a, "normal"]);
    eventually("it has ended", || child_pid(&node, "a").is_none().then_some(()));
}

#[test]
fn sys_status_and_no_debug_work_by_hand_and_top_lists_processes() {
    let node = board();
    let a = node.pid("board", "a");
    node.ok(&["sys", "statistics", &a, "--on"]);
    node.ok(&["sys", "log", &a, "--keep", "2"]);
    node.ok(&["suspend", &a]);
    let status = sys_status(&node, &a);
    assert_eq!((status.suspended, status.statistics, status.log_max), (true, true, Some(2)));
    assert_eq!(status.state, json!({"steps": ["init", "a"]}));
    node.ok(&["sys", "no-debug", &a]);
    let status = sys_status(&node, &a);
    assert_eq!((status.statistics, status.log_max), (false, None));
    assert_contains(&node.ok(&["sys", "status", &a]).stdout, &["suspended"]);
    let top: TopList = node.read(&["top", "--interval", "10", "-n", "3"]);
    assert_eq!((top.for_ms, top.processes.len()), (10, 3));
    // When stdout is a pipe, `top` prints one table and ends.
    assert_contains(&node.ok(&["top", "--interval", "1"]).stdout, &["run %"]);
}

#[test]
fn a_process_stops_another_with_a_reason_and_gets_the_result() {
    let node = board();
    let vault = |owner: &str| node.ok(&["spawn", "board_vault", &json!([owner, "1234"]).to_string()]);
    let stop = |whom: &str, kind: &str, text: Option<&str>, ms: u64| {
        let why = match text {
            Some(text) => json!({ "kind": kind, "text": text }),
            None => json!({ "kind": kind }),
        };
        node.call("porter", json!([whom, why, ms]))
    };
    node.ok(&["spawn", "board_porter", "null"]);
    vault("ann");
    assert_eq!(stop("ann", "shutdown", Some("moved"), 5_000), "stopped");
    // The reply comes after the end: the name is free and the line is in the log.
    assert_contains(&node.log(), &["the vault of ann ends: shutdown: moved"]);
    let missing = stop("ann", "normal", None, 5_000).to_string();
    assert_contains(
        &missing,
        &["cannot find ann: no process is registered as ann, and no app is called ann"],
    );
    let missing = stop("board/dor", "normal", None, 5_000).to_string();
    assert_contains(
        &missing,
        &["board has no child dor; its children are events, door, jobs; the nearest is door"],
    );
    let door = node.pid("board", "door");
    assert_eq!(stop("board/door", "normal", None, 5_000), "stopped");
    node.restarted("board", "door", &door);
    vault("ann");
    node.ok(&["suspend", "ann"]);
    assert_eq!(stop("ann", "normal", None, 5_000), "stopped", "also while it is suspended");
    vault("bob");
    // Ends after the callback, not inside it, although the caller has given up by then.
    let mut busy = node.relctl(&["call", "bob", r#"{"try": ["1", 300]}"#]).spawn().expect("relctl runs");
    eventually("the vault is busy", || node.proc("bob").in_callback.then_some(()));
    assert_eq!(stop("bob", "error", Some("too slow"), 20), "the call timed out");
    assert!(busy.wait().expect("relctl ends").success(), "the running call is answered");
    eventually("it has ended", || (node.run(&["proc", "bob"]).code == 1).then_some(()));
    assert_contains(&node.log(), &["the vault of bob ends: error: too slow"]);
    assert_contains(&stop("porter", "normal", None, 10).to_string(), &["a process cannot stop itself"]);
}

#[test]
fn format_status_hides_secrets_from_states_and_crash_reports() {
    let node = board();
    node.ok(&["spawn", "board_vault", r#"["ann", "1234"]"#]);
    assert_eq!(sys_status(&node, "ann").state, json!({"owner": "ann", "key": "..."}));
    assert_eq!(field::<String>(&node.state("ann"), "key"), "1234", "the state itself is complete");
    node.ok(&["sys", "log", "ann", "--keep"]);
    node.ok(&["call", "ann", r#"{"open": "1234"}"#]);
    node.ok(&["suspend", "ann"]);
    let mut caller =
        node.relctl(&["call", "ann", r#"{"try": ["1234", 600000]}"#]).spawn().expect("relctl runs");
    node.ok(&["cast", "ann", "1234"]);
    let bodies = eventually("both wait", || {
        let mailbox = node.proc("ann").mailbox;
        let mut bodies: Vec<String> = mailbox.iter().map(|letter| letter.body.to_string()).collect();
        bodies.sort();
        (bodies.len() == 2).then_some(bodies)
    });
    // If `format_status` of a module fails, the message is hidden completely.
    assert_eq!(bodies, [r#""hidden""#, r#"{"try":["...",600000]}"#]);
    let kept = log(&node, "ann").expect("the process keeps messages");
    assert_eq!([&kept[0].message, &kept[1].message], [&json!({"open": "..."}), &json!("hidden")]);
    node.ok(&["resume", "ann"]);
    let parked = eventually("it is parked", || node.proc("ann").process.callback);
    let about = parked.about.expect("a parked callback is about a message");
    assert!(about.contains("try") && !about.contains("1234"), "{about}");
    node.ok(&["kill", "ann"]);
    caller.wait().expect("relctl ends");
    node.ok(&["spawn", "board_vault", r#"["bob", "1234"]"#]);
    node.run(&["call", "bob", r#"{"open": "secret word"}"#]).expect(1);
    let report = eventually("the crash is reported", || {
        node.log()
            .lines()
            .find(|line| line.contains("wrong key") && line.contains("board_vault"))
            .map(str::to_owned)
    });
    assert!(report.contains("...") && !report.contains("secret word"), "{report}");
    assert!(!node.log().contains("secret word") && !node.log().contains("1234"), "{}", node.log());
}

#[test]
fn s31_a_message_sequence_is_drawn() {
    let node = board();
    let [a, b] = ["a", "b"].map(|id| node.pid("board", id));
    let relctl = node.relctl(&[]);
    let relctl = relctl.get_program().to_string_lossy();
    // The brackets of a pid are optional.
    let bare = a.trim_matches(['<', '>']);
    let label = format!("{bare}=the first");
    let drawn = node.ok(&["trace", "--proc", bare, "--label", &label, "--", &relctl, "call", bare, "get"]);
    let seen: Vec<_> = drawn.stdout.lines().map(str::trim).collect();
    let label = format!("participant p1 as the first {}", a.replace('<', "#lt;").replace('>', "#gt;"));
    let expected = [
        "sequenceDiagram",
        "participant outside",
        &label,
        "outside->>p1: call get",
        "p1-->>outside: reply [#quot;init#quot;,#quot;a#quot;]",
    ];
    assert_eq!(seen, expected);

    let traced: Vec<Told> = node.read(&["trace", "--proc", &b, "--", &relctl, "suspend", &b]);
    let to: Vec<_> = traced.iter().map(|of| (&*of.what, of.to.as_ref().map(|to| &to.pid))).collect();
    assert_eq!(to, [("suspend", Some(&b))]);
    let one = ["trace", "--kind", "reply", "--count", "1", "--", &relctl, "call", &a, "get"];
    let traced: Vec<Told> = node.read(&one);
    assert_eq!(traced.iter().map(|of| &of.what).collect::<Vec<_>>(), ["reply"]);
    let unknown = node.run(&["trace", "--proc", "nobody", "--", &relctl, "ps"]).expect(1);
    assert_contains(&unknown.stderr, &["nobody"]);
    let failed = node.run(&["trace", "--", &relctl, "call", "nobody", "get"]);
    assert_eq!(failed.expect(0).stdout.trim(), "sequenceDiagram", "the command's stdout goes to stderr");
}

// --- gen_statem ----------------------------------------------------------------------------------

/// The parts of a state machine's state that the tests read.
#[derive(Deserialize)]
struct Machine {
    state: Value,
    data: Value,
    engine: Engine,
}

#[derive(Deserialize)]
struct Engine {
    postponed: Vec<Value>,
    timeouts: Vec<Timeout>,
}

#[derive(Deserialize)]
struct Timeout {
    kind: Value,
}

fn machine(node: &Node) -> Machine {
    Machine::deserialize(node.state("board_door")).expect("the state of a state machine")
}

/// Postpones a call, starts a time-out, and moves the node to another release. Returns the reply to
/// the call.
fn knock_over(node: &Node, to: &[&str]) -> String {
    let mut knock = node.relctl(&["call", "board_door", "knock", "--timeout", "60000", "--json"]);
    let knock = knock.stdout(Stdio::piped()).spawn().expect("relctl can be run");
    eventually("the call is postponed", || (machine(node).engine.postponed.len() == 1).then_some(()));
    node.ok(&["call", "board_door", r#"{"open_in": 3600000}"#]);
    node.ok(to);
    let Machine { state, engine, .. } = machine(node);
    assert_eq!((state, engine.postponed.len()), (json!("locked"), 1));
    assert_eq!(engine.timeouts[0].kind, json!({"named": "open"}));
    // A new time-out of the same name replaces the one that was started in the other version.
    node.ok(&["call", "board_door", r#"{"open_in": 50}"#]);
    let output = knock.wait_with_output().expect("relctl ends");
    let answer: Replied = serde_json::from_slice(&output.stdout).expect("an answer is JSON");
    node.ok(&["call", "board_door", "lock"]);
    answer.reply.as_str().expect("the door answers with words").to_owned()
}

#[test]
fn a_state_machine_keeps_postponed_calls_and_time_outs_over_an_upgrade_and_a_downgrade() {
    let node = board();
    let door = node.pid("board", "door");
    assert_eq!(node.child("board", "door").behaviour, Behaviour::GenStatem);
    assert_eq!(knock_over(&node, &["upgrade", &release("board-2.0.0")]), "two served 1");
    assert_eq!(machine(&node).data, json!({"served": 1, "extra": 7}));
    assert_eq!(knock_over(&node, &["downgrade"]), "one served 2");
    assert_eq!(machine(&node).data, json!({"served": 2}));
    assert_eq!(node.pid("board", "door"), door);
}

#[test]
fn a_time_out_that_was_set_before_an_upgrade_fires_after_it() {
    let node = board();
    node.ok(&["call", "board_door", r#"{"open_in": 2000}"#]);
    node.ok(&["upgrade", &release("board-2.0.0")]);
    eventually("the door is open", || (machine(&node).state == "open").then_some(()));
}

// --- gen_event -----------------------------------------------------------------------------------

/// Calls a handler.
fn ask(node: &Node, id: &str) -> Value {
    node.call("board_events", json!({"ask": {"id": id, "request": "get"}}))
}

/// The reply of the event manager for an unknown handler.
fn not_found() -> Value {
    json!({"error": {"reason": "not_found", "text": ""}})
}

fn notify(node: &Node, event: &str) {
    node.ok(&["cast", "board_events", &json!({ "event": event }).to_string()]);
}

fn calls(node: &Node, call: &Value) {
    node.ok(&["spawn", "board_calls", &call.to_string()]);
}

/// Returns the module and pid of each handler in the tree.
fn handlers(node: &Node) -> Vec<(String, String)> {
    let rows = node.child("board", "events").children.into_iter();
    rows.map(|row| (row.module, row.pid.expect("a handler runs"))).collect()
}

#[test]
fn events_reach_all_handlers_in_order_and_a_handler_that_crashes_is_removed() {
    let node = board();
    let events = node.pid("board", "events");
    notify(&node, "a");
    calls(&node, &json!({"function": "sync", "args": ["b", "c"]}));
    eventually("all has been handled", || (ask(&node, "lamp") == json!({"ok": 4})).then_some(()));
    assert_eq!(ask(&node, "log"), json!({"ok": ["one a", "one b", "one c"]}));
    notify(&node, "break");
    assert_eq!(ask(&node, "lamp"), not_found());
    assert_eq!(field::<Vec<String>>(&ask(&node, "log"), "ok").len(), 4);
    assert_eq!(node.pid("board", "events"), events, "the manager lives");
    assert_eq!(handlers(&node).into_iter().map(|(module, _)| module).collect::<Vec<_>>(), ["board_log"]);
    assert!(node.log().contains("the lamp breaks"));
}

#[test]
fn handlers_are_swapped_deleted_and_killed() {
    let node = board();
    notify(&node, "a");
    calls(&node, &json!({"function": "swap", "args": ["lamp", "second", 10]}));
    // The state of the first handler: one event, and the one it started with.
    eventually("it was swapped", || (ask(&node, "second") == json!({"ok": 12})).then_some(()));
    assert_eq!(ask(&node, "lamp"), not_found());
    notify(&node, "off");
    eventually("it has removed itself", || (handlers(&node).len() == 1).then_some(()));
    calls(&node, &json!({"function": "swap", "args": ["nobody", "third", 10]}));
    eventually("it was added", || (ask(&node, "third") == json!({"ok": 10})).then_some(()));
    let (_, third) = handlers(&node)[1].clone();
    node.ok(&["kill", &third]);
    eventually("it is gone", || (handlers(&node).len() == 1).then_some(()));
    assert_eq!(ask(&node, "third"), not_found());
    calls(&node, &json!({"function": "delete", "args": ["log"]}));
    eventually("none is left", || handlers(&node).is_empty().then_some(()));
}

#[test]
fn a_supervised_handler_ends_with_its_adder_and_the_adder_is_notified_of_its_end() {
    let node = board();
    let root = node.supervisor("board");
    let keeper = |id: &str| -> String {
        let spec = json!({"id": id, "module": "board_keeper", "args": id, "restart": "temporary"});
        node.start_child(&root, spec)
    };
    let notices = |keeper: &str| node.call(keeper, "get");
    let gone = |id: &str| (ask(&node, id) == not_found()).then_some(());
    let [first, second, third] = ["first", "second", "third"].map(keeper);
    assert_eq!(handlers(&node).len(), 5);
    notify(&node, "a");
    assert_eq!(ask(&node, "first"), json!({"ok": 2}));

    node.ok(&["kill", &first]);
    eventually("it went with its adder", || gone("first"));
    calls(&node, &json!({"function": "delete", "args": ["second"]}));
    eventually("its adder is notified", || (notices(&second) == json!(["normal"])).then_some(()));
    // The heir replaces the third handler and is supervised as well.
    calls(&node, &json!({"function": "swap", "args": ["third", "heir", 0]}));
    eventually("its adder is notified", || (notices(&third) == json!(["shutdown: swapped"])).then_some(()));
    node.ok(&["kill", &third]);
    eventually("the heir went with it", || gone("heir"));

    node.ok(&["cast", &second, r#"["lamp", "mine"]"#]);
    eventually("it was swapped", || (ask(&node, "mine") == json!({"ok": 3})).then_some(()));
    notify(&node, "break");
    let why = eventually("its adder is notified", || Some(notices(&second).get(1)?.as_str()?.to_owned()));
    assert_contains(&why, &["the lamp breaks"]);
    let last = keeper("last");
    node.ok(&["upgrade", &release("board-2.0.0")]);
    node.ok(&["kill", &last]);
    eventually("the bond outlives an upgrade", || gone("last"));
    let last = keeper("the very last");
    node.ok(&["child", "terminate", &root, "events"]);
    eventually("its adder is notified", || (notices(&last) == json!(["shutdown"])).then_some(()));
}

#[test]
fn s77_event_handlers_are_found_and_converted_though_no_spec_names_them() {
    let node = board();
    notify(&node, "a");
    let before = handlers(&node);
    assert_eq!(before.len(), 2);
    assert_eq!(node.report(&["upgrade", &release("board-2.0.0")]).outcome, Outcome::Installed);
    assert_eq!(handlers(&node), before, "the same processes");
    notify(&node, "b");
    assert_eq!(ask(&node, "log"), json!({"ok": ["one a", "two b"]}));
    let (_, log) = &before[0];
    assert_eq!(node.state(log), json!({"lines": ["one a", "two b"], "before": 1}));
    node.ok(&["downgrade"]);
    notify(&node, "c");
    assert_eq!(ask(&node, "log"), json!({"ok": ["one a", "two b", "one c"]}));
    assert_eq!(handlers(&node), before);
    assert_eq!(node.state(log), json!({"lines": ["one a", "two b", "one c"]}));
}
