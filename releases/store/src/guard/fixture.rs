//! A place with a policy and signed tarballs, for the tests of the guard.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use minisign::KeyPair;
use reld_plan::Vsn;
use reld_trust::{PolicyFile, Seal};

use crate::fixture::{self, NEW, OLD};
use crate::manifest::Manifest;
use crate::package::head_of_tarball;
use crate::store::Store;
use crate::store::arrival::UnpackOptions;
use crate::writing::reseal;

/// A place with a policy and the tarballs of releases.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Makes a place whose policy requires signatures of these keys.
    pub(crate) fn new(require: &str, keys: &[(&str, &KeyPair)]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("keys.d")).unwrap();
        for (name, pair) in keys {
            fs::write(place.path(&format!("keys.d/{name}.pub")), pair.pk.to_base64()).unwrap();
        }
        place.require(require);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn require(&self, require: &str) {
        fs::write(self.path("trust.toml"), format!("require = \"{require}\"\n")).unwrap();
    }

    pub(crate) fn open(&self) -> Store {
        let mut store = fixture::open(&self.path("root")).unwrap();
        store.trust(PolicyFile::Usual(self.path("trust.toml")));
        store
    }

    /// Writes the tarball of release 1.`minor`.0 with this serial, and these lines as `keys.toml`.
    pub(crate) fn release(&self, minor: u64, serial: u64, keys: &str) -> PathBuf {
        self.release_with(minor, serial, keys, |_| ())
    }

    /// As [`release`](Self::release), signed with a key.
    pub(crate) fn signed(&self, minor: u64, serial: u64, keys: &str, pair: &KeyPair) -> PathBuf {
        let tarball = self.release(minor, serial, keys);
        sign(&tarball, pair);
        tarball
    }

    /// As [`release`](Self::release), with a change of the manifest.
    pub(crate) fn release_with(
        &self,
        minor: u64,
        serial: u64,
        keys: &str,
        change: impl FnOnce(&mut Manifest),
    ) -> PathBuf {
        let version = vsn(minor).to_string();
        let mut files = fixture::files(&version, if minor == 0 { &OLD } else { &NEW });
        if !keys.is_empty() {
            files.insert(format!("releases/{version}/keys.toml"), keys.to_owned());
        }
        if serial > 0 {
            let rel = files.get_mut(&format!("releases/{version}/release.toml")).unwrap();
            rel.insert_str(0, &format!("serial = {serial}\n"));
        }
        let mut manifest = fixture::manifest(&version, &files);
        manifest.serial = serial;
        change(&mut manifest);
        fixture::write(self.folder.path(), &manifest, &files)
    }
}

/// Returns a node that requires signatures of the key `ci`, with release 1.0.0 as its permanent
/// one, and the tarball of the release, with these lines as its `keys.toml`.
pub(crate) fn committed(ours: &KeyPair, keys: &str) -> (Place, Store, PathBuf) {
    let place = Place::new("signed", &[("ci", ours)]);
    let mut store = place.open();
    let tarball = place.signed(0, 0, keys, ours);
    unpack(&mut store, &tarball).unwrap();
    commit(&mut store, 0);
    (place, store, tarball)
}

pub(crate) fn vsn(minor: u64) -> Vsn {
    Vsn::new(1, minor, 0)
}

/// Returns a `keys.toml` that adds a key.
pub(crate) fn brings(name: &str, pair: &KeyPair) -> String {
    format!("[[add]]\nname = \"{name}\"\nkey = \"{}\"\n", pair.pk.to_base64())
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

/// Signs a tarball with a claim about it, which may be false.
pub(crate) fn sign_as(tarball: &Path, pair: &KeyPair, claim: &str) {
    let head = head_of_tarball(tarball).unwrap();
    let content = Cursor::new(head.text.as_bytes());
    let signed = minisign::sign(None, &pair.sk, content, Some(claim), None).unwrap();
    reseal(tarball, &Seal::parse(&signed.into_string()).unwrap()).unwrap();
}

pub(crate) fn sign(tarball: &Path, pair: &KeyPair) {
    sign_as(tarball, pair, &head_of_tarball(tarball).unwrap().manifest.claim().to_string());
}

pub(crate) fn unpack(store: &mut Store, tarball: &Path) -> Result<Vec<String>, String> {
    unpack_with(store, tarball, UnpackOptions::default())
}

pub(crate) fn unpack_with(
    store: &mut Store,
    tarball: &Path,
    options: UnpackOptions,
) -> Result<Vec<String>, String> {
    let unpacked = store.unpack_with(tarball, &fixture::platform(), options);
    unpacked.map(|unpacked| unpacked.warnings).map_err(|error| match error {
        crate::Error::Tarball { source, .. } => source.to_string(),
        other => other.to_string(),
    })
}

pub(crate) fn commit(store: &mut Store, minor: u64) {
    store.install(&vsn(minor)).unwrap();
    store.make_permanent(&vsn(minor)).unwrap();
}

pub(crate) fn admit(store: &Store, minor: u64) -> Result<Vec<String>, String> {
    let admitted = store.admit(&vsn(minor));
    admitted.map(|(_, warnings)| warnings).map_err(|error| error.to_string())
}
