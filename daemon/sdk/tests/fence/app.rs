//! The app under test: a server that misbehaves on request, and one module of each other behaviour.

use std::cell::Cell;
use std::task::Poll;

use futures::future::{Either, join_all, select};
use futures::stream::{FuturesUnordered, StreamExt};
use reld_sdk::task::{Message, recv};
use reld_sdk::{
    Answer, Application, CallError, ChildSpec, Exit, From, GenServer, INFINITY, Info, Next, NotStarted, Pid,
    Root, StartArgs, StartPhase, State, Stopping, Supervisor, SupervisorSpec, Task, Value, call, cast, log,
    sleep,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

reld_sdk::export_app! {
    app: "fence",
    version: "2.0.0",
    modules: {
        probe: gen_server Probe,
        sup: supervisor Sup,
        root: application Fence,
        adder: task Adder,
    },
}

/// The app's `Serialize` panics at this number.
pub(crate) const UNWRITABLE: u64 = 13;
/// The app's `Deserialize` panics at this number.
pub(crate) const UNREADABLE: u64 = 14;
/// A state with this number panics when it is dropped.
pub(crate) const UNDROPPABLE: u64 = 15;

thread_local! {
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

/// Returns how many guards were dropped on this thread.
pub(crate) fn dropped() -> u32 {
    DROPPED.get()
}

/// Counts its drops: held across an await, it proves that destructors run.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

/// A panic payload whose own drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload panics");
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) u64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, UNWRITABLE, "unwritable");
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        assert_ne!(number, UNREADABLE, "unreadable");
        Ok(Self(number))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) n: Number,
}

