//! The thread that carries out the steps of the ledger.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use parking_lot::Mutex;
use reld_fleet::Wait;
use reld_fleet::ledger::{Ending, Given, Outcome, Own, Slot, Step, View, Why, ended};
use tokio::runtime::Handle;
use tokio::time::Instant as Time;

use super::facts::Facts;
use super::grant::{self, Grant};
use super::kept::{Kept, Part};
use super::link::Link;
use super::order::{Daemon, Order};
use super::presence::{LEASE, Stay};
use super::quiet::Quiet;
use super::shared::{Fault, Shared, Wake, random_name};
use crate::history::now;

/// The time after which the agent looks without being woken. The watch usually wakes it first.
const LOOK: Duration = Duration::from_secs(3);

/// The longest time between two looks in which the node still knows that a rollout stood still.
const GAP: Duration = LOOK.saturating_mul(3);

/// The number of writes in a row, and the pause after them. Others have written first each time.
const WRITES: usize = 10;
const CONTENDED: Duration = Duration::from_millis(200);

/// The state of the thread.
#[derive(Debug)]
pub(super) struct Agent {
    shared: Arc<Shared>,
    daemon: Arc<Daemon>,
    handle: Handle,
    kept: Arc<Mutex<Kept>>,
    life: String,
    /// The number of names given to orders.
    orders: u64,
    facts: Facts,
    stay: Stay,
    order: Option<UnderWay>,
    /// The time before which no order begins: the last one has ended without a result.
    rests_until: Instant,
    quiet: Quiet,
}

/// An order that its thread carries out.
#[derive(Debug)]
struct UnderWay {
    rollout: String,
    slot: Slot,
    grant: Grant,
    thread: JoinHandle<()>,
}

impl Agent {
    /// Starts the thread. It runs as long as the daemon.
    pub(super) fn start(shared: Arc<Shared>, daemon: Daemon, woken: Receiver<Wake>) -> anyhow::Result<()> {
        let life = random_name()?;
        let agent = Self {
            handle: Handle::current(),
            kept: Arc::new(Mutex::new(Kept::read(daemon.root.clone()))),
            stay: Stay::new(life.clone(), now()),
            facts: Facts::of(&daemon.operator.board()),
            shared,
            daemon: Arc::new(daemon),
            life,
            orders: 0,
            order: None,
            rests_until: Instant::now(),
            quiet: Quiet::new(Instant::now()),
        };
        let run = move || agent.run(&woken);
        thread::Builder::new().name("reld-fleet".to_owned()).spawn(run).context("cannot start a thread")?;
        Ok(())
    }

