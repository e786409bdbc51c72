//! Comparisons of two releases and drafts of the appup between them, from real libraries and
//! tarballs (I8, R1, R2, R11).

use std::fs;
use std::path::Path;
use std::process::Command;

use reld_tests::{Node, Run, assert_contains, assert_in_order, folder, release};
use serde::Deserialize;
use serde_json::Value;

/// The parts of the output of `relctl diff` that the tests read.
#[derive(Deserialize)]
struct Diff {
    apps: Vec<Value>,
    findings: Vec<Finding>,
    written: Vec<String>,
}

#[derive(Deserialize)]
struct Finding {
    class: String,
}

#[derive(Debug, Deserialize)]
struct App {
    app: String,
    change: String,
    modules: Vec<Module>,
    draft: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Module {
    module: String,
    change: String,
    up: Vec<String>,
    down: Vec<String>,
    interface: Vec<String>,
}

impl Diff {
    fn of(node: &Node, from: &str, to: &str) -> Self {
        Self::deserialize(node.json(&["diff", from, to])).expect("a diff")
    }

    /// Returns the only app of the releases.
    fn app(&self) -> App {
        assert_eq!(self.apps.len(), 1, "{:#?}", self.apps);
        App::deserialize(&self.apps[0]).expect("an app of a diff")
    }

    fn classes(&self) -> Vec<&str> {
        self.findings.iter().map(|finding| &*finding.class).collect()
    }
}

impl App {
    fn module(&self, name: &str) -> &Module {
        let mut modules = self.modules.iter();
        modules.find(|module| module.module == name).unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}

/// Unpacks a tarball with tar.
fn unpacked(release_name: &str, into: &Path) {
    fs::create_dir_all(into).expect("a temporary folder can be written");
    Run::of(Command::new("tar").arg("-xzf").arg(release(release_name)).arg("-C").arg(into)).expect(0);
}

#[test]
fn i8_two_releases_are_compared_by_the_metadata_of_their_libraries() {
    let node = Node::start();
    let diff = Diff::of(&node, &release("shop-1.0.0"), &release("shop-1.1.0"));
    let app = diff.app();
    assert_eq!((&*app.app, &*app.change), ("counter", "changed"));
    let counter = app.module("counter");
    assert_eq!(counter.change, "needs_code");
    assert_eq!(counter.up, ["`interval_ms` is new and has no default"]);
    assert_eq!(counter.down, ["`interval_ms` is dropped: only the newer state has it"]);
    assert_eq!(counter.interface, ["start argument: it was integer (uint64), is object"]);
    let supervisor = app.module("counter_sup");
    assert_eq!(supervisor.change, "child_specs");
    assert_eq!(supervisor.up, ["child 10000 changed in args; child 20000 changed in args"]);
    assert_eq!(app.module("counter_app").change, "unchanged");
    // The existing appup covers every change.
    assert_eq!((diff.classes(), &*diff.written), (vec![], &[][..]));
    // The comparison has not changed the node.
    assert_eq!(node.releases(), []);
}

#[test]
fn i8_tarballs_of_any_origin_and_folders_can_be_compared() {
    let node = Node::start();
    let place = node.root().with_file_name("work");
    let path = |below: &str| place.join(below).to_string_lossy().into_owned();
    let (folder, by_hand) = (path("from"), path("by_hand.tar.gz"));
    unpacked("shop-1.0.0", folder.as_ref());
    Run::of(Command::new("tar").args(["-czf", &by_hand, "-C", &folder, "."])).expect(0);
    let mixed = [release("shop-1.0.0"), folder.clone(), path("from/releases/1.0.0"), by_hand];
    let to = release("shop-1.1.0");
    let apps = Diff::of(&node, &mixed[0], &to).apps;
    assert_eq!(apps.len(), 1, "{apps:#?}");
    for from in &mixed {
        node.ok(&["plan", from, &to]);
        let diff = Diff::of(&node, from, &to);
        assert_eq!((&diff.apps, diff.classes()), (&apps, vec![]), "{from}");
        node.ok(&["diff", &to, from]);
    }
    // A packed tarball is compared with its manifest.
    let mut bytes = fs::read(&to).expect("the tarball exists");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let damaged = path("damaged.tar.gz");
    fs::write(&damaged, bytes).expect("the file can be changed");
    node.run(&["diff", &folder, &damaged]).expect(1);
}

#[test]
fn i8_a_draft_is_refused_until_it_is_completed_and_can_be_planned_then() {
    let node = Node::start();
    let place = node.root().with_file_name("work");
    let path = |below: &str| place.join(below).to_string_lossy().into_owned();
    let (from, to, drafts) = (path("from"), path("to"), path("drafts"));
    unpacked("shop-1.0.0", from.as_ref());
    unpacked("shop-1.1.0", to.as_ref());
    node.ok(&["diff", &from, &to, "--write", &drafts]);
    let draft = path("drafts/counter-0.1.1.appup.toml");
    let again = node.run(&["diff", &from, &to, "--write", &drafts]).expect(1);
    assert_contains(&again.stderr, &["already exists; nothing was written"]);

    let appup = path("to/lib/counter-0.1.1/appup.toml");
    fs::copy(&draft, &appup).expect("the draft was written");
    let refused = node.run(&["plan", &from, &to]).expect(1);
    assert_contains(&refused.stderr, &["todo", "counter, up from 0.1.0", "{ update = \"counter\""]);
    assert_eq!(Diff::of(&node, &from, &to).classes()[0], "wrong_instruction");

    let text = fs::read_to_string(&draft).expect("the draft was written");
    let todo = text.find("\"TODO: extra data").expect("the draft leaves the interval open");
    let end = todo + 1 + text[todo + 1..].find('"').expect("a string ends") + 1;
    fs::write(&appup, format!("{}{{ interval_ms = 250 }}{}", &text[..todo], &text[end..]))
        .expect("the file can be changed");
    let script = node.ok(&["plan", &from, &to]).stdout;
    assert_in_order(&script, &["load_object_code counter", "suspend", "code_change", "switch", "resume"]);
    node.ok(&["plan", &to, &from]);
    assert_eq!(Diff::of(&node, &from, &to).classes(), [""; 0]);
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
    fs::write(&appup, format!("app = \"counter\"\nversion = \"0.1.1\"\n{entry}"))
        .expect("the file can be changed");
    let diff = Diff::of(&node, &from.to_string_lossy(), &to.to_string_lossy());
    assert_eq!(diff.classes(), ["other_change", "no_instruction", "no_entry"]);

    // Errors in a document are reported before anything is built.
    let apps = place.join("apps");
    fs::create_dir_all(&apps).expect("a temporary folder can be written");
    fs::copy(folder("examples/counter-0.1.1/app.toml"), apps.join("app.toml")).expect("the example is there");
    let draft = diff.app().draft.expect("a changed app has a draft");
    fs::write(apps.join("appup.toml"), draft).expect("the file can be changed");
    let document = folder("examples/releases/shop-1.1.0.toml");
    let refused =
        node.run(&["pack", &document.to_string_lossy(), "--apps", &apps.to_string_lossy()]).expect(1);
    assert_contains(&refused.stderr, &["error[todo]: ", "appup.toml:9:"]);
}
