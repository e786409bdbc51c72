//! A script that somebody reviewed and packed with its release (`relup.toml`).

use std::fs;
use std::path::Path;

use reld_tests::{Node, folder, pack_release, release};
use serde_json::json;

/// Packs a release with a script of its own.
fn packed_with(place: &Path, apps: &str, release: &str, relup: &str) -> String {
    let (file, tarball) = (place.join("release.toml"), place.join("release.tar.gz"));
    fs::copy(folder(apps).join(format!("releases/{release}.toml")), &file).expect("a release file");
    fs::write(place.join("relup.toml"), relup).expect("a temporary folder can be written");
    pack_release(&file, &folder(apps), &tarball);
    tarball.to_string_lossy().into_owned()
}

fn shop_with(place: &Path, relup: &str) -> String {
    packed_with(place, "examples", "shop-1.1.0", relup)
}

#[test]
fn a_reviewed_script_is_what_the_node_carries_out_up_and_down() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let derived = node.ok(&["plan", &release("shop-1.0.0"), &release("shop-1.1.0"), "--relup"]).stdout;
    assert!(derived.contains("interval_ms = 250"), "{derived}");
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = shop_with(place.path(), &derived.replace("interval_ms = 250", "interval_ms = 333"));

    let dry = node.ok(&["upgrade", &tarball, "--dry-run"]).stdout;
    assert!(dry.contains("-- relup") && !dry.contains("-- appup"), "{dry}");
    let counter = node.pid("counter", &json!(10_000));
    node.ok(&["upgrade", &tarball]);
    assert_eq!(node.pid("counter", &json!(10_000)), counter);
    assert_eq!(node.state(&counter)["interval_ms"], json!(333), "the reviewed number, not the appup's");
    node.ok(&["downgrade"]);
    assert_eq!(node.json(&["status"])["release"]["version"], "1.0.0");
    assert_eq!(node.state(&counter).get("interval_ms"), None);
}

#[test]
fn a_script_that_breaks_a_rule_is_refused_before_anything_is_done() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let entry = r#"instructions = [{ suspend = ["counter"] }]"#;
    let tarball = shop_with(place.path(), &format!("version = '1.1.0'\n[[up]]\nfrom = '1.0.0'\n{entry}\n"));
    let refused = node.run(&["upgrade", &tarball]).expect(1);
    assert!(refused.stderr.contains("counter") && refused.stderr.contains("resume"), "{}", refused.stderr);
    assert_eq!(node.json(&["status"])["release"]["version"], "1.0.0");
}

#[test]
fn an_app_that_stays_is_restarted_with_the_code_it_has() {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-2.0.0")]);
    let restart = r#"instructions = [{ apply = "application:stop", args = ["shed"] }, { apply = "application:start", args = ["shed", "permanent"] }]"#;
    let relup = format!("version = '3.0.0'\n[[up]]\nfrom = '2.0.0'\n{restart}\n[[down]]\nto = '2.0.0'\n{restart}\n");
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = packed_with(place.path(), "tests/fixtures", "yard-3.0.0", &relup);
    let dry = node.ok(&["upgrade", &tarball, "--dry-run"]).stdout;
    assert!(dry.contains("restart_application shed permanent") && !dry.contains("shed-2.0.0"), "{dry}");
    for arguments in [&["upgrade", &tarball][..], &["downgrade"]] {
        let pump = node.pid("shed", &json!("pump"));
        assert_eq!(node.json(&["call", &pump, "stroke"])["reply"], json!(2));
        node.ok(arguments);
        let new = node.pid("shed", &json!("pump"));
        assert_ne!(new, pump);
        assert_eq!(node.json(&["call", &new, "get"])["reply"], json!(0), "it began anew");
    }
}

#[test]
fn s82_a_function_that_does_not_end_in_time_takes_everything_back_and_one_that_nobody_has_is_refused() {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let derived = node.ok(&["plan", &release("yard-1.0.0"), &release("yard-2.0.0"), "--relup"]).stdout;
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let with = |function: &str| {
        let call = format!("\"point_of_no_return\",\n  {{ apply = \"{function}\", args = [60000] }}");
        let relup = derived.replacen("\"point_of_no_return\"", &call, 1);
        packed_with(place.path(), "tests/fixtures", "yard-2.0.0", &relup)
    };
    let refused = node.run(&["upgrade", &with("ghost:appear")]).expect(1);
    assert!(refused.stderr.contains("ghost:appear(60000)"), "{}", refused.stderr);
    node.ok(&["remove", "2.0.0"]);

    let [worker, tree] = [node.pid("yard", &json!("a")), node.tree("yard").to_string()];
    node.ok(&["cast", &worker, "7"]);
    let failed = node.run(&["upgrade", &with("yard_calls:wait")]).expect(4);
    assert!(failed.stderr.contains("yard_calls:wait(60000)"), "{}", failed.stderr);
    assert_eq!(node.json(&["status"])["release"]["version"], "1.0.0");
    assert_eq!(node.tree("yard").to_string(), tree);
    assert_eq!(node.json(&["call", &worker, "get"])["reply"], json!(7));
}
