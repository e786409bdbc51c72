//! etcd on loopback, for the tests of fleets.

use std::env;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::{Run, eventually};
use crate::tools::need;

/// Time limit for an answer of etcd.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of attempts to start on free ports. Another program may take a port first.
const ATTEMPTS: usize = 5;

/// A cluster of etcd with data of its own. Dropping this value kills it.
///
/// The program is `RELD_ETCD`, or `etcd` from the `PATH`. A test is skipped where it is missing.
#[derive(Debug)]
pub struct Etcd {
    folder: TempDir,
    program: PathBuf,
    options: Vec<String>,
    scheme: &'static str,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    ports: Ports,
    process: Child,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
    /// The port of `/health`, which needs neither TLS nor a password.
    health: u16,
}

impl Etcd {
    /// Starts one member.
    #[track_caller]
    pub fn start() -> Option<Self> {
        Some(Self::begin(program()?, 1, "http", |_| Vec::new()))
    }

    /// Starts three members.
    #[track_caller]
    pub fn start_three() -> Option<Self> {
        Some(Self::begin(program()?, 3, "http", |_| Vec::new()))
    }

    /// Starts a member with its JSON gateway switched off.
    #[track_caller]
    pub fn start_without_gateway() -> Option<Self> {
        Some(Self::begin(program()?, 1, "http", |_| vec!["--enable-grpc-gateway=false".to_owned()]))
    }

    /// Starts a member that requires certificates of a CA made for this cluster. [`ca`](Self::ca),
    /// [`certificate`](Self::certificate) and [`key`](Self::key) are the files.
    #[track_caller]
    pub fn start_with_tls() -> Option<Self> {
        let (program, openssl) = (program()?, need("openssl")?);
        Some(Self::begin(program, 1, "https", |folder| {
            make_certificates(&openssl, folder);
            let file = |option: &str, name: &str| format!("--{option}={}", folder.join(name).display());
            vec![
                file("cert-file", "node.pem"),
                file("key-file", "node.key"),
                file("trusted-ca-file", "ca.pem"),
                "--client-cert-auth".to_owned(),
            ]
        }))
    }

    fn begin(
        program: PathBuf,
        members: usize,
        scheme: &'static str,
        options: impl FnOnce(&Path) -> Vec<String>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let options = options(folder.path());
        let mut etcd = Self { folder, program, options, scheme, members: Vec::new() };
        let started = (0..ATTEMPTS).any(|_| {
            let ports: Vec<_> = (0..members).map(|_| Ports::free()).collect();
            let start = |member| Member { ports: ports[member], process: etcd.spawn(&ports, member) };
            etcd.members = (0..members).map(start).collect();
            etcd.answers()
        });
        assert!(started, "etcd does not start:\n{}", etcd.log());
        etcd
    }

    fn spawn(&self, ports: &[Ports], member: usize) -> Child {
        let peer = |ports: &Ports| format!("http://127.0.0.1:{}", ports.peer);
        let cluster = (0..).zip(ports).map(|(member, ports)| format!("m{member}={}", peer(ports)));
        let cluster = cluster.collect::<Vec<_>>().join(",");
        let Ports { client, health, .. } = ports[member];
        let client = format!("{}://127.0.0.1:{client}", self.scheme);
        let log = File::options().create(true).append(true).open(self.log_file());
        let log = log.expect("a temporary folder can be written");
        let mut etcd = Command::new("setpriv");
        etcd.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
        etcd.args(["--name", &format!("m{member}"), "--initial-cluster", &cluster]);
        etcd.arg("--data-dir").arg(self.folder.path().join(format!("data{}", ports[member].peer)));
        for option in ["--listen-client-urls", "--advertise-client-urls"] {
            etcd.args([option, &client]);
        }
        for option in ["--listen-peer-urls", "--initial-advertise-peer-urls"] {
            etcd.args([option, &peer(&ports[member])]);
        }
        etcd.args(["--listen-metrics-urls", &format!("http://127.0.0.1:{health}")]);
        etcd.args(["--heartbeat-interval", "50", "--election-timeout", "500"]);
        etcd.args(["--logger", "zap", "--log-level", "warn"]).args(&self.options);
        etcd.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be opened twice")).stderr(log);
        etcd.spawn().expect("etcd can be run")
    }

