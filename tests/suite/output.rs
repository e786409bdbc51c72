//! The log attributes the output of apps to them (issue 5.2).

use reld_tests::{Node, eventually, field, release};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::misfits::{meter, with_library};

/// Starts a node with a JSON log.
fn node(first: &str) -> Node {
    let node = Node::start_with(&["--log-json"]);
    node.ok(&["upgrade", &release(first)]);
    node
}

/// A line of the log.
#[derive(Debug, Deserialize)]
struct Line {
    target: String,
    fields: Fields,
}

#[derive(Debug, Deserialize)]
struct Fields {
    message: String,
    #[serde(flatten)]
    others: Value,
}

/// Returns the complete lines of the log.
fn lines(node: &Node) -> Vec<Line> {
    node.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Returns the other log fields of a text printed by an app.
fn printed(node: &Node, text: &str) -> Option<Value> {
    let mut of_apps = lines(node).into_iter().filter(|line| line.target == "app");
    of_apps.find(|line| line.fields.message == text).map(|line| line.fields.others)
}

#[track_caller]
fn check(node: &Node, text: &str, expected: Value) {
    assert_eq!(printed(node, text), Some(expected), "{text:?} in:\n{}", node.log());
}

fn ask(node: &Node, question: &Value) {
    node.ok(&["call", "habit_1", &question.to_string()]);
}

/// Returns the expected log fields of the output of habit_1.
fn habit(node: &Node, stream: &str) -> Value {
    json!({"app": "habits", "module": "habit", "pid": node.pid("habits", 1), "stream": stream})
}

#[test]
fn output_of_an_app_in_rust_is_logged_with_app_module_and_pid_in_each_of_its_versions() {
    let node = node("habits-1.0.0");
    ask(&node, &json!({"say": "from the first version"}));
    check(&node, "from the first version", habit(&node, "stdout"));
    check(&node, "from the first version, 1", habit(&node, "stderr"));
    node.ok(&["upgrade", &release("habits-2.0.0")]);
    ask(&node, &json!({"say": "from the second version"}));
    check(&node, "from the second version, 1", habit(&node, "stderr"));
    node.ok(&["downgrade"]);
    assert_eq!(node.mapped().len(), 1);
    ask(&node, &json!({"say": "from the first version again"}));
    check(&node, "from the first version again", habit(&node, "stdout"));
    ask(&node, &json!({"say_blocking": "from a spare thread"}));
    let habit = json!({"app": "habits", "pid": node.pid("habits", 1), "stream": "stdout"});
    check(&node, "from a spare thread", habit);
}

#[test]
fn an_unfinished_line_of_rust_is_logged_when_its_process_ends_and_when_its_library_leaves() {
    let node = node("habits-1.0.0");
    // Suspends the other servers: they share the library's buffer.
    for number in [0, 2, 3] {
        node.ok(&["suspend", &format!("habit_{number}")]);
    }
    let ended = habit(&node, "stdout");
    ask(&node, &json!({"last_words": "the end"}));
    eventually("it is logged", || printed(&node, "the end"));
    check(&node, "the end", ended);

    ask(&node, &json!({"print": "an unfinished line"}));
    node.ok(&["upgrade", &release("habits-2.0.0")]);
    let mut lines = lines(&node).into_iter();
    let line = lines.find(|line| line.fields.message.contains("an unfinished line")).expect("it was logged");
    assert_eq!((&*line.target, field::<String>(&line.fields.others, "app")), ("app", "habits".to_owned()));
}

#[test]
fn output_of_an_app_in_c_is_logged_with_app_module_and_pid() {
    let node = node("plant-1.0.0");
    let prints = [
        (
            "static reld_status load(const reld_host *table) {\n",
            "static reld_status load(const reld_host *table) {\n    puts(\"loaded\");\n",
        ),
        (
            "    case RELD_EVENT_CAST:\n",
            "    case RELD_EVENT_CAST:\n        printf(\"%s is \", \"this\");\n        \
             printf(\"one line\\n\");\n        fprintf(stderr, \"not ended\");\n",
        ),
        ("#include \"msgpack.h\"\n", "#include \"msgpack.h\"\n#include <stdio.h>\n"),
    ];
    let (_scratch, tarball) = with_library(&meter(&[], "", &prints));
    node.ok(&["upgrade", &tarball]);
    check(&node, "loaded", json!({"app": "meter", "stream": "stdout"}));
    node.ok(&["cast", "meter", r#"{"add": 1}"#]);
    node.ok(&["call", "meter", "read"]);
    let pid = node.pid("meter", "meter");
    let meter = |stream| json!({"app": "meter", "module": "meter", "pid": pid, "stream": stream});
    check(&node, "this is one line", meter("stdout"));
    check(&node, "not ended", meter("stderr"));
}
