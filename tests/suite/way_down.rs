//! Conversions to an older version with fewer members, and to a newer version with other ones (S13,
//! S48, R2).

use std::process::Stdio;

use reld_api::response::{Checked, Outcome};
use reld_tests::{Node, eventually, field, folder, release};
use serde_json::{Value, json};

use crate::doctored::{doctored, edit};

/// Returns a node that runs a version of link.
fn link(version: &str) -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release(&format!("link-{version}"))]);
    node
}

/// Returns a node after an upgrade of link to 1.1.0, with one target made before and one after it.
fn grown() -> Node {
    let node = link("1.0.0");
    add(&node, "a");
    node.ok(&["call", &log(&node), &json!("made a").to_string()]);
    node.ok(&["upgrade", &release("link-1.1.0")]);
    add(&node, "b");
    node
}

fn pid(node: &Node) -> String {
    node.pid("link", "link")
}

fn log(node: &Node) -> String {
    node.pid("link", "log")
}

fn add(node: &Node, name: &str) {
    let ask = json!({ "add": { "name": name, "url": format!("https://{name}") } });
    node.ok(&["call", &pid(node), &ask.to_string()]);
}

fn checked(node: &Node, version: &str) -> Checked {
    node.read(&["check", version])
}

/// Returns the time when the newest target was made, as in the state of a link.
fn since(node: &Node, link: &str) -> u64 {
    field(&node.state(link), "since")
}

fn target(name: &str) -> Value {
    json!({ "url": format!("https://{name}") })
}

/// The places that 1.1.0 adds, by module, in the order of the schemas.
const ADDED: [(&str, &[&str]); 2] =
    [("link", &["newest", "since", "targets.*.hits"]), ("link_log", &["lines.[].level"])];

/// Checks that 1.0.0 runs with exactly the members that it knows.
#[track_caller]
fn check_old(node: &Node, [link, log]: &[String; 2]) {
    assert_eq!(node.version(), "1.0.0");
    assert_eq!([&pid(node), &self::log(node)], [link, log]);
    assert_eq!(node.state(link), json!({ "targets": { "a": target("a"), "b": target("b") }, "made": 2 }));
    assert_eq!(node.state(log), json!({ "lines": [{ "text": "made a" }] }));
}

#[test]
fn s48_a_downgrade_drops_added_fields_with_a_default_and_lists_them() {
    let node = grown();
    let pids = [pid(&node), log(&node)];
    assert_eq!(since(&node, &pids[0]), 2);
    let planned = node.ok(&["plan", &release("link-1.1.0"), &release("link-1.0.0")]).stdout;
    let dry = node.ok(&["upgrade", "1.0.0", "--dry-run"]).stdout;
    for text in [&planned, &dry] {
        for (module, places) in ADDED {
            let places = places.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(" ");
            let line = format!("load {module} of link-1.0.0, drops {places}");
            assert!(text.contains(&line), "no {line} in:\n{text}");
        }
        assert!(!text.contains("warning"), "{text}");
    }
    let checked = checked(&node, "1.0.0");
    let dropped = checked.script.iter().filter_map(|step| {
        let places = step.instruction.get("dropped")?;
        Some((field(&step.instruction, "module"), places.clone()))
    });
    assert_eq!(dropped.collect::<Vec<_>>(), ADDED.map(|(module, places)| (module.to_owned(), json!(places))));

    let report = node.report(&["downgrade"]);
    assert_eq!((report.outcome, report.killed, report.warnings), (Outcome::Installed, vec![], vec![]));
    let listed =
        ADDED.map(|(module, places)| (module.to_owned(), places.iter().map(ToString::to_string).collect()));
    assert_eq!(report.dropped, listed.into());
    let titles: Vec<_> = report.steps.iter().map(|step| step.text.as_str()).collect();
    assert!(titles.contains(&"code_change link_log (soft, drops `lines.[].level`)"), "{titles:#?}");
    check_old(&node, &pids);
    // After another upgrade the dropped places have their defaults again.
    node.ok(&["upgrade", "1.1.0"]);
    assert_eq!(since(&node, &pids[0]), 0);
}

#[test]
fn s75_a_release_that_added_fields_is_taken_back_without_a_restart_when_its_probe_fails() {
    let node = link("1.0.0");
    let pids = [pid(&node), log(&node)];
    add(&node, "a");
    node.ok(&["call", &pids[1], &json!("made a").to_string()]);
    add(&node, "b");
    let failed =
        node.run(&["upgrade", &release("link-1.1.0"), "--settle", "1", "--probe", "exit 3"]).expect(4);
    assert!(failed.stderr.contains("the node runs 1.0.0 again"), "{}", failed.stderr);
    check_old(&node, &pids);
}

#[test]
fn a_default_change_code_down_drops_added_fields_without_code() {
    let (_place, tarball) = doctored("link-1.1.0", |files| {
        let soft = "{ update = \"link\" }";
        edit(files, "lib/link-1.1.0/appup.toml", soft, "{ update = \"link\", change = { advanced = {} } }");
    });
    let node = link("1.0.0");
    let pids = [pid(&node), log(&node)];
    add(&node, "a");
    node.ok(&["call", &pids[1], &json!("made a").to_string()]);
    node.ok(&["upgrade", &tarball]);
    add(&node, "b");
    let planned = node.ok(&["upgrade", "1.0.0", "--dry-run"]).stdout;
    let line =
        "code_change link down 1.1.0 to 1.0.0, advanced, extra {}, drops `newest` `since` `targets.*.hits`";
    assert!(planned.contains(line), "{planned}");
    node.ok(&["downgrade"]);
    check_old(&node, &pids);
}

