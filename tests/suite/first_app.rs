//! The first hour of an author: an app that `relctl new` has written, tested, packed and run without an edit.

use std::fs;
use std::path::Path;
use std::process::Command;

use reld_tests::{Node, Run, assert_contains, build_here, folder, pack_release, workshop};
use serde_json::json;

/// Runs relctl in a folder.
fn relctl(folder: &Path, args: &[&str]) -> Run {
    Run::of(Command::new(Node::relctl_program()).current_dir(folder).args(args))
}

/// Writes an app with the SDK of this repository.
fn new(folder: &Path, args: &[&str]) {
    let sdk = reld_tests::folder("daemon").to_string_lossy().into_owned();
    relctl(folder, &[&["new", "--sdk", &sdk], args].concat()).expect(0);
}

/// Packs the app in a folder and returns the tarball.
fn pack(app: &Path, name: &str) -> String {
    let tarball = app.join(name);
    pack_release(&app.join("release.toml"), app, &tarball);
    tarball.to_string_lossy().into_owned()
}

/// Checks that a node runs this version of the module, and that the process before still has its sum.
#[track_caller]
fn runs(node: &Node, version: &str, pid: &str) {
    assert_eq!(node.module("till_server").current.as_deref(), Some(version));
    assert_eq!(node.pid("till", "server"), pid);
    assert_eq!(node.call("till_server", "sum"), json!(5));
}

#[test]
fn a_new_app_is_tested_packed_upgraded_and_downgraded_without_an_edit() {
    let home = workshop("first-app");
    new(&home, &["till"]);
    let till = home.join("till");
    // The versions of dependencies that this workspace has, since a test uses no network.
    fs::copy(folder("Cargo.lock"), till.join("Cargo.lock")).expect("a file can be copied");
    let tests = Run::of(build_here(Command::new(env!("CARGO")).current_dir(&till).arg("test"))).expect(0);
    assert_contains(&tests.stdout, &["the_server_adds_up ... ok"]);
    assert!(!tests.stderr.contains("warning"), "{}", tests.stderr);

    let node = Node::start();
    node.ok(&["upgrade", &pack(&till, "till-0.1.0.tar.gz")]);
    assert_eq!(node.call("till_server", r#"{"add": 5}"#), json!(5));
    let pid = node.pid("till", "server");

    relctl(&home, &["bump", "till", "0.2.0"]).expect(0);
    node.ok(&["upgrade", &pack(&till, "till-0.2.0.tar.gz")]);
    runs(&node, "0.2.0", &pid);
    node.ok(&["downgrade"]);
    runs(&node, "0.1.0", &pid);

    let bumped = relctl(&till, &["bump", "0.3.0"]).expect(0);
    assert_contains(&bumped.stdout, &["the appup of the version before is appup-0.2.0.toml now"]);
    node.ok(&["upgrade", "0.2.0"]);
    node.ok(&["upgrade", &pack(&till, "till-0.3.0.tar.gz")]);
    runs(&node, "0.3.0", &pid);
}

#[test]
fn a_bump_without_the_tarball_of_the_present_version_changes_nothing() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    relctl(home.path(), &["new", "till", "--sdk", "0.1.0"]).expect(0);
    let refused = relctl(home.path(), &["bump", "till", "0.2.0"]).expect(1);
    assert_contains(
        &refused.stderr,
        &["there is no till-0.1.0.tar.gz", "pack till 0.1.0 before its version moves"],
    );
    for file in ["app.toml", "Cargo.toml", "release.toml"] {
        let text = fs::read_to_string(home.path().join("till").join(file)).expect("it is there");
        assert_contains(&text, &["version = \"0.1.0\""]);
    }
    assert!(!home.path().join("till/appup.toml").exists());
}

#[test]
fn a_new_app_overwrites_nothing() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(home.path().join("till"), "mine").expect("a file can be written");
    let refused = relctl(home.path(), &["new", "till", "--sdk", "0.1.0"]).expect(1);
    assert_contains(&refused.stderr, &["till already exists; nothing was written", "choose another name"]);
    assert_eq!(fs::read_to_string(home.path().join("till")).expect("it is there"), "mine");
    assert_eq!(fs::read_dir(home.path()).expect("it is a folder").count(), 1, "nothing is left beside it");
}
