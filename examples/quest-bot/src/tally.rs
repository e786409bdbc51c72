//! The counts of lines and faults.

use std::time::Duration;

use crate::life::Kind;

/// The counts of one bot, or the sum over a crowd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that were read. All of them are right, except those counted below.
    pub lines: u64,
    /// Lines that are missing.
    pub lost: u64,
    /// Lines that came twice.
    pub doubled: u64,
    /// Lines that came out of order.
    pub disordered: u64,
    /// Lines that contradict earlier lines.
    pub wrong: u64,
    /// Sessions that ended unexpectedly.
    pub dropped: u64,
    /// Players that were killed and began a new life.
    pub undone: u64,
    /// Games that a bot left at once because it saw the first fight too late.
    pub late: u64,
    /// Games that a restart of the node ended.
    pub restarted: u64,
    /// Completed quests.
    pub quests: u64,
    /// Hunts that began with a correct balance.
    pub hunts: u64,
    /// The longest wait for a line outside a switch.
    pub usual: Longest,
    /// The longest wait for a line during a switch.
    pub switching: Longest,
    /// The first fault, with the lines before it.
    pub fault: Option<String>,
}

/// The longest wait for a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Longest {
    /// From one line to the next.
    pub silence: Duration,
    /// The longest excess over the step time of the player.
    pub delay: Duration,
}

impl Longest {
    pub(crate) fn note(&mut self, silence: Duration, step: Duration) {
        *self = self.or(Self { silence, delay: silence.saturating_sub(step) });
    }

    fn or(self, other: Self) -> Self {
        Self { silence: self.silence.max(other.silence), delay: self.delay.max(other.delay) }
    }
}

impl Tally {
    pub(crate) fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::Lost => &mut self.lost,
            Kind::Doubled => &mut self.doubled,
            Kind::Disordered => &mut self.disordered,
            Kind::Wrong => &mut self.wrong,
        } += 1;
    }

    pub(crate) fn complain(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            disordered: self.disordered + other.disordered,
            wrong: self.wrong + other.wrong,
            dropped: self.dropped + other.dropped,
            undone: self.undone + other.undone,
            late: self.late + other.late,
            restarted: self.restarted + other.restarted,
            quests: self.quests + other.quests,
            hunts: self.hunts + other.hunts,
            usual: self.usual.or(other.usual),
            switching: self.switching.or(other.switching),
            fault: self.fault.or(other.fault),
        }
    }

    /// Lists all faults: a count of each kind, and the text of the first one.
    pub fn faults(&self) -> Vec<String> {
        let counts = [
            (self.lost, "lines were lost"),
            (self.doubled, "lines came twice"),
            (self.disordered, "lines came out of order"),
            (self.wrong, "lines were wrong"),
            (self.dropped, "sessions were dropped"),
        ];
        let some = counts.into_iter().filter(|(count, _)| *count > 0);
        let none = (self.lines == 0).then(|| "no line was read".to_owned());
        some.map(|(count, what)| format!("{count} {what}")).chain(none).chain(self.fault.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_counts_each_kind_and_shows_the_first_case() {
        let good = Tally { lines: 5, ..Tally::default() };
        assert_eq!(good.faults(), [""; 0]);
        let mut bad = Tally { dropped: 1, ..Tally::default() };
        bad.count(Kind::Lost);
        bad.complain("one".to_owned());
        bad.complain("two".to_owned());
        assert_eq!(bad.faults(), ["1 lines were lost", "1 sessions were dropped", "no line was read", "one"]);
        let both = good.plus(bad);
        assert_eq!((both.lines, both.lost, both.fault.as_deref()), (5, 1, Some("one")));
    }

    #[test]
    fn the_longest_silence_and_the_longest_delay_are_kept() {
        let mut longest = Longest::default();
        let ms = Duration::from_millis;
        longest.note(ms(900), ms(800));
        longest.note(ms(500), ms(800));
        longest.note(ms(700), ms(400));
        assert_eq!(longest, Longest { silence: ms(900), delay: ms(300) });
    }
}
