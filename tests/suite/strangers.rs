//! Releases for another node, or with false claims: another daemon, another boundary, another name,
//! missing modules (S52, R23), unreadable documents. The first part of the node that notices
//! refuses the release, and the node continues.

use std::fs;

use reld_tests::{Node, assert_contains, release};
use serde_json::json;

use crate::doctored::{doctored, doctored_with, edit, renamed};

const RELEASE: &str = "releases/1.1.0/release.toml";
const APP: &str = "lib/counter-0.1.1/app.toml";

fn shop() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    node
}

/// Runs relctl, which must refuse with these words and leave the node unchanged.
#[track_caller]
fn check_refused(node: &Node, args: &[&str], words: &[&str]) {
    let before = (node.releases(), node.pid("counter", 10_000));
    assert_contains(&node.run(args).expect(1).stderr, words);
    assert_eq!((node.releases(), node.pid("counter", 10_000)), before);
}

/// Returns the name of the running release.
fn name(node: &Node) -> String {
    node.status().release.expect("the node runs a release").name
}

#[test]
fn r23_a_release_for_another_daemon_is_planned_as_a_restart_and_refused_while_that_daemon_is_not_installed() {
    let node = shop();
    let (_scratch, tarball) =
        doctored("shop-1.1.0", |files| edit(files, RELEASE, "daemon = \"0.1.0\"", "daemon = \"9.9.9\""));
    let plan = node.ok(&["plan", &release("shop-1.0.0"), &tarball]).stdout;
    assert_contains(&plan, &["restart_new_daemon", "the node RESTARTS", "0.1.0", "9.9.9"]);
    // A release may be unpacked before its daemon is installed.
    node.ok(&["unpack", &tarball]);
    let other =
        "the release needs reld 9.9.9, but the daemon's file is reld 0.1.0; install reld 9.9.9 there first";
    check_refused(&node, &["check", "1.1.0"], &[other]);
    check_refused(&node, &["upgrade", "1.1.0", "--dry-run"], &[other]);
    check_refused(&node, &["upgrade", "1.1.0"], &[other]);
    check_refused(&node, &["upgrade", "1.1.0", "--mode", "restart"], &[other]);
    check_refused(&node, &["install", "1.1.0"], &["the script restarts the daemon"]);
}

#[test]
fn r23_a_tarball_for_another_boundary_machine_or_a_newer_daemon_is_refused_with_both_when_it_is_unpacked() {
    let node = shop();
    let refused = |claim: fn(&mut toml::Table), words: &[&str]| {
        let (_scratch, tarball) = doctored_with("shop-1.1.0", |_| (), claim);
        for verb in ["unpack", "upgrade"] {
            check_refused(&node, &[verb, &tarball], words);
        }
    };
    refused(
        |manifest| drop(manifest.insert("reld".to_owned(), "9.9.9".into())),
        &["it needs reld 9.9.9 or newer, this node is reld 0.1.0"],
    );
    refused(
        |manifest| {
            drop(manifest["abi"].as_table_mut().expect("a table").insert("major".to_owned(), 9.into()));
        },
        &["its libraries speak ABI 9.", "this node speaks 1."],
    );
    refused(
        |manifest| drop(manifest.insert("target".to_owned(), "riscv64gc-unknown-linux-gnu".into())),
        &["it was built for riscv64gc-unknown-linux-gnu, this node is x86_64"],
    );
}

#[test]
fn a_release_of_another_name_is_refused_unless_the_node_is_to_be_renamed() {
    let node = shop();
    let (_scratch, tarball) = renamed("shop-1.1.0", "store");
    check_refused(
        &node,
        &["plan", &release("shop-1.0.0"), &tarball],
        &["the releases have different names: shop and store", "--rename"],
    );
    node.ok(&["plan", &release("shop-1.0.0"), &tarball, "--rename"]);
    node.ok(&["unpack", &tarball]);
    let other = ["the release belongs to store, but the node runs shop 1.0.0", "--rename"];
    for args in [
        &["check", "1.1.0"][..],
        &["install", "1.1.0"],
        &["upgrade", "1.1.0"],
        &["upgrade", "1.1.0", "--mode", "restart"],
    ] {
        check_refused(&node, args, &other);
    }
    node.ok(&["check", "1.1.0", "--rename"]);
    node.ok(&["upgrade", "1.1.0", "--rename"]);
    assert_eq!(name(&node), "store");
    // The downgrade renames the node back.
    node.ok(&["downgrade"]);
    assert_eq!(name(&node), "shop");
}

