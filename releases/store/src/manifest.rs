//! `manifest.toml`: the content of a tarball and its requirements for a node.
//!
//! The manifest is the first entry of a tarball, so that all later entries can be verified while
//! they stream in. The node keeps it with the release. Before each install, the release handler
//! passes the digests of the libraries to the loader, which compares them with the files.

use std::collections::BTreeSet;
use std::fmt;

use reld_plan::{AppName, DocError, Vsn, bounded};
use reld_trust::Claim;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::fault::Fault;
use crate::layout;

/// The manifest's name, in a tarball and in the folder of an unpacked release.
pub const MANIFEST: &str = "manifest.toml";

/// The maximum size of a manifest, in bytes.
pub(crate) const MANIFEST_SIZE_MAX: u64 = 16 << 20;

/// The maximum length of a path, in bytes; the header of a tarball has no room for more.
const PATH_MAX: usize = 256;

/// The maximum size of one release on disk, in bytes.
pub(crate) const RELEASE_SIZE_MAX: u64 = 4 << 30;

/// The content of a tarball and its requirements for a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The release's name.
    pub name: AppName,
    /// The release's version.
    pub version: Vsn,
    /// The target triple that its libraries were built for.
    pub target: String,
    /// The minimum version of reld that can run it.
    pub reld: Vsn,
    /// The ABI of its libraries.
    pub abi: Abi,
    /// Its serial, from `release.toml`; 0 if it has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub serial: u64,
    /// Every file of the release, sorted by path.
    #[serde(rename = "file", default)]
    pub files: Vec<FileEntry>,
}

/// A version of the ABI between the daemon and its libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abi {
    /// The major version, which must be the same for the daemon and the library.
    pub major: u32,
    /// The minor version. The daemon's must be at least the library's.
    pub minor: u32,
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its path below the root, with `/` as the separator.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content.
    pub sha256: Digest,
    /// Whether apps may run the file as a program, such as a port program in `priv/`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub executable: bool,
    /// Whether the tarball leaves the file out. The node must already have it, with this digest.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not_carried: bool,
}

// The signature that serde's `skip_serializing_if` requires.
fn is_false(value: &bool) -> bool {
    !value
}

// As `is_false`.
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The properties of a node that the libraries of a release depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The daemon's target triple.
    pub target: String,
    /// The daemon's ABI.
    pub abi: Abi,
    /// The daemon's version.
    pub reld: Vsn,
}

impl Manifest {
    /// Parses a manifest and checks that its files can be laid out below a root.
    ///
    /// # Errors
    /// The [`Fault`] of the manifest.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let manifest: Self = toml::from_str(text).map_err(|error| misfit(text, &error))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Returns the manifest's text.
    pub fn print(&self) -> String {
        toml::to_string(self).expect("a manifest has only strings, numbers and tables")
    }

    /// Returns the identity of the release: the digest over the sorted list of (path, digest).
    ///
    /// Two tarballs of one version with equal identity hold the same release, even if they leave
    /// out different apps.
    pub fn identity(&self) -> Digest {
        let mut hasher = Hasher::default();
        for file in &self.files {
            // Paths contain no line breaks, so different lists give different texts.
            hasher.update(format!("{}\n{}\n", file.path, file.sha256).as_bytes());
        }
        hasher.digest()
    }

    /// Returns the claim that a signature has to make.
    pub fn claim(&self) -> Claim {
        let identity = self.identity().to_string();
        Claim { name: self.name.clone(), version: self.version.clone(), serial: self.serial, identity }
    }

    /// Returns the total size of all files, in bytes.
    pub fn size(&self) -> u64 {
        total(self.files.iter())
    }

    /// Returns the total size of the files in the tarball.
    pub(crate) fn carried_size(&self) -> u64 {
        total(self.files.iter().filter(|file| !file.not_carried))
    }

