//! Measures purges of old code by hand, with N processes that run the new code.
//!
//! A figure is the round trip of a request on the node's socket: the purge and the request itself.
//! OTP's figures are of the call inside its node.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use reld_tests::{Node, folder, release};
use serde_json::{Value, json};

use crate::upgrade::Servers;
use crate::{line, upgrade};

pub(crate) fn run(reps: usize, n: u64) {
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    upgrade::fill(&node, Servers { n, state: "small", shape: "simple", groups: 1 });
    let mut samples = Vec::new();
    for rep in 0..reps {
        // Each load leaves the previous version behind as old code.
        let version = ["1.1.0", "1.0.0"][rep % 2];
        let dir = folder(&format!("tests/bench/lib/pool-{version}"));
        node.ok(&["load", &dir.to_string_lossy(), "--profile", "release", "--force"]);
        for module in
            ["server_2", "server_3", "server_4", "dynamic_sup", "static_sup", "pool_sup", "pool_app"]
        {
            soft_purge(&node, module);
        }
        samples.push(soft_purge(&node, "server"));
    }
    line::print("soft_purge", &json!({"n": n}), "us", samples);
}

/// Purges a module and returns the round trip in microseconds.
fn soft_purge(node: &Node, module: &str) -> f64 {
    let body = json!({ "module": module }).to_string();
    let begin = Instant::now();
    let answer = post(node, "/soft_purge", &body).expect("the node answers on its socket");
    let took = begin.elapsed();
    assert_eq!(answer["purged"], json!(true), "{answer:#}");
    took.as_secs_f64() * 1e6
}

fn post(node: &Node, path: &str, body: &str) -> io::Result<Value> {
    let mut stream = UnixStream::connect(node.socket())?;
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: reld\r\nContent-Type: application/json\r\n");
    write!(stream, "{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut answer = String::new();
    reader.read_to_string(&mut answer)?;
    Ok(serde_json::from_str(&answer).unwrap_or(Value::String(answer)))
}
