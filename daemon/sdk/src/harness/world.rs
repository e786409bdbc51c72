//! The daemon's side of the boundary in unit tests: a daemon with one process. Time passes only
//! when the test moves the clock.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};

use reld_wire::table::{Access, Error as TableError, Kind, Options};
use serde_bytes::ByteBuf;

use super::ports::Ports;
use super::supervisors::Supervisors;
use super::tables::{Owner, Tables};
use crate::body::Body;
use crate::codec;
use crate::exit::Exit;
use crate::host::{Closed, Host, Mail, Refused, RequestKind, SendKind, Tie};
use crate::job::Job;
use crate::names::{From, MonitorRef, Pid, Timer};
use crate::value::Value;

/// The process under test.
pub(super) const ME: Pid = Pid::new(1, 1);
/// The test itself, when it calls the process.
pub(super) const TESTER: Pid = Pid::new(2, 1);
/// The slot of the first process that the process under test spawns; later ones get the following
/// slots.
const FIRST_SPAWNED: u32 = 3;

/// A message that the process under test sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A message sent by [`cast`](crate::cast).
    Cast(Pid, Value),
    /// A message sent by [`send`](crate::send), or by a timer for another process.
    Info(Pid, Value),
    /// A signal sent by [`exit`](crate::exit()).
    Exit(Pid, Exit),
    /// A stop by [`stop`](crate::stop()). In the test the target ends at once.
    Stop(Pid, Exit),
}

/// A fired timer.
pub(super) enum Fired {
    Info(Body),
    /// The receive time-out of the process.
    Idle,
}

/// Answers the calls of the process under test.
pub(super) type Responder = Box<dyn FnMut(Pid, Value) -> Result<Value, Exit>>;

/// The daemon's data. The clock counts milliseconds from 0.
#[derive(Default)]
pub(super) struct World {
    inner: RefCell<Inner>,
    responder: RefCell<Option<Responder>>,
}

#[derive(Default)]
struct Inner {
    now_ms: u64,
    last: u64,
    /// The open requests: the time at which each one closes, and the answer. The answer is known at
    /// once and delivered at that time.
    open: BTreeMap<u64, (u64, Closed)>,
    closed: BTreeMap<u64, Closed>,
    timers: BTreeMap<u64, Pending>,
    replies: BTreeMap<u64, Body>,
    sent: Vec<Sent>,
    names: BTreeMap<String, Pid>,
    env: BTreeMap<String, Vec<u8>>,
    monitors: BTreeSet<u64>,
    spawned: u32,
    ports: Ports,
    supervisors: Supervisors,
    tables: Tables,
    trapping: bool,
    continues: Option<Body>,
    /// The time at which the receive time-out fires.
    idle_until_ms: Option<u64>,
}

/// A pending timer.
#[derive(Clone)]
struct Pending {
    at_ms: u64,
    /// The period, if the timer is an interval.
    every_ms: Option<u64>,
    to: Pid,
    body: Body,
}

impl Inner {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn begin(&mut self, after_ms: u64, every_ms: Option<u64>, to: Pid, body: Body) -> Timer {
        let id = self.next();
        let at_ms = self.now_ms.saturating_add(after_ms);
        self.timers.insert(id, Pending { at_ms, every_ms, to, body });
        Timer { id, at_ns: at_ms.saturating_mul(1_000_000) }
    }

    fn next_pid(&mut self) -> Pid {
        self.spawned += 1;
        Pid::new(FIRST_SPAWNED + self.spawned - 1, 1)
    }

    fn open(&mut self, closes_at_ms: u64, closed: Closed) -> u64 {
        let reference = self.next();
        self.open.insert(reference, (closes_at_ms, closed));
        reference
    }
}

impl World {
    pub(super) fn answer_calls_with(&self, responder: Responder) {
        *self.responder.borrow_mut() = Some(responder);
    }

    pub(super) fn set_env(&self, key: &str, value: Value) {
        self.inner.borrow_mut().env.insert(key.to_owned(), value.bytes().to_vec());
    }

