//! The first hour of an author: an app that `relctl new` has written is tested, packed, upgraded
//! and downgraded without an edit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reld_tests::{Node, Run, assert_contains, build_here, folder, pack_release, workshop};
use serde_json::json;

/// Runs the relctl of the build in a folder.
fn relctl(folder: &Path, args: &[&str]) -> Run {
    Run::of(Command::new(Node::relctl_program()).current_dir(folder).args(args))
}

/// Installs the programs and the sources of the SDK, and returns the installed relctl.
fn installed(home: &Path) -> PathBuf {
    let programs = Node::relctl_program().parent().expect("a program lies in a folder");
    Run::of(Command::new(folder("packaging/install")).arg(programs).arg(home.join("image"))).expect(0);
    home.join("image/usr/bin/relctl")
}

/// Packs the app in a folder and returns the tarball.
fn pack(app: &Path, name: &str) -> String {
    let tarball = app.join(name);
    pack_release(&app.join("release.toml"), app, &tarball);
    tarball.to_string_lossy().into_owned()
}

/// Checks the version of the server's module, and that its process is the same and has its sum.
#[track_caller]
fn runs(node: &Node, version: &str, pid: &str) {
    assert_eq!(node.module("till_server").current.as_deref(), Some(version));
    assert_eq!(node.pid("till", "server"), pid);
    assert_eq!(node.proc("till_sup/server").process.pid, pid, "the supervisor has a name");
    assert_eq!(node.call("till_server", "sum"), json!(5));
}

/// Boots the app `till` in a folder, bumps it, and goes up and down, all without an edit.
fn goes_up_and_down(till: &Path) {
    let node = Node::start();
    node.ok(&["upgrade", &pack(till, "till-0.1.0.tar.gz")]);
    assert_eq!(node.call("till_server", r#"{"add": 5}"#), json!(5));
    let pid = node.pid("till", "server");

    relctl(till, &["bump", "0.2.0"]).expect(0);
    node.ok(&["upgrade", &pack(till, "till-0.2.0.tar.gz")]);
    runs(&node, "0.2.0", &pid);
    node.ok(&["downgrade"]);
    runs(&node, "0.1.0", &pid);
}

#[test]
fn a_new_app_in_rust_is_tested_upgraded_and_downgraded_without_an_edit_or_a_clone() {
    let home = workshop("first-app");
    let installed = installed(&home);
    Run::of(Command::new(installed).current_dir(&home).args(["new", "till"])).expect(0);
    let till = home.join("till");
    // The test uses no network, so the app takes the versions of the dependencies from here.
    fs::copy(folder("Cargo.lock"), till.join("Cargo.lock")).expect("a file can be copied");
    let tests = Run::of(build_here(Command::new(env!("CARGO")).current_dir(&till).arg("test"))).expect(0);
    assert_contains(&tests.stdout, &["the_server_adds_up ... ok"]);
    assert!(!tests.stderr.contains("warning"), "{}", tests.stderr);
    goes_up_and_down(&till);
}

/// Writes an app in another language, which needs no cargo, and takes it up and down.
fn goes_up_and_down_in(lang: &str) {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let sdk = folder("daemon").to_string_lossy().into_owned();
    relctl(home.path(), &["new", "till", "--lang", lang, "--sdk", &sdk]).expect(0);
    goes_up_and_down(&home.path().join("till"));
}

#[test]
fn a_new_app_in_c_is_upgraded_and_downgraded_without_an_edit() {
    goes_up_and_down_in("c");
}

#[test]
fn a_new_app_in_cpp_is_upgraded_and_downgraded_without_an_edit() {
    goes_up_and_down_in("c++");
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

/// Writes an app and bumps it, with a tarball of the first version.
fn bumped(home: &Path) -> PathBuf {
    let sdk = folder("daemon").to_string_lossy().into_owned();
    relctl(home, &["new", "till", "--lang", "c", "--sdk", &sdk]).expect(0);
    let till = home.join("till");
    pack(&till, "till-0.1.0.tar.gz");
    relctl(home, &["bump", "till", "0.2.0"]).expect(0);
    till
}

#[test]
fn a_bump_keeps_the_appup_of_the_version_before_under_its_version() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let till = bumped(home.path());
    let first = fs::read_to_string(till.join("appup.toml")).expect("it is drafted");
    pack(&till, "till-0.2.0.tar.gz");
    let bumped = relctl(&till, &["bump", "0.3.0"]).expect(0);
    assert_contains(&bumped.stdout, &["the appup of the version before is appup-0.2.0.toml now"]);
    assert_eq!(fs::read_to_string(till.join("appup-0.2.0.toml")).expect("it is kept"), first);
    let second = fs::read_to_string(till.join("appup.toml")).expect("it is drafted");
    assert_contains(&second, &["version = \"0.3.0\"", "from = \"0.2.0\"", "to = \"0.2.0\""]);
}

#[test]
fn a_bump_leaves_an_appup_that_the_author_has_written_for_the_next_version() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let till = bumped(home.path());
    let written = "app = \"till\"\nversion = \"0.3.0\"\n";
    fs::write(till.join("appup.toml"), written).expect("a file can be written");
    let bumped = relctl(&till, &["bump", "0.3.0"]).expect(0);
    assert_contains(&bumped.stdout, &["appup.toml is for this version already, and was kept"]);
    assert_eq!(fs::read_to_string(till.join("appup.toml")).expect("it is there"), written);
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