#[test]
fn s52_modules_are_those_of_the_library_and_a_release_that_lists_others_is_refused() {
    // OTP: each child spec has a list of modules, written by hand, and an upgrade finds processes
    // by it. Here a child names one module, and the only list is the one in app.toml, which the
    // packer writes from the library.
    let node = shop();
    let root = node.supervisor("counter");
    for modules in [json!([]), json!(["counter"]), json!("dynamic")] {
        let spec = json!({"id": 5, "module": "counter", "args": 5, "modules": modules}).to_string();
        let refused = node.run(&["child", "start", &root, &spec]);
        assert!(refused.code != 0 && refused.stderr.contains("modules"), "{refused:?}");
    }
    check_refused(&node, &["child", "start", &root, r#"{"id": 5, "module": "ghost"}"#], &["ghost"]);
    let listed = |from: &str, to: &str, words: &str| {
        let (_scratch, tarball) = doctored("shop-1.1.0", |files| edit(files, APP, from, to));
        node.ok(&["unpack", &tarball]);
        for verb in ["check", "upgrade"] {
            check_refused(&node, &[verb, "1.1.0"], &["app counter 0.1.1", words]);
        }
        node.ok(&["remove", "1.1.0"]);
    };
    let ghost = "app.toml lists module ghost, which the library does not have";
    listed("\"counter_app\"]", "\"counter_app\", \"ghost\"]", ghost);
    let forgotten = "the library has module counter_app, which app.toml does not list";
    listed(", \"counter_app\"]", "]", forgotten);
}

#[test]
fn an_error_in_a_document_of_a_tarball_names_its_path_in_the_tarball() {
    let node = shop();
    for (path, from, to, words) in [
        (APP, "name = \"counter\"", "nmae = \"counter\"", "lib/counter-0.1.1/app.toml:1:"),
        (
            APP,
            "version = \"0.1.1\"",
            "version = \"0.1.2\"",
            "lib/counter-0.1.1/app.toml is about counter 0.1.2",
        ),
        (RELEASE, "[[app]]", "[[app]", "releases/1.1.0/release.toml:"),
    ] {
        let (_scratch, tarball) = doctored("shop-1.1.0", |files| edit(files, path, from, to));
        let refused = node.run(&["unpack", &tarball]).expect(1).stderr;
        assert_contains(&refused, &[words]);
        let root = node.root();
        for temporary in ["staging", "uploads", &*root.to_string_lossy()] {
            assert!(!refused.contains(temporary), "{temporary} in:\n{refused}");
        }
    }
    let left = fs::read_dir(node.root().join("staging")).expect("the node has such a folder");
    assert_eq!(left.count(), 0, "nothing is left of them");
    assert_eq!(node.releases().len(), 1);
}

#[test]
fn sync_nodes_is_planned_and_refused_by_the_check_of_a_node_without_a_fleet() {
    let node = shop();
    let update = "change = \"supervisor\" }";
    let (_scratch, tarball) = doctored("shop-1.1.0", |files| {
        let with = format!("{update}, {{ sync_nodes = \"all\", nodes = [\"n1\"] }}");
        edit(files, "lib/counter-0.1.1/appup.toml", update, &with);
    });
    let plan = node.ok(&["plan", &release("shop-1.0.0"), &tarball]).stdout;
    assert_contains(&plan, &["sync_nodes \"all\" with [n1]"]);
    node.ok(&["unpack", &tarball]);
    for verb in ["check", "upgrade"] {
        let words = ["does not carry out `sync_nodes \"all\" with [n1]`", "start the daemon with --fleet"];
        check_refused(&node, &[verb, "1.1.0"], &words);
    }
}
