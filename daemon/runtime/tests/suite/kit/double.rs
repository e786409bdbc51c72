//! Doubles: modules written here instead of in a library.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use reld_runtime::context::{self, Message, Refused, SendKind};
use reld_runtime::{
    Answer, Behaviour, BodyKind, Bytes, Callback, Event, From, Instance, Module, Next, Outcome, Ref,
    RequestKind, Step, SupervisorSpec, TimerRef, one_by_one, term,
};
use reld_wire::{Exit, Pid};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::latch;
use super::words::{Do, Said, shown, text};

/// The behaviour of a version's conversions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Works,
    /// Fails for states with this count.
    FailsAt(u64),
    /// Blocks for states with this count until the latch opens.
    BlocksAt(u64, u64),
    /// A supervisor's init answers ignore.
    Ignores,
    /// Works, but refuses start arguments.
    RefusesArgs,
    /// Applies only to upgrades.
    Up(Box<Self>),
    /// Applies only to downgrades.
    Down(Box<Self>),
    /// Tries each effect that a callback may have, and notes how many succeeded.
    TriesEffects,
}

/// One version of one module.
#[derive(Debug, Clone)]
pub(crate) struct Double {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) behaviour: Behaviour,
    pub(crate) change: Change,
    /// Makes the child specs of this version from the spec that the supervisor was started with.
    pub(crate) respec: fn(SupervisorSpec) -> SupervisorSpec,
    pub(crate) notes: Sender<String>,
}

/// The state of every gen_server. Version 1 calls the count `n`, later ones `count`; version 3 adds
/// `since`.
#[derive(Debug, Default)]
struct State {
    count: u64,
    log: Vec<String>,
    deferred: Vec<(Pid, Pid, Ref)>,
    timer: Option<TimerRef>,
    at_terminate: Option<Do>,
}

