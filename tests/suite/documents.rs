//! Documents of a release and their plan on a node: order (S62), direction (S63), the apps with a
//! part (S64), and an unreadable configuration (S80).

use std::fs;

use reld_api::response::{Checked, Outcome};
use reld_tests::{Node, assert_contains, assert_in_order, field, folder, keys, pack_release, release};
use serde_json::json;
use tempfile::TempDir;

use crate::doctored::{Files, doctored, edit, renamed};

const COUNTER: &str = "lib/counter-0.1.1/appup.toml";

fn running(release_name: &str) -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release(release_name)]);
    node
}

/// Returns plant 1.1.0 with an update of counter that depends on `others` in both directions.
fn counter_depends_on(others: &str) -> (TempDir, String) {
    doctored("plant-1.1.0", |files| {
        for extra in ["{ interval_ms = 250 }", "{}"] {
            let change = format!("change = {{ advanced = {extra} }}");
            edit(files, COUNTER, &change, &format!("{change}, deps = [\"{others}\"]"));
        }
    })
}

/// Returns the script that leads to a release.
fn script(node: &Node, version: &str) -> String {
    node.ok(&["check", version]).stdout
}

#[test]
fn s62_dependencies_of_a_module_are_loaded_before_it_on_the_way_up_and_after_it_on_the_way_down() {
    let node = running("plant-1.0.0");
    let counter = node.pid("counter", 10_000);
    let (_scratch, tarball) = counter_depends_on("counter_sup");
    node.ok(&["unpack", &tarball]);
    assert_in_order(
        &script(&node, "1.1.0"),
        &["load counter_sup of counter-0.1.1", "load counter of counter-0.1.1", "code_change counter up"],
    );
    node.ok(&["upgrade", "1.1.0"]);
    assert_eq!(field::<u64>(&node.state(&counter), "interval_ms"), 250);
    assert_in_order(
        &script(&node, "1.0.0"),
        &["load counter of counter-0.1.0", "load counter_sup of counter-0.1.0", "code_change counter down"],
    );
    node.ok(&["downgrade"]);
    assert_eq!(node.pid("counter", 10_000), counter);
    assert_eq!(keys(&node.state(&counter)), ["n", "stopping"]);
}

#[test]
fn s62_modules_that_depend_on_each_other_are_moved_at_once_with_a_warning() {
    let node = running("plant-1.0.0");
    let (_scratch, tarball) = doctored("plant-1.1.0", |files| {
        edit(files, COUNTER, "{ interval_ms = 250 } }", "{ interval_ms = 250 } }, deps = [\"counter_sup\"]");
        edit(files, COUNTER, "change = \"supervisor\"", "change = \"supervisor\", deps = [\"counter\"]");
    });
    let report = node.report(&["upgrade", &tarball]);
    assert_contains(&report.warnings.join("\n"), &["[counter counter_sup] depend on each other"]);
    assert_eq!((report.outcome, report.killed), (Outcome::Installed, vec![]));
}

#[test]
fn s63_load_module_brings_new_code_on_the_way_up_and_old_code_on_the_way_down() {
    let (_scratch, tarball) = doctored("yard-2.0.0", |files| {
        let load = r#"instructions = [{ load_module = "shed_pump" }]"#;
        let entries = format!("[[up]]\nfrom = \"1.0.0\"\n{load}\n[[down]]\nto = \"1.0.0\"\n{load}\n");
        let appup = format!("app = \"shed\"\nversion = \"2.0.0\"\n{entries}");
        files.insert("lib/shed-2.0.0/appup.toml".to_owned(), appup.into_bytes());
    });
    let node = running("yard-1.0.0");
    let pump = node.pid("shed", "pump");
    let stroke = || node.call(&pump, "stroke");
    assert_eq!(stroke(), 1);
    node.ok(&["upgrade", &tarball]);
    assert_eq!((stroke(), node.pid("shed", "pump")), (json!(3), pump.clone()));
    node.ok(&["downgrade"]);
    assert_eq!((stroke(), node.pid("shed", "pump")), (json!(4), pump.clone()));
}

#[test]
fn s64_apps_that_changed_have_a_part_in_start_order_but_for_dependencies_and_unchanged_ones_have_none() {
    let node = running("plant-1.0.0");
    let order = ["load counter of counter-0.1.1", "load meter of meter-1.1.0"];
    let dry = |tarball: &str| node.ok(&["upgrade", tarball, "--dry-run"]).stdout;
    assert_in_order(&dry(&release("plant-1.1.0")), &order);
    let (_scratch, tarball) = counter_depends_on("meter");
    assert_in_order(&dry(&tarball), &[order[1], order[0]]);

    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let [file, tarball] = ["release.toml", "release.tar.gz"].map(|name| place.path().join(name));
    let text =
        fs::read_to_string(folder("examples/releases/plant-1.1.0.toml")).expect("the example is there");
    let old_meter = text.replace("\"1.1.0\"", "\"1.0.0\"");
    let text = old_meter.replacen("\"1.0.0\"", "\"1.2.0\"", 1);
    fs::write(&file, text).expect("a temporary folder can be written");
    pack_release(&file, &folder("examples"), &tarball);
    let script = dry(&tarball.to_string_lossy());
    assert!(script.contains(order[0]) && !script.contains("meter"), "{script}");
}