    pub(super) fn set_name(&self, name: &str, pid: Pid) {
        self.inner.borrow_mut().names.insert(name.to_owned(), pid);
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.inner.borrow().now_ms
    }

    pub(super) fn move_to(&self, now_ms: u64) {
        let mut inner = self.inner.borrow_mut();
        inner.now_ms = inner.now_ms.max(now_ms);
    }

    pub(super) fn is_trapping(&self) -> bool {
        self.inner.borrow().trapping
    }

    /// Opens a call from the tester.
    pub(super) fn open_call(&self) -> From {
        From { caller: TESTER, server: ME, reference: self.inner.borrow_mut().next() }
    }

    pub(super) fn take_reply(&self, to: From) -> Option<Body> {
        self.inner.borrow_mut().replies.remove(&to.reference)
    }

    pub(super) fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.inner.borrow_mut().sent)
    }

    /// Creates an ordered table of another process, which all processes may write.
    pub(super) fn lend_table(
        &self,
        name: &str,
        rows: impl IntoIterator<Item = (ByteBuf, ByteBuf)>,
    ) -> Result<(), TableError> {
        let tables = &mut self.inner.borrow_mut().tables;
        let (name, kind, access) = (Some(name.to_owned()), Kind::OrderedSet, Access::Public);
        let table = tables.create(Options { name, kind, access, heir: None }, Owner::Other)?;
        rows.into_iter().try_for_each(|(key, value)| tables.insert(table, key, value))
    }

    pub(super) fn rows(&self, table: &str) -> Option<Vec<(ByteBuf, ByteBuf)>> {
        self.inner.borrow().tables.rows(table)
    }

    fn respond(&self, to: Pid, request: &[u8]) -> Closed {
        match self.responder.borrow_mut().as_mut() {
            Some(responder) => match responder(to, Value::from_bytes(request)) {
                Ok(reply) => Closed::Reply(Body::from(reply.bytes())),
                Err(exit) => Closed::Exit(exit),
            },
            None => Closed::Exit(Exit::Noproc),
        }
    }

    fn ask(&self, answer: impl FnOnce(&mut Inner) -> Option<Body>) -> Result<u64, Refused> {
        let mut inner = self.inner.borrow_mut();
        let answer = answer(&mut inner).ok_or(Refused)?;
        let reference = inner.next();
        inner.closed.insert(reference, Closed::Reply(answer));
        Ok(reference)
    }

    fn stop(&self, to: Pid, reason: &[u8]) -> Result<u64, Refused> {
        let reason: Exit = codec::decode(reason).map_err(|_| Refused)?;
        let mut inner = self.inner.borrow_mut();
        inner.sent.push(Sent::Stop(to, reason.clone()));
        let now_ms = inner.now_ms;
        Ok(inner.open(now_ms, Closed::Exit(reason)))
    }

    /// The ports of the process under test.
    pub(super) fn ports(&self) -> RefMut<'_, Ports> {
        RefMut::map(self.inner.borrow_mut(), |inner| &mut inner.ports)
    }

    /// Starts a simple_one_for_one supervisor with this name.
    pub(super) fn add_supervisor(&self, name: &str) {
        let mut inner = self.inner.borrow_mut();
        let pid = inner.next_pid();
        inner.names.insert(name.to_owned(), pid);
        inner.supervisors.add(pid);
    }

    pub(super) fn end_child(&self, supervisor: &str) {
        let mut inner = self.inner.borrow_mut();
        if let Some(pid) = inner.names.get(supervisor).copied() {
            inner.supervisors.end_child(pid);
        }
    }

    fn ask_supervisor(&self, supervisor: Pid, request: &[u8]) -> Option<Closed> {
        let mut inner = self.inner.borrow_mut();
        let mut supervisors = std::mem::take(&mut inner.supervisors);
        let answer = supervisors.ask(supervisor, request, || inner.next_pid());
        inner.supervisors = supervisors;
        answer.map(Closed::Reply)
    }

    /// Takes the argument of the last `continue_with`.
    pub(super) fn take_continue(&self) -> Option<Body> {
        self.inner.borrow_mut().continues.take()
    }

    /// Cancels the receive time-out, because a message arrived.
    pub(super) fn end_receive_timeout(&self) {
        self.inner.borrow_mut().idle_until_ms = None;
    }

    /// Closes the request that is due first, and moves the clock to that time.
    pub(super) fn close_next(&self) -> Option<u64> {
        let mut inner = self.inner.borrow_mut();
        let (&reference, _) =
            inner.open.iter().min_by_key(|(reference, (at_ms, _))| (*at_ms, **reference))?;
        let (at_ms, closed) = inner.open.remove(&reference)?;
        inner.now_ms = inner.now_ms.max(at_ms);
        inner.closed.insert(reference, closed);
        Some(reference)
    }

    /// Takes the next timer that is due by `end_ms`, and moves the clock to its time. A message to
    /// another process is recorded as sent.
    pub(super) fn fire_until(&self, end_ms: u64) -> Option<Fired> {
        loop {
            let mut inner = self.inner.borrow_mut();
            let next = inner.timers.iter().min_by_key(|(id, timer)| (timer.at_ms, **id));
            let next = next.map(|(id, timer)| (*id, timer.at_ms));
            if let Some(idle_ms) = inner.idle_until_ms
                && idle_ms <= end_ms
                && next.is_none_or(|(_, at_ms)| idle_ms < at_ms)
            {
                inner.now_ms = inner.now_ms.max(idle_ms);
                return Some(Fired::Idle);
            }
            let (id, _) = next.filter(|(_, at_ms)| *at_ms <= end_ms)?;
            let timer = inner.timers.remove(&id)?;
            if let Some(every_ms) = timer.every_ms {
                inner.timers.insert(id, Pending { at_ms: timer.at_ms + every_ms, ..timer.clone() });
            }
            let Pending { at_ms, to, body, .. } = timer;
            inner.now_ms = inner.now_ms.max(at_ms);
            if to == ME {
                return Some(Fired::Info(body));
            }
            inner.sent.push(Sent::Info(to, Value::from_bytes(&body)));
        }
    }
}