/// A state as bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Portable<C> {
    #[serde(flatten)]
    count: C,
    log: Vec<String>,
    deferred: Vec<(Pid, Pid, Ref)>,
    timer: Option<TimerRef>,
    at_terminate: Option<Do>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Old {
    n: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct New {
    count: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Newest {
    count: u64,
    #[serde(default)]
    since: u64,
}

impl State {
    fn write(&self, version: u32) -> Bytes {
        match version {
            1 => term::encode(&self.portable(Old { n: self.count })),
            2 => term::encode(&self.portable(New { count: self.count })),
            _ => term::encode(&self.portable(Newest { count: self.count, since: 7 })),
        }
    }

    fn portable<C>(&self, count: C) -> Portable<C> {
        Portable {
            count,
            log: self.log.clone(),
            deferred: self.deferred.clone(),
            timer: self.timer,
            at_terminate: self.at_terminate.clone(),
        }
    }

    fn read(version: u32, bytes: &[u8]) -> Result<Self, Exit> {
        let state = match version {
            1 => term::decode::<Portable<Old>>(bytes).map(|old| Self::of(old.count.n, old)),
            2 => term::decode::<Portable<New>>(bytes).map(|new| Self::of(new.count.count, new)),
            _ => term::decode::<Portable<Newest>>(bytes).map(|new| Self::of(new.count.count, new)),
        };
        state.map_err(Exit::Undecodable)
    }

    fn of<C>(count: u64, from: Portable<C>) -> Self {
        let Portable { log, deferred, timer, at_terminate, .. } = from;
        Self { count, log, deferred, timer, at_terminate }
    }
}

impl Module for Double {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        ["0", "1", "2", "3"][self.version as usize]
    }

    fn app(&self) -> &str {
        "test"
    }

    fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    fn init(&self, args: &[u8]) -> Step {
        match self.behaviour {
            Behaviour::Supervisor => self.supervisor(args),
            Behaviour::Application => self.application(args),
            _ => {
                let list: Vec<Do> = term::decode(args).expect("start arguments are words");
                let server = Server { code: Arc::new(self.clone()), state: State::default() };
                run(server.born(list))
            }
        }
    }

    fn import(&self, state: &[u8]) -> Result<Box<dyn Instance>, Exit> {
        let state = State::read(self.version, state)?;
        Ok(Box::new(Server { code: Arc::new(self.clone()), state }))
    }

    fn change_code(&self, from: &str, state: &[u8], _extra: &[u8]) -> Result<Box<dyn Instance>, Exit> {
        let state = State::read(from.parse().expect("versions are numbers"), state)?;
        self.apply(if let Change::Up(change) = &self.change { change } else { &self.change }, &state)?;
        Ok(Box::new(Server { code: Arc::new(self.clone()), state }))
    }

    fn change_code_down(&self, to: &str, state: &[u8], _extra: &[u8]) -> Result<Bytes, Exit> {
        let state = State::read(self.version, state)?;
        self.apply(if let Change::Down(change) = &self.change { change } else { &self.change }, &state)?;
        Ok(state.write(to.parse().expect("versions are numbers")))
    }

    fn accepts(&self, kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        match kind {
            BodyKind::State => State::read(self.version, body).map(|_| ()),
            BodyKind::Init if matches!(self.change, Change::RefusesArgs) => {
                Err(Exit::Undecodable("missing field `interval_ms`".to_owned()))
            }
            BodyKind::Init => term::decode::<Vec<Do>>(body).map(|_| ()).map_err(Exit::Undecodable),
            _ => term::decode::<Do>(body).map(|_| ()).map_err(Exit::Undecodable),
        }
    }
}

impl Double {
    /// The init of a supervisor returns its start argument, or carries out one command.
    fn supervisor(&self, args: &[u8]) -> Step {
        if self.change == Change::Ignores {
            return ready(None, Next::Ignore, None);
        }
        match term::decode_known::<SupervisorSpec>(args) {
            Ok(spec) => return ready(None, Next::Continue, Some(term::encode(&(self.respec)(spec)))),
            Err(why) if term::decode::<rmpv::Value>(args).is_err() => {
                return ready(None, Next::Crash(Exit::Undecodable(why)), None);
            }
            Err(_) => {}
        }
        match term::decode::<Do>(args) {
            Ok(Do::Ignore) => ready(None, Next::Ignore, None),
            Ok(Do::Stop(exit)) => ready(None, Next::Stop(exit), None),
            Ok(Do::Crash(why)) => ready(None, Next::Crash(Exit::Panic(why)), None),
            // Returns an invalid spec.
            Ok(_) | Err(_) => ready(None, Next::Continue, Some(args.to_vec())),
        }
    }

    /// The init of an application returns the value of the key `root`.
    fn application(&self, args: &[u8]) -> Step {
        #[derive(Deserialize)]
        struct Args {
            env: std::collections::BTreeMap<String, rmpv::Value>,
        }
        let mut args: Args = term::decode(args).expect("the runtime says how an application starts");
        let root = args.env.remove("root").unwrap_or(rmpv::Value::Nil);
        let server = Server { code: Arc::new(self.clone()), state: State::default() };
        server.note("start");
        ready(Some(Box::new(server)), Next::Continue, Some(term::encode(&root)))
    }

    fn apply(&self, change: &Change, state: &State) -> Result<(), Exit> {
        match change {
            Change::FailsAt(count) if *count == state.count => Err(Exit::Error(format!("no {count}"))),
            Change::BlocksAt(count, latch) if *count == state.count => {
                self.notes.send(text("converting")).unwrap_or(());
                latch::wait(*latch);
                Ok(())
            }
            Change::TriesEffects => {
                self.notes.send(format!("given {}", effects_allowed())).unwrap_or(());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Tries to send a message, start a timer, register a name and spawn a process; returns how many
/// succeeded.
fn effects_allowed() -> usize {
    let note = || term::encode(&Do::Note(text("told")));
    let it = context::whereis("it").unwrap_or(Pid::NONE);
    let given = [
        context::send(SendKind::Cast, it, note()).is_ok(),
        context::send_after(it, Duration::ZERO, note()).is_ok(),
        context::register("taken").is_ok(),
        context::spawn("counter", term::encode(&Vec::<Do>::new()), context::Tie::None).is_ok(),
        context::self_pid().is_some(),
    ];
    given.into_iter().filter(|given| *given).count()
}

/// Notes that a callback ran, then carries out the command in the environment.
fn noted(note: String, callback: &str) -> Do {
    let then = context::get_env(callback).map(|body| word(&body));
    Do::All([Do::Note(note)].into_iter().chain(then).collect())
}

/// The module and arguments that a task continues with.
#[derive(Serialize)]
struct Entry {
    module: String,
    args: ByteBuf,
}

/// The argument of start_phase.
#[derive(serde::Deserialize)]
struct Phase {
    phase: String,
    arg: ByteBuf,
}

/// A process under test.
#[derive(Debug)]
struct Server {
    code: Arc<Double>,
    state: State,
}

impl Instance for Server {
    fn callback(mut self: Box<Self>, event: &Event<'_>) -> Step {
        let (from, what) = match event {
            Event::Call(from, body) => (Some(*from), word(body)),
            Event::Cast(body) | Event::Info(body) => (None, word(body)),
            Event::Continue(body) => (None, word(body)),
            Event::Timeout => (None, Do::Note(text("timeout"))),
            Event::Exit(pid, exit) => (None, Do::Note(format!("exit {pid} {exit}"))),
            Event::Down(reference, pid, exit) => (None, Do::Note(format!("down {reference} {pid} {exit}"))),
            Event::Terminate(exit) => {
                let note = Do::Note(format!("terminate {exit} at {}", self.state.count));
                let last = self.state.at_terminate.take().into_iter();
                (None, Do::All(std::iter::once(note).chain(last).collect()))
            }
            Event::Told(event) => (None, Do::Note(shown(event))),
            Event::ConfigChange(body) => {
                let change: rmpv::Value = term::decode(body).expect("the runtime wrote it");
                (None, noted(format!("config_change {change}"), "config_change"))
            }
            Event::StartPhase(body) => {
                let Phase { phase, arg } = term::decode(body).expect("the runtime wrote it");
                let arg: rmpv::Value = term::decode(&arg).expect("the test wrote it");
                (None, noted(format!("start_phase {phase} {arg}"), "start_phase"))
            }
            Event::PrepStop(root, cause) => match context::get_env("prep_stop") {
                Some(body) => (None, Do::All(vec![Do::Note(text("prep_stop")), word(&body)])),
                None => (None, Do::Note(format!("prep_stop {} {cause:?}", root.is_some()))),
            },
        };
        run(async move {
            let said = self.act(from, what).await;
            let (next, reply) = match said {
                Ok(Said::Nothing) => (Next::Continue, None),
                Ok(said) => (Next::Continue, from.map(|_| term::encode(&said))),
                Err(next) => (next, None),
            };
            let instance = (!matches!(next, Next::Crash(_))).then_some(self as Box<dyn Instance>);
            Outcome { instance, next, reply }
        })
    }

    fn callbacks(self: Box<Self>, events: &[Event<'_>], stop: [&AtomicBool; 3]) -> (Step, usize) {
        one_by_one(self, events, stop)
    }

    fn export(&self) -> Result<Bytes, Exit> {
        Ok(self.state.write(self.code.version))
    }
}

fn word(body: &[u8]) -> Do {
    term::decode(body).expect("messages of the test are words")
}

impl Server {
    fn note(&self, note: &str) {
        self.code.notes.send(note.to_owned()).unwrap_or(());
    }

    async fn born(mut self, list: Vec<Do>) -> Outcome {
        let result = self.act(None, Do::All(list)).await;
        let next = result.err().unwrap_or(Next::Continue);
        let lives = next == Next::Continue && self.code.behaviour.is_server();
        Outcome { instance: lives.then(|| Box::new(self) as Box<dyn Instance>), next, reply: None }
    }

    fn act(
        &mut self,
        from: Option<From>,
        what: Do,
    ) -> Pin<Box<dyn Future<Output = Result<Said, Next>> + Send + '_>> {
        Box::pin(async move {
            Ok(match what {
                Do::Add(by) => {
                    self.state.count += by;
                    Said::Number(self.state.count)
                }
                Do::Get => Said::Number(self.state.count),
                Do::Version => Said::Number(self.code.version.into()),
                Do::Log => Said::Texts(self.state.log.clone()),
                Do::Note(note) => {
                    self.note(&note);
                    Said::Flag(true)
                }
                Do::Remember(word) => {
                    self.state.log.push(format!("{word}@{}", self.code.version));
                    Said::Flag(true)
                }
                Do::Block(latch) => {
                    self.note("blocked");
                    latch::wait(latch);
                    Said::Flag(true)
                }
                Do::Once(latch) => {
                    self.note("once");
                    if !latch::open(latch) {
                        return Err(Next::Crash(Exit::Panic(text("once more"))));
                    }
                    Said::Flag(true)
                }
                Do::FailsAt(latch, times) => {
                    let time = latch::meet(latch);
                    if times.contains(&time) {
                        return Err(Next::Crash(Exit::Panic(format!("fails the {time}. time"))));
                    }
                    Said::Flag(true)
                }
                Do::Sleep(ms) => said(wait(context::sleep(Duration::from_millis(ms))).await),
                Do::Hang => {
                    let _dropped = Dropped(self.code.notes.clone());
                    said(wait(context::sleep(Duration::MAX)).await)
                }
                Do::Call(to, what, ms) => {
                    let body = term::encode(&*what);
                    said(
                        wait(context::call(RequestKind::Call, to, body, ms.map(Duration::from_millis))).await,
                    )
                }
                Do::CallMany(to, count, ms) => Said::Number(call_many(to, count, ms).await),
                Do::Cast(to, what) => done(context::send(SendKind::Cast, to, term::encode(&*what))),
                Do::Info(to, what) => done(context::send(SendKind::Info, to, term::encode(&*what))),
                Do::Defer => {
                    self.state.deferred.extend(from.map(|from| (from.caller, from.server, from.reference)));
                    Said::Nothing
                }
                Do::Settle(value) => settle(self.state.deferred.remove(0), value),
                Do::SettleFor(from, value) => settle(from, value),
                Do::Delegate(to) => {
                    let what = Do::SettleFor(self.state.deferred.remove(0), 0);
                    done(context::send(SendKind::Cast, to, term::encode(&what)))
                }
                Do::Early(value) => {
                    let from = from.expect("only a call can be answered");
                    let _ = context::reply(from, term::encode(&Said::Number(value)));
                    Said::Nothing
                }
                Do::Crash(why) => return Err(Next::Crash(Exit::Panic(why))),
                Do::Stop(exit) => return Err(Next::Stop(exit)),
                Do::Ignore => return Err(Next::Ignore),
                Do::Trap(on) => done(context::trap_exit(on)),
                Do::Link(pid) => done(context::link(pid)),
                Do::Unlink(pid) => done(context::unlink(pid)),
                Do::Monitor(pid) => Said::Number(context::monitor(pid).expect("in a callback")),
                Do::Demonitor(reference) => done(context::demonitor(reference)),
                Do::Register(name) => done(context::register(&name)),
                Do::Claim(name) => match context::register(&name) {
                    Ok(()) => Said::Flag(true),
                    Err(Refused) => return Err(Next::Crash(Exit::Error(format!("{name} is taken")))),
                },
                Do::Unregister(name) => done(context::unregister(&name)),
                Do::Whereis(name) => Said::Pid(context::whereis(&name)),
                Do::Find(place) => match context::search(&place).expect("in a callback") {
                    Ok(pid) => {
                        assert_eq!(context::find(&place), Some(pid));
                        Said::Pid(Some(pid))
                    }
                    Err(missing) => Said::Text(missing.to_string()),
                },
                Do::After(ms, what) => {
                    let me = context::self_pid().expect("in a callback");
                    let after = Duration::from_millis(ms);
                    self.state.timer = context::send_after(me, after, term::encode(&*what)).ok();
                    Said::Flag(true)
                }
                Do::Continue(what) => done(context::continue_with(term::encode(&*what))),
                Do::GoOn(module, list) => {
                    let args = ByteBuf::from(term::encode(&list));
                    done(context::continue_with(term::encode(&Entry { module, args })))
                }
                Do::Bound(messages) => done(context::bound_mailbox(messages)),
                Do::Idle(ms) => done(context::receive_timeout(Duration::from_millis(ms))),
                Do::SpawnChild(module, list) => {
                    let started = context::spawn(&module, term::encode(&list), context::Tie::Child);
                    match wait(started).await {
                        Answer::Started(pid) => Said::Pid(pid),
                        other => said(other),
                    }
                }
                Do::Cancel => {
                    let timer = self.state.timer.take().expect("a timer was started");
                    Said::Flag(context::cancel_timer(timer).expect("in a callback"))
                }
                Do::Exit(pid, exit) => done(context::exit(pid, exit)),
                Do::Spawn(module, list, link) => {
                    match context::spawn(&module, term::encode(&list), tie(link)) {
                        Ok(reference) => match wait(Ok(reference)).await {
                            Answer::Started(pid) => Said::Pid(pid),
                            other => said(other),
                        },
                        Err(Refused) => Said::Flag(false),
                    }
                }
                Do::StopNamed(names) => {
                    for pid in names.iter().filter_map(|name| context::whereis(name)) {
                        let stop = Do::Call(pid, Box::new(Do::Stop(Exit::Normal)), None);
                        self.act(None, stop).await?;
                    }
                    Said::Flag(true)
                }
                Do::Env(key) => Said::Flag(context::get_env(&key).is_some()),
                Do::Recv => {
                    let message = poll_fn(|_| match context::recv() {
                        Ok(Some(message)) => Poll::Ready(message),
                        Ok(None) => Poll::Pending,
                        Err(Refused) => panic!("only tasks receive"),
                    });
                    match message.await {
                        Message::Call(from, body) => {
                            let said = self.act(Some(from), word(&body)).await?;
                            done(context::reply(from, term::encode(&said)))
                        }
                        Message::Cast(_, body) | Message::Info(_, body) => {
                            self.act(None, word(&body)).await?
                        }
                        Message::Told(event) => self.act(None, Do::Note(format!("told {event:?}"))).await?,
                        Message::Exit(pid, exit) => {
                            self.act(None, Do::Note(format!("exit {pid} {exit}"))).await?
                        }
                        Message::Down(_, pid, exit) => {
                            self.act(None, Do::Note(format!("down {pid} {exit}"))).await?
                        }
                    }
                }
                Do::AtTerminate(what) => {
                    self.state.at_terminate = Some(*what);
                    Said::Flag(true)
                }
                Do::Port(request) => answered(wait(context::port(&request, None)).await),
                Do::Table(request) => answered(wait(context::table(&request)).await),
                Do::PanicOnSpareThread => {
                    let opened = context::blocking(Box::new(|| panic!("a bug in work that blocks")));
                    said(wait(opened.map_err(|_| Refused)).await)
                }
                Do::Me => Said::Pid(context::self_pid()),
                Do::All(list) => {
                    let mut last = Said::Flag(true);
                    for what in list {
                        last = self.act(from, what).await?;
                    }
                    last
                }
            })
        })
    }
}

/// Sends a note when a parked callback is dropped.
struct Dropped(Sender<String>);

impl Drop for Dropped {
    fn drop(&mut self) {
        // The drop runs outside of callbacks, so the runtime refuses every request.
        self.0.send(format!("dropped {:?}", context::self_pid())).unwrap_or(());
    }
}

/// Answers a deferred call: its caller, server and reference.
fn settle((caller, server, reference): (Pid, Pid, Ref), value: u64) -> Said {
    done(context::reply(From { caller, server, reference }, term::encode(&Said::Number(value))))
}

fn tie(link: bool) -> context::Tie {
    if link { context::Tie::Link } else { context::Tie::None }
}

fn done(result: Result<(), Refused>) -> Said {
    Said::Flag(result.is_ok())
}

fn said(answer: Answer) -> Said {
    match answer {
        Answer::Reply(reply) if reply.is_empty() => Said::Flag(true),
        answer => Said::of(answer),
    }
}

fn answered(answer: Answer) -> Said {
    match answer {
        Answer::Reply(reply) => Said::Text(shown(&reply)),
        answer => Said::of(answer),
    }
}

async fn wait(opened: Result<Ref, Refused>) -> Answer {
    let reference = opened.expect("in a callback");
    poll_fn(|_| match context::take(reference) {
        Ok(Some(answer)) => Poll::Ready(answer),
        Ok(None) => Poll::Pending,
        Err(Refused) => panic!("an open request is known"),
    })
    .await
}

async fn call_many(to: Pid, count: u64, ms: u64) -> u64 {
    let open = |n: u64| {
        let timeout = Duration::from_millis(ms + n);
        context::call(RequestKind::Call, to, term::encode(&Do::Get), Some(timeout))
    };
    let opened: Vec<_> = (0..count).map(open).collect();
    let mut timed_out = 0;
    for reference in opened {
        if wait(reference).await == Answer::Timeout {
            timed_out += 1;
        }
    }
    timed_out
}

/// A callback written as an `async` block. Awaited requests are checked at each poll.
struct Native(Pin<Box<dyn Future<Output = Outcome> + Send>>);

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Native")
    }
}

fn run(future: impl Future<Output = Outcome> + Send + 'static) -> Step {
    let mut native = Native(Box::pin(future));
    match native.poll(&[]) {
        Some(outcome) => Step::Ready(outcome),
        None => Step::Pending(Box::new(native)),
    }
}

impl Callback for Native {
    fn poll(&mut self, _completed: &[Ref]) -> Option<Outcome> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}

fn ready(instance: Option<Box<dyn Instance>>, next: Next, reply: Option<Bytes>) -> Step {
    Step::Ready(Outcome { instance, next, reply })
}
