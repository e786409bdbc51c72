//! The gate over processes that call each other, in schedules that shuttle makes up. Run with
//! `--features shuttle --lib gate`.
//!
//! Gate and slots are the real ones. A process here is a station on the *routes* that clients send: it passes a call on
//! to the next station and answers when that one has answered. So busy members wait for each other, for others, and
//! for one that is not born yet. What must hold in every order:
//!
//! - when the gate says that its members rest, no callback of them runs or waits, and none begins until it is lowered;
//! - every call is answered, once;
//! - nobody waits for ever, which shuttle would call a deadlock.

use std::collections::VecDeque;
use std::mem::take;

use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::thread;

use super::*;
use crate::slot::{Hold, Kind, Slot, Wake};

/// Schedules per model. More for a longer look: `RELD_SCHEDULES=100000 cargo test ...`.
const SCHEDULES: usize = 1_000;

/// How many preemptions the schedules of the second kind have.
const PREEMPTIONS: usize = 4;

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
    /// How often its state was converted.
    converted: u32,
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
}

#[derive(Default)]
struct Queue {
    numbers: VecDeque<u32>,
    is_over: bool,
}

const MEMBER: &str = "member";
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
        self.act(to, self.slot(to).push_mail(to.generation, call).unwrap());
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

    // --- a worker, as in `run.rs` ------------------------------------------------------------------------------------

    fn work(&self) {
        while let Some(number) = self.next() {
            self.activate(number);
        }
    }

    fn next(&self) -> Option<u32> {
        let mut queue = self.queue.lock().unwrap();
        loop {
            match queue.numbers.pop_front() {
                Some(number) => return Some(number),
                None if queue.is_over => return None,
                None => queue = self.runnable.wait(queue).unwrap(),
            }
        }
    }

    fn activate(&self, number: u32) {
        let slot = &self.slots[number as usize];
        let Ok(claim) = slot.claim_any() else { return };
        let mut station = claim.body;
        station.inbox.extend(claim.mail);
        claim.signals.into_iter().for_each(|answer| self.go_on(&mut station, answer));
        let hold = self.turn(slot, &mut station);
        let pid = station.pid;
        let left = station.has_work();
        let put = slot.put_back(station, hold, left);
        self.act(pid, put.wake);
        if let Some(gate) = put.rested {
            self.gate.rested(pid, gate);
        }
        if hold.has(Hold::PARKED) {
            self.gate.parked(self, pid);
        }
    }

    fn turn(&self, slot: &Slot<Model>, station: &mut Station) -> Hold {
        while station.serving.is_none() {
            match self.gate.admit(&Claimed(slot, station)) {
                Admission::Free => {}
                Admission::Only(from) => station.bring_forward(from),
                Admission::Parked => return Hold::PARKED,
            }
            if !self.one(station) {
                return Hold::NONE;
            }
        }
        Hold::WAITING
    }

    /// Runs init, or serves the next call.
    fn one(&self, station: &mut Station) -> bool {
        if take(&mut station.is_unborn) {
            self.callback(station);
            return true;
        }
        let Some(Call { from, mut route }) = station.inbox.pop_front() else { return false };
        self.callback(station);
        match route.pop_front() {
            None => self.answer(from),
            Some(next) => {
                let request = From { caller: station.pid, server: next, reference: station.next_reference };
                station.next_reference += 1;
                station.serving = Some((from, request));
                self.post(Call { from: request, route });
            }
        }
        true
    }

    /// Ends the callback that waited for this answer.
    fn go_on(&self, station: &mut Station, answer: From) {
        let (from, request) = station.serving.take().expect("an answer finds who asked");
        assert_eq!(request, answer);
        self.callback(station);
        self.answer(from);
    }

    /// What a callback may count on: nobody converts the state meanwhile.
    fn callback(&self, station: &Station) {
        let check =
            || assert!(station.module != MEMBER || !self.at_rest(), "{} was said to rest", station.pid);
        check();
        thread::yield_now();
        check();
    }

    fn at_rest(&self) -> bool {
        self.at_rest.load(std::sync::atomic::Ordering::SeqCst)
    }

    // --- an upgrade, as in `upgrade.rs` ------------------------------------------------------------------------------

    /// Brings the members to rest, converts them, and lets them go on; says who was late.
    fn upgrade(&self, member: Member) -> Result<(), Vec<Pid>> {
        let gate = self.gate.build(HashMap::from([(MEMBER.to_owned(), member)]));
        let members = self.members();
        let parents = members.iter().filter_map(|pid| self.parent(*pid));
        let supervisors = supervisors_of(parents, members.iter().copied());
        let raised = gate.raise(&self.gate, self, members.iter().copied(), &supervisors, |_| {});
        if raised.is_ok() {
            self.at_rest.store(true, std::sync::atomic::Ordering::SeqCst);
            let newborn = gate.newborn(members.iter().copied());
            members.iter().chain(&newborn).for_each(|pid| self.convert(*pid));
            self.at_rest.store(false, std::sync::atomic::Ordering::SeqCst);
        }
        gate.lower(&self.gate, self);
        self.gate.tear_down();
        // The sweep comes by while processes are let go.
        members.into_iter().for_each(|pid| {
            self.visit(pid, |_| {});
        });
        raised.map(|_| ())
    }

    fn parent(&self, pid: Pid) -> Option<Pid> {
        self.slot(pid).card(pid.generation, |(_, parent)| *parent)
    }

    fn members(&self) -> Vec<Pid> {
        let pids = (0..self.slots.len() as u32).map(pid);
        pids.filter(|pid| self.module(*pid, |module| module == Some(MEMBER)) == Some(true)).collect()
    }

    fn convert(&self, pid: Pid) {
        while !self.visit(pid, |station| station.converted += 1) {
            thread::yield_now();
        }
    }

    /// Lets `work` at a station at rest; says whether nobody else had it.
    fn visit(&self, pid: Pid, work: impl FnOnce(&mut Station)) -> bool {
        let slot = self.slot(pid);
        let Ok(mut station) = slot.visit(pid.generation) else { return false };
        assert!(!self.at_rest() || station.serving.is_none(), "{pid} waits in a callback");
        work(&mut station);
        let left = station.has_work();
        let put = slot.leave(station, left);
        self.act(pid, put.wake);
        assert_eq!(put.rested, None, "{pid} was counted still");
        true
    }

    fn converted(&self, pid: Pid) -> u32 {
        self.slot(pid).peek(pid.generation, |station| station.converted).expect("nobody runs it any more")
    }
}

