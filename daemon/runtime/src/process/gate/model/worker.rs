//! A worker, as in `world/run.rs`.

use std::mem::take;

use shuttle::thread;

use super::*;

impl House {
    pub(super) fn work(&self) {
        while let Some(number) = self.next() {
            self.activate(number);
        }
    }

    pub(super) fn next(&self) -> Option<u32> {
        let mut queue = self.queue.lock().unwrap();
        loop {
            match queue.numbers.pop_front() {
                Some(number) => return Some(number),
                None if queue.is_over => return None,
                None => queue = self.runnable.wait(queue).unwrap(),
            }
        }
    }

    pub(super) fn activate(&self, number: u32) {
        let slot = &self.slots[number as usize];
        let Ok(claim) = slot.claim_any() else { return };
        let mut station = claim.body;
        station.inbox.extend(claim.mail);
        self.settle(&mut station);
        claim.signals.into_iter().for_each(|answer| self.resume(&mut station, answer));
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

    pub(super) fn turn(&self, slot: &Slot<Model>, station: &mut Station) -> Hold {
        while station.serving.is_none() {
            // The short way, as in `world/run/short.rs`: there is no copy to drop.
            let is_plain = station.round == 0 && station.shadow.is_none() && !station.is_unborn;
            if is_plain && self.gate.is_down() && station.has_work() {
                self.serve(station);
                continue;
            }
            self.settle(station);
            if !station.has_work() {
                return Hold::NONE;
            }
            match self.gate.admit(&Claimed(slot, station)) {
                Admission::Free => {}
                Admission::Only(from) => station.bring_forward(from),
                Admission::Parked => return Hold::PARKED,
            }
            self.run_next(station);
        }
        Hold::WAITING
    }

    /// Runs init, or serves the next call the long way.
    pub(super) fn run_next(&self, station: &mut Station) {
        if take(&mut station.is_unborn) {
            return self.callback(station);
        }
        self.invalidate_shadow(station);
        self.serve(station);
    }

    fn serve(&self, station: &mut Station) {
        let Call { from, mut route } = station.inbox.pop_front().expect("it has work");
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

    /// Drops the shadow before the state changes, as in `world/change.rs`.
    pub(super) fn invalidate_shadow(&self, station: &mut Station) {
        self.gate.mark_dirty(station.pid, take(&mut station.round));
        self.settle(station);
        station.shadow = None;
    }

    /// Installs the shadow of a committed upgrade, and drops the shadow of a failed one.
    pub(super) fn settle(&self, station: &mut Station) {
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
    pub(super) fn resume(&self, station: &mut Station, answer: From) {
        let (from, request) = station.serving.take().expect("an answer finds the waiting call");
        assert_eq!(request, answer);
        self.callback(station);
        self.answer(from);
    }

    /// Runs a callback, and checks that no thread converts the state meanwhile.
    pub(super) fn callback(&self, station: &mut Station) {
        let (pid, is_held) = (station.pid, station.module != OTHER);
        let check =
            || assert!(!is_held || !self.at_rest(), "{pid} runs although the gate reports that it rests");
        check();
        assert!(station.shadow.is_none(), "{pid} changes its state and still has a shadow");
        station.state += 1;
        self.steps.lock().unwrap()[pid.slot as usize] += 1;
        thread::yield_now();
        check();
    }

    pub(super) fn at_rest(&self) -> bool {
        self.at_rest.load(std::sync::atomic::Ordering::SeqCst)
    }
}