#[test]
fn s64_an_app_that_only_one_release_has_is_added_and_removed() {
    let node = running("shop-1.0.0");
    let (_scratch, tarball) = renamed("plant-1.1.0", "shop");
    node.ok(&["unpack", &tarball]);
    assert_in_order(
        &script(&node, "1.1.0"),
        &["load meter of meter-1.1.0", "start_application meter permanent"],
    );
    node.ok(&["upgrade", "1.1.0"]);
    assert_eq!(field::<u64>(&node.call("meter", r#""read""#), "readings"), 0);
    assert_in_order(&script(&node, "1.0.0"), &["stop_application meter", "unload_application meter"]);
    node.ok(&["downgrade"]);
    assert_eq!(node.apps().iter().map(|app| &app.name).collect::<Vec<_>>(), ["counter"]);
    // The code of the removed app is unloaded.
    node.assert_code("0.1.0");
    assert_eq!((node.code().residents, node.mapped().len()), (vec![], 1), "{:?}", node.mapped());
}

#[test]
fn s64_a_changed_app_without_an_appup_has_no_plan_and_is_named() {
    let node = running("plant-1.0.0");
    let before = node.tree("meter");
    let (_scratch, tarball) =
        doctored("plant-1.1.0", |files| drop(files.remove("lib/meter-1.1.0/appup.toml")));
    for args in [&["plan", &release("plant-1.0.0"), &tarball][..], &["upgrade", &tarball]] {
        let refused = node.run(args).expect(1).stderr;
        let words = "meter changes from 1.0.0 to 1.1.0, and neither version has an appup.toml";
        assert_contains(&refused, &[words]);
    }
    assert_eq!(node.version(), "1.0.0");
    assert_eq!(node.tree("meter"), before);
}

#[test]
fn s80_a_config_that_cannot_be_read_refuses_the_plan_with_its_line_and_column() {
    let node = running("plant-1.0.0");
    let before = (node.tree("counter"), node.releases());
    for (config, what) in [
        ("[counter]\nlimit =\n", "2:8: "),
        ("counter = 5\n", "1:11: expected a table, found an integer"),
        ("[\"no app\"]\n", "1:2: \"no app\" is not a name"),
    ] {
        let path = "releases/1.1.0/config.toml";
        let add = |files: &mut Files| drop(files.insert(path.to_owned(), config.into()));
        let (_scratch, tarball) = doctored("plant-1.1.0", add);
        for args in [
            &["plan", &release("plant-1.0.0"), &tarball][..],
            &["unpack", &tarball],
            &["upgrade", &tarball, "--dry-run"],
            &["upgrade", &tarball],
        ] {
            let refused = node.run(args).expect(1).stderr;
            assert_contains(&refused, &[&format!("{path}:{what}")]);
        }
    }
    assert_eq!((node.tree("counter"), node.releases()), before);
    assert!(!node.root().join("releases/1.1.0").exists());
}

#[test]
fn s80_a_configured_but_missing_app_is_reported_and_stops_nothing() {
    let node = running("plant-1.0.0");
    let config = b"[counterr]\ninterval_ms = 50\n".to_vec();
    let add = |files: &mut Files| drop(files.insert("releases/1.1.0/config.toml".to_owned(), config));
    let (_scratch, tarball) = doctored("plant-1.1.0", add);
    node.ok(&["unpack", &tarball]);
    let warnings = node.read::<Checked>(&["check", "1.1.0"]).warnings;
    assert_contains(
        &warnings.join("\n"),
        &["config.toml has a section counterr, which is not an app of the release"],
    );
    node.ok(&["upgrade", "1.1.0"]);
}

#[test]
fn a_restart_amid_a_reviewed_script_is_refused_with_its_place() {
    let relup = "version = '1.1.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = ['point_of_no_return', 'restart_new_daemon']\n";
    let path = "releases/1.1.0/relup.toml";
    let add = |files: &mut Files| drop(files.insert(path.to_owned(), relup.into()));
    let (_scratch, tarball) = doctored("plant-1.1.0", add);
    let node = running("plant-1.0.0");
    let refused = node.run(&["upgrade", &tarball]).expect(1).stderr;
    assert_contains(&refused, &[&format!("{path}:4:16: `restart_new_daemon` can only be the first")]);
}