impl Station {
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

const PATIENT: Member = Member { timeout: Duration::from_secs(3600), unrest: Unrest::Abort };

const CHAIN: &[(&str, Pid)] =
    &[(MEMBER, Pid::NONE), (MEMBER, Pid::NONE), (OTHER, Pid::NONE), (MEMBER, Pid::NONE)];

#[test]
fn members_that_call_each_other_come_to_rest_and_lose_no_call() {
    model(
        3,
        CHAIN,
        |house| {
            let upgrade = beside(house, |house| {
                assert_eq!(house.upgrade(PATIENT), Ok(()));
            });
            house.call(0, &[pid(0), pid(1), pid(2), pid(3)]);
            house.call(1, &[pid(1), pid(3)]);
            house.call(2, &[pid(2), pid(3)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!([0, 1, 3].map(|member| house.converted(pid(member))), [1, 1, 1]),
    );
}

#[test]
fn one_upgrade_after_another_finds_no_count_of_the_first() {
    model(
        2,
        CHAIN,
        |house| {
            let upgrades = beside(house, |house| {
                for _ in 0..2 {
                    assert_eq!(house.upgrade(PATIENT), Ok(()));
                }
            });
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(0), pid(2), pid(3)]);
            upgrades.join().unwrap();
        },
        |house| assert_eq!([0, 1, 3].map(|member| house.converted(pid(member))), [2, 2, 2]),
    );
}

#[test]
fn a_member_that_is_born_meanwhile_is_held_and_is_born_in_the_end() {
    const STATIONS: &[(&str, Pid)] = &[(MEMBER, Pid::NONE), ("", Pid::NONE)];
    model(
        2,
        STATIONS,
        |house| {
            let upgrade = beside(house, |house| assert_eq!(house.upgrade(PATIENT), Ok(())));
            house.start(pid(1), (MEMBER, Pid::NONE));
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn the_supervisor_of_members_rests_with_them() {
    const STATIONS: &[(&str, Pid)] = &[(MEMBER, Pid { slot: 1, generation: 1 }), (OTHER, Pid::NONE)];
    model(
        2,
        STATIONS,
        |house| {
            let upgrade = beside(house, |house| assert_eq!(house.upgrade(PATIENT), Ok(())));
            // Supervisor and member wait for one another's callers.
            house.call(0, &[pid(1), pid(0)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn an_upgrade_without_patience_is_refused_or_done_and_everybody_goes_on() {
    const HASTY: Member = Member { timeout: Duration::ZERO, unrest: Unrest::Abort };
    model(
        2,
        CHAIN,
        |house| {
            let upgrade = beside(house, |house| {
                if let Err(late) = house.upgrade(HASTY) {
                    assert!(!late.is_empty());
                }
            });
            house.call(0, &[pid(0), pid(1), pid(2), pid(3)]);
            house.call(1, &[pid(3)]);
            upgrade.join().unwrap();
        },
        |_| {},
    );
}
