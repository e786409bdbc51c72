//! Releases with generated files, for tests without cargo and libraries.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::disk::double::FaultyDisk;
use crate::error::Error;
use crate::manifest::{Abi, MANIFEST, Manifest, Platform};
use crate::purpose::Purpose;
use crate::store::Store;
use crate::verify;
use crate::writing::{self, Source};

pub(crate) const OLD: [(&str, &str, &str); 2] =
    [("counter", "0.1.0", "code 1"), ("regis", "1.0.0", "regis code")];
pub(crate) const NEW: [(&str, &str, &str); 2] =
    [("counter", "0.1.1", "code 2"), ("regis", "1.0.0", "regis code")];

/// A folder with tarballs of releases 1.0.0 and 1.1.0, which share an app, and the path of a root.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) old: PathBuf,
    pub(crate) new: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let old = tarball(folder.path(), "1.0.0", &OLD);
        let new = tarball(folder.path(), "1.1.0", &NEW);
        Self { folder, old, new }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn clear(&self) {
        fs::remove_dir_all(self.root()).unwrap();
    }

    pub(crate) fn open(&self) -> Store {
        open(&self.root()).unwrap()
    }

    /// Opens the root and makes release 1.0.0 permanent.
    pub(crate) fn with_old(&self) -> Store {
        let mut store = self.open();
        store.unpack(&self.old, &platform()).unwrap();
        let vsn = "1.0.0".parse().unwrap();
        store.install(&vsn).unwrap();
        store.make_permanent(&vsn).unwrap();
        store
    }
}

/// Opens a root on a sound disk.
pub(crate) fn open(root: &Path) -> Result<Store, Error> {
    Store::open_on(root, Arc::new(FaultyDisk::sound()))
}

/// Returns the files of a release by path; `apps` holds (name, version, content of the library).
pub(crate) fn files(version: &str, apps: &[(&str, &str, &str)]) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut rel = format!("name = \"shop\"\nversion = \"{version}\"\ndaemon = \"1.0.0\"\n");
    for (name, vsn, library) in apps {
        rel += &format!("[[app]]\nname = \"{name}\"\nversion = \"{vsn}\"\n");
        let mut add = |file: &str, text: String| files.insert(format!("lib/{name}-{vsn}/{file}"), text);
        add("app.toml", format!("name = \"{name}\"\nversion = \"{vsn}\"\n"));
        add("appup.toml", format!("app = \"{name}\"\nversion = \"{vsn}\"\n"));
        add(&format!("{name}.so"), (*library).to_owned());
        add("priv/www/index.html", "<p>hello".to_owned());
    }
    files.insert(format!("releases/{version}/release.toml"), rel);
    files.insert(format!("releases/{version}/config.toml"), "[counter]\nlimit = 5\n".to_owned());
    files
}

pub(crate) fn manifest(version: &str, files: &BTreeMap<String, String>) -> Manifest {
    let entry = |(path, text): (&String, &String)| Source::Text(text.clone()).entry(path, false).unwrap();
    Manifest {
        name: "shop".parse().unwrap(),
        version: version.parse().unwrap(),
        target: platform().target,
        reld: platform().reld,
        abi: platform().abi,
        serial: 0,
        files: files.iter().map(entry).collect(),
    }
}

pub(crate) fn platform() -> Platform {
    Platform {
        target: "x86_64-unknown-linux-gnu".to_owned(),
        abi: Abi { major: 1, minor: 0 },
        reld: "1.0.0".parse().unwrap(),
    }
}

/// Writes the tarball of a release as the packer does.
pub(crate) fn tarball(folder: &Path, version: &str, apps: &[(&str, &str, &str)]) -> PathBuf {
    let files = files(version, apps);
    write(folder, &manifest(version, &files), &files)
}

pub(crate) fn write(folder: &Path, manifest: &Manifest, files: &BTreeMap<String, String>) -> PathBuf {
    let path = folder.join(format!("shop-{}.tar.gz", manifest.version));
    let sources = files.iter().map(|(path, text)| (path.clone(), Source::Text(text.clone()))).collect();
    writing::write(&path, manifest, &sources, Purpose::Keep).unwrap();
    path
}

/// An entry of a tarball that another tool might write.
#[derive(Debug, Clone)]
pub(crate) struct RawEntry {
    pub(crate) path: String,
    pub(crate) kind: u8,
    pub(crate) content: Vec<u8>,
    /// The size in the header, if it is false.
    pub(crate) size: Option<u64>,
}

pub(crate) fn raw(path: &str, content: &str) -> RawEntry {
    RawEntry { path: path.to_owned(), kind: b'0', content: content.as_bytes().to_vec(), size: None }
}

pub(crate) fn raw_entries(manifest: &Manifest, files: &BTreeMap<String, String>) -> Vec<RawEntry> {
    let files = files.iter().map(|(path, text)| raw(path, text));
    [raw(MANIFEST, &manifest.print())].into_iter().chain(files).collect()
}

/// Returns the bytes of a tarball with these entries, valid or not.
pub(crate) fn raw_tarball(entries: &[RawEntry]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        // The path is written directly into the header, because the tar library refuses the paths
        // under test.
        header.as_old_mut().name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        header.set_entry_type(tar::EntryType::new(entry.kind));
        header.set_size(entry.size.unwrap_or(entry.content.len() as u64));
        header.set_cksum();
        tar.append(&header, &*entry.content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

pub(crate) fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

pub(crate) fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// Returns every file below the folders of a root with its content.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let path_and_content = |path: PathBuf| {
        let content = fs::read(folder.join(&path)).unwrap();
        (path.to_str().unwrap().to_owned(), content)
    };
    let folders = ["lib", "releases", "run", "staging"];
    folders.iter().flat_map(|top| verify::files(folder, top).unwrap()).map(path_and_content).collect()
}
