//! Processes that a worker holds while it runs the process that they wait for, as in
//! `world/run/inside.rs`. The watchdog may put each of them back into its slot at any moment.

use super::*;
use crate::process::current::HELD_MAX;

/// Finds these planted faults: a put-back forgets the signals that came meanwhile, or leaves the
/// process scheduled; a signal does not wake a waiting process; a worker drops the answer if the
/// body was taken from it; the watchdog does not schedule a process with signals.
#[test]
fn a_held_process_gets_its_answer_from_its_worker_or_from_its_slot_and_loses_no_signal() {
    loom::model(|| {
        let house = House::new();
        let held = Arc::new(Custody::<Handled>::default());
        assert_eq!(house.slot.push_signal(GENERATION, 1), Ok(Wake::Schedule));
        let worker = spawn(&house, {
            let held = Arc::clone(&held);
            move |house| {
                let claim = house.slot.claim_any().expect("no other thread claims it");
                held.enter(house.handle(claim));
                // Here the worker runs the process that the held one waits for, and has the answer.
                match held.leave() {
                    Some(mut body) => {
                        house.alone(|| body.signals += 1);
                        if house.put_back(body, Hold::NONE) == Wake::Schedule {
                            house.run(Hold::NONE);
                        }
                    }
                    None => house.signal(Hold::WAITING),
                }
            }
        });
        let sender = spawn(&house, |house| house.signal(Hold::WAITING));
        // The watchdog.
        if let Some(body) = held.seize()
            && house.put_back(body, Hold::WAITING) == Wake::Schedule
        {
            house.run(Hold::WAITING);
        }
        join([worker, sender]);
        assert_eq!(house.handled().signals, 3);
    });
}

/// Processes that a worker holds in each other: each waits for the answer of the next one, and the
/// last one for a process that the worker runs.
struct Chain {
    houses: [Arc<House>; HELD_MAX],
    held: [Custody<Handled>; HELD_MAX],
}

impl Chain {
    fn new() -> Arc<Self> {
        let chain = Self {
            houses: [(); HELD_MAX].map(|()| House::new()),
            held: [(); HELD_MAX].map(|()| Custody::default()),
        };
        for (house, held) in chain.houses.iter().zip(&chain.held) {
            held.enter(house.handle(house.slot.claim_any().expect("no other thread runs yet")));
        }
        Arc::new(chain)
    }

    /// Sends the answer for the process at this level to its slot.
    fn answer(&self, level: usize) -> Wake {
        self.houses[level].slot.push_signal(GENERATION, 1).expect("it lives")
    }

    /// Runs the process at this level as a worker does that takes its number from the queue. With
    /// its answer the process goes on, and answers the process at the level before.
    fn run(&self, level: usize) {
        let house = &self.houses[level];
        while let Ok(claim) = house.slot.claim_any() {
            let is_answered = !claim.signals.is_empty();
            let body = house.handle(claim);
            if is_answered && level > 0 && self.answer(level - 1) == Wake::Schedule {
                self.run(level - 1);
            }
            let hold = if is_answered { Hold::NONE } else { Hold::WAITING };
            if house.put_back(body, hold) == Wake::Nothing {
                return;
            }
        }
    }

    /// Ends the holds after the last process was answered, as the worker does. An answer stays on
    /// the worker as long as it finds the process there.
    fn unwind(&self) {
        let mut scheduled = Vec::new();
        let mut is_answered = true;
        for (level, house) in self.houses.iter().enumerate().rev() {
            let wake = match self.held[level].leave() {
                Some(mut body) if is_answered => {
                    house.alone(|| body.signals += 1);
                    house.put_back(body, Hold::NONE)
                }
                Some(body) => house.put_back(body, Hold::WAITING),
                None if std::mem::take(&mut is_answered) => self.answer(level),
                None => Wake::Nothing,
            };
            scheduled.extend((wake == Wake::Schedule).then_some(level));
        }
        scheduled.into_iter().for_each(|level| self.run(level));
    }

    /// Puts the held processes back into their slots, as the watchdog does.
    fn unhold(&self) {
        for (level, house) in self.houses.iter().enumerate() {
            if let Some(body) = self.held[level].seize()
                && house.put_back(body, Hold::WAITING) == Wake::Schedule
            {
                self.run(level);
            }
        }
    }
}

/// Finds these planted faults: the worker drops the answer of a process that was taken from it, or
/// gives it to the next one; it does not schedule a process that was answered meanwhile; the
/// watchdog does not.
#[test]
fn each_of_four_processes_held_in_each_other_is_answered_once_wherever_it_is() {
    loom::model(|| {
        let chain = Chain::new();
        let worker = {
            let chain = Arc::clone(&chain);
            thread::spawn(move || chain.unwind())
        };
        chain.unhold();
        join([worker]);
        assert_eq!(chain.houses.each_ref().map(|house| house.handled().signals), [1; HELD_MAX]);
    });
}