    fn run(mut self, woken: &Receiver<Wake>) {
        let mut pause = Duration::ZERO;
        loop {
            let mut wake = woken.recv_timeout(pause).ok();
            while let Some(reason) = wake {
                match reason {
                    Wake::Etcd => {}
                    Wake::Ended => self.take_end(),
                    Wake::Node(facts) => self.facts = facts,
                    Wake::Leave(left) => {
                        self.stay.leave(&self.shared);
                        // The daemon may have stopped to wait.
                        let _ = left.send(());
                        return;
                    }
                }
                wake = woken.try_recv().ok();
            }
            pause = match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(Ok(pause)) => {
                    self.connected();
                    pause
                }
                Ok(Err(fault)) => self.lost(&fault),
                // The panic hook has reported the panic.
                Err(_) => self.lost(&Fault::Panicked),
            };
        }
    }

    /// Looks, and does everything that this node has to do now. Returns the pause until the next
    /// look.
    fn turn(&mut self) -> Result<Duration, Fault> {
        let before = self.kept.lock().life().to_owned();
        if self.stay.keep(&self.shared, &self.facts, &before)? {
            self.kept.lock().set_life(&self.life);
        }
        for _ in 0..WRITES {
            let view = self.look()?;
            if !self.stay.is_seen(&self.shared, &view) {
                return Ok(CONTENDED);
            }
            let txn = match self.give(&view) {
                Some(txn) => txn,
                None => match view.step(&self.own(&view)) {
                    Step::Write(txn) => txn,
                    Step::Carry(slot) => {
                        self.begin(&view, slot);
                        return Ok(LOOK);
                    }
                    // The next look ends the pause in time.
                    Step::Wait(Why::Policy(Wait::Pause(left))) => return Ok(left.min(LOOK)),
                    Step::Wait(_) | Step::Idle => return Ok(LOOK),
                },
            };
            // The next look shows whether it was written.
            self.shared.write(&txn)?;
        }
        Ok(CONTENDED)
    }

    fn look(&mut self) -> Result<View, Fault> {
        let looked = Time::now();
        let (_, view) = self.shared.look()?;
        let revision = view.rollout.as_ref().map_or(0, |run| run.standing.revision);
        self.quiet.see(revision, Instant::now(), GAP);
        if let Some(UnderWay { rollout, slot, grant, .. }) = &self.order {
            grant.set(grant::end(&view, rollout, slot, looked, LEASE));
        }
        let mut seen = self.shared.seen.lock();
        let (mut missing, since) = (BTreeMap::new(), SystemTime::now());
        for node in view.members.keys().filter(|node| !view.presences.contains_key(node)) {
            missing.insert(node.clone(), seen.missing.get(node).copied().unwrap_or(since));
        }
        seen.missing = missing;
        Ok(view)
    }

    fn own(&mut self, view: &View) -> Own {
        self.orders += 1;
        let identity = self.facts.permanent.clone().map(|(_, identity)| identity);
        let kept = self.kept.lock().result().map(|result| result.slot.tx.clone());
        let under_way = self.order.as_ref().map(|order| order.slot.tx.clone());
        Own {
            node: self.shared.membership.node.clone(),
            life: self.life.clone(),
            identity,
            is_busy: self.facts.busy.is_some() || self.order.is_some(),
            tx: under_way.or(kept),
            new_tx: format!("{}/{}", self.life, self.orders),
            follows: self.shared.membership.follows,
            quiet: if view.rollout.is_some() { self.quiet.time() } else { Duration::ZERO },
            now: now(),
        }
    }

    /// Returns the transaction that gives a kept result, until it is written.
    fn give(&self, view: &View) -> Option<reld_fleet::ledger::Txn> {
        let mut kept = self.kept.lock();
        let Part { rollout, slot, outcome } = kept.result()?;
        match view.give(rollout, slot, outcome) {
            Given::Write(txn) => Some(txn),
            Given::Written | Given::Forgotten => {
                kept.set_result(None);
                None
            }
        }
    }

    /// Begins the order of a slot on a thread of its own.
    fn begin(&mut self, view: &View, slot: Slot) {
        let board = self.daemon.operator.board();
        let rests = Instant::now() < self.rests_until;
        let may_begin = self.order.is_none() && !rests && !board.stops && !board.restarts;
        let Some(run) = view.rollout.as_ref().filter(|_| may_begin) else { return };
        let (grant, granted) = Grant::until(grant::end(view, &run.id, &slot, Time::now(), LEASE));
        if granted.has_ended() {
            return;
        }
        tracing::info!(name: "fleet.begin", rollout = run.id, attempt = slot.attempt, "the node begins its part of the rollout");
        let order = Order::new(&self.shared, &self.daemon, run, slot.clone(), granted);
        let (handle, kept, wakes) = (self.handle.clone(), Arc::clone(&self.kept), self.shared.wakes.clone());
        let carry_out = move || {
            let _wakes = Waking(wakes);
            order.carry_out(&handle, &kept);
        };
        match thread::Builder::new().name("reld-fleet-order".to_owned()).spawn(carry_out) {
            Ok(thread) => self.order = Some(UnderWay { rollout: run.id.clone(), slot, grant, thread }),
            Err(error) => {
                tracing::error!(name: "fleet.begin", %error, "cannot start a thread; it is tried again");
            }
        }
    }

    /// Takes note of the end of the order. Its thread ends now. A panic is a failure of the node.
    fn take_end(&mut self) {
        let Some(UnderWay { rollout, slot, thread, .. }) = self.order.take() else { return };
        if thread.join().is_err() {
            let why =
                Some("the daemon panicked; this is a bug in reld, and its log has the place".to_owned());
            let outcome = Outcome { why, ..ended(Ending::Failed, &slot, &now()) };
            self.kept.lock().set_result(Some(Part { rollout, slot, outcome }));
        } else if self.kept.lock().result().is_none() {
            self.rests_until = Instant::now() + LOOK;
        }
    }

    fn connected(&self) {
        let mut seen = self.shared.seen.lock();
        if !seen.link.is_connected() {
            seen.link = Link::Connected;
            self.shared.alarms.lower(ALARM);
            tracing::info!(name: "fleet.connected", "{}", seen.link.text(&self.shared.membership));
        }
    }

    /// Raises the alarm once for each kind of fault. Returns the pause before the next attempt.
    fn lost(&self, fault: &Fault) -> Duration {
        let is_passing = match fault {
            Fault::Etcd(error) => error.is_passing(),
            // The lease goes on, or has to be made as soon as the name is free.
            Fault::Contended | Fault::Twice { .. } | Fault::Unreadable(_) | Fault::Panicked => true,
        };
        let mut seen = self.shared.seen.lock();
        let before = seen.link.text(&self.shared.membership);
        let (link, pause) = seen.link.lost(fault.to_string(), is_passing);
        seen.link = link;
        let text = seen.link.text(&self.shared.membership);
        if text != before {
            tracing::warn!(name: "fleet.lost", "{text}");
            self.shared
                .alarms
                .raise(ALARM, format!("fleet {text}; the node runs on, and begins nothing for it"));
        }
        pause
    }
}

/// The subject of the alarm.
const ALARM: &str = "fleet";

/// Wakes the agent when it is dropped, also by a panic.
struct Waking(std::sync::mpsc::Sender<Wake>);

impl Drop for Waking {
    fn drop(&mut self) {
        // The agent has ended with the daemon.
        let _ = self.0.send(Wake::Ended);
    }
}