#[test]
fn a_downgrade_of_one_app_drops_added_fields_as_well() {
    let node = link("1.0.0");
    let pids = [pid(&node), log(&node)];
    let app = |version: &str| {
        let dir = folder(&format!("tests/fixtures/lib/link-{version}"));
        node.run(&["upgrade", "--app", "link", &dir.to_string_lossy(), "--profile", "dev"]).expect(0)
    };
    app("1.1.0");
    add(&node, "a");
    add(&node, "b");
    node.ok(&["call", &pids[1], &json!("made a").to_string()]);
    let output = app("1.0.0").stdout;
    assert!(
        output.contains("dropped from the states of link: `newest`, `since`, `targets.*.hits`"),
        "{output}"
    );
    check_old(&node, &pids);
}

#[test]
fn s13_a_process_that_does_not_come_to_rest_loses_the_added_fields_when_it_moves() {
    let node = grown();
    let pids = [pid(&node), log(&node)];
    let mut held = node.relctl(&["call", &pids[0], &json!({ "hold": 3_000 }).to_string()]);
    let mut held = held.stdout(Stdio::null()).spawn().expect("relctl can be run");
    eventually("it is in its callback", || node.proc(&pids[0]).in_callback.then_some(()));
    let report = node.report(&["downgrade", "--unrest", "leave", "--suspend-timeout", "100"]);
    assert_eq!(report.lingering.len(), 1, "{report:#?}");
    assert!(held.wait().expect("relctl ends").success(), "its callback went on to its end");
    eventually("it moves", || (node.proc(&pids[0]).process.version == "1.0.0").then_some(()));
    check_old(&node, &pids);
}

#[test]
fn r2_a_renamed_field_is_refused_on_the_way_up_before_anything_happens_with_both_names() {
    let node = link("1.0.0");
    let pid = pid(&node);
    add(&node, "a");
    let state = node.state(&pid);
    let planned = node.ok(&["plan", &release("link-1.0.0"), &release("link-1.2.0")]).stdout;
    let both = "`made` is gone, and not declared in DROPPED; `total` is new and has no default";
    assert!(
        planned.contains("warning: module link 1.2.0 may be unable to read") && planned.contains(both),
        "{planned}"
    );
    node.ok(&["unpack", &release("link-1.2.0")]);
    for args in [&["check", "1.2.0"][..], &["upgrade", "1.2.0", "--dry-run"], &["upgrade", "1.2.0"]] {
        let refused = node.run(args).expect(1).stderr;
        assert!(refused.contains("does not take the state of") && refused.contains(both), "{refused}");
        assert_eq!(refused.matches("`made` is gone").count(), 1, "more than once:\n{refused}");
    }
    assert_eq!((node.version().as_str(), node.state(&pid)), ("1.0.0", state));
}

#[test]
fn r2_a_renamed_field_is_refused_on_the_way_down_before_anything_happens_with_both_names() {
    let node = link("1.2.0");
    let pid = pid(&node);
    add(&node, "a");
    let state = node.state(&pid);
    let both = "`total` is only in 1.2.0 and `made` is only in 1.0.0";
    let refused = node.run(&["plan", &release("link-1.2.0"), &release("link-1.0.0")]).expect(1).stderr;
    assert!(refused.contains(both) && refused.contains("change_code_down of 1.2.0"), "{refused}");
    node.ok(&["unpack", &release("link-1.0.0")]);
    for args in [&["check", "1.0.0"][..], &["upgrade", "1.0.0", "--dry-run"], &["upgrade", "1.0.0"]] {
        let refused = node.run(args).expect(1).stderr;
        assert!(refused.contains(both), "{refused}");
    }
    assert_eq!((node.version().as_str(), node.state(&pid)), ("1.2.0", state));
}

#[test]
fn an_alias_is_accepted_on_the_way_up_and_the_missing_way_back_is_a_warning() {
    let node = link("1.0.0");
    let pid = pid(&node);
    add(&node, "a");
    node.ok(&["unpack", &release("link-1.3.0")]);
    let checked = checked(&node, "1.3.0");
    let both = "`total` is only in 1.3.0 and `made` is only in 1.0.0";
    let matching: Vec<_> = checked.warnings.iter().filter(|warning| warning.contains(both)).collect();
    assert!(
        matches!(*matching, [matching] if matching.starts_with("there is no way back to 1.0.0: ")),
        "{matching:#?}"
    );
    let report = node.report(&["upgrade", "1.3.0"]);
    assert_eq!((report.outcome, report.warnings), (Outcome::Installed, checked.warnings));
    assert_eq!(node.state(&pid), json!({ "targets": { "a": target("a") }, "total": 1 }));
    let refused = node.run(&["downgrade"]).expect(1).stderr;
    assert!(refused.contains(both), "{refused}");
    assert_eq!(node.version(), "1.3.0");
}