impl Drop for Probe {
    fn drop(&mut self) {
        assert_ne!(self.n.0, UNDROPPABLE, "undroppable");
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Start {
    At(u64),
    Ignore,
    Fail,
    Panic,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Adds, and replies the sum.
    Add(u64),
    /// Replies the sum of the replies of those processes, all called at once.
    Sum(Vec<Pid>),
    /// The same, in the order in which the replies arrive; replies them in that order.
    Order(Vec<Pid>),
    /// Replies the reply of the process, or `Slow` if that takes longer than a sleep.
    Race(Pid),
    /// Yields many times.
    Yield(u32),
    /// Defers the reply.
    Later,
    Stop,
    Panic,
    PanicWithBomb,
    WaitThenPanic,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Response {
    Number(u64),
    Numbers(Vec<u64>),
    Slow,
}

impl GenServer for Probe {
    type Args = Start;
    type Call = Request;
    type Reply = Response;
    type Cast = u64;
    type Message = String;

    const DROPPED: &'static [&'static str] = &["forgotten"];

    async fn init(start: Start) -> Result<Self, NotStarted> {
        match start {
            Start::At(n) => Ok(Self { n: Number(n) }),
            Start::Ignore => Err(NotStarted::Ignore),
            Start::Fail => Err(Exit::error("no luck").into()),
            Start::Panic => panic!("in init"),
        }
    }

    async fn handle_call(&mut self, request: Request, _from: From) -> Answer<Response> {
        let _guard = Guard;
        match request {
            Request::Add(by) => {
                self.n.0 += by;
                Answer::Reply(Response::Number(self.n.0))
            }
            Request::Sum(pids) => {
                let answers: Vec<Result<u64, CallError>> = join_all(pids.into_iter().map(ask)).await;
                self.n.0 += answers.into_iter().flatten().sum::<u64>();
                Answer::Reply(Response::Number(self.n.0))
            }
            Request::Order(pids) => {
                let open: FuturesUnordered<_> = pids.into_iter().map(ask).collect();
                let answers: Vec<_> = open.collect().await;
                Answer::Reply(Response::Numbers(answers.into_iter().flatten().collect()))
            }
            Request::Race(pid) => match select(Box::pin(ask(pid)), Box::pin(sleep(INFINITY))).await {
                Either::Left((answer, _)) => Answer::Reply(Response::Number(answer.unwrap_or_default())),
                Either::Right(_) => Answer::Reply(Response::Slow),
            },
            Request::Yield(times) => {
                for _ in 0..times {
                    wake_self().await;
                }
                Answer::Reply(Response::Number(self.n.0))
            }
            Request::Later => Answer::NoReply,
            Request::Stop => Answer::stop_with(Exit::Normal, Response::Number(self.n.0)),
            Request::Panic => panic!("in a call at {}", self.n.0),
            Request::PanicWithBomb => std::panic::panic_any(Bomb),
            Request::WaitThenPanic => {
                sleep(INFINITY).await;
                panic!("after a wait")
            }
        }
    }

    async fn handle_cast(&mut self, by: u64) -> Next {
        log::info!("cast {by}");
        self.n.0 += by;
        Next::Continue
    }

    async fn handle_info(&mut self, info: Info<String>) -> Next {
        match info {
            Info::Message(text) if text == "stop" => Next::Stop(Exit::error("told to")),
            Info::Message(_) | Info::Port(_) | Info::Table(_) => Next::Continue,
            Info::Exit { reason, .. } | Info::Down { reason, .. } => Next::Stop(reason),
        }
    }

    async fn terminate(&mut self, reason: Exit) {
        assert_ne!(reason, Exit::error("panic"), "in terminate");
    }

    fn change_code(from: &str, state: State, extra: Value) -> Result<Self, Exit> {
        match extra.read::<String>()?.as_str() {
            "panic" => panic!("in change_code from {from}"),
            "refuse" => Err(Exit::error("not from there")),
            _ => Ok(state.read_without(Self::DROPPED)?),
        }
    }

    fn change_code_down(&self, to: &str, extra: Value) -> Result<State, Exit> {
        match extra.read::<String>()?.as_str() {
            "panic" => panic!("in change_code_down to {to}"),
            _ => Ok(State::write(self)?),
        }
    }
}

async fn ask(pid: Pid) -> Result<u64, CallError> {
    let _guard = Guard;
    call(pid, &"get", INFINITY).await
}

/// Wakes the polling task and returns pending, once, as cooperative futures do.
async fn wake_self() {
    let mut woken = false;
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut woken, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

pub(crate) struct Sup;

impl Supervisor for Sup {
    type Args = u64;

    fn init(n: u64) -> SupervisorSpec {
        assert_ne!(n, 0, "in a supervisor's init");
        SupervisorSpec::one_for_one().child(ChildSpec::worker(n, "probe", Start::At(n)))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fence {
    root: Option<Pid>,
    cause: Option<String>,
    phases: Vec<String>,
}

#[derive(Deserialize)]
struct Env {
    first: u64,
}

impl Application for Fence {
    async fn start(args: StartArgs) -> Result<(Self, Root), NotStarted> {
        let Env { first } = args.env()?;
        Ok((Self { root: None, cause: None, phases: Vec::new() }, Root::new("sup", &first)?))
    }

    async fn start_phase(&mut self, phase: StartPhase) -> Result<(), Exit> {
        if phase.name == "fail" {
            return Err(Exit::error("as its argument asks"));
        }
        self.phases.push(format!("{} {}", phase.name, phase.arg.read::<u64>()?));
        Ok(())
    }

    async fn prep_stop(&mut self, stopping: Stopping) {
        self.root = stopping.root;
        self.cause = Some(format!("{:?}", stopping.cause));
    }
}

/// Adds the numbers sent to it until it is called for the sum, and then casts the sum to the
/// caller.
pub(crate) struct Adder;

impl Task for Adder {
    type Args = u64;

    async fn run(mut sum: u64) -> Result<(), Exit> {
        let _guard = Guard;
        loop {
            match recv::<u64>().await? {
                Message::Call(from, _) => {
                    cast(from.pid(), &sum)?;
                    return Ok(());
                }
                Message::Cast(_, by) | Message::Info(_, by) => sum += by,
                Message::Port(_) | Message::Table(_) => return Ok(()),
                Message::Exit { reason, .. } | Message::Down { reason, .. } => return Err(reason),
            }
        }
    }
}
