//! What apps print is logged in their name (issue 5.2).

use reld_tests::{Node, eventually, release};
use serde_json::{Value, json};

use crate::misfits::{meter, with_library};

/// Starts a node whose log can be read by machines.
fn node(first: &str) -> Node {
    let node = Node::start_with(&["--log-json"]);
    node.ok(&["upgrade", &release(first)]);
    node
}

/// Returns what was logged as printed, if that text was: app, module, pid and stream.
fn printed(node: &Node, text: &str) -> Option<[Value; 4]> {
    let log = node.log();
    // The last line may be half of one.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut of_apps = lines.filter(|line| line["target"] == "app");
    let line = of_apps.find(|line| line["fields"]["message"] == text)?;
    Some(["app", "module", "pid", "stream"].map(|field| line["fields"][field].clone()))
}

#[track_caller]
fn check(node: &Node, text: &str, expected: [Value; 4]) {
    assert_eq!(printed(node, text), Some(expected), "{text:?} in:\n{}", node.log());
}

fn ask(node: &Node, question: &Value) {
    node.ok(&["call", "habit_1", &question.to_string()]);
}

/// Who habit_1 is on each stream.
fn habit(node: &Node, stream: &str) -> [Value; 4] {
    [json!("habits"), json!("habit"), json!(node.pid("habits", 1)), json!(stream)]
}

#[test]
fn what_an_app_in_rust_prints_is_logged_with_app_module_and_pid_in_each_of_its_versions() {
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
    let [app, _, pid, stream] = habit(&node, "stdout");
    check(&node, "from a spare thread", [app, Value::Null, pid, stream]);
}

#[test]
fn a_line_of_rust_that_nobody_ended_is_logged_when_its_process_ends_and_when_its_library_leaves() {
    let node = node("habits-1.0.0");
    // Nobody else prints meanwhile: the buffer is the library's.
    for number in [0, 2, 3] {
        node.ok(&["suspend", &format!("habit_{number}")]);
    }
    let ended = habit(&node, "stdout");
    ask(&node, &json!({"last_words": "the end"}));
    eventually("it is logged", || printed(&node, "the end"));
    check(&node, "the end", ended);

    ask(&node, &json!({"print": "an unfinished line"}));
    node.ok(&["upgrade", &release("habits-2.0.0")]);
    let log = node.log();
    let line = log.lines().find(|line| line.contains("an unfinished line")).expect("it was logged");
    let line: Value = serde_json::from_str(line).expect("a line of JSON");
    assert_eq!((&line["target"], &line["fields"]["app"]), (&json!("app"), &json!("habits")), "{line}");
}

#[test]
fn what_an_app_in_c_prints_is_logged_with_app_module_and_pid() {
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
    check(&node, "loaded", [json!("meter"), Value::Null, Value::Null, json!("stdout")]);
    node.ok(&["cast", "meter", r#"{"add": 1}"#]);
    node.ok(&["call", "meter", r#""read""#]);
    let meter = |stream| [json!("meter"), json!("meter"), json!(node.pid("meter", "meter")), json!(stream)];
    check(&node, "this is one line", meter("stdout"));
    check(&node, "not ended", meter("stderr"));
}
