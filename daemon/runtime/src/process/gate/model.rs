//! The gate over processes that call each other, in schedules that shuttle makes up. Run with
//! `--features shuttle --lib gate`.
//!
//! Gate and slots are the real ones. A process here is a station on the *routes* that clients send: it passes a call on
//! to the next station and answers when that one has answered. So busy members wait for each other, for others, and
//! for one that is not born yet. What must hold in every order:
//!
//! - when the gate says that its members rest, no callback of them runs or waits, and none begins until it is lowered;
//! - then every member has a shadow, made before the gate or behind it, of the state that it has;
//! - in the end every state has the effect of every callback of its process, whatever came of the upgrade;
//! - every call is answered, once;
//! - nobody waits for ever, which shuttle would call a deadlock.

mod stories;
mod upgrade;
mod worker;

use std::collections::VecDeque;

use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::thread;

use super::*;
use crate::process::shadow::Fate;
use crate::process::slot::{Hold, Kind, Room, Slot, Wake};

/// Schedules per model. More for a longer look: `RELD_SCHEDULES=100000 cargo test ...`.
const SCHEDULES: usize = 1_000;

/// How many preemptions the schedules of the second kind have.
const PREEMPTIONS: usize = 4;

/// In how many steps of a conversion others run.
const CONVERSION: usize = 10;

/// Who calls from outside.
const CLIENT: Pid = Pid { slot: u32::MAX, generation: u32::MAX };

struct Model;

/// A call that is passed along these stations.
#[derive(Debug)]
struct Call {
    from: From,
    route: VecDeque<Pid>,
}

#[derive(Debug)]
struct Station {
    pid: Pid,
    module: &'static str,
    is_unborn: bool,
    inbox: VecDeque<Call>,
    /// The call under way, and the request that it waits for.
    serving: Option<(From, From)>,
    next_reference: u64,
    /// How many steps its callbacks have made: what an upgrade carries over.
    state: u32,
    /// The round of pre-copy that found it at rest.
    round: Round,
    shadow: Option<Shadow>,
    /// How often it came to new code.
    converted: u32,
}

/// A copy of a state.
#[derive(Debug)]
struct Shadow {
    upgrade: usize,
    state: u32,
}

/// An upgrade whose gate is still to be raised.
struct Begun {
    number: usize,
    gate: std::sync::Arc<Gate>,
    members: Vec<Pid>,
}

/// How far an upgrade goes before it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    Precopied,
    Raised,
    Converted,
    Switched,
}

impl Kind for Model {
    type Body = Station;
    type Mail = Call;
    /// The answer to this call.
    type Signal = From;
    /// Module and parent.
    type Card = (&'static str, Pid);
}

/// A claimed station.
struct Claimed<'a>(&'a Slot<Model>, &'a Station);

impl Entrant for Claimed<'_> {
    fn pid(&self) -> Pid {
        self.1.pid
    }

    fn module(&self) -> Option<&str> {
        Some(self.1.module)
    }

    fn round(&self) -> Round {
        self.1.round
    }

    fn is_unborn(&self) -> bool {
        self.1.is_unborn
    }

    fn calls(&self) -> impl Iterator<Item = From> {
        self.1.inbox.iter().map(|call| call.from)
    }

    fn count(&self, gate: GateNumber) -> bool {
        self.0.count(gate)
    }
}

/// A small process world.
struct House {
    slots: Vec<Slot<Model>>,
    gate: GateHouse,
    queue: Mutex<Queue>,
    runnable: Condvar,
    /// How often each call of a client was answered.
    answers: Mutex<Vec<u32>>,
    answered: Condvar,
    /// The members rest, says the gate.
    at_rest: std::sync::atomic::AtomicBool,
    /// How many steps the callbacks of each station really made.
    steps: std::sync::Mutex<Vec<u32>>,
    /// What has become of each upgrade.
    fates: Mutex<Vec<Fate>>,
}

#[derive(Default)]
struct Queue {
    numbers: VecDeque<u32>,
    is_over: bool,
}

const MEMBER: &str = "member";
const SUPERVISOR: &str = "supervisor";
const OTHER: &str = "other";

fn pid(slot: u32) -> Pid {
    Pid { slot, generation: 1 }
}

impl Processes for House {
    fn rest(&self, pid: Pid, gate: GateNumber) -> Rest {
        self.slot(pid).rest(pid.generation, gate)
    }

    fn is_counted(&self, pid: Pid, gate: GateNumber) -> bool {
        self.slot(pid).is_counted(pid.generation, gate)
    }

    fn module<R>(&self, pid: Pid, look: impl FnOnce(Option<&str>) -> R) -> Option<R> {
        self.slot(pid).card(pid.generation, |(module, _)| look(Some(module)))
    }

    fn waits_for(&self, pid: Pid) -> Vec<From> {
        let open = |station: &Station| station.serving.map(|(_, request)| request);
        self.slot(pid).peek(pid.generation, open).flatten().into_iter().collect()
    }

    fn unpark(&self, pid: Pid) {
        self.act(pid, self.slot(pid).unpark(pid.generation));
    }
}

