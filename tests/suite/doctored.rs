//! Modified releases that a packer would not produce.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reld_tests::{assert_contains, release};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Contents of a tarball, by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

const MANIFEST: &str = "manifest.toml";

/// Packs a release again after a change of its files, with a matching manifest. Returns its folder
/// and path.
pub(crate) fn doctored(name: &str, change: impl FnOnce(&mut Files)) -> (TempDir, String) {
    doctored_with(name, change, |_| ())
}

/// Like `doctored`, with a change of the manifest's other keys.
pub(crate) fn doctored_with(
    name: &str,
    change: impl FnOnce(&mut Files),
    claim: impl FnOnce(&mut toml::Table),
) -> (TempDir, String) {
    let mut files = files(&release(name));
    let manifest = files.remove(MANIFEST).expect("it has a manifest");
    change(&mut files);
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let path = scratch.path().join(format!("{name}.tar.gz"));
    let gzip = GzEncoder::new(File::create(&path).expect("the folder can be written"), Compression::fast());
    let mut tarball = tar::Builder::new(gzip);
    let mut append = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tarball.append_data(&mut header, path, content).expect("the disk has space");
    };
    append(MANIFEST, &listing(&manifest, &files, claim));
    files.iter().for_each(|(path, content)| append(path, content));
    tarball.into_inner().and_then(GzEncoder::finish).expect("the disk has space");
    (scratch, path.to_string_lossy().into_owned())
}

/// Returns the release under another name.
pub(crate) fn renamed(release: &str, name: &str) -> (TempDir, String) {
    let (old, version) = release.split_once('-').expect("a name and a version");
    let path = format!("releases/{version}/release.toml");
    doctored_with(
        release,
        |files| edit(files, &path, &format!("name = \"{old}\""), &format!("name = \"{name}\"")),
        |manifest| drop(manifest.insert("name".to_owned(), name.into())),
    )
}

/// Replaces a part of a document.
#[track_caller]
pub(crate) fn edit(files: &mut Files, path: &str, from: &str, to: &str) {
    let text = str::from_utf8(&files[path]).expect("a document is text");
    assert_contains(text, &[from]);
    let text = text.replace(from, to);
    files.insert(path.to_owned(), text.into_bytes());
}

/// Returns the contents of a tarball, including the manifest.
pub(crate) fn files(tarball: &str) -> Files {
    let sound = File::open(tarball).expect("the tarball exists");
    let mut sound = tar::Archive::new(GzDecoder::new(sound));
    let entries = sound.entries().expect("it is a tarball").map(|entry| {
        let mut entry = entry.expect("the entry can be read");
        let path = entry.path().expect("it has a name").to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("the entry can be read");
        (path, content)
    });
    entries.collect()
}

fn listing(manifest: &[u8], files: &Files, claim: impl FnOnce(&mut toml::Table)) -> Vec<u8> {
    let text = str::from_utf8(manifest).expect("a manifest is text");
    let mut manifest: toml::Table = text.parse().expect("a manifest is TOML");
    let lines = files.iter().map(|(path, content)| {
        let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let size = i64::try_from(content.len()).expect("a small file");
        let fields = [("path", path.as_str().into()), ("size", size.into()), ("sha256", digest.into())];
        toml::Value::Table(fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
    });
    manifest.insert("file".to_owned(), lines.collect::<Vec<_>>().into());
    claim(&mut manifest);
    manifest.to_string().into_bytes()
}
