//! A tarball is refused and leaves no files, or the unpacked files match the manifest.

use std::fs;

use reld_store::{Abi, Platform, Store};

/// Checks one input and returns whether it was accepted.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("there is room");
    let tarball = folder.path().join("release.tar.gz");
    fs::write(&tarball, bytes).expect("there is room");
    let root = folder.path().join("root");
    let mut store = Store::open(&root).expect("an empty root opens");
    match store.unpack(&tarball, &platform()) {
        Ok(unpacked) => {
            store.verify(&unpacked.release.version).expect("the release matches its manifest");
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(store.releases().releases.len(), 0);
            for name in ["lib", "releases"] {
                let left = fs::read_dir(root.join(name)).map_or(0, |entries| {
                    entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir()).count()
                });
                assert_eq!(left, 0, "{left} folders were left in {name}");
            }
            false
        }
    }
}

fn platform() -> Platform {
    Platform {
        target: "x86_64-unknown-linux-gnu".to_owned(),
        abi: Abi { major: 1, minor: 4 },
        reld: "1.0.0".parse().expect("a version"),
    }
}
