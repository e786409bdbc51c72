//! Builds of several checkouts with one shared folder, and of one app in two places.

use std::io::Read;

use flate2::read::GzDecoder;
use tempfile::TempDir;

use super::*;

/// The files of a workspace with the app `till`, a member `shelf` with a generated file, and,
/// beside the workspace, the crate `common`.
const FILES: [(&str, &str); 6] = [
    (
        "Cargo.toml",
        r#"
[package]
name = "till"
version = "0.1.0"
edition = "2024"
[lib]
crate-type = ["cdylib"]
[dependencies]
shelf = { path = "shelf" }
common = { path = "COMMON" }
[workspace]
[profile.lines]
inherits = "dev"
debug = 2
"#,
    ),
    (
        "src/lib.rs",
        r#"#[unsafe(no_mangle)]
pub extern "C" fn f(i: usize) -> u8 { println!("{}", shelf::OWNER); shelf::at(i) + common::at(i) }"#,
    ),
    ("shelf/Cargo.toml", "[package]\nname = \"shelf\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    (
        "shelf/build.rs",
        r#"fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let code = "pub fn generated(i: usize) -> u8 { [1, 2][i] }";
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/generated.rs", code).unwrap();
}"#,
    ),
    (
        "shelf/src/lib.rs",
        r#"include!(concat!(env!("OUT_DIR"), "/generated.rs"));
pub const OWNER: &str = "owned by OWNER";
pub fn at(i: usize) -> u8 { [1, 2][i] + generated(i) }"#,
    ),
    ("app.toml", "name = \"till\"\nversion = \"0.1.0\"\n"),
];

/// The files of a dependency that counts its builds.
const COMMON: [(&str, &str); 3] = [
    ("Cargo.toml", "[package]\nname = \"common\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    (
        "build.rs",
        r#"use std::io::Write;
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let builds = std::fs::OpenOptions::new().append(true).create(true).open("builds");
    builds.unwrap().write_all(b"x").unwrap();
}"#,
    ),
    ("src/lib.rs", "pub fn at(i: usize) -> u8 { [3, 4][i] }"),
];

/// Authors with checkouts of one app, and a dependency outside of these.
struct Town(TempDir);

impl Town {
    fn new() -> Self {
        let town = Self(tempfile::tempdir().unwrap());
        town.write("common", &COMMON, &|text| text.to_owned());
        town
    }

    fn write(&self, folder: &str, files: &[(&str, &str)], fill: &dyn Fn(&str) -> String) {
        for (path, text) in files {
            let path = self.0.path().join(folder).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, fill(text)).unwrap();
        }
    }

    /// Writes a checkout with the code of an owner. `exclude` takes the member out of the
    /// workspace.
    fn checkout(&self, folder: &str, version: &str, owner: &str, exclude: bool) {
        let common = self.0.path().join("common");
        let workspace = if exclude { "[workspace]\nexclude = [\"shelf\"]" } else { "[workspace]" };
        let fill = |text: &str| {
            let text =
                text.replace("COMMON", &common.to_string_lossy()).replace("by OWNER", &format!("by {owner}"));
            text.replacen("0.1.0", version, 1).replace("[workspace]", workspace)
        };
        self.write(folder, &FILES, &fill);
        let release = "name = \"shop\"\nversion = \"1.0.0\"\ndaemon = \"1.0.0\"\n[[app]]\nname = \"till\"\n";
        self.write(folder, &[("release.toml", release)], &|text| format!("{text}version = \"{version}\"\n"));
    }

    /// Packs a checkout and returns the unpacked bytes of the tarball.
    fn pack(&self, folder: &str, version: &str, shared: &str) -> Vec<u8> {
        self.pack_for(Purpose::Keep, folder, shared, &probe_of("till", version))
    }

    fn pack_for(&self, purpose: Purpose, folder: &str, shared: &str, probe: &dyn Probe) -> Vec<u8> {
        let home = self.0.path().join(folder);
        let order = Order {
            release: home.join("release.toml"),
            output: Some(home.join("out.tar.gz")),
            apps: home,
            profile: "lines".to_owned(),
            shared_build: Some(self.0.path().join(shared)),
            workspaces: Workspaces::default(),
            purpose,
            without: BTreeSet::new(),
            reld: "1.0.0".parse().unwrap(),
        };
        let packed = pack(&order, probe).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(fs::File::open(packed.tarball).unwrap()).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Packs a checkout and returns the owners of the code in the library.
    fn owners(&self, folder: &str, version: &str) -> BTreeSet<String> {
        owners(&self.pack(folder, version, "shared"))
    }
}

/// Returns the owners of code.
fn owners(code: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(code);
    text.split("owned by ").skip(1).map(|rest| rest[..3].to_owned()).collect()
}

/// Takes the owner of a library for its app.
struct OwnerProbe;

impl Probe for OwnerProbe {
    fn probe(&self, library: &Path) -> Result<Probed, Box<dyn std::error::Error + Send + Sync>> {
        let app = owners(&fs::read(library)?).into_iter().next().ok_or("no owner")?;
        probe_of(&app, "0.1.0").probe(library)
    }
}