    /// Returns the entry of a path below the root.
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|i| &self.files[i])
    }

    /// Returns the digest of an app's library.
    pub fn library(&self, app: &AppName, vsn: &Vsn) -> Option<Digest> {
        self.file(&layout::library(app, vsn)).map(|file| file.sha256)
    }

    /// Returns the files below a folder, given as a path below the root.
    pub fn files_below(&self, folder: &str) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(move |file| is_below(&file.path, folder))
    }

    /// Refuses a release that this node cannot run.
    pub(crate) fn check_platform(&self, node: &Platform) -> Result<(), Fault> {
        if self.target != node.target {
            return Err(Fault::OtherTarget {
                target: bounded(&self.target, 100).into_owned(),
                node: node.target.clone(),
            });
        }
        if self.abi.major != node.abi.major || self.abi.minor > node.abi.minor {
            return Err(Fault::OtherAbi { abi: self.abi, node: node.abi });
        }
        if self.reld > node.reld {
            return Err(Fault::NeedsReld { least: self.reld.clone(), node: node.reld.clone() });
        }
        Ok(())
    }

    /// Refuses files outside the folders of the release.
    pub(crate) fn check_folders(&self, folders: &BTreeSet<String>) -> Result<(), Fault> {
        let owned = |file: &&FileEntry| folders.iter().any(|folder| is_below(&file.path, folder));
        match self.files.iter().find(|file| !owned(file)) {
            Some(file) => Err(Fault::Misplaced(file.path.clone())),
            None => Ok(()),
        }
    }

    /// Refuses a list of files that cannot be laid out below a root.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if let Some(file) = self.files.iter().find(|file| file.path.len() > PATH_MAX) {
            return Err(Fault::LongPath(bounded(&file.path, 100).into_owned()));
        }
        if let Some(file) = self.files.iter().find(|file| !is_safe(&file.path)) {
            return Err(Fault::UnsafePath(file.path.clone()));
        }
        if let Some(pair) = self.files.windows(2).find(|pair| pair[0].path >= pair[1].path) {
            return Err(Fault::Unsorted(pair[1].path.clone()));
        }
        let size = self.size();
        if size > RELEASE_SIZE_MAX { Err(Fault::TooLarge { size, max: RELEASE_SIZE_MAX }) } else { Ok(()) }
    }
}

/// Returns the fault of a manifest that cannot be parsed. The manifest may be for a newer reld and
/// have keys that this reld does not know.
fn misfit(text: &str, error: &toml::de::Error) -> Fault {
    #[derive(Deserialize)]
    struct Least {
        reld: Vsn,
    }
    let own: Vsn = env!("CARGO_PKG_VERSION").parse().expect("cargo checks versions");
    match toml::from_str::<Least>(text) {
        Ok(Least { reld }) if reld > own => Fault::NewerManifest { least: reld, own },
        _ => Fault::BadManifest(DocError::of_toml(MANIFEST, text, error)),
    }
}

