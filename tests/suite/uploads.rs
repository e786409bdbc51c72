//! Uploads of tarballs: they are checked while they arrive, and bounded.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reld_tests::{Node, Run, assert_contains, eventually, release};

use crate::doctored::doctored_with;

/// Time limit of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Announces a body of a gigabyte for an unpack, sends only its beginning, and returns the answer.
fn answer_to(node: &Node, begin: &[u8]) -> String {
    let mut stream = UnixStream::connect(node.socket()).expect("the daemon listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a time-out");
    let head = format!("POST /releases/unpack HTTP/1.0\r\nHost: reld\r\nContent-Length: {}\r\n\r\n", 1 << 30);
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(begin)).expect("the daemon reads");
    let mut answer = String::new();
    while !answer.ends_with("}}") {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).expect("the daemon answers");
        assert_ne!(length, 0, "the answer is cut off: {answer}");
        answer += &String::from_utf8_lossy(&part[..length]);
    }
    answer
}

#[track_caller]
fn check_nothing_left(node: &Node) {
    for folder in ["staging", "run/uploads"] {
        let left = fs::read_dir(node.root().join(folder)).expect("the node has such a folder");
        assert_eq!(left.count(), 0, "{folder}");
    }
    assert_eq!(node.releases(), []);
}

#[test]
fn an_upload_that_is_no_tarball_is_refused_at_its_beginning() {
    let node = Node::start();
    let answer = answer_to(&node, &[0; 4096]);
    assert_contains(&answer, &["409", "bad_tarball", "not a complete gzip-compressed tar archive"]);
    check_nothing_left(&node);
    let refused = node.refused(&["unpack", "/dev/zero"]);
    assert_eq!(refused.kind, "bad_tarball", "{refused:?}");
    check_nothing_left(&node);
}

#[test]
fn a_tarball_comes_from_stdin_where_a_command_takes_a_file() {
    let node = Node::start();
    let from_stdin = |args: &[&str], name: &str| {
        let tarball = File::open(release(name)).expect("it was packed");
        Run::of(node.relctl(args).stdin(tarball)).expect(0).stdout
    };
    assert_contains(&from_stdin(&["unpack", "-"], "shop-1.0.0"), &["unpacked shop 1.0.0"]);
    from_stdin(&["upgrade", "-"], "shop-1.0.0");
    from_stdin(&["upgrade", "-", "--dry-run"], "shop-1.1.0");
    assert_eq!((node.version(), node.releases().len()), ("1.0.0".to_owned(), 1));
    // As a pipe, in pieces.
    let mut upgrade = node.relctl(&["upgrade", "-"]);
    let mut upgrade = upgrade.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("relctl can be run");
    let mut pipe = upgrade.stdin.take().expect("it is piped");
    for piece in fs::read(release("shop-1.1.0")).expect("it was packed").chunks(10_000) {
        pipe.write_all(piece).expect("relctl reads");
    }
    drop(pipe);
    assert!(upgrade.wait().expect("relctl ends").success());
    assert_eq!(node.version(), "1.1.0");
}

#[test]
fn a_refusal_ends_the_command_while_its_stdin_stays_open() {
    let node = Node::start();
    let mut unpack = node.relctl(&["unpack", "-"]);
    let mut unpack = unpack.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("relctl can be run");
    let mut pipe = unpack.stdin.take().expect("it is piped");
    pipe.write_all(&[0; 4096]).expect("relctl reads");
    let ended = eventually("relctl ends", || unpack.try_wait().expect("it is ours"));
    assert_eq!(ended.code(), Some(1));
    drop(pipe);
    check_nothing_left(&node);
}

#[test]
fn a_tarball_longer_than_its_manifest_allows_is_refused() {
    let node = Node::start();
    let begin = fs::read(release("shop-1.0.0")).expect("the tarball exists");
    // Each repetition is a complete tarball. Everything after the first is too much.
    let answer = answer_to(&node, &begin.repeat(20));
    assert_contains(
        &answer,
        &["409", "bad_tarball", "it is longer than the files in its manifest.toml allow"],
    );
    check_nothing_left(&node);
}

