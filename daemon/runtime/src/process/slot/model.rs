//! The claim protocol in every interleaving that loom can generate. Run with
//! `--features loom --lib slot`.
//!
//! There is no scheduler here: a thread that gets [`Wake::Schedule`] runs the process itself. A
//! process counts its messages, and the test fails when two threads have its body at once.

mod held;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{Claim, GateNumber, Hold, Kind, Rest, Room, Slot, Unclaimed, Unposted, Wake};
use crate::process::custody::Custody;
use crate::words::sync::Mutex;

struct Model;

/// How many messages and signals a process has handled.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Handled {
    mail: u32,
    signals: u32,
}

impl Kind for Model {
    type Body = Handled;
    type Mail = u32;
    type Signal = u32;
    type Card = ();
}

/// A slot with one process, not running yet.
struct House {
    slot: Slot<Model>,
    inside: AtomicU32,
    /// How often a put-back reported that the process has come to rest.
    rested: AtomicU32,
}

const GENERATION: u32 = 1;
const GATE: GateNumber = GateNumber::MIN;

impl House {
    /// Opens the slot and runs its process until it is idle.
    fn new() -> Arc<Self> {
        let house =
            Arc::new(Self { slot: Slot::empty(), inside: AtomicU32::new(0), rested: AtomicU32::new(0) });
        assert_eq!(house.slot.open((), |_| Handled::default()), Some(GENERATION));
        house.run(Hold::NONE);
        house
    }

    /// Runs the process as a worker does that takes the slot's number from its queue.
    fn run(&self, hold: Hold) {
        while let Ok(claim) = self.slot.claim_any() {
            let body = self.handle(claim);
            if self.put_back(body, hold) == Wake::Nothing {
                return;
            }
        }
    }

    /// Like [`House::run`], for a process with a mailbox bound.
    fn take_one(&self) {
        while let Ok(claim) = self.slot.claim_any() {
            assert!(claim.mail.len() <= 1, "only one message may wait");
            let body = self.handle(claim);
            self.slot.set_held(0);
            if self.put_back(body, Hold::NONE) == Wake::Nothing {
                return;
            }
        }
    }

    fn handle(&self, claim: Claim<Model>) -> Handled {
        self.alone(|| Handled {
            mail: claim.body.mail + claim.mail.len() as u32,
            signals: claim.body.signals + claim.signals.len() as u32,
        })
    }

