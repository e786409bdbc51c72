//! An upgrade, as in `upgrade.rs`.

use shuttle::thread;

use super::*;

impl House {
    pub(super) fn upgrade(&self, rounds: usize, member: Member, until: Until) -> Result<(), Vec<Pid>> {
        let begun = self.begin(rounds);
        self.complete(begun, member, until)
    }

    /// Finds the members and pre-copies them in this many rounds.
    pub(super) fn begin(&self, rounds: usize) -> Begun {
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

    /// Brings the members to rest, converts those without a shadow, and lets them go on. `Err`
    /// holds the late members.
    pub(super) fn complete(&self, begun: Begun, member: Member, until: Until) -> Result<(), Vec<Pid>> {
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
        // The sweep visits processes while the gate releases them.
        members.into_iter().for_each(|pid| {
            self.visit(pid, |station| self.settle(station));
        });
        result
    }

    /// One round of pre-copy over the dirty processes.
    pub(super) fn precopy(&self, gate: &Gate, upgrade: usize) {
        let round = self.gate.begin_round();
        gate.newborn();
        for pid in gate.take_dirty() {
            if !self.copy(pid, upgrade, round) {
                gate.note([pid]);
            }
        }
    }

    /// Gives a station a shadow if it rests, as `upgrade/convert.rs` does. Returns whether it is
    /// clean now.
    pub(super) fn copy(&self, pid: Pid, upgrade: usize, round: Round) -> bool {
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
        // A conversion takes long: whole callbacks run meanwhile.
        (0..CONVERSION).for_each(|_| thread::yield_now());
        self.visit(pid, |station| {
            if station.round == round && station.serving.is_none() {
                station.shadow = Some(Shadow { upgrade, state });
                is_clean = true;
            }
        });
        is_clean
    }

    /// Does the work of the pause: members without a shadow get one.
    pub(super) fn inside(&self, gate: &Gate, upgrade: usize, until: Until) {
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

    pub(super) fn is_unborn(&self, pid: Pid) -> bool {
        self.slot(pid).peek(pid.generation, |station| station.is_unborn) == Some(true)
    }

    pub(super) fn parent(&self, pid: Pid) -> Option<Pid> {
        self.slot(pid).card(pid.generation, |(_, parent)| *parent)
    }

    pub(super) fn members(&self) -> Vec<Pid> {
        let pids = (0..self.slots.len() as u32).map(pid);
        pids.filter(|pid| self.module(*pid, |module| module == Some(MEMBER)) == Some(true)).collect()
    }

    /// Lets `work` change a station that no other thread has claimed; returns false if one has.
    pub(super) fn visit(&self, pid: Pid, work: impl FnOnce(&mut Station)) -> bool {
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
}
