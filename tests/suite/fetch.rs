//! Tarballs from a URL (S127): an http server that cuts, changes its file, or knows no ranges.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use reld_api::response::Unpacked;
use reld_tests::tools::need;
use reld_tests::{Node, Run, assert_contains, eventually, release};
use tempfile::TempDir;

use crate::settle::{beside, end};

/// The file of a server, and its habits.
#[derive(Clone)]
struct Habits {
    content: Vec<u8>,
    tag: &'static str,
    gives_ranges: bool,
    /// The position at which each connection ends, and whether it ends or stays silent.
    cut: Option<(usize, Cut)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// The first connection ends there. Then the next release of the file is its content, if one is
    /// named.
    Once(Option<&'static str>),
    /// The connection stays open without a byte.
    Silent,
}

/// A server for one file.
pub(crate) struct Server {
    pub(crate) url: String,
    habits: Arc<Mutex<Habits>>,
    /// The `Range` of each request, or an empty text.
    ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(habits: Habits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = Self {
            url: format!("http://{address}/stage.tar.gz?signature=secret"),
            habits: Arc::new(Mutex::new(habits)),
            ranges: Arc::default(),
        };
        let (habits, ranges) = (Arc::clone(&server.habits), Arc::clone(&server.ranges));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (habits, ranges) = (Arc::clone(&habits), Arc::clone(&ranges));
                // The client may hang up at any time.
                thread::spawn(move || drop(answer(stream, &habits, &ranges)));
            }
        });
        server
    }

    fn habits(&self) -> MutexGuard<'_, Habits> {
        self.habits.lock().expect("no test panics with it")
    }

    /// Returns and forgets the ranges of the requests.
    pub(crate) fn ranges(&self) -> Vec<String> {
        std::mem::take(&mut *self.ranges.lock().expect("no test panics with it"))
    }
}

fn answer(stream: TcpStream, habits: &Mutex<Habits>, ranges: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let (mut range, mut tag) = (String::new(), String::new());
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "range" => range = value.to_owned(),
            "if-range" => tag = value.to_owned(),
            _ => {}
        }
    }
    ranges.lock().expect("no test panics with it").push(range.clone());
    let now = habits.lock().expect("no test panics with it").clone();
    let wanted = range.strip_prefix("bytes=").and_then(|range| range.trim_end_matches('-').parse().ok());
    let from: usize = wanted.filter(|_| now.gives_ranges && tag == now.tag).unwrap_or(0);
    let (size, left) = (now.content.len(), now.content.len() - from);
    let status = if from > 0 {
        format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{size}", size - 1)
    } else {
        "200 OK".to_owned()
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {left}\r\nETag: {}\r\nConnection: close\r\n\r\n",
        now.tag
    )?;
    let Some((at, how)) = now.cut.filter(|(at, _)| *at > from) else {
        return stream.write_all(&now.content[from..]);
    };
    stream.write_all(&now.content[from..at])?;
    if let Cut::Once(next) = how {
        let mut habits = habits.lock().expect("no test panics with it");
        habits.cut = None;
        if let Some(next) = next {
            habits.content = fs::read(release(next))?;
            habits.tag = "\"two\"";
        }
        return Ok(());
    }
    // The end of the client ends the wait.
    lines.next().transpose().map(drop)
}

/// Starts a server for the tarball of a release.
pub(crate) fn serve(name: &str) -> Server {
    let content = fs::read(release(name)).expect("it was packed");
    Server::start(Habits { content, tag: "\"one\"", gives_ranges: true, cut: None })
}

fn server() -> (Server, usize) {
    let server = serve("stage-1.0.0");
    let cut = server.habits().content.len() * 2 / 5;
    (server, cut)
}

/// Returns the position of a range.
fn position(range: &str) -> usize {
    let position = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
    position.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("a range: {range:?}"))
}

#[track_caller]
fn check_nothing_left(node: &Node) {
    let left = fs::read_dir(node.root().join("downloads")).expect("the folder exists");
    assert_eq!(left.count(), 0);
}

#[test]
fn s127_a_download_that_was_cut_goes_on_where_it_was_cut_if_the_file_is_the_same() {
    let (server, cut) = server();
    let node = Node::start();
    server.habits().cut = Some((cut, Cut::Once(None)));
    let unpacked: Unpacked = node.read(&["unpack", &server.url]);
    assert_eq!((unpacked.version.as_str(), unpacked.changed), ("1.0.0", true));
    let ranges = server.ranges();
    assert_eq!((ranges.len(), ranges[0].as_str(), position(&ranges[1])), (2, "", cut));
    check_nothing_left(&node);
    node.ok(&["remove", "1.0.0"]);

    // Another file under the same URL.
    server.habits().cut = Some((cut, Cut::Once(Some("stage-2.0.0"))));
    let unpacked: Unpacked = node.read(&["unpack", &server.url]);
    assert_eq!(unpacked.version, "2.0.0");
    assert_eq!(position(&server.ranges()[1]), cut, "the rest was asked for");
    node.ok(&["remove", "2.0.0"]);

    // A server without ranges sends the file from its beginning.
    server.habits().gives_ranges = false;
    server.habits().cut = Some((cut, Cut::Once(None)));
    node.ok(&["unpack", &server.url]);
    check_nothing_left(&node);
    assert!(!node.log().contains("secret"), "the query of a presigned URL is not logged");
}

