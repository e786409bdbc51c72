//! Measures the unpacking of a release of some 50 MB, beside `tar xzf` of the same file and a sync.
//!
//! `unpack_command` is the whole run of `relctl unpack`: it sends the tarball to the node, which
//! compares every file with its digest, writes it and syncs it. tar compares nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use reld_tests::{Node, Run, release};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::line;

/// Number of files added beside the library of an app. `SIZE` is the size of each in bytes; in the
/// tarball their digits take half of it.
const FILES: usize = 100;
const SIZE: usize = 1 << 20;

pub(crate) fn run(reps: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = folder.path().join("big.tar.gz");
    let bytes = enlarge(Path::new(&release("bench-1.1.0")), &tarball);
    let parameters = json!({"tar_gz_bytes": bytes});
    // An idle node, so it has no version of the enlarged app.
    let node = Node::start();
    let (mut ours, mut tar) = (Vec::new(), Vec::new());
    for _ in 0..reps {
        ours.push(timed(|| drop(node.ok(&["unpack", &tarball.to_string_lossy()]))));
        node.ok(&["remove", "1.1.0"]);
        let place = folder.path().join("tar");
        fs::create_dir(&place).expect("a temporary folder can be written");
        tar.push(timed(|| untar(&tarball, &place)));
        fs::remove_dir_all(&place).expect("a temporary folder can be emptied");
    }
    line::print("unpack_command", &parameters, "ms", ours);
    line::print("tar_xzf_and_sync", &parameters, "ms", tar);
}

fn timed(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1e3
}

fn untar(tarball: &Path, place: &Path) {
    Run::of(Command::new("tar").arg("xzf").arg(tarball).arg("-C").arg(place)).expect(0);
    Run::of(Command::new("sync").arg("--file-system").arg(place)).expect(0);
}

/// Copies a release with more files in the `priv` folder of its first app. Returns the size of the
/// new tarball.
fn enlarge(small: &Path, big: &Path) -> u64 {
    let mut entries = read(small);
    let (_, manifest) = entries.remove(0);
    let mut manifest: Table =
        toml::from_str(&String::from_utf8_lossy(&manifest)).expect("a manifest is TOML");
    let app = entries[0].0.parent().expect("an app's document lies in its folder").to_owned();
    for number in 0..FILES {
        entries.push((app.join(format!("priv/{number:03}.txt")), digits(number as u64)));
    }
    entries.sort();
    manifest.insert("file".to_owned(), Value::Array(entries.iter().map(listed).collect()));
    let manifest = (PathBuf::from("manifest.toml"), manifest.to_string().into_bytes());
    let file = File::create(big).expect("a temporary folder can be written");
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for (path, content) in std::iter::once(&manifest).chain(&entries) {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_slice()).expect("a tarball can be written");
    }
    tar.into_inner()
        .and_then(GzEncoder::finish)
        .and_then(|file| file.sync_all())
        .expect("a tarball is whole");
    fs::metadata(big).expect("a tarball was written").len()
}

fn read(tarball: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let file = File::open(tarball).expect("the kit has packed it");
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entry = |entry: io::Result<tar::Entry<'_, _>>| {
        let (mut entry, mut content) = (entry?, Vec::new());
        entry.read_to_end(&mut content)?;
        Ok((entry.path()?.into_owned(), content))
    };
    let entries: io::Result<Vec<_>> = archive.entries().and_then(|entries| entries.map(entry).collect());
    entries.expect("a tarball can be read")
}

fn listed((path, content): &(PathBuf, Vec<u8>)) -> Value {
    let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut entry = Table::new();
    entry.insert("path".to_owned(), Value::String(path.to_string_lossy().into_owned()));
    entry.insert("size".to_owned(), Value::Integer(content.len() as i64));
    entry.insert("sha256".to_owned(), Value::String(sha256));
    Value::Table(entry)
}

/// Returns hexadecimal digits without a pattern, reproducible by the seed (xorshift).
fn digits(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = Vec::with_capacity(SIZE);
    while text.len() < SIZE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(format!("{state:016x}").as_bytes());
    }
    text
}
