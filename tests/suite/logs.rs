//! The last log lines, which the daemon keeps in memory (O7): `relctl logs`.

use reld_api::response::{Followed, LogLevel, LogLine};
use reld_tests::{Node, assert_contains, release};
use serde_json::json;

use crate::events::Following;

/// Returns the lines printed by `relctl logs`.
#[track_caller]
fn logs(node: &Node, args: &[&str]) -> Vec<LogLine> {
    let printed = node.ok(&[&["logs", "--json"], args].concat()).stdout;
    let lines = printed.lines().map(|line| match serde_json::from_str(line).expect("each line is JSON") {
        Followed::Line(line) => line,
        dropped @ Followed::Dropped { .. } => panic!("{dropped:?}"),
    });
    lines.collect()
}

fn say(node: &Node, text: &str) {
    node.ok(&["call", "habit_1", &json!({"say": text}).to_string()]);
}

fn habits() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("habits-1.0.0")]);
    node
}

#[test]
fn lines_printed_by_an_app_are_selected_by_its_name() {
    let node = habits();
    say(&node, "good day");
    let of_habits = logs(&node, &["--app", "habits"]);
    let printed: Vec<_> = of_habits.iter().filter(|line| line.message.starts_with("good day")).collect();
    let [out, err] = printed[..] else { panic!("{of_habits:#?}") };
    assert_eq!([&*out.message, &*err.message], ["good day", "good day, 1"]);
    assert_eq!((&*out.target, out.app.as_deref(), out.level), ("app", Some("habits"), LogLevel::Info));
    let fields = json!({"module": "habit", "pid": node.pid("habits", 1), "stream": "stdout"});
    assert_eq!(json!(out.fields), fields);
    let all = logs(&node, &[]);
    assert!(all.iter().any(|line| line.app.is_none()), "{all:#?}");
    assert!(all.is_sorted_by_key(|line| line.id));
    assert!(of_habits.iter().all(|line| line.app.as_deref() == Some("habits")), "{of_habits:#?}");
    assert_eq!(logs(&node, &["--app", "habits", "--lines", "2"]).len(), 2);
    assert_eq!(logs(&node, &["--app", "nothing"]), []);
    assert_contains(&node.ok(&["logs", "-n", "1", "--app", "habits"]).stdout, &["  INFO habits: "]);
}

#[test]
fn lines_logged_with_the_sdk_are_selected_by_the_name_of_the_app() {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    let pid = node.pid("stage", "a");
    node.ok(&["cast", &pid, r#"{"trap_exit": true}"#]);
    node.call(&pid, "get");
    node.ok(&["app", "stop", "stage"]);
    let lines = logs(&node, &["--app", "stage"]);
    let is_last_word =
        |line: &&LogLine| line.message.contains("count_server terminates at") && line.fields["pid"] == pid;
    let line = lines.iter().find(is_last_word).unwrap_or_else(|| panic!("not in {lines:#?}"));
    assert_eq!((&*line.target, line.app.as_deref()), ("app", Some("stage")));
}

#[test]
fn new_lines_follow_the_last_ones() {
    let node = habits();
    say(&node, "the last word");
    let following = Following::of(&node, &["logs", "--app", "habits", "--follow", "--lines", "1", "--json"]);
    let next = || match following.next() {
        Followed::Line(line) => line,
        dropped @ Followed::Dropped { .. } => panic!("{dropped:?}"),
    };
    let begin = next();
    assert_eq!(begin.app.as_deref(), Some("habits"));
    say(&node, "one more");
    // The app also prints a line at each tick.
    let mut coming = std::iter::repeat_with(next).inspect(|line| {
        assert!(line.id > begin.id && line.app.as_deref() == Some("habits"), "{line:?}");
    });
    assert!(coming.any(|line| line.message == "one more"));
    assert!(coming.any(|line| line.message == "one more, 1"));
    drop(coming);
    let (status, stderr) = following.signal("-TERM");
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_message_that_crashed_a_process_is_in_the_log_file_and_not_in_relctl_logs() {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.run(&["call", &node.pid("stage", "a"), "panic"]).expect(1);
    let lines = logs(&node, &["--app", "stage"]);
    let crash = lines.iter().find(|line| line.message == "a process ended");
    let crash = crash.unwrap_or_else(|| panic!("not in {lines:#?}"));
    assert!(!crash.fields.contains_key("last_message"), "{crash:#?}");
    assert_contains(&node.log(), &["last_message="]);
}

#[test]
fn the_number_of_kept_log_lines_is_bounded() {
    /// More lines than the daemon keeps.
    const CALLS: usize = 100;
    let node = Node::start_with(&["--log-keep", "16"]);
    (0..CALLS).for_each(|_| drop(node.run(&["call", "nobody", "1"]).expect(1)));
    let kept = logs(&node, &[]);
    assert!((20..CALLS).contains(&kept.len()), "{kept:#?}");
    assert!(kept.iter().all(|line| line.fields["path"] == "/call"), "{kept:#?}");
    assert_eq!(node.log().matches("/call").count(), CALLS);
}