#[test]
fn s127_a_download_goes_on_after_a_restart_of_the_daemon() {
    let (server, cut) = server();
    let mut node = Node::start();
    server.habits().cut = Some((cut, Cut::Silent));
    let unpack = beside(&node, &["unpack", &server.url]);
    let part = || {
        let mut files = fs::read_dir(node.root().join("downloads")).ok()?.map_while(Result::ok);
        let part = files.find(|file| file.path().extension().is_some_and(|end| end == "part"))?;
        (part.metadata().ok()?.len() == cut as u64).then_some(())
    };
    eventually("a part has come", part);
    let busy = node.refused(&["unpack", &server.url]);
    assert_eq!(busy.kind, "busy");
    node.kill_9_and_restart();
    assert_ne!(end(unpack).code, 0);
    server.habits().cut = None;
    server.ranges();
    let url = server.url.replace("secret", "other");
    node.ok(&["unpack", &url]);
    assert_eq!(position(&server.ranges()[0]), cut, "a new signature continues the same file");
    check_nothing_left(&node);
}

#[test]
fn s127_a_wrong_file_is_refused_and_leaves_nothing() {
    let (server, _) = server();
    let node = Node::start();
    let foreign = "b".repeat(64);
    let other = node.refused(&["unpack", &server.url, "--identity", &foreign]);
    assert_eq!(other.kind, "other_identity");
    assert!(!other.message.contains("secret"), "{other}");
    check_nothing_left(&node);
    let last = server.habits().content.len() - 100;
    server.habits().content[last] ^= 1;
    assert_eq!(node.refused(&["unpack", &server.url]).kind, "bad_tarball");
    check_nothing_left(&node);
    assert_eq!(node.releases(), []);
    let local = format!("file://{}", release("stage-1.0.0"));
    node.ok(&["unpack", &local]);
    let identity = &node.releases()[0].identity;
    node.ok(&["unpack", &local, "--identity", identity]);
    let missing = node.refused(&["unpack", "file:///nowhere/a.tar.gz"]);
    assert_contains(&missing.causes.join(" "), &["No such file"]);
    assert_eq!(node.refused(&["unpack", "ftp://h/a.tar.gz"]).kind, "download_failed");
    node.error(2, &["unpack", "a.tar.gz", "--identity", &foreign]);
    let upgrade = node.error(2, &["upgrade", &local]);
    assert_contains(&upgrade.hint.unwrap_or_default(), &["`relctl unpack URL`, then"]);
    node.error(2, &["unpack", &local, "--identity", "beef"]);
}

/// An https server of openssl with a certificate of its own CA.
struct Secure {
    folder: TempDir,
    server: Child,
    url: String,
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Secure {
    fn start(openssl: &PathBuf, content: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // The file is the whole answer.
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len());
        let answer = [head.as_bytes(), content].concat();
        fs::write(folder.path().join("stage.tar.gz"), answer).expect("the folder can be written");
        let certify = |name: &str, options: &[&str]| {
            let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
            let mut req = Command::new(openssl);
            req.current_dir(&folder).args(["req", "-x509", "-nodes", "-newkey", "ec"]);
            req.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", &format!("/CN={name}")]);
            req.args(["-keyout", &key, "-out", &certificate]).args(options);
            Run::of(&mut req).expect(0);
        };
        certify("ca", &[]);
        let leaf = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"];
        certify("server", &[&["-CA", "ca.pem", "-CAkey", "ca.key"], &leaf[..]].concat());
        let mut server = Command::new("setpriv");
        server.args(["--pdeathsig", "KILL", "--"]).arg(openssl).current_dir(&folder);
        server.args(["s_server", "-HTTP", "-accept", "127.0.0.1:0"]);
        server.args(["-cert", "server.pem", "-key", "server.key"]);
        server.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = server.spawn().expect("openssl can be run");
        let mut lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
        let address = lines.find_map(|line| line.ok()?.strip_prefix("ACCEPT ").map(str::to_owned));
        let url = format!("https://{}/stage.tar.gz", address.expect("the server listens"));
        // The server ends if nothing reads its lines.
        thread::spawn(move || lines.for_each(drop));
        Self { folder, server, url }
    }
}

#[test]
fn an_https_server_needs_a_certificate_that_the_machine_or_the_operator_trusts() {
    let Some(openssl) = need("openssl") else { return };
    let content = fs::read(release("stage-1.0.0")).expect("it was packed");
    let server = Secure::start(&openssl, &content);
    let refused = Node::start().refused(&["unpack", &server.url]);
    assert_eq!(refused.kind, "download_failed");
    let sentence = format!("cannot fetch {}: its certificate is not accepted (UnknownIssuer); ", server.url);
    assert!(refused.message.starts_with(&sentence) && refused.causes.is_empty(), "{refused:?}");
    assert_contains(&refused.message, &["or name a file with the CA in SSL_CERT_FILE"]);

    let ca = server.folder.path().join("ca.pem").display().to_string();
    let node = Node::start_in(&[("SSL_CERT_FILE", &ca)]);
    let unpacked: Unpacked = node.read(&["unpack", &server.url]);
    assert_eq!(unpacked.version, "1.0.0");
    check_nothing_left(&node);
}