impl House {
    /// Makes room for these stations: module and parent of each.
    fn new(clients: usize, stations: &[(&'static str, Pid)]) -> Self {
        let house = Self {
            slots: stations.iter().map(|_| Slot::empty()).collect(),
            gate: GateHouse::default(),
            queue: Mutex::default(),
            runnable: Condvar::new(),
            answers: Mutex::new(vec![0; clients]),
            answered: Condvar::new(),
            at_rest: std::sync::atomic::AtomicBool::new(false),
            steps: std::sync::Mutex::new(vec![0; stations.len()]),
            fates: Mutex::default(),
        };
        for (slot, card) in stations.iter().enumerate().filter(|(_, (module, _))| !module.is_empty()) {
            house.start(pid(slot as u32), *card);
        }
        house
    }

    fn slot(&self, pid: Pid) -> &Slot<Model> {
        &self.slots[pid.slot as usize]
    }

    fn act(&self, pid: Pid, wake: Wake) {
        if wake == Wake::Schedule {
            self.queue.lock().unwrap().numbers.push_back(pid.slot);
            self.runnable.notify_one();
        }
    }

    fn start(&self, pid: Pid, card: (&'static str, Pid)) {
        let station = Station {
            pid,
            module: card.0,
            is_unborn: true,
            inbox: VecDeque::new(),
            serving: None,
            next_reference: 0,
            state: 0,
            round: 0,
            shadow: None,
            converted: 0,
        };
        assert_eq!(self.slot(pid).open(card, |_| station), Some(pid.generation));
        self.gate.born(self, pid);
        self.act(pid, Wake::Schedule);
    }

    fn call(&self, reference: u64, route: &[Pid]) {
        let from = From { caller: CLIENT, server: route[0], reference };
        self.post(Call { from, route: route[1..].iter().copied().collect() });
    }

    fn post(&self, call: Call) {
        let to = call.from.server;
        self.act(to, self.slot(to).push_mail(to.generation, call, Room::Always).unwrap().0);
    }

    fn answer(&self, from: From) {
        if from.caller == CLIENT {
            self.answers.lock().unwrap()[from.reference as usize] += 1;
            self.answered.notify_all();
        } else {
            self.act(from.caller, self.slot(from.caller).push_signal(from.caller.generation, from).unwrap());
        }
    }

    /// Waits until every client has its answer.
    fn wait(&self) {
        let mut answers = self.answers.lock().unwrap();
        while answers.contains(&0) {
            answers = self.answered.wait(answers).unwrap();
        }
    }

    /// Waits until this client has its answer.
    fn wait_for(&self, client: usize) {
        let mut answers = self.answers.lock().unwrap();
        while answers[client] == 0 {
            answers = self.answered.wait(answers).unwrap();
        }
    }

    fn converted(&self, pid: Pid) -> u32 {
        self.slot(pid).peek(pid.generation, |station| station.converted).expect("nobody runs it any more")
    }

    /// Every state is what its callbacks made of it.
    fn check_states(&self) {
        for pid in (0..self.slots.len() as u32).map(pid) {
            let state = |station: &mut Station| {
                self.settle(station);
                assert_eq!(
                    station.state,
                    self.steps.lock().unwrap()[pid.slot as usize],
                    "the state of {pid}"
                );
            };
            assert!(self.visit(pid, state), "somebody runs {pid} still");
        }
    }
}

impl Station {
    /// What the switch may count on.
    fn is_ready(&mut self, upgrade: usize, until: Until) {
        if self.is_unborn {
            // There is nothing of it to convert: it is born in new code.
            self.converted += u32::from(until == Until::Switched);
            return;
        }
        let shadow = self.shadow.as_ref().filter(|shadow| shadow.upgrade == upgrade);
        assert_eq!(shadow.map(|shadow| shadow.state), Some(self.state), "the shadow of {}", self.pid);
    }

    fn has_work(&self) -> bool {
        self.is_unborn || (self.serving.is_none() && !self.inbox.is_empty())
    }

    fn bring_forward(&mut self, from: From) {
        let at = self.inbox.iter().position(|call| call.from == from).expect("it was among the calls");
        let call = self.inbox.remove(at).expect("it is there");
        self.inbox.push_front(call);
    }
}

/// Runs a story on two workers until every client has its answer; `end` looks at what is left.
fn model(clients: usize, stations: &'static [(&'static str, Pid)], story: fn(&Arc<House>), end: fn(&House)) {
    let run = move || {
        let house = Arc::new(House::new(clients, stations));
        let workers = [(); 2].map(|()| {
            let house = Arc::clone(&house);
            thread::spawn(move || house.work())
        });
        story(&house);
        house.wait();
        house.queue.lock().unwrap().is_over = true;
        house.runnable.notify_all();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(house.answers.lock().unwrap().iter().all(|answers| *answers == 1));
        house.check_states();
        end(&house);
    };
    let schedules = std::env::var("RELD_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(SCHEDULES);
    shuttle::check_random(run, schedules);
    shuttle::check_pct(run, schedules, PREEMPTIONS);
}

fn beside(house: &Arc<House>, work: impl FnOnce(&House) + Send + 'static) -> thread::JoinHandle<()> {
    let house = Arc::clone(house);
    thread::spawn(move || work(&house))
}
