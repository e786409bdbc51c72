//! Measures what replaceable code costs a callback, as the duration of calls:
//!
//! ```text
//! typed    a Rust call of `handle_call`, without bytes
//! static   with bytes: decode the request, run, encode the reply; through a table that is linked
//!          into the program, without checks
//! library  the same bytes in a process of a node: through the table of a loaded library, with all
//!          checks of the loader and the runtime before a callback (is the code current, is a gate
//!          up), and with the request kept by the runtime while the callback runs
//! ```
//!
//! `static` allocates with the program's allocator directly, `library` through the table that the
//! daemon passes to libraries. No mailbox is involved. `reld-bench steady` builds the library, runs
//! this program and prints the figures.
#![allow(unsafe_code, reason = "calls a table without the loader's checks, to measure their cost")]
#![expect(clippy::print_stdout, reason = "this program prints samples")]

#[path = "../../../tests/bench/lib/echo.rs"]
mod echo;

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::hint::black_box;
use std::pin::pin;
use std::ptr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use reld_abi as abi;
use reld_loader::{Loader, OpenRequest};
use reld_runtime::Runtime;
use reld_sdk::{Answer, From, GenServer, export};
use reld_wire::Pid;
use rmp_serde::config::BytesMode;
use serde::Serialize;
use serde_json::json;

use echo::{Echo, Load, Payload};

#[global_allocator]
static ALLOCATOR: reld_loader::Mimalloc = reld_loader::Mimalloc;

/// Calls for each sample.
const CALLS: u64 = 200_000;

const PATIENCE: Duration = Duration::from_secs(60);

/// `()`, MessagePack.
const NIL: [u8; 1] = [0xc0];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, library, reps, ..] = arguments.as_slice() else {
        return println!("usage: steady LIBRARY REPS; `reld-bench steady` builds the library and runs this");
    };
    let reps: usize = reps.parse().expect("a number of repetitions");
    let loaded = Loaded::start(library);
    let mut linked = Linked::start();
    let mut samples = BTreeMap::new();
    for (name, payload) in [("int", Payload::Int), ("bin100", Payload::Bin100), ("map100", Payload::Map100)] {
        let load = Load::new(payload, 7);
        let body = encoded(&load);
        // All three in each round, so that a busy moment of the machine affects them alike.
        let mut round = || {
            let took = [typed(&load), linked.time(&body), loaded.time(&body)];
            took.map(|took| took.as_nanos() as f64 / CALLS as f64)
        };
        round();
        samples.insert(name, (0..reps).map(|_| round()).collect::<Vec<_>>());
    }
    println!("{}", json!(samples));
}

/// Encodes a load like the SDK.
fn encoded(load: &Load) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_bytes(BytesMode::ForceAll)
        .with_struct_map()
        .with_human_readable();
    load.serialize(&mut serializer).expect("a load encodes");
    bytes
}

fn typed(load: &Load) -> Duration {
    let pid = json!({"slot": 1, "generation": 1});
    let from: From = serde_json::from_value(json!({"caller": pid, "server": pid, "reference": 1}))
        .expect("the document is a From");
    let mut server = polled(Echo::init(())).expect("an echo starts");
    let begin = Instant::now();
    for _ in 0..CALLS {
        let answer = polled(server.handle_call(black_box(load).clone(), from));
        assert!(matches!(black_box(answer), Answer::Reply(_)));
    }
    begin.elapsed()
}

/// Polls a future that never waits.
fn polled<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("an echo does not wait"),
    }
}

struct Name;

impl export::Named for Name {
    const NAME: &'static str = "echo";
    const VERSION: &'static str = "1.0.0";
}

static TABLE: abi::Module = export::gen_server::<Name, Echo>();
static APP: abi::App = export::app("driver", "1.0.0", &["echo"], &[&TABLE], unload);

extern "C" fn unload() {}

/// A state behind the linked table.
struct Linked(*mut c_void);

impl Linked {
    fn start() -> Self {
        let load = APP.load.expect("the SDK has a load function");
        // SAFETY: the daemon's table lives as long as the program.
        let loaded = unsafe { load(reld_loader::host()) };
        assert_eq!(loaded, abi::OK);
        Self(callback(ptr::null_mut(), &event(abi::EVENT_INIT, &NIL)).state_app)
    }

    fn time(&mut self, body: &[u8]) -> Duration {
        let begin = Instant::now();
        for _ in 0..CALLS {
            let out = callback(self.0, &event(abi::EVENT_CALL, black_box(body)));
            self.0 = out.state_app;
            let abi::Buf { ptr, len, cap } = out.reply;
            // SAFETY: the caller owns a reply, which was allocated by this program.
            drop(black_box(unsafe { Vec::from_raw_parts(ptr, len, cap) }));
        }
        begin.elapsed()
    }
}

fn event(kind: u32, body: &[u8]) -> abi::Event {
    abi::Event {
        kind,
        reserved: 0,
        from: abi::Pid { slot: 1, generation: 1 },
        reference: 1,
        body: abi::Bytes { ptr: body.as_ptr(), len: body.len() },
        exit_kind: 0,
        server: abi::Pid { slot: 2, generation: 1 },
    }
}

fn callback(state: *mut c_void, event: &abi::Event) -> abi::Outcome {
    let mut out = abi::Outcome {
        state_app: ptr::null_mut(),
        next: 0,
        has_reply: 0,
        reply: abi::Buf::EMPTY,
        exit: abi::Exit { kind: 0, text: abi::Buf::EMPTY },
        future: abi::Future { data_app: ptr::null_mut(), poll: None, drop: None },
    };
    let callback = TABLE.callback.expect("a server has callbacks");
    // SAFETY: the state is the one that the table returned last; the event and the outcome live
    // until the call returns.
    let verdict = unsafe { callback(state, event, &raw mut out) };
    assert_eq!(verdict, abi::VERDICT_READY);
    out
}

/// A process of the loaded library.
struct Loaded {
    node: Runtime,
    echo: Pid,
    _folder: tempfile::TempDir,
    _loader: Loader,
}

impl Loaded {
    fn start(library: &str) -> Self {
        reld_loader::verify_exports().expect("the library finds the program's allocator");
        let node = Runtime::new(1);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let loader = Loader::start(&folder.path().join("run"), || {}).expect("a loader starts");
        let (source, app, version) = (library.into(), "driver".to_owned(), "1.0.0".to_owned());
        let request = OpenRequest { source, sha256: None, app, version };
        let library = loader.open(request, PATIENCE).expect("the library is loaded");
        node.load(library.modules().to_vec(), Instant::now() + PATIENCE).expect("an empty node has room");
        let echo =
            node.spawn("echo", NIL.to_vec(), PATIENCE).expect("an echo starts").expect("it is a process");
        Self { node, echo, _folder: folder, _loader: loader }
    }

    fn time(&self, body: &[u8]) -> Duration {
        self.node.bench_callback(self.echo, body.to_vec(), CALLS).expect("the echo is idle before and after")
    }
}