/// Adds the sizes of files, without overflow: the sizes are unverified claims.
fn total<'a>(files: impl Iterator<Item = &'a FileEntry>) -> u64 {
    files.fold(0, |sum, file| sum.saturating_add(file.size))
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns whether a path stays below the root: it is relative, in `lib/` or `releases/`, and each
/// part is a plain name.
fn is_safe(path: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
    let parts: Vec<&str> = path.split('/').collect();
    // At least three parts: a folder of the root, an app or release version, and a file in it.
    parts.len() >= 3 && matches!(parts[0], "lib" | "releases") && parts.into_iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &[u8]) -> FileEntry {
        FileEntry {
            path: path.to_owned(),
            size: content.len() as u64,
            sha256: Digest::of(content),
            executable: false,
            not_carried: false,
        }
    }

    fn manifest(files: Vec<FileEntry>) -> Manifest {
        Manifest {
            name: "shop".parse().unwrap(),
            version: "1.1.0".parse().unwrap(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            reld: "0.2.0".parse().unwrap(),
            abi: Abi { major: 1, minor: 3 },
            serial: 0,
            files,
        }
    }

    fn for_any_reld(manifest: Manifest) -> String {
        Manifest { reld: Vsn::new(0, 0, 0), ..manifest }.print()
    }

    #[track_caller]
    fn check_path(path: &str, is_accepted: bool) {
        let parsed = Manifest::parse(&manifest(vec![file(path, b"")]).print());
        assert_eq!(parsed.is_ok(), is_accepted, "{path}: {parsed:?}");
    }

    #[test]
    fn a_manifest_prints_and_parses() {
        let mut written =
            manifest(vec![file("lib/a-1.0.0/a.so", b"a"), file("releases/1.1.0/release.toml", b"r")]);
        written.files[0].executable = true;
        written.files[1].not_carried = true;
        assert_eq!(Manifest::parse(&written.print()).unwrap(), written);
    }

    #[test]
    fn only_paths_of_plain_names_in_lib_and_releases_are_accepted() {
        for path in ["lib/a-1.0.0/a.so", "lib/a-1.0.0/priv/deep/..hidden", "releases/1.1.0/release.toml"] {
            check_path(path, true);
        }
        for path in [
            "",
            "/etc/passwd",
            "../a/b",
            "lib/../x/y",
            "lib/a/..",
            "lib/./a/b",
            "lib//a/b",
            "lib/a",
            "lib/a/",
            "run/a/b",
            "releases/RELEASES.toml",
            "lib/a/b\nc",
            "lib/a/b\0",
        ] {
            check_path(path, false);
        }
    }

    #[test]
    fn quotes_from_a_manifest_in_errors_are_bounded() {
        let long = "x".repeat(1 << 20);
        let node = Platform {
            target: "x86_64-unknown-linux-gnu".to_owned(),
            abi: Abi { major: 1, minor: 3 },
            reld: "0.2.0".parse().unwrap(),
        };
        let plain = for_any_reld(manifest(vec![file("lib/a/b", b"")]));
        let path = for_any_reld(manifest(vec![file(&format!("lib/a/{long}"), b"")]));
        let version = plain.replace("1.1.0", &format!("1.1.0-{long}"));
        let name = plain.replace("shop", &long);
        let digest = plain.replace("sha256 = \"", &format!("sha256 = \"{long}"));
        let key = format!("{long} = 1\n{plain}");
        for text in [path, version, name, digest, key] {
            let fault = Manifest::parse(&text).unwrap_err();
            let source = std::error::Error::source(&fault).map(ToString::to_string).unwrap_or_default();
            let words = format!("{fault}: {source}");
            assert!(words.len() < 4096, "{} bytes: {}", words.len(), &words[..200]);
        }
        let target = Manifest { target: long, ..manifest(vec![]) };
        assert!(target.check_platform(&node).unwrap_err().to_string().len() < 400);
    }

    #[test]
    fn unknown_keys_are_refused_and_newer_manifests_by_their_version() {
        let text = for_any_reld(manifest(vec![file("lib/a-1.0.0/a.so", b"a")]));
        for (place, key) in [("name =", "color"), ("major =", "patch"), ("path =", "owner")] {
            let text = text.replace(place, &format!("{key} = 1\n{place}"));
            let Err(Fault::BadManifest(error)) = Manifest::parse(&text) else { panic!("{key} was taken") };
            assert!(error.message.starts_with(&format!("unknown field `{key}`")), "{error}");
            let newer = text.replace("reld = \"0.0.0\"", "reld = \"99.0.0\"");
            assert!(matches!(Manifest::parse(&newer), Err(Fault::NewerManifest { .. })), "{key}");
        }
    }

    #[test]
    fn a_path_listed_twice_or_out_of_order_is_refused() {
        for paths in [["lib/a/x", "lib/a/x"], ["lib/b/x", "lib/a/x"]] {
            let text = manifest(paths.iter().map(|path| file(path, b"")).collect()).print();
            assert!(matches!(Manifest::parse(&text), Err(Fault::Unsorted(_))), "{paths:?}");
        }
    }

    #[test]
    fn a_release_that_claims_more_than_the_bound_is_refused() {
        let mut huge = manifest(vec![file("lib/a/x", b""), file("lib/a/y", b"")]);
        huge.files[0].size = i64::MAX as u64;
        huge.files[1].size = i64::MAX as u64;
        assert!(matches!(Manifest::parse(&huge.print()), Err(Fault::TooLarge { .. })));
    }

    #[test]
    fn the_identity_depends_on_paths_and_digests_only() {
        let plain = manifest(vec![file("lib/a/x", b"1")]);
        let mut left_out = plain.clone();
        left_out.files[0].not_carried = true;
        assert_eq!(plain.identity(), left_out.identity());
        for other in [file("lib/a/x", b"2"), file("lib/a/y", b"1")] {
            assert_ne!(plain.identity(), manifest(vec![other]).identity());
        }
    }

    #[track_caller]
    fn check_platform(change: impl FnOnce(&mut Platform), expected: Option<&str>) {
        let mut node = Platform {
            target: "x86_64-unknown-linux-gnu".to_owned(),
            abi: Abi { major: 1, minor: 3 },
            reld: "0.2.0".parse().unwrap(),
        };
        change(&mut node);
        let answer = manifest(vec![]).check_platform(&node).err().map(|fault| fault.to_string());
        assert_eq!(answer.as_deref(), expected);
    }

    #[test]
    fn a_node_must_have_the_target_the_abi_and_a_new_enough_reld() {
        check_platform(|_| (), None);
        check_platform(|node| node.abi.minor = 4, None);
        check_platform(|node| node.reld = "1.0.0".parse().unwrap(), None);
        check_platform(
            |node| node.target = "aarch64-unknown-linux-gnu".to_owned(),
            Some("it was built for x86_64-unknown-linux-gnu, this node is aarch64-unknown-linux-gnu"),
        );
        check_platform(|node| node.abi.minor = 2, Some("its libraries speak ABI 1.3, this node speaks 1.2"));
        check_platform(|node| node.abi.major = 2, Some("its libraries speak ABI 1.3, this node speaks 2.3"));
        check_platform(
            |node| node.reld = "0.1.9".parse().unwrap(),
            Some("it needs reld 0.2.0 or newer, this node is reld 0.1.9"),
        );
    }
}
