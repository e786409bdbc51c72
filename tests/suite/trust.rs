//! Signed releases, floors and keys (S132 to S138), with the real relctl and the real daemon.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use minisign::KeyPair;
use reld_api::response::{Checked, KeyList, ReleaseList, Report, Unpacked};
use reld_tests::{Node, Run, assert_contains, folder, pack_release, release, tools, workshop};
use tempfile::TempDir;

/// A folder with a policy, keys and tarballs.
struct Desk(TempDir);

impl Desk {
    fn new(require: &str) -> Self {
        let desk = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        fs::create_dir(desk.path("keys.d")).expect("a folder can be made");
        desk.require(require);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    fn require(&self, policy: &str) {
        self.set(&format!("require = \"{policy}\"\n"));
    }

    fn set(&self, policy: &str) {
        fs::write(self.path("trust.toml"), policy).expect("the policy can be written");
    }

    /// Makes a pair of keys, and lets the node know the public key if `is_known`.
    fn key(&self, name: &str, is_known: bool) -> String {
        let pair = KeyPair::generate_unencrypted_keypair().expect("keys can be made");
        let secret = pair.sk.to_box(None).expect("a key has a form").into_string();
        fs::write(self.path(&format!("{name}.key")), secret).expect("a key can be written");
        let public = pair.pk.to_box().expect("a key has a form").into_string();
        let place = if is_known { format!("keys.d/{name}.pub") } else { format!("{name}.pub") };
        fs::write(self.path(&place), public).expect("a key can be written");
        pair.pk.to_base64()
    }

    fn node(&self) -> Node {
        Node::start_with(&["--trust", &self.text("trust.toml")])
    }

    /// Copies the tarball of a release.
    fn copy(&self, name: &str) -> String {
        let path = self.path(&format!("{name}.tar.gz"));
        fs::copy(release(name), &path).expect("a tarball can be copied");
        path.to_string_lossy().into_owned()
    }

    /// Packs a release of the examples with further lines in its `release.toml`, and a `keys.toml`.
    fn pack(&self, name: &str, more: &str, keys: &str) -> String {
        let home = workshop(&format!("trust-{}-{name}", std::process::id()));
        let document = fs::read_to_string(folder(&format!("examples/releases/{name}.toml")));
        let document = format!("{more}\n{}", document.expect("the example has a release"));
        fs::write(home.join("release.toml"), document).expect("a file can be written");
        if !keys.is_empty() {
            fs::write(home.join("keys.toml"), keys).expect("a file can be written");
        }
        let tarball = self.path(&format!("{name}.tar.gz"));
        pack_release(&home.join("release.toml"), &folder("examples"), &tarball);
        tarball.to_string_lossy().into_owned()
    }

    fn sign(&self, tarball: &str, key: &str) {
        relctl(&["sign", tarball, "--key", &self.text(&format!("{key}.key"))]).expect(0);
    }
}

/// Runs relctl without a node.
fn relctl(args: &[&str]) -> Run {
    Run::of(Command::new(Node::relctl_program()).args(args))
}

/// Returns the names of all files below a root.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.join("lib"), root.join("releases")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

#[test]
fn s132_only_signed_releases_come_to_a_node_that_requires_signatures() {
    let desk = Desk::new("signed");
    desk.key("ci", true);
    desk.key("other", false);
    let node = desk.node();
    let before = files(&node.root());
    let tarball = desk.copy("shop-1.0.0");
    let refused = |part: &str| {
        let refused = node.run(&["upgrade", &tarball]).expect(1).stderr;
        assert_contains(&refused, &["cannot unpack the tarball", part]);
        assert_eq!(files(&node.root()), before);
    };
    refused("it has no signature; sign it with `relctl sign`");
    desk.sign(&tarball, "other");
    refused("which this node does not know");
    assert_contains(
        &relctl(&["verify", &tarball, "--trust", &desk.text("trust.toml")]).expect(1).stderr,
        &["cannot trust"],
    );
    desk.sign(&tarball, "ci");
    let unknown = relctl(&["verify", &tarball, "--trust", &desk.text("missing.toml")]).expect(1).stderr;
    assert_contains(&unknown, &["hint: name the public key that has to sign with --key"]);
    let verified = relctl(&["verify", &tarball, "--key", &desk.text("keys.d/ci.pub")]).expect(0).stdout;
    assert_contains(&verified, &["shop 1.0.0", "files are sound, signed by ci"]);

    let report = node.report(&["upgrade", &tarball]);
    assert_eq!(report.signed_by, ["ci"]);
    assert_contains(&node.ok(&["status"]).stdout, &["shop 1.0.0 (permanent), signed by ci"]);
    assert_eq!(node.read::<ReleaseList>(&["releases"]).releases[0].signed_by, ["ci"]);

    // Code by hand has no signature.
    let counter = folder("examples/counter-0.1.0").to_string_lossy().into_owned();
    let load = ["load", &*counter, "--profile", "it is refused before cargo runs"];
    assert_contains(&node.run(&load).expect(1).stderr, &["no signature", "--unsigned"]);
    let app = folder("examples/counter-0.1.1").to_string_lossy().into_owned();
    let upgrade = ["upgrade", "--app", "counter", &*app, "--profile", "dev"];
    assert_contains(&node.run(&upgrade).expect(1).stderr, &["no signature", "--unsigned"]);
    let report: Report = node.read(&[&upgrade[..], &["--unsigned"]].concat());
    let warnings = report.warnings.join("\n");
    assert_contains(&warnings, &["the code has no signature"]);
    assert!(node.status().dirty);
}

#[test]
fn s137_minisign_agrees_with_the_signature_on_the_node() {
    let Some(minisign) = tools::need("minisign") else { return };
    let desk = Desk::new("signed");
    let files = ["-p", &*desk.text("keys.d/ci.pub"), "-s", &*desk.text("ci.key")];
    Run::of(Command::new(&minisign).args(["-G", "-W"]).args(files)).expect(0);
    let node = desk.node();
    let tarball = desk.copy("shop-1.0.0");
    desk.sign(&tarball, "ci");
    node.ok(&["unpack", &tarball]);
    let mut minisign = Command::new(minisign);
    minisign.current_dir(node.root().join("releases/1.0.0")).args(["-Vm", "manifest.toml", "-p"]);
    let agrees = Run::of(minisign.arg(desk.path("keys.d/ci.pub"))).expect(0).stdout;
    assert_contains(&agrees, &["reld shop 1.0.0 serial=0 identity="]);
}

#[test]
fn s134_a_node_refuses_a_lower_serial_than_the_last_committed_one_but_goes_back() {
    let desk = Desk::new("off");
    let node = desk.node();
    node.ok(&["upgrade", &desk.pack("shop-1.0.0", "serial = 46", "")]);
    let newer = desk.pack("shop-1.1.0", "serial = 47", "");
    node.ok(&["upgrade", &newer, "--no-commit"]);
    assert_eq!(node.read::<KeyList>(&["keys"]).floors["shop"], 46);
    node.ok(&["commit"]);
    assert_eq!(node.read::<KeyList>(&["keys"]).floors["shop"], 47);
    assert_contains(&node.ok(&["status"]).stdout, &["(permanent), serial 47, floor 47"]);
    node.ok(&["downgrade"]);
    assert_eq!(node.read::<KeyList>(&["keys"]).floors["shop"], 47, "no downgrade lowers the floor");

    node.ok(&["remove", "1.1.0"]);
    let late = desk.pack("shop-1.1.0", "serial = 45", "");
    assert_contains(&node.run(&["upgrade", &late]).expect(1).stderr, &["older_than_floor", "--ignore-floor"]);
    let unpacked: Unpacked = node.read(&["unpack", &late, "--ignore-floor"]);
    assert!(unpacked.changed);
    let checked: Checked = node.read(&["check", "1.1.0"]);
    assert_contains(&checked.warnings.join("\n"), &["serial 45", "serial 47"]);
}

#[test]
fn s135_a_committed_release_brings_the_keys_of_the_next_ones() {
    let desk = Desk::new("signed");
    desk.key("first", true);
    let second = desk.key("second", false);
    let mut node = desk.node();
    let keys = format!("[[add]]\nname = \"second\"\nkey = \"{second}\"\n");
    let brings = desk.pack("shop-1.0.0", "", &keys);
    desk.sign(&brings, "first");
    node.ok(&["unpack", &brings]);
    let brought = "the commit of release 1.0.0 adds the key second (";
    let checked: Checked = node.read(&["check", "1.0.0"]);
    assert!(checked.warnings.iter().any(|warning| warning.starts_with(brought)), "{checked:?}");
    let report = node.report(&["upgrade", "1.0.0", "--no-commit"]);
    assert!(report.warnings.iter().any(|warning| warning.starts_with(brought)), "{report:?}");
    let next = desk.copy("shop-1.1.0");
    desk.sign(&next, "second");
    assert_contains(&node.run(&["unpack", &next]).expect(1).stderr, &["does not know"]);
    node.ok(&["commit"]);
    node.kill_9_and_restart();
    let row = node.read::<KeyList>(&["keys"]).keys.pop().expect("the release has brought a key");
    assert_eq!((row.name.as_str(), row.brought_by.as_deref()), ("second", Some("1.0.0")));
    assert_eq!(node.report(&["upgrade", &next]).signed_by, ["second"]);
    desk.set("require = \"signed\"\nthreshold = 3\n");
    assert_contains(
        &node.ok(&["keys"]).stdout,
        &["3 keys", "warning: no release can satisfy it: ", "2 keys"],
    );
    desk.set("require = \"sigend\"\n");
    let unreadable = node.run(&["keys"]).expect(1).stdout;
    assert_contains(
        &unreadable,
        &["no new release is accepted", "trust.toml:1:11", "second", "release 1.0.0"],
    );
}

#[test]
fn s138_a_policy_that_warns_is_reported_and_a_stricter_one_leaves_the_node_running() {
    let desk = Desk::new("warn");
    desk.key("ci", true);
    let mut node = desk.node();
    let report = node.report(&["upgrade", &release("shop-1.0.0")]);
    let warning = "the release is not trusted: it has no signature; sign it with `relctl sign`";
    assert_eq!(report.warnings, [warning]);
    desk.require("signed");
    node.kill_9_and_restart();
    assert_eq!(node.version(), "1.0.0");
    let alarms = node.status().alarms.join("\n");
    assert_contains(&alarms, &["1.0.0 does not satisfy the policy of signatures", "it has no signature"]);
    // The next command that asks the node finds the new policy.
    desk.require("off");
    node.ok(&["keys"]);
    assert_eq!(node.status().alarms, [""; 0]);
}

#[test]
fn an_uncommitted_release_runs_in_place_of_a_damaged_one_under_a_stricter_policy() {
    let desk = Desk::new("off");
    let mut node = desk.node();
    node.ok(&["upgrade", &release("shop-1.0.0"), "--no-commit"]);
    node.ok(&["upgrade", &release("shop-1.1.0"), "--supersede"]);
    desk.require("signed");
    fs::remove_dir_all(node.root().join("lib/counter-0.1.1")).expect("the files exist");
    node.kill_9_and_restart();
    let status = node.status();
    assert_eq!((node.version().as_str(), status.permanent.as_deref()), ("1.0.0", Some("1.1.0")));
    assert_contains(&status.alarms.join("\n"), &["cannot boot release 1.1.0", "is missing"]);
}

#[test]
fn s133_s136_two_of_three_keys_have_to_sign_and_a_file_that_was_changed_since_is_not_loaded() {
    let desk = Desk::new("signed");
    for name in ["a", "b", "c"] {
        desk.key(name, true);
    }
    desk.set("require = \"signed\"\nthreshold = 2\n");
    let node = desk.node();
    let [old, new] = ["shop-1.0.0", "shop-1.1.0"].map(|name| desk.copy(name));
    desk.sign(&old, "a");
    let refused = node.run(&["unpack", &old]).expect(1).stderr;
    assert_contains(&refused, &["untrusted", "signed with a, but 2 keys have to sign; missing: b, c"]);
    desk.sign(&old, "b");
    assert_eq!(node.report(&["upgrade", &old]).signed_by.len(), 2);

    desk.sign(&new, "c");
    desk.sign(&new, "a");
    node.ok(&["unpack", &new]);
    let library = node.root().join("lib/counter-0.1.1/counter.so");
    let mut bytes = fs::read(&library).expect("the library can be read");
    *bytes.last_mut().expect("a library has bytes") ^= 1;
    fs::write(&library, bytes).expect("the library can be written");
    assert_contains(&node.run(&["upgrade", "1.1.0"]).expect(1).stderr, &["counter.so is changed"]);
    assert_eq!(node.version(), "1.0.0");
}

#[test]
fn a_node_does_not_start_without_the_policy_that_its_command_line_names() {
    let desk = Desk::new("signed");
    let [missing, socket] = ["other.toml", "socket"].map(|name| desk.text(name));
    let root = desk.path("root");
    let run = Run::of(Node::daemon_in(&root).args(["--socket", &socket, "--trust", &missing]));
    assert_contains(&run.expect(1).stderr, &["cannot use the policy of signatures", "it does not exist"]);
    assert!(!root.exists());
}