impl Host for World {
    fn self_pid(&self) -> Option<Pid> {
        Some(ME)
    }

    fn send(&self, kind: SendKind, to: Pid, body: Body) -> Result<(), Refused> {
        let body = Value::from_bytes(&body);
        self.inner.borrow_mut().sent.push(match kind {
            SendKind::Cast => Sent::Cast(to, body),
            SendKind::Info => Sent::Info(to, body),
        });
        Ok(())
    }

    fn continue_with(&self, body: Body) -> Result<(), Refused> {
        self.inner.borrow_mut().continues = Some(body);
        Ok(())
    }

    fn bound_mailbox(&self, _: u64) -> Result<(), Refused> {
        // The mailbox is always empty here, so no bound is needed.
        Ok(())
    }

    fn receive_timeout(&self, after_ms: u64) -> Result<(), Refused> {
        let mut inner = self.inner.borrow_mut();
        inner.idle_until_ms = Some(inner.now_ms.saturating_add(after_ms));
        Ok(())
    }

    fn call(&self, kind: RequestKind, to: Pid, body: Body, _: u64) -> Result<u64, Refused> {
        match kind {
            RequestKind::Port => return self.ask(|inner| inner.ports.ask(&body)),
            RequestKind::Table => return self.ask(|inner| inner.tables.ask(&body)),
            RequestKind::Stop => return self.stop(to, &body),
            RequestKind::Call | RequestKind::Supervisor => {}
        }
        let closed = self.ask_supervisor(to, &body).unwrap_or_else(|| self.respond(to, &body));
        let mut inner = self.inner.borrow_mut();
        let now_ms = inner.now_ms;
        Ok(inner.open(now_ms, closed))
    }

    fn take(&self, reference: u64) -> Result<Option<Closed>, Refused> {
        let mut inner = self.inner.borrow_mut();
        match inner.closed.remove(&reference) {
            Some(closed) => Ok(Some(closed)),
            None if inner.open.contains_key(&reference) => Ok(None),
            None => Err(Refused),
        }
    }

