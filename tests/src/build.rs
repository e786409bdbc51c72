//! Builds the programs and libraries that the suite runs, because `cargo test` builds neither
//! binaries of other packages nor libraries to load.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use crate::run::Run;

/// The programs under test.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) reld: PathBuf,
    pub(crate) relctl: PathBuf,
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kit is a member of the workspace")
}

/// Returns a folder of the workspace.
pub fn folder(relative: &str) -> PathBuf {
    workspace().join(relative)
}

/// Returns the cargo profile of this kit. Builds with the same profile can reuse most artifacts.
pub fn profile() -> String {
    let folder = target();
    let name = folder.file_name().expect("the profile's folder has a name").to_string_lossy();
    if name == "debug" { "dev".to_owned() } else { name.into_owned() }
}

/// The packages to build. Cargo unifies the features of dependencies over all selected packages.
/// Tests select the packages that `cargo test --workspace` has already built, so that nothing is
/// rebuilt. The benchmark selects only the programs.
const SELECTION: &[&str] = if cfg!(debug_assertions) {
    &["--workspace", "--bins", "--tests"]
} else {
    &["--package", "reld", "--package", "relctl"]
};

/// Builds the programs once, into the target folder of the running program.
pub(crate) fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        // `cargo test` describes this package in the environment. Some build scripts, such as that
        // of ring, would run again for it, and everything above them would be compiled again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        let status = cargo
            .current_dir(workspace())
            .args(["build", "--profile", &profile()])
            .args(SELECTION)
            .arg("--target-dir")
            .arg(target().parent().expect("the profile's folder lies in the target folder"))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "cargo did not build reld and relctl");
        Programs { reld: target().join("reld"), relctl: target().join("relctl") }
    })
}

/// Returns the folder of the profile. A program lies in this folder, a test in its `deps`.
fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a file");
    let folder = program.parent().expect("a file lies in a folder");
    if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned()
}

/// Returns an empty folder that keeps its place, so that cargo builds the dependencies of apps in
/// it only once.
pub fn workshop(name: &str) -> PathBuf {
    let folder = target().join("reld-tests").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// Lets a command build apps in the target folder of this kit, without a network.
pub fn build_here(command: &mut Command) -> &mut Command {
    let folder = target();
    let folder = folder.parent().expect("the profile's folder lies in the target folder");
    command.env("CARGO_TARGET_DIR", folder).env("CARGO_NET_OFFLINE", "true")
}

/// Packs a release once and returns the path of the tarball.
///
/// `shop-…`, `plant-…`, `quest-…` and `linkd-…` are the releases of `examples/`, `bench-…` those of
/// `tests/bench/`, and all others those of `tests/fixtures/`.
pub fn release(name: &str) -> String {
    static PACKED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut packed = PACKED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(tarball) = packed.get(name) {
        return tarball.clone();
    }
    let tarball = pack(name);
    packed.insert(name.to_owned(), tarball.clone());
    tarball
}

fn pack(name: &str) -> String {
    let home = workspace().join(match name.split('-').next() {
        Some("shop" | "plant" | "quest" | "linkd") => "examples",
        Some("bench") => "tests/bench",
        _ => "tests/fixtures",
    });
    let tarballs = target().join("reld-tests");
    std::fs::create_dir_all(&tarballs).expect("the target folder can be written");
    // Test programs of several packages may pack at the same time.
    let tarball = tarballs.join(format!("{name}-{}.tar.gz", std::process::id()));
    pack_release(&home.join(format!("releases/{name}.toml")), &home, &tarball);
    tarball.to_string_lossy().into_owned()
}

/// Packs the release described by the file `release`, with apps from the folder `apps`.
pub fn pack_release(release: &Path, apps: &Path, tarball: &Path) {
    let mut relctl = Command::new(&programs().relctl);
    build_here(&mut relctl).arg("pack").arg(release).arg("--apps").arg(apps);
    relctl.arg("--output").arg(tarball).args(["--profile", &profile()]);
    Run::of(&mut relctl).expect(0);
}