#[track_caller]
fn check_owner(town: &Town, folder: &str, version: &str, owner: &str) {
    assert_eq!(town.owners(folder, version), BTreeSet::from([owner.to_owned()]), "{folder}");
}

/// All checkouts are written before the first build, so all their files are older than its results.
#[test]
fn checkouts_share_the_builds_of_dependencies_and_each_gets_its_own_code() {
    let town = Town::new();
    town.checkout("a", "0.1.0", "Ann", false);
    town.checkout("b", "0.1.0", "Bob", false);
    town.checkout("c", "0.2.0", "Cyd", false);
    for _ in 0..2 {
        check_owner(&town, "a", "0.1.0", "Ann");
        check_owner(&town, "b", "0.1.0", "Bob");
        check_owner(&town, "c", "0.2.0", "Cyd");
    }
    assert_eq!(fs::read_to_string(town.0.path().join("common/builds")).unwrap(), "x", "it was built once");
}

#[test]
fn a_workspace_with_crates_that_are_no_members_gets_its_own_code_too() {
    let town = Town::new();
    town.checkout("a", "0.1.0", "Ann", true);
    town.checkout("b", "0.1.0", "Bob", true);
    for _ in 0..2 {
        check_owner(&town, "a", "0.1.0", "Ann");
        check_owner(&town, "b", "0.1.0", "Bob");
    }
}

#[test]
fn equal_workspaces_in_two_folders_and_with_two_shared_folders_make_the_same_bytes() {
    for exclude in [false, true] {
        let town = Town::new();
        town.checkout("one", "0.1.0", "Ann", exclude);
        town.checkout("another", "0.1.0", "Ann", exclude);
        let one = town.pack("one", "0.1.0", "shared");
        assert!(one == town.pack("another", "0.1.0", "cache"), "exclude: {exclude}");
        let text = String::from_utf8_lossy(&one);
        for folder in ["one", "shared"] {
            let path = town.0.path().join(folder).to_string_lossy().into_owned();
            assert!(!text.contains(&path), "exclude: {exclude}: {path}");
        }
    }
}

#[test]
fn a_library_to_try_has_no_debug_information_and_shares_the_builds_of_dependencies() {
    let town = Town::new();
    town.checkout("a", "0.1.0", "Ann", false);
    let size = |purpose| town.pack_for(purpose, "a", "shared", &probe_of("till", "0.1.0")).len();
    let [first, kept, again] = [Purpose::Try, Purpose::Keep, Purpose::Try].map(size);
    assert!(first == again && 2 * first < kept, "{first}, {kept}, {again}");
    assert_eq!(fs::read_to_string(town.0.path().join("common/builds")).unwrap(), "x", "it was built once");
}

#[test]
fn a_remembered_workspace_is_described_anew_when_its_cargo_toml_changes() {
    let town = Town::new();
    town.checkout("a", "0.1.0", "Ann", false);
    let home = town.0.path().canonicalize().unwrap();
    let (app, workspaces) = (home.join("a"), Workspaces::default());
    let crates = || workspaces.crates(&app).unwrap();
    let all = BTreeSet::from(["a", "a/shelf", "common"].map(|folder| home.join(folder)));
    for _ in 0..3 {
        assert_eq!(crates(), all);
    }
    let text = fs::read_to_string(app.join("Cargo.toml")).unwrap();
    let common = text.lines().find(|line| line.starts_with("common")).unwrap();
    fs::write(app.join("Cargo.toml"), text.replace(common, "")).unwrap();
    assert_eq!(crates().len(), 2);
    assert_eq!(workspaces.crates(&home).unwrap(), BTreeSet::new(), "it has no Cargo.toml");
}

/// In a workspace, as with `CARGO_TARGET_DIR`, cargo gives libraries of one name one path.
#[test]
fn two_apps_with_libraries_of_one_name_get_their_own() {
    let town = Town::new();
    let mut release = "name = \"shop\"\nversion = \"1.0.0\"\ndaemon = \"1.0.0\"\n".to_owned();
    for app in ["ann", "bob"] {
        let named = format!("name = \"{app}\"\nversion = \"0.1.0\"\n");
        let library = "edition = \"2024\"\n[lib]\nname = \"till\"\ncrate-type = [\"cdylib\"]\n";
        let source =
            format!("#[unsafe(no_mangle)]\npub extern \"C\" fn f() {{ println!(\"owned by {app}\"); }}\n");
        let files = [
            ("app.toml", &*named),
            ("Cargo.toml", &format!("[package]\n{named}{library}")),
            ("src/lib.rs", &source),
        ];
        town.write(&format!("shop/{app}"), &files, &|text| text.to_owned());
        release += &format!("[[app]]\n{named}");
    }
    let files = [
        ("release.toml", &*release),
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"ann\", \"bob\"]\n[profile.lines]\ninherits = \"dev\"\n",
        ),
    ];
    town.write("shop", &files, &|text| text.to_owned());
    let packed = town.pack_for(Purpose::Keep, "shop", "shared", &OwnerProbe);
    assert_eq!(owners(&packed), BTreeSet::from(["ann", "bob"].map(str::to_owned)));
}