    /// Waits until each member answers. Returns false if one has ended.
    fn answers(&mut self) -> bool {
        self.members.iter_mut().all(|Member { ports, process }| {
            eventually("etcd answers", || match process.try_wait().expect("etcd can be watched") {
                Some(_) => Some(false),
                None => {
                    let health = request(ports.health, "GET", "/health", None)?;
                    health.contains(r#""health":"true""#).then_some(true)
                }
            })
        })
    }

    /// Returns the URLs of the members.
    pub fn endpoints(&self) -> Vec<String> {
        let url = |member: &Member| format!("{}://127.0.0.1:{}", self.scheme, member.ports.client);
        self.members.iter().map(url).collect()
    }

    /// Returns the port of the first member, for a [`Proxy`](crate::Proxy).
    pub fn port(&self) -> u16 {
        self.members[0].ports.client
    }

    /// Stops all members with SIGSTOP. Connections stay open, and no request is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets paused members go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        for member in &self.members {
            Run::of(Command::new("kill").args([signal, &member.process.id().to_string()])).expect(0);
        }
    }

    /// Kills all members.
    pub fn kill(&mut self) {
        (0..self.members.len()).for_each(|member| self.kill_member(member));
    }

    /// Kills one member.
    pub fn kill_member(&mut self, member: usize) {
        let process = &mut self.members[member].process;
        process.kill().expect("etcd can be killed");
        process.wait().expect("a killed program ends");
    }

    /// Starts the members again that were killed, with their data, and waits until all answer.
    pub fn start_again(&mut self) {
        let ports: Vec<_> = self.members.iter().map(|member| member.ports).collect();
        for member in 0..ports.len() {
            if self.members[member].process.try_wait().expect("etcd can be watched").is_some() {
                self.members[member].process = self.spawn(&ports, member);
            }
        }
        assert!(self.answers(), "etcd does not start again:\n{}", self.log());
    }

    /// Creates the user `root` and another one, who may read and write everything, and requires a
    /// password of every client.
    pub fn require_password(&self, user: &str, password: &str) {
        for (user, password) in [("root", "root"), (user, password)] {
            self.post("/v3/auth/user/add", &json!({ "name": user, "password": password }));
            self.post("/v3/auth/user/grant", &json!({ "user": user, "role": "root" }));
        }
        self.post("/v3/auth/enable", &json!({}));
    }

    /// Sends a request to the JSON gateway of the first member, without TLS and without a password.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let answer = request(self.port(), "POST", path, Some(&body.to_string())).expect("etcd answers");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.contains(" 200 "), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }

    /// Ends the lease of a key, as if its owner had been away for too long.
    #[track_caller]
    pub fn expire(&self, key: &str) {
        let found = self.post("/v3/kv/range", &json!({ "key": BASE64.encode(key) }));
        let lease = &found["kvs"][0]["lease"];
        assert!(lease.is_string(), "{key} has no lease: {found}");
        self.post("/v3/lease/revoke", &json!({ "ID": lease }));
    }

    /// Returns the file with the certificate of the CA.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns the file with a certificate for clients.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("node.pem")
    }

    /// Returns the file with the key of [`certificate`](Self::certificate).
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("node.key")
    }

    /// Returns the output of all members.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A test may have killed it already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Ports {
    fn free() -> Self {
        // All three are held until each is known, so that they differ.
        let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"));
        let [client, peer, health] =
            held.each_ref().map(|held| held.local_addr().expect("it is bound").port());
        Self { client, peer, health }
    }
}

#[track_caller]
fn program() -> Option<PathBuf> {
    env::var_os("RELD_ETCD").map(PathBuf::from).or_else(|| need("etcd"))
}

/// Sends a request, and returns the head and the body of the answer. `None` without an answer.
fn request(port: u16, method: &str, path: &str, body: Option<&str>) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let body = body.unwrap_or_default();
    let length = body.len();
    // In HTTP/1.0 the body ends with the connection.
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {length}\r\n\r\n{body}")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Makes a CA, and a certificate for 127.0.0.1 that serves the server and its clients.
fn make_certificates(openssl: &Path, folder: &Path) {
    let run = |line: &str| {
        Run::of(Command::new(openssl).args(line.split(' ')).current_dir(folder)).expect(0);
    };
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    run(&format!("{new} -x509 -days 2 -subj /CN=ca -keyout ca.key -out ca.pem"));
    run(&format!("{new} -subj /CN=node -keyout node.key -out node.csr"));
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").expect("the folder can be written");
    run(
        "x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out node.pem",
    );
}