    fn forget(&self, reference: u64) {
        let mut inner = self.inner.borrow_mut();
        inner.open.remove(&reference);
        inner.closed.remove(&reference);
    }

    fn reply(&self, to: From, body: Body) -> Result<(), Refused> {
        self.inner.borrow_mut().replies.insert(to.reference, body);
        Ok(())
    }

    fn send_after(&self, to: Pid, after_ms: u64, body: Body) -> Result<Timer, Refused> {
        Ok(self.inner.borrow_mut().begin(after_ms, None, to, body))
    }

    fn send_interval(&self, to: Pid, every_ms: u64, body: Body) -> Result<Timer, Refused> {
        let every_ms = every_ms.max(1);
        Ok(self.inner.borrow_mut().begin(every_ms, Some(every_ms), to, body))
    }

    fn read_timer(&self, timer: Timer) -> Option<u64> {
        let inner = self.inner.borrow();
        inner.timers.get(&timer.id).map(|timer| timer.at_ms.saturating_sub(inner.now_ms))
    }

    fn cancel_timer(&self, timer: Timer) -> bool {
        self.inner.borrow_mut().timers.remove(&timer.id).is_some()
    }

    fn blocking(&self, job: Job) -> Result<u64, Refused> {
        job();
        self.sleep(0)
    }

    fn sleep(&self, after_ms: u64) -> Result<u64, Refused> {
        let mut inner = self.inner.borrow_mut();
        let at_ms = inner.now_ms.saturating_add(after_ms);
        Ok(inner.open(at_ms, Closed::Reply(Body::EMPTY)))
    }

    fn recv(&self) -> Result<Option<Mail>, Refused> {
        Err(Refused)
    }

    fn spawn(&self, _: &str, _: Body, _: Tie) -> Result<u64, Refused> {
        let mut inner = self.inner.borrow_mut();
        let pid = codec::body(&inner.next_pid()).map_err(|_| Refused)?;
        let now_ms = inner.now_ms;
        Ok(inner.open(now_ms, Closed::Reply(pid)))
    }

    fn register(&self, name: &str) -> Result<(), Refused> {
        let mut inner = self.inner.borrow_mut();
        if name.is_empty() || name.contains('/') || inner.names.contains_key(name) {
            return Err(Refused);
        }
        inner.names.insert(name.to_owned(), ME);
        Ok(())
    }

    fn unregister(&self, name: &str) -> Result<(), Refused> {
        let mut inner = self.inner.borrow_mut();
        if inner.names.get(name) != Some(&ME) {
            return Err(Refused);
        }
        inner.names.remove(name);
        Ok(())
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        self.inner.borrow().names.get(name).copied()
    }

    fn find(&self, place: &str, _: bool) -> Result<Result<Pid, String>, Refused> {
        let missing = || format!("cannot find {place}: the test has no process of this name or place");
        Ok(self.whereis(place).ok_or_else(missing))
    }

    fn link(&self, _: Pid) -> Result<(), Refused> {
        Ok(())
    }

    fn unlink(&self, _: Pid) -> Result<(), Refused> {
        Ok(())
    }

    fn monitor(&self, _: Pid) -> Result<MonitorRef, Refused> {
        let mut inner = self.inner.borrow_mut();
        let reference = inner.next();
        inner.monitors.insert(reference);
        Ok(MonitorRef(reference))
    }

    fn demonitor(&self, monitor: MonitorRef) -> Result<(), Refused> {
        self.inner.borrow_mut().monitors.remove(&monitor.0).then_some(()).ok_or(Refused)
    }

    fn exit(&self, to: Pid, exit: Exit) -> Result<(), Refused> {
        self.inner.borrow_mut().sent.push(Sent::Exit(to, exit));
        Ok(())
    }

    fn trap_exit(&self, on: bool) -> Result<(), Refused> {
        self.inner.borrow_mut().trapping = on;
        Ok(())
    }

    fn env(&self, key: &str) -> Option<Vec<u8>> {
        self.inner.borrow().env.get(key).cloned()
    }

    /// Log records are dropped: tests check states and messages.
    fn log(&self, _: log::Level, _: &str, _: &str) {}
}
