//! A library built with an earlier SDK, on the current daemon.
//!
//! `fixtures/elder/sdk-b8d6955.tar.gz` has the SDK and ABI crates of commit b8d6955 (ABI 1.5)
//! without their tests. The test unpacks them into a workspace of their own, with the versions of
//! this workspace's `Cargo.lock`, and packs the app `elder` there.

use std::fs;
use std::path::Path;

use flate2::read::GzDecoder;
use reld_tests::{Node, assert_contains, eventually, folder, pack_release, release};
use serde_json::json;

/// Packs a release with an app built by the earlier SDK.
fn elder() -> String {
    // A fixed folder lets cargo build the SDK only once.
    let home = Path::new(&release("elder-1.1.0")).with_file_name("elder");
    let fixtures = folder("tests/fixtures");
    let archive = fs::File::open(fixtures.join("elder/sdk-b8d6955.tar.gz")).expect("it lies in the tree");
    tar::Archive::new(GzDecoder::new(archive)).unpack(&home).expect("it can be unpacked");
    let copy = |from: &str, to: &str| {
        let to = home.join(to);
        fs::create_dir_all(to.parent().expect("it lies in a folder")).expect("a folder can be made");
        fs::copy(fixtures.join(from), to).expect("a file can be copied");
    };
    copy("lib/elder.rs", "lib/elder.rs");
    for file in ["lib/elder-1.0.0/Cargo.toml", "lib/elder-1.0.0/app.toml", "lib/elder-1.0.0/src/lib.rs"] {
        copy(&format!("elder/{file}"), file);
    }
    copy("elder/releases/elder-1.0.0.toml", "releases/elder-1.0.0.toml");
    fs::write(home.join("Cargo.toml"), workspace()).expect("a file can be written");
    fs::copy(folder("Cargo.lock"), home.join("Cargo.lock")).expect("a file can be copied");
    let tarball = home.join("elder-1.0.0.tar.gz");
    pack_release(&home.join("releases/elder-1.0.0.toml"), &home, &tarball);
    tarball.to_string_lossy().into_owned()
}

/// Returns the manifest of this workspace with other members.
fn workspace() -> String {
    let text = fs::read_to_string(folder("Cargo.toml")).expect("the workspace has a manifest");
    let mut manifest: toml::Table = text.parse().expect("it is TOML");
    let dev = manifest["profile"]["dev"].clone();
    manifest.insert("profile".to_owned(), toml::Table::from_iter([("dev".to_owned(), dev)]).into());
    let workspace = manifest["workspace"].as_table_mut().expect("it is a table");
    let members = ["daemon/abi", "daemon/sdk", "lib/elder-1.0.0"];
    workspace.insert("members".to_owned(), toml::Value::try_from(members).expect("texts"));
    let dependencies = workspace["dependencies"].as_table_mut().expect("it is a table");
    let has_path = |dependency: &toml::Value| dependency.get("path").is_some();
    dependencies.retain(|name, dependency| ["reld-sdk", "reld-abi"].contains(&name) || !has_path(dependency));
    manifest.to_string()
}

/// Checks all features of the app.
#[track_caller]
fn does_all(node: &Node, round: i64) {
    let desk = |request: serde_json::Value| node.call("elder_desk", request);
    assert_eq!(desk(json!({"add": ["a", 5]})), json!((round * 5).to_string()));
    assert_eq!(desk(json!({"rows": "a"})), json!(format!("[((\"a\", 1), {})]", round * 5)));
    assert_eq!(desk(json!({"line": "hi"})), json!(format!("{round} hi")));
    assert_eq!(desk(json!("hire")), json!("true"));
    let children = "lock worker, door worker, desk worker, hands supervisor; true; there is no such child";
    assert_eq!(desk(json!("children")), json!(format!("{children}; {round} hands")));
    assert_eq!(desk(json!("calls")), json!((round * 6).to_string()));
}

#[test]
fn a_library_of_an_earlier_sdk_runs_here_and_is_upgraded_to_the_sdk_of_today_and_back() {
    let node = Node::start();
    node.ok(&["upgrade", &elder()]);
    let pids = || ["hands", "desk", "door", "lock"].map(|id| node.pid("elder", id));
    let before = pids();
    does_all(&node, 1);

    let mut knock = node.relctl(&["call", "elder_lock", r#""knock""#, "--timeout", "60000"]);
    let mut knock = knock.spawn().expect("relctl can be run");
    eventually("the call is postponed", || {
        let postponed = &node.state("elder_lock")["engine"]["postponed"];
        (postponed.as_array()?.len() == 1).then_some(())
    });

    let runs = |version| assert_eq!(node.module("elder_desk").current.as_deref(), Some(version));
    node.ok(&["upgrade", &release("elder-1.1.0")]);
    runs("1.1.0");
    assert_eq!(pids(), before, "nothing was restarted");
    does_all(&node, 2);
    assert_eq!(node.call("elder_lock", r#""open""#), json!(1));
    assert!(knock.wait().expect("relctl ends").success(), "the call was carried over and answered");

    node.ok(&["downgrade"]);
    runs("1.0.0");
    assert_eq!(pids(), before, "nothing was restarted");
    does_all(&node, 3);
    assert_eq!(node.call("elder_lock", r#""knock""#), json!(1), "it is still open");
    assert_eq!(node.log().matches("elder: changed [").count(), 2, "{}", node.log());

    node.ok(&["app", "stop", "elder"]);
    assert_contains(&node.log(), &["elder: old stops, ByHand, true"]);
}