    fn alone<R>(&self, work: impl FnOnce() -> R) -> R {
        assert_eq!(self.inside.fetch_add(1, Ordering::Relaxed), 0, "two threads have the body");
        let result = work();
        self.inside.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn put_back(&self, body: Handled, hold: Hold) -> Wake {
        let put = self.slot.put_back(body, hold, false);
        self.note_rest(put.rested);
        put.wake
    }

    fn note_rest(&self, rested: Option<GateNumber>) {
        if let Some(gate) = rested {
            assert_eq!(gate, GATE);
            self.rested.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn mail(&self) {
        if self.slot.push_mail(GENERATION, 1, Room::Always).is_ok_and(|(wake, _)| wake == Wake::Schedule) {
            self.run(Hold::NONE);
        }
    }

    fn signal(&self, hold: Hold) {
        if self.slot.push_signal(GENERATION, 1) == Ok(Wake::Schedule) {
            self.run(hold);
        }
    }

    fn handled(&self) -> Handled {
        self.slot.peek(GENERATION, |body| *body).expect("the body is back at the end")
    }
}

fn spawn(house: &Arc<House>, work: impl FnOnce(&House) + 'static) -> thread::JoinHandle<()> {
    let house = Arc::clone(house);
    thread::spawn(move || work(&house))
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("a thread of the model panicked"));
}

#[test]
fn a_pushed_message_is_never_left_with_an_idle_process() {
    loom::model(|| {
        let house = House::new();
        join([spawn(&house, House::mail), spawn(&house, House::mail)]);
        assert_eq!(house.handled(), Handled { mail: 2, signals: 0 });
    });
}

#[test]
fn a_waiting_process_is_woken_by_signals_and_keeps_its_mail() {
    loom::model(|| {
        let house = House::new();
        // Both threads put the process back as waiting.
        let signal = spawn(&house, |house| house.signal(Hold::WAITING));
        if house.slot.push_mail(GENERATION, 1, Room::Always).is_ok_and(|(wake, _)| wake == Wake::Schedule) {
            house.run(Hold::WAITING);
        }
        join([signal]);
        house.run(Hold::NONE);
        assert_eq!(house.handled(), Handled { mail: 1, signals: 1 });
    });
}

#[test]
fn a_signal_during_a_claim_is_seen_by_a_look_between_callbacks_or_afterwards() {
    loom::model(|| {
        let house = House::new();
        let sender = spawn(&house, |house| house.signal(Hold::NONE));
        if let Ok(claim) = house.slot.claim_any() {
            let mut body = house.handle(claim);
            if house.slot.wants_attention() {
                body.signals += house.slot.more_signals().len() as u32;
            }
            if house.put_back(body, Hold::NONE) == Wake::Schedule {
                house.run(Hold::NONE);
            }
        }
        join([sender]);
        assert_eq!(house.handled().signals, 1);
    });
}

fn visits(visit: fn(&House) -> Option<Handled>) {
    loom::model(move || {
        let house = House::new();
        let sender = spawn(&house, House::mail);
        if let Some(body) = visit(&house) {
            let body = house.alone(|| body);
            let put = house.slot.leave(body, false);
            if put.wake == Wake::Schedule {
                house.run(Hold::NONE);
            }
        }
        join([sender]);
        assert_eq!(house.handled().mail, 1);
    });
}

#[test]
fn a_visit_loses_no_message_and_has_the_body_alone() {
    visits(|house| house.slot.visit(GENERATION).inspect_err(|why| assert_eq!(*why, Unclaimed::Taken)).ok());
    visits(|house| house.slot.visit_if(|_, _| true).expect("it lives").1);
}

#[test]
fn a_counted_process_is_acknowledged_exactly_once() {
    loom::model(|| {
        let house = House::new();
        let senders = [spawn(&house, House::mail), spawn(&house, House::mail)];
        let rest = house.slot.rest(GENERATION, GATE);
        join(senders);
        let acknowledged = house.rested.load(Ordering::Relaxed);
        assert_eq!(acknowledged, u32::from(rest == Rest::Counted));
    });
}

#[test]
fn a_counted_process_that_ends_is_acknowledged_by_its_end() {
    loom::model(|| {
        let house = House::new();
        let killer = spawn(&house, |house| {
            if house.slot.claim_any().is_ok() {
                let (_, _, counted) = house.slot.close();
                house.note_rest(counted);
            }
        });
        let rest = house.slot.rest(GENERATION, GATE);
        join([killer]);
        let acknowledged = house.rested.load(Ordering::Relaxed);
        assert_eq!(acknowledged, u32::from(rest == Rest::Counted));
        assert_eq!(house.slot.rest(GENERATION, GATE), Rest::Dead);
    });
}

#[test]
fn a_process_that_parks_while_the_gate_is_lowered_goes_on() {
    #[derive(Default)]
    struct Gate {
        parked: bool,
        lowered: bool,
    }
    fn go_on(house: &House) {
        if house.slot.unpark(GENERATION) == Wake::Schedule {
            house.run(Hold::NONE);
        }
    }
    loom::model(|| {
        let house = House::new();
        let gate = Arc::new(Mutex::new(Gate::default()));
        let worker = spawn(&house, {
            let gate = Arc::clone(&gate);
            move |house| {
                assert_eq!(
                    house.slot.push_mail(GENERATION, 1, Room::Always).map(|(wake, _)| wake),
                    Ok(Wake::Schedule)
                );
                let claim = house.slot.claim_any().expect("no other thread claims it");
                // The process finds the gate up. After that the gate records it as parked, or the
                // gate is already down.
                let body = house.handle(claim);
                assert_eq!(house.put_back(body, Hold::PARKED), Wake::Nothing);
                assert_eq!(
                    house.slot.push_mail(GENERATION, 1, Room::Always).map(|(wake, _)| wake),
                    Ok(Wake::Nothing),
                    "it is parked"
                );
                let lowered = {
                    let mut gate = gate.lock();
                    gate.parked = !gate.lowered;
                    gate.lowered
                };
                if lowered {
                    go_on(house);
                }
            }
        });
        let parked = {
            let mut gate = gate.lock();
            gate.lowered = true;
            std::mem::take(&mut gate.parked)
        };
        if parked {
            go_on(&house);
        }
        join([worker]);
        assert_eq!(house.handled().mail, 2);
    });
}

#[test]
fn mail_to_an_ending_process_is_given_back_and_never_reaches_the_next_process() {
    loom::model(|| {
        let house = House::new();
        let late = Arc::new(AtomicU32::new(0));
        let ender = spawn(&house, {
            let late = Arc::clone(&late);
            move |house| {
                let claim = house.slot.claim_any();
                if claim.is_ok() {
                    let (mail, _, _) = house.slot.close();
                    let given_back = mail.len() + claim.map_or(0, |claim| claim.mail.len());
                    late.fetch_add(given_back as u32, Ordering::Relaxed);
                    assert_eq!(house.slot.open((), |_| Handled::default()), Some(GENERATION + 1));
                    house.run(Hold::NONE);
                }
            }
        });
        if house.slot.push_mail(GENERATION, 1, Room::Always).is_err() {
            late.fetch_add(1, Ordering::Relaxed);
        }
        join([ender]);
        assert_eq!(late.load(Ordering::Relaxed), 1);
        assert_eq!(house.slot.peek(GENERATION + 1, |body| body.mail), Some(0));
    });
}

#[test]
fn a_process_seized_from_its_callback_ends_once_and_its_worker_finds_nothing() {
    loom::model(|| {
        let house = House::new();
        let custody = Arc::new(Custody::<Handled>::default());
        let (found_nothing, given_back) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        assert_eq!(
            house.slot.push_mail(GENERATION, 1, Room::Always).map(|(wake, _)| wake),
            Ok(Wake::Schedule)
        );
        let worker = spawn(&house, {
            let (custody, found_nothing) = (Arc::clone(&custody), Arc::clone(&found_nothing));
            move |house| {
                let Ok(claim) = house.slot.claim_any() else { return };
                custody.enter(house.handle(claim));
                // The callback uses a function of the daemon.
                if let Some(own) = custody.lend() {
                    house.alone(|| assert_ne!(own.mail, 0));
                }
                match custody.leave() {
                    Some(body) if house.put_back(body, Hold::NONE) == Wake::Schedule => house.run(Hold::NONE),
                    Some(_) => {}
                    None => {
                        found_nothing.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        let sender = spawn(&house, {
            let given_back = Arc::clone(&given_back);
            move |house| match house.slot.push_mail(GENERATION, 1, Room::Always) {
                Ok((Wake::Schedule, _)) => house.run(Hold::NONE),
                Ok((Wake::Nothing, _)) => {}
                Err(_) => {
                    given_back.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let (mut ended, mut taken_along) = (0, 0);
        if let Some(body) = custody.seize() {
            ended += 1;
            taken_along = house.alone(|| body.mail);
            let (mail, ..) = house.slot.close();
            given_back.fetch_add(mail.len() as u32, Ordering::Relaxed);
        }
        join([worker, sender]);
        assert_eq!(found_nothing.load(Ordering::Relaxed), ended);
        match house.slot.peek(GENERATION, |body| *body) {
            Some(body) => assert_eq!((body.mail, ended), (2, 0)),
            None => assert_eq!((taken_along + given_back.load(Ordering::Relaxed), ended), (2, 1)),
        }
    });
}

#[test]
fn no_more_messages_wait_than_a_process_allows_and_each_is_handled_or_refused() {
    loom::model(|| {
        let house = House::new();
        let claim = house.slot.claim_any().expect("no other thread runs yet");
        house.slot.set_bound(Some(1), 0);
        assert_eq!(house.put_back(claim.body, Hold::NONE), Wake::Nothing);
        let refused = Arc::new(AtomicU32::new(0));
        let sender = || {
            let refused = Arc::clone(&refused);
            move |house: &House| match house.slot.push_mail(GENERATION, 1, Room::Bounded) {
                Ok((wake, queued)) => {
                    assert_eq!(queued, 1, "only one message may wait");
                    if wake == Wake::Schedule {
                        house.take_one();
                    }
                }
                Err(unposted) => {
                    assert!(matches!(unposted, Unposted::Full(1, _)));
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        join([spawn(&house, sender()), spawn(&house, sender())]);
        assert_eq!(house.handled().mail + refused.load(Ordering::Relaxed), 2);
    });
}
