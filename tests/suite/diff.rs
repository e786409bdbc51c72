//! Comparing two releases and drafting the appup between them, from real libraries and tarballs (I8, R1, R2, R11).

use std::fs;
use std::path::Path;
use std::process::Command;

use reld_tests::{Node, Run, folder, release};
use serde_json::{Value, json};

/// Unpacks a tarball as anybody would.
fn unpacked(release_name: &str, into: &Path) {
    fs::create_dir_all(into).expect("a temporary folder can be written");
    Run::of(Command::new("tar").arg("-xzf").arg(release(release_name)).arg("-C").arg(into)).expect(0);
}

fn module<'a>(app: &'a Value, name: &str) -> &'a Value {
    let modules = app["modules"].as_array().expect("a list");
    modules.iter().find(|module| module["module"] == name).unwrap_or_else(|| panic!("no {name} in {app:#}"))
}

#[test]
fn i8_two_releases_are_compared_by_what_their_libraries_say() {
    let node = Node::start();
    let diff = node.json(&["diff", &release("shop-1.0.0"), &release("shop-1.1.0")]);
    let app = &diff["apps"][0];
    assert_eq!((&app["app"], &app["change"]), (&json!("counter"), &json!("changed")));
    let counter = module(app, "counter");
    assert_eq!(counter["change"], "needs_code");
    assert_eq!(counter["up"], json!(["`interval_ms` is new and has no default"]));
    assert_eq!(counter["down"], json!(["`interval_ms` is dropped: only the newer state has it"]));
    assert_eq!(counter["interface"], json!(["start argument: it was integer (uint64), is object"]));
    let supervisor = module(app, "counter_sup");
    assert_eq!(supervisor["change"], "child_specs");
    assert_eq!(supervisor["up"], json!(["child 10000 changed in args; child 20000 changed in args"]));
    assert_eq!(module(app, "counter_app")["change"], "unchanged");
    // The appup that lies there has a line for all of it.
    assert_eq!((&diff["findings"], &diff["written"]), (&json!([]), &json!([])));
    // Nothing of the node was needed or touched.
    assert_eq!(node.json(&["releases"])["releases"], json!([]));
}

#[test]
fn i8_whatever_can_be_planned_can_be_compared_a_tarball_of_any_origin_or_a_folder() {
    let node = Node::start();
    let place = node.root().with_file_name("work");
    let path = |below: &str| place.join(below).to_string_lossy().into_owned();
    let (folder, by_hand) = (path("from"), path("by_hand.tar.gz"));
    unpacked("shop-1.0.0", folder.as_ref());
    Run::of(Command::new("tar").args(["-czf", &by_hand, "-C", &folder, "."])).expect(0);
    let mixed = [release("shop-1.0.0"), folder.clone(), path("from/releases/1.0.0"), by_hand];
    let to = release("shop-1.1.0");
    let apps = node.json(&["diff", &mixed[0], &to])["apps"].clone();
    for from in &mixed {
        node.ok(&["plan", from, &to]);
        let diff = node.json(&["diff", from, &to]);
        assert_eq!((&diff["apps"], &diff["findings"]), (&apps, &json!([])), "{from}");
        node.ok(&["diff", &to, from]);
    }
    // One that was packed is compared with its manifest.
    let mut bytes = fs::read(&to).expect("it was packed");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let damaged = path("damaged.tar.gz");
    fs::write(&damaged, bytes).expect("it is ours");
    node.run(&["diff", &folder, &damaged]).expect(1);
}

#[test]
fn i8_a_draft_is_refused_until_somebody_has_filled_it_and_can_be_planned_then() {
    let node = Node::start();
    let place = node.root().with_file_name("work");
    let path = |below: &str| place.join(below).to_string_lossy().into_owned();
    let (from, to, drafts) = (path("from"), path("to"), path("drafts"));
    unpacked("shop-1.0.0", from.as_ref());
    unpacked("shop-1.1.0", to.as_ref());
    node.ok(&["diff", &from, &to, "--write", &drafts]);
    let draft = path("drafts/counter-0.1.1.appup.toml");
    let again = node.run(&["diff", &from, &to, "--write", &drafts]).expect(1);
    assert!(again.stderr.contains("is there already, and nothing was written"), "{}", again.stderr);

    let appup = path("to/lib/counter-0.1.1/appup.toml");
    fs::copy(&draft, &appup).expect("the draft was written");
    let refused = node.run(&["plan", &from, &to]).expect(1);
    for part in ["todo", "counter, up from 0.1.0", "{ update = \"counter\""] {
        assert!(refused.stderr.contains(part), "{part} is not in:\n{}", refused.stderr);
    }
    assert_eq!(node.json(&["diff", &from, &to])["findings"][0]["class"], "wrong_instruction");

    let text = fs::read_to_string(&draft).expect("the draft was written");
    let todo = text.find("\"TODO: what").expect("the interval is for a person to say");
    let end = todo + 1 + text[todo + 1..].find('"').expect("a string ends") + 1;
    fs::write(&appup, format!("{}{{ interval_ms = 250 }}{}", &text[..todo], &text[end..]))
        .expect("it is ours");
    let script = node.ok(&["plan", &from, &to]).stdout;
    let order = ["load_object_code counter", "suspend", "code_change", "switch", "resume"];
    let order = order.map(|what| script.find(what).unwrap_or_else(|| panic!("no {what} in:\n{script}")));
    assert!(order.is_sorted(), "{script}");
    node.ok(&["plan", &to, &from]);
    assert_eq!(node.json(&["diff", &from, &to])["findings"], json!([]));
}

#[test]
fn r11_a_changed_module_without_an_instruction_is_found_and_a_packer_takes_no_draft() {
    let node = Node::start();
    let place = node.root().with_file_name("work");
    let (from, to) = (place.join("from"), place.join("to"));
    unpacked("shop-1.0.0", &from);
    unpacked("shop-1.1.0", &to);
    let appup = to.join("lib/counter-0.1.1/appup.toml");
    let entry = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{ update = \"counter\" }]\n";
    fs::write(&appup, format!("app = \"counter\"\nversion = \"0.1.1\"\n{entry}")).expect("it is ours");
    let diff = node.json(&["diff", &from.to_string_lossy(), &to.to_string_lossy()]);
    let classes: Vec<_> =
        diff["findings"].as_array().expect("a list").iter().map(|finding| &finding["class"]).collect();
    assert_eq!(classes, ["other_change", "no_instruction", "no_entry"], "{diff:#}");

    // What is wrong with a document is said before anything is built.
    let apps = place.join("apps");
    fs::create_dir_all(&apps).expect("a temporary folder can be written");
    fs::copy(folder("examples/counter-0.1.1/app.toml"), apps.join("app.toml")).expect("the example is there");
    let draft = diff["apps"][0]["draft"].as_str().expect("a changed app has a draft");
    fs::write(apps.join("appup.toml"), draft).expect("it is ours");
    let document = folder("examples/releases/shop-1.1.0.toml");
    let refused =
        node.run(&["pack", &document.to_string_lossy(), "--apps", &apps.to_string_lossy()]).expect(1);
    assert!(
        refused.stderr.contains("todo: ") && refused.stderr.contains("appup.toml:9:"),
        "{}",
        refused.stderr
    );
}
