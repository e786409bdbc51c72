//! The codes of errors: real refusals have theirs in text and in JSON, and `relctl explain` knows
//! each.

use reld_api::ErrorCode;
use reld_api::response::HistoryList;
use reld_tests::{Node, assert_contains, assert_in_order, folder, release};
use serde_json::json;

use crate::settle::{end, on_a_terminal};
use crate::tree;

/// Orders that a node which runs shop 1.0.0 refuses, with their exit codes and codes.
const REFUSED: [(&[&str], i32, &str); 20] = [
    (&["install", "9.9.9"], 1, "no_such_release"),
    (&["remove", "1.0.0"], 1, "permanent"),
    (&["reboot-old", "1.0.0"], 1, "bad_status"),
    (&["downgrade"], 1, "no_previous"),
    (&["abort"], 1, "nothing_under_way"),
    (&["history", "900"], 1, "no_such_entry"),
    (&["check", "1.1"], 2, "bad_version"),
    (&["unpack", "missing.tar.gz"], 1, "io"),
    (&["unpack", "/proc/version"], 1, "bad_tarball"),
    (&["call", "counter/77", "get"], 1, "noproc"),
    (&["call", "counter", "get"], 1, "not_a_server"),
    (&["call", "counter/10000", "nonsense"], 1, "undecodable"),
    (&["change-code", "counter/10000", "counter", "0.1.0"], 1, "not_suspended"),
    (&["change-code", "counter/10000", "counter_sup", "0.1.0"], 1, "other_module"),
    (&["child", "delete", "counter", "10000"], 1, "running"),
    (&["child", "restart", "counter", "77"], 1, "not_found"),
    (&["child", "start", "counter", r#"{"id": 77, "module": "none"}"#], 1, "unknown_module"),
    (&["spawn", "none"], 1, "not_loaded"),
    (&["app", "stop", "none"], 1, "no_such_application"),
    (&["plan", "missing", "missing"], 1, "io"),
];

#[track_caller]
fn check(node: &Node, args: &[&str], exit_code: i32, code: &str) {
    let text = node.run(args).expect(exit_code).stderr;
    assert!(text.starts_with(&format!("error[{code}]: ")), "{args:?}: {text}");
    assert_eq!(node.error(exit_code, args).kind, code, "{args:?}");
    check_explained(node, code);
}

#[track_caller]
fn check_explained(node: &Node, code: &str) {
    let page = node.ok(&["explain", code]).stdout;
    assert!(page.starts_with(&format!("{code}: ")), "{page}");
    assert_in_order(&page, &["\n\n## Cause\n", "\n## Remedy\n", "\n## Example\n", "\n## Source\n"]);
}

#[test]
fn each_refusal_has_its_code_in_text_and_in_json_and_the_code_is_explained() {
    let node = Node::start();
    check(&node, &["commit"], 1, "idle");
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    for (args, exit_code, code) in REFUSED {
        check(&node, args, exit_code, code);
    }

    // The check lists all obstacles, each with its code.
    node.ok(&["child", "start", "counter", r#"{"id": 30000, "module": "counter", "args": 30000}"#]);
    node.ok(&["spawn", "counter", "5"]);
    node.ok(&["unpack", &release("shop-1.1.0")]);
    for args in [&["check", "1.1.0"][..], &["upgrade", "1.1.0"]] {
        let text = node.run(args).expect(1).stderr;
        assert_contains(&text, &["error[not_taken]: ", "caused by[not_taken]: ", "caused by[orphans]: "]);
        let details = node.refused(args).details;
        let codes: Vec<_> = details.as_array().unwrap().iter().map(|obstacle| &obstacle["class"]).collect();
        assert_eq!(codes, ["not_taken", "orphans"]);
    }
    check_explained(&node, "orphans");

    // A failed upgrade has a code too, also in the history.
    node.ok(&["child", "terminate", "counter", "30000"]);
    node.ok(&["child", "delete", "counter", "30000"]);
    let probed = ["upgrade", "1.1.0", "--orphans", "kill", "--probe", "false"];
    check(&node, &probed, 4, "taken_back");
    let last = node.read::<HistoryList>(&["history"]).entries.pop().expect("the history has entries");
    assert_eq!(last.failure.expect("it failed").kind, "taken_back");
    check(&node, &["--socket", "/nonexistent/reld.sock", "status"], 3, "no_daemon");
}

#[test]
fn on_a_terminal_the_last_line_of_an_error_names_its_page() {
    let node = Node::start();
    let (relctl, lines) = on_a_terminal(&node, &["install", "9.9.9"]);
    let shown: Vec<String> = lines.collect();
    end(relctl).expect(1);
    let more: Vec<_> = shown.iter().filter(|line| line.contains("relctl explain")).collect();
    assert_eq!(more, ["more: `relctl explain no_such_release`"]);
    let text = node.run(&["install", "9.9.9"]).expect(1).stderr;
    assert!(!text.contains("relctl explain"), "{text}");
}

#[test]
fn explain_lists_all_codes_and_finds_the_nearest_one_of_a_typo() {
    let node = Node::start();
    let list = node.ok(&["explain"]).stdout;
    assert_eq!(list.lines().count(), ErrorCode::ALL.len() + 1, "{list}");
    let codes = node.run(&["explain", "--json"]).expect(0).json();
    assert_eq!(codes["codes"].as_array().map(Vec::len), Some(ErrorCode::ALL.len()));
    assert_eq!(codes["codes"][0].as_object().map(serde_json::Map::len), Some(2));
    let orphans = ErrorCode::Orphans;
    let expected = json!({"code": "orphans", "summary": orphans.summary(), "page": orphans.page()});
    assert_eq!(node.run(&["explain", "orphans", "--json"]).expect(0).json(), expected);
    let unknown = node.error(2, &["explain", "orphan"]);
    assert_eq!(unknown.message, "cannot explain \"orphan\": there is no such code; did you mean orphans?");
}

#[test]
fn each_code_is_the_code_of_an_error_in_the_sources() {
    let folders = ["cli", "daemon", "releases"].map(folder);
    let sources = folders.iter().flat_map(|folder| tree::files(folder, &["rs"]));
    let sources = sources.filter(|(path, _)| path.iter().any(|part| part == "src"));
    // The tests of a file are at its end.
    let code = |(_, text): (_, String)| text.split("#[cfg(test)]\nmod tests {").next().map(str::to_owned);
    let sources: Vec<String> = sources.filter_map(code).collect();
    let is_used = |code: &&ErrorCode| {
        let name = format!("ErrorCode::{code:?}");
        let ends = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric());
        sources.iter().any(|text| text.split(&name).skip(1).any(ends))
    };
    let unused: Vec<_> = ErrorCode::ALL.iter().filter(|code| !is_used(code)).collect();
    assert!(unused.is_empty(), "no error has these codes: {unused:?}");
}
