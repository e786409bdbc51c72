//! Lost or damaged files of releases on the node, and the removal of old releases.

use std::fs;
use std::path::PathBuf;

use reld_api::response::{Harm, Pruned, Unpacked, Verified};
use reld_tests::{Node, assert_contains, release};

/// Returns a node that runs shop 1.0.0 and has unpacked 1.1.0.
fn shop() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    node.ok(&["unpack", &release("shop-1.1.0")]);
    node
}

fn lib(node: &Node, app: &str) -> PathBuf {
    node.root().join("lib").join(app)
}

/// Returns the findings of `relctl verify`: version, path and harm of each damaged file.
#[track_caller]
fn damage(node: &Node) -> Vec<(String, String, Harm)> {
    let run = node.run(&["--json", "verify"]);
    let verified: Verified = serde_json::from_str(&run.stdout).expect("verify answers in JSON");
    assert_eq!(verified.releases.len(), node.releases().len());
    assert!(verified.releases.iter().all(|release| release.files > 3 && release.bytes > 1000));
    let files = verified.releases.into_iter().flat_map(|release| {
        let version = release.version;
        release.damage.into_iter().map(move |file| (version.clone(), file.path, file.harm))
    });
    let files: Vec<_> = files.collect();
    assert_eq!(run.code, i32::from(!files.is_empty()));
    files
}

fn alarms(node: &Node) -> Vec<String> {
    node.status().alarms.into_iter().filter(|alarm| alarm.contains("damaged on disk")).collect()
}

#[test]
fn lost_files_are_found_shown_and_brought_back_by_the_tarball_and_the_release_is_installed() {
    let node = shop();
    assert_eq!((damage(&node), alarms(&node)), (vec![], vec![]));
    fs::remove_dir_all(lib(&node, "counter-0.1.1")).expect("the root can be written");
    let refused = node.run(&["upgrade", "1.1.0"]).expect(1).stderr;
    assert_contains(&refused, &["release 1.1.0 is damaged on disk", "is missing", "`relctl unpack`"]);
    // Damage that an order encounters raises an alarm.
    let [alarm] = &alarms(&node)[..] else { panic!("one alarm") };
    let words =
        ["release 1.1.0", "lib/counter-0.1.1/", "is missing; `relctl unpack`", "`relctl verify 1.1.0`"];
    assert_contains(alarm, &words);
    assert!(
        damage(&node).iter().all(|(version, _, harm)| (version.as_str(), *harm) == ("1.1.0", Harm::Missing))
    );
    let shown = node.run(&["verify", "1.1.0"]).expect(1).stdout;
    assert_contains(
        &shown,
        &["shop 1.1.0:", "missing    lib/counter-0.1.1/counter.so", "relctl unpack FILE"],
    );

    let shown = node.ok(&["upgrade", &release("shop-1.1.0")]).stdout;
    assert_contains(&shown, &["repaired", "lib/counter-0.1.1/counter.so", "installed 1.1.0"]);
    assert_eq!((damage(&node), alarms(&node)), (vec![], vec![]));
    assert_eq!(node.version(), "1.1.0");
}

#[test]
fn damage_of_the_running_release_is_found_by_verify_and_repaired_beside_its_processes() {
    let node = shop();
    let counter = node.pid("counter", 10_000);
    let document = lib(&node, "counter-0.1.0").join("app.toml");
    fs::write(&document, "changed").expect("the root can be written");
    fs::write(lib(&node, "counter-0.1.0").join("stray"), "").expect("the root can be written");
    let app = |file: &str| format!("lib/counter-0.1.0/{file}");
    let of_old = |file: &str, harm| ("1.0.0".to_owned(), app(file), harm);
    let expected = [of_old("stray", Harm::Stray), of_old("app.toml", Harm::Changed)];
    assert_eq!(damage(&node), expected);
    assert_eq!(alarms(&node).len(), 1);
    // An unknown file may be the only copy of something.
    let refused = node.refused(&["unpack", &release("shop-1.0.0")]);
    assert_contains(&refused.causes.join(" "), &["counter-0.1.0/stray", "remove it"]);
    fs::remove_file(lib(&node, "counter-0.1.0").join("stray")).expect("the root can be written");
    let unpacked: Unpacked = node.read(&["unpack", &release("shop-1.0.0")]);
    assert_eq!((unpacked.changed, unpacked.repaired), (false, vec![app("app.toml")]));
    assert_eq!((damage(&node), alarms(&node)), (vec![], vec![]));
    assert_eq!(node.pid("counter", 10_000), counter);
    node.run(&["verify", "9.9.9"]).expect(1);
}

#[test]
fn a_damaged_tarball_of_a_release_that_the_node_has_is_refused() {
    let node = shop();
    let mut bytes = fs::read(release("shop-1.1.0")).expect("the tarball exists");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let damaged = node.root().join("damaged.tar.gz");
    fs::write(&damaged, &bytes).expect("the root can be written");
    let damaged = damaged.to_string_lossy();
    for verb in ["unpack", "upgrade"] {
        let refused = node.refused(&[verb, &damaged]);
        assert_eq!(refused.kind, "bad_tarball", "{refused:?}");
    }
    assert_eq!(damage(&node), []);
}

#[test]
fn prune_removes_old_releases_and_leaves_the_way_back() {
    let node = Node::start();
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        node.ok(&["upgrade", &release(&format!("stage-{version}"))]);
    }
    let before = node.releases();
    let planned: Pruned = node.read(&["prune", "--keep", "0", "--dry-run"]);
    assert_eq!(node.releases(), before, "nothing was removed");
    assert!(planned.bytes > 1000, "{planned:?}");
    let gone: Pruned = node.read(&["prune", "--keep", "0"]);
    assert_eq!(gone, planned);
    let versions: Vec<&str> = gone.releases.iter().map(|release| release.version.as_str()).collect();
    assert_eq!(versions, ["1.0.0"]);
    for app in &gone.releases[0].apps {
        assert!(!lib(&node, app).exists(), "{app}");
    }
    assert_eq!(damage(&node), []);
    node.ok(&["downgrade"]);
    assert_eq!(node.version(), "2.0.0");
    let none: Pruned = node.read(&["prune", "--keep", "0"]);
    assert_eq!(none.releases.len(), 1, "3.0.0 is old now, and nothing goes back to it");
    node.run(&["prune"]).expect(2);
}

#[test]
fn releases_that_never_ran_are_not_pruned() {
    let node = shop();
    let none: Pruned = node.read(&["prune", "--keep", "0"]);
    assert_eq!(none.releases, []);
    assert_eq!(node.releases().len(), 2);
}
