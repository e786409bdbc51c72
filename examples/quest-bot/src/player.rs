//! The player of a session. After the death of a player, the same session continues with a new
//! life.

use std::collections::VecDeque;

use crate::life::{Kind, Life};
use crate::line::{self, Line};
use crate::rules::Stats;

/// How many lines are kept for fault reports.
const RECENT: usize = 8;

#[derive(Debug, Clone)]
pub(crate) struct Player {
    /// The stats at the start of each life.
    born: Stats,
    life: Life,
    /// The life before, until the first line of the current one: lines that were on their way when
    /// the player was killed may arrive after the line about its death.
    past: Option<Life>,
    recent: VecDeque<String>,
}

/// The meaning of a line for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    Step,
    Quest,
    /// A hunt begins, and its balance is right.
    Hunt,
    Undone,
    /// The session began after the first fight, so the model does not know the missed lines.
    Late,
}

impl Player {
    pub(crate) fn new(born: Stats) -> Self {
        Self { born, life: Life::new(born), past: None, recent: VecDeque::new() }
    }

    /// Returns the current stats.
    pub(crate) fn stats(&self) -> Stats {
        self.life.stats()
    }

    /// Returns the last lines, oldest first.
    pub(crate) fn recent(&self) -> Vec<String> {
        self.recent.iter().cloned().collect()
    }

    /// Checks the next line of the game.
    pub(crate) fn enter(&mut self, text: &str) -> Result<Entered, Kind> {
        let entered = line::read(text).ok_or(Kind::Wrong).and_then(|line| self.judge(line));
        let is_repeated = self.recent.back().is_some_and(|last| last == text);
        self.recent.push_back(text.to_owned());
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        entered.map_err(|kind| if is_repeated { Kind::Doubled } else { kind })
    }

    fn judge(&mut self, line: Line<'_>) -> Result<Entered, Kind> {
        if line == Line::Undone {
            self.past = Some(std::mem::replace(&mut self.life, Life::new(self.born)));
            return Ok(Entered::Undone);
        }
        let is_unseen = self.life.is_unseen();
        let Err(kind) = self.life.enter(line) else {
            self.past = None;
            return Ok(match line {
                Line::Quest { .. } => Entered::Quest,
                Line::ToFields { .. } => Entered::Hunt,
                _ => Entered::Step,
            });
        };
        if !is_unseen || kind == Kind::Wrong {
            return Err(kind);
        }
        let is_of_the_past = self.past.as_mut().is_some_and(|past| past.enter(line).is_ok());
        Ok(if is_of_the_past { Entered::Step } else { Entered::Late })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::OFFER;

    /// A correct game. The hero is laden after three items.
    const GAME: &[&str] = &[
        "You fled from a Wildcat in fight 1.",
        "You killed a Wildcat and gained 12 experience in fight 2.",
        "You found a Cat Pelt.",
        "You killed a Wild Pig and gained 8 experience in fight 3.",
        "You are level 2 now.",
        "You killed an Ant and gained 3 experience in fight 4.",
        "You found a Crumb.",
        "Quest done: Keep the kitchen clean. You gained 10 experience. Next quest: Make the road safe.",
        "You fled from a Wild Pig in fight 5.",
        "You killed an Ant and gained 3 experience in fight 6.",
        "You found an Ant Egg.",
        "You carry your loot to the market.",
        "You sold an Ant Egg for 1.",
        "You sold a Crumb for 2.",
        "You sold a Cat Pelt for 60.",
        "You bought a stick for 4.",
        "You bought a dagger for 20.",
        "You bought a cloak for 4.",
        "You bought a leather coat for 24.",
        "You go hunting with 11 money and 36 experience.",
        "You fled from a Wild Pig in fight 7.",
    ];

    fn player() -> Player {
        Player::new(Stats::read(OFFER).expect("an offer"))
    }

    /// Returns the first faulty line and the kind of its fault.
    fn fault<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, Kind)> {
        let mut player = player();
        lines.into_iter().find_map(|line| player.enter(line).err().map(|kind| (line, kind)))
    }

    #[test]
    fn a_correct_game_has_no_fault() {
        assert_eq!(fault(GAME.iter().copied()), None);
    }

    /// Returns each line with its index, except the first and the last. Without the first line a
    /// session is late, and no later line could expose a fault in the last one.
    fn inner_lines() -> impl Iterator<Item = (usize, &'static str)> {
        GAME.iter().copied().enumerate().take(GAME.len() - 1).skip(1)
    }

    #[test]
    fn each_lost_line_is_noticed() {
        for (at, lost) in inner_lines() {
            let (before, after) = (&GAME[..at], &GAME[at + 1..]);
            assert_ne!(fault(before.iter().chain(after).copied()), None, "{lost}");
        }
    }

    #[test]
    fn each_doubled_line_is_noticed() {
        for (at, doubled) in GAME.iter().enumerate() {
            let (before, after) = (&GAME[..=at], &GAME[at..]);
            assert_eq!(fault(before.iter().chain(after).copied()), Some((*doubled, Kind::Doubled)));
        }
    }

    #[test]
    fn lines_that_change_places_are_noticed() {
        for (at, first) in inner_lines() {
            let mut lines = GAME.to_vec();
            lines.swap(at, at + 1);
            assert_ne!(fault(lines), None, "{first}");
        }
    }

    #[test]
    fn a_killed_player_begins_anew_and_lines_on_their_way_may_still_arrive() {
        let mut player = player();
        let undone = "A strange force has undone you. You begin anew.";
        let first = |player: &mut Player| player.enter(GAME[0]);
        assert_eq!(first(&mut player), Ok(Entered::Step));
        assert_eq!(player.enter(undone), Ok(Entered::Undone));
        assert_eq!(player.enter(GAME[1]), Ok(Entered::Step), "it was on its way");
        assert_eq!(first(&mut player), Ok(Entered::Step));
        assert_eq!(player.enter(GAME[3]), Err(Kind::Lost), "the life before is over");
    }

    #[test]
    fn a_session_that_sees_a_later_fight_first_is_late() {
        assert_eq!(player().enter(GAME[1]), Ok(Entered::Late));
    }

    #[test]
    fn a_wrong_balance_and_an_unknown_line_are_wrong() {
        let mut lines = GAME.to_vec();
        lines[19] = "You go hunting with 11 money and 37 experience.";
        assert_eq!(fault(lines.clone()), Some((lines[19], Kind::Wrong)));
        assert_eq!(fault(["You go home."]), Some(("You go home.", Kind::Wrong)));
    }
}
