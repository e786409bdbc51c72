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

use std::collections::VecDeque;
use std::mem::take;

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
        self.settle(&mut station);
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
            self.settle(station);
            if !station.has_work() {
                return Hold::NONE;
            }
            match self.gate.admit(&Claimed(slot, station)) {
                Admission::Free => {}
                Admission::Only(from) => station.bring_forward(from),
                Admission::Parked => return Hold::PARKED,
            }
            self.one(station);
        }
        Hold::WAITING
    }

    /// Runs init, or serves the next call.
    fn one(&self, station: &mut Station) {
        if take(&mut station.is_unborn) {
            return self.callback(station);
        }
        let Some(Call { from, mut route }) = station.inbox.pop_front() else { return };
        self.stir(station);
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
    }

    /// The state is about to change, as in `upgrade.rs`.
    fn stir(&self, station: &mut Station) {
        self.gate.stir(station.pid, take(&mut station.round));
        self.settle(station);
        station.shadow = None;
    }

    /// Takes the shadow of a committed upgrade, drops that of a failed one.
    fn settle(&self, station: &mut Station) {
        let Some(shadow) = station.shadow.take() else { return };
        let fate = self.fates.lock().unwrap()[shadow.upgrade];
        match fate {
            Fate::Open => station.shadow = Some(shadow),
            Fate::Committed => {
                station.state = shadow.state;
                station.converted += 1;
            }
            Fate::Aborted => {}
        }
    }

    /// Ends the callback that waited for this answer.
    fn go_on(&self, station: &mut Station, answer: From) {
        let (from, request) = station.serving.take().expect("an answer finds who asked");
        assert_eq!(request, answer);
        self.callback(station);
        self.answer(from);
    }

    /// What a callback may count on: nobody converts the state meanwhile.
    fn callback(&self, station: &mut Station) {
        let (pid, is_held) = (station.pid, station.module != OTHER);
        let check = || assert!(!is_held || !self.at_rest(), "{pid} was said to rest");
        check();
        assert!(station.shadow.is_none(), "{pid} has a shadow and changes");
        station.state += 1;
        self.steps.lock().unwrap()[pid.slot as usize] += 1;
        thread::yield_now();
        check();
    }

    fn at_rest(&self) -> bool {
        self.at_rest.load(std::sync::atomic::Ordering::SeqCst)
    }

    // --- an upgrade, as in `upgrade.rs` ------------------------------------------------------------------------------

    fn upgrade(&self, rounds: usize, member: Member, until: Until) -> Result<(), Vec<Pid>> {
        let begun = self.begin(rounds);
        self.complete(begun, member, until)
    }

    /// Finds the members and copies them in so many rounds.
    fn begin(&self, rounds: usize) -> Begun {
        let number = self.fates.lock().unwrap().len();
        self.fates.lock().unwrap().push(Fate::Open);
        let gate = self.gate.build(HashSet::from([MEMBER.to_owned()]));
        let members = self.members();
        let parents = members.iter().filter_map(|pid| self.parent(*pid));
        let supervisors = supervisors_of(parents, members.iter().copied());
        gate.oversee(&supervisors);
        gate.note(members.iter().chain(&supervisors).copied());
        (0..rounds).for_each(|_| self.precopy(&gate, number));
        Begun { number, gate, members }
    }

    /// Brings the members to rest, converts those without a shadow, and lets them go on; says who was late.
    fn complete(&self, begun: Begun, member: Member, until: Until) -> Result<(), Vec<Pid>> {
        let Begun { number, gate, members } = begun;
        let result = if until == Until::Precopied {
            Ok(())
        } else {
            let terms = HashMap::from([(MEMBER.to_owned(), member)]);
            let raised = gate.raise(&self.gate, self, &terms, |_| {});
            if raised.is_ok() {
                self.at_rest.store(true, std::sync::atomic::Ordering::SeqCst);
                self.inside(&gate, number, until);
                self.at_rest.store(false, std::sync::atomic::Ordering::SeqCst);
            }
            gate.lower(&self.gate, self);
            raised.map(|_| ())
        };
        self.gate.tear_down();
        if result.is_err() || until != Until::Switched {
            self.fates.lock().unwrap()[number] = Fate::Aborted;
        }
        // The sweep comes by while processes are let go.
        members.into_iter().for_each(|pid| {
            self.visit(pid, |station| self.settle(station));
        });
        result
    }

    /// One round over those that run, or ran.
    fn precopy(&self, gate: &Gate, upgrade: usize) {
        let round = self.gate.begin_round();
        gate.newborn();
        for pid in gate.take_dirty() {
            if !self.copy(pid, upgrade, round) {
                gate.note([pid]);
            }
        }
    }

    /// Gives a station a shadow if it rests, as `convert.rs` does.
    fn copy(&self, pid: Pid, upgrade: usize, round: Round) -> bool {
        let mut read = None;
        let mut is_clean = false;
        self.visit(pid, |station| {
            self.settle(station);
            if station.is_unborn || station.serving.is_some() {
                return;
            }
            is_clean = station.shadow.is_some() || station.module != MEMBER;
            station.round = round;
            read = (!is_clean).then_some(station.state);
        });
        let Some(state) = read else { return is_clean };
        // A conversion is long: whole callbacks run beside it.
        (0..CONVERSION).for_each(|_| thread::yield_now());
        self.visit(pid, |station| {
            if station.round == round && station.serving.is_none() {
                station.shadow = Some(Shadow { upgrade, state });
                is_clean = true;
            }
        });
        is_clean
    }

    /// The members rest: those without a shadow get one.
    fn inside(&self, gate: &Gate, upgrade: usize, until: Until) {
        gate.newborn();
        if until == Until::Raised {
            return;
        }
        let round = self.gate.begin_round();
        for pid in gate.dirty() {
            while !self.is_unborn(pid) && !self.copy(pid, upgrade, round) {
                thread::yield_now();
            }
        }
        for pid in self.members() {
            while !self.visit(pid, |station| station.is_ready(upgrade, until)) {
                thread::yield_now();
            }
        }
        if until == Until::Switched {
            self.fates.lock().unwrap()[upgrade] = Fate::Committed;
        }
    }

    fn is_unborn(&self, pid: Pid) -> bool {
        self.slot(pid).peek(pid.generation, |station| station.is_unborn) == Some(true)
    }

    fn parent(&self, pid: Pid) -> Option<Pid> {
        self.slot(pid).card(pid.generation, |(_, parent)| *parent)
    }

    fn members(&self) -> Vec<Pid> {
        let pids = (0..self.slots.len() as u32).map(pid);
        pids.filter(|pid| self.module(*pid, |module| module == Some(MEMBER)) == Some(true)).collect()
    }

    /// Lets `work` at a station at rest; says whether nobody else had it.
    fn visit(&self, pid: Pid, work: impl FnOnce(&mut Station)) -> bool {
        let slot = self.slot(pid);
        let Ok(mut station) = slot.visit(pid.generation) else { return false };
        let is_held = station.module != OTHER;
        assert!(!self.at_rest() || !is_held || station.serving.is_none(), "{pid} waits in a callback");
        work(&mut station);
        let left = station.has_work();
        let put = slot.leave(station, left);
        self.act(pid, put.wake);
        if let Some(gate) = put.rested {
            self.gate.rested(pid, gate);
        }
        true
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
                assert_eq!(house.upgrade(0, PATIENT, Until::Switched), Ok(()));
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
                    assert_eq!(house.upgrade(0, PATIENT, Until::Switched), Ok(()));
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
            let upgrade =
                beside(house, |house| assert_eq!(house.upgrade(0, PATIENT, Until::Switched), Ok(())));
            house.start(pid(1), (MEMBER, Pid::NONE));
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

const TREE: &[(&str, Pid)] = &[(MEMBER, Pid { slot: 1, generation: 1 }), (SUPERVISOR, Pid::NONE)];

#[test]
fn the_supervisor_of_members_rests_with_them() {
    model(
        2,
        TREE,
        |house| {
            let upgrade =
                beside(house, |house| assert_eq!(house.upgrade(0, PATIENT, Until::Switched), Ok(())));
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
                if let Err(late) = house.upgrade(0, HASTY, Until::Switched) {
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

// --- pre-copy --------------------------------------------------------------------------------------------------------

#[test]
fn a_state_that_was_copied_before_the_gate_has_every_callback_in_it() {
    model(
        2,
        CHAIN,
        |house| {
            let upgrade = beside(house, |house| {
                assert_eq!(house.upgrade(2, PATIENT, Until::Switched), Ok(()));
            });
            house.call(0, &[pid(0), pid(1), pid(2), pid(3)]);
            house.call(1, &[pid(1), pid(3)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!([0, 1, 3].map(|member| house.converted(pid(member))), [1, 1, 1]),
    );
}

#[test]
fn a_clean_member_that_begins_a_callback_as_the_gate_is_raised_is_waited_for() {
    model(
        2,
        &[(MEMBER, Pid::NONE)],
        |house| {
            house.call(0, &[pid(0)]);
            house.wait_for(0);
            let begun = house.begin(1);
            house.call(1, &[pid(0)]);
            assert_eq!(house.complete(begun, PATIENT, Until::Switched), Ok(()));
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn a_member_that_is_called_all_the_time_loses_no_callback_to_a_copy() {
    model(
        5,
        &[(MEMBER, Pid::NONE)],
        |house| {
            house.call(0, &[pid(0)]);
            house.wait_for(0);
            let upgrades = beside(house, |house| {
                for _ in 0..2 {
                    assert_eq!(house.upgrade(1, PATIENT, Until::Switched), Ok(()));
                }
            });
            for client in 1..5 {
                house.call(client, &[pid(0)]);
                house.wait_for(client as usize);
            }
            upgrades.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 2),
    );
}

#[test]
fn an_upgrade_that_is_taken_back_at_any_step_leaves_every_state_to_its_process() {
    model(
        2,
        &[(MEMBER, Pid::NONE), (MEMBER, Pid::NONE)],
        |house| {
            let upgrades = beside(house, |house| {
                for until in [Until::Precopied, Until::Raised, Until::Converted, Until::Switched] {
                    assert_eq!(house.upgrade(1, PATIENT, until), Ok(()));
                }
            });
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(1)]);
            upgrades.join().unwrap();
        },
        |house| assert_eq!([0, 1].map(|member| house.converted(pid(member))), [1, 1]),
    );
}

#[test]
fn a_member_that_is_born_during_the_pre_copy_is_converted_or_born_in_new_code() {
    model(
        2,
        &[(MEMBER, Pid::NONE), ("", Pid::NONE)],
        |house| {
            let upgrade = beside(house, |house| {
                assert_eq!(house.upgrade(2, PATIENT, Until::Switched), Ok(()));
            });
            house.start(pid(1), (MEMBER, Pid::NONE));
            house.call(0, &[pid(0), pid(1)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn a_supervisor_that_runs_after_the_pre_copy_rests_with_its_members() {
    model(
        2,
        TREE,
        |house| {
            let upgrade = beside(house, |house| {
                assert_eq!(house.upgrade(1, PATIENT, Until::Switched), Ok(()));
            });
            house.call(0, &[pid(1), pid(0)]);
            house.call(1, &[pid(1)]);
            upgrade.join().unwrap();
        },
        |house| assert_eq!(house.converted(pid(0)), 1),
    );
}

#[test]
fn an_upgrade_that_is_taken_back_at_any_step_lets_nested_calls_and_births_go_on() {
    model(
        3,
        &[(MEMBER, Pid::NONE), (OTHER, Pid::NONE), (MEMBER, Pid::NONE), ("", Pid::NONE)],
        |house| {
            let upgrades = beside(house, |house| {
                for until in [Until::Precopied, Until::Raised, Until::Converted] {
                    assert_eq!(house.upgrade(2, PATIENT, until), Ok(()));
                }
            });
            house.start(pid(3), (MEMBER, Pid::NONE));
            house.call(0, &[pid(0), pid(1), pid(2)]);
            house.call(1, &[pid(2), pid(3)]);
            house.call(2, &[pid(3)]);
            upgrades.join().unwrap();
        },
        |house| assert_eq!([0, 2].map(|member| house.converted(pid(member))), [0, 0]),
    );
}