/// Writes the beginning of a tarball with a library of `size` zeros.
fn of_zeros(path: &Path, size: u64) {
    let manifest = format!(
        "name = \"shop\"\nversion = \"1.0.0\"\ntarget = \"{}\"\nreld = \"0.1.0\"\n[abi]\nmajor = 1\nminor = 0\n\
         [[file]]\npath = \"lib/a-1.0.0/a.so\"\nsize = {size}\nsha256 = \"{}\"\n",
        "x86_64-unknown-linux-gnu",
        "0".repeat(64)
    );
    let file = File::create(path).expect("the root can be written");
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    let mut append = |name: &str, size: u64, content: &mut dyn std::io::Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content).expect("the disk has space");
    };
    append("manifest.toml", manifest.len() as u64, &mut manifest.as_bytes());
    append("lib/a-1.0.0/a.so", size, &mut std::io::repeat(0).take(16 << 20));
    tar.into_inner().and_then(GzEncoder::finish).expect("the disk has space");
}

#[test]
fn a_manifest_with_more_bytes_than_a_release_may_have_is_refused_before_anything_is_written() {
    let node = Node::start();
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = place.path().join("large.tar.gz");
    of_zeros(&tarball, 5 << 30);
    let refused = node.refused(&["unpack", &tarball.to_string_lossy()]);
    assert_contains(
        &refused.causes.join(" "),
        &["it claims 5368709120 bytes, but at most 4294967296 are allowed"],
    );
    check_nothing_left(&node);
}

#[test]
fn a_manifest_with_an_unknown_key_is_refused_with_its_place_and_a_newer_one_by_its_version() {
    let node = Node::start();
    let extra = |manifest: &mut toml::Table| drop(manifest.insert("color".to_owned(), "red".into()));
    let (_scratch, tarball) = doctored_with("shop-1.0.0", |_| (), extra);
    let refused = node.run(&["unpack", &tarball]).expect(1).stderr;
    assert_contains(&refused, &["its manifest.toml is damaged", "manifest.toml:", "unknown field `color`"]);
    let (_scratch, tarball) = doctored_with(
        "shop-1.0.0",
        |_| (),
        |manifest| {
            extra(manifest);
            manifest.insert("reld".to_owned(), "9.9.9".into());
        },
    );
    let refused = node.run(&["unpack", &tarball]).expect(1).stderr;
    assert_contains(&refused, &["it needs reld 9.9.9 or newer, and this is reld 0.1.0"]);
    check_nothing_left(&node);
}

#[test]
fn quotes_in_messages_are_bounded_and_contain_no_control_characters() {
    let node = Node::start();
    let long = "x".repeat(1 << 20);
    let (_scratch, tarball) = doctored_with(
        "shop-1.0.0",
        |_| (),
        |manifest| drop(manifest.insert(format!("{long}\u{1b}[2J"), "red".into())),
    );
    let refused = node.run(&["unpack", &tarball]).expect(1).stderr;
    assert!(refused.len() < 8 * 1024, "{} bytes", refused.len());
    let (_scratch, tarball) = doctored_with(
        "shop-1.0.0",
        |_| (),
        |manifest| drop(manifest.insert("\u{1b}[2J\u{9b}\u{202e}".to_owned(), "red".into())),
    );
    let refused = node.run(&["unpack", &tarball]).expect(1).stderr;
    assert_contains(&refused, &["\\u009b\\u202e"]);
    assert!(!refused.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{refused:?}");
    let mut stream = UnixStream::connect(node.socket()).expect("the daemon listens");
    let body = format!("{{\"process\": \"{long}\", \"request\": null}}");
    let length = body.len();
    let head = format!("POST /call HTTP/1.0\r\nHost: reld\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).expect("the daemon reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the daemon answers");
    assert_contains(&answer, &["noproc", "more characters"]);
    assert!(answer.len() < 32 * 1024, "{} bytes", answer.len());
}
