//! The six stats of a character.

use std::fmt;

use reld_sdk::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

use crate::Dice;

/// The six stats, each from 3 to 18 at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Lowers the prices of the merchants.
    pub charisma: u8,
    /// Raises the number of items that the character can carry.
    pub constitution: u8,
    /// Shortens each step of the game.
    pub dexterity: u8,
    /// Raises the experience of each fight.
    pub intelligence: u8,
    /// Raises the power of each blow.
    pub strength: u8,
    /// Raises the chance to find loot after a fight.
    pub wisdom: u8,
}

impl Stats {
    /// Rolls three dice for each stat.
    pub fn roll(dice: &mut Dice) -> Self {
        let mut three = || dice.roll(6) + dice.roll(6) + dice.roll(6);
        Self {
            charisma: three(),
            constitution: three(),
            dexterity: three(),
            intelligence: three(),
            strength: three(),
            wisdom: three(),
        }
    }

    /// Returns the stats with one added to each.
    #[must_use]
    pub fn raised(self) -> Self {
        let more = |stat: u8| stat.saturating_add(1);
        Self {
            charisma: more(self.charisma),
            constitution: more(self.constitution),
            dexterity: more(self.dexterity),
            intelligence: more(self.intelligence),
            strength: more(self.strength),
            wisdom: more(self.wisdom),
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { charisma, constitution, dexterity, intelligence, strength, wisdom } = self;
        write!(
            f,
            "charisma {charisma}, constitution {constitution}, dexterity {dexterity}, \
             intelligence {intelligence}, strength {strength}, wisdom {wisdom}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolled_stat_is_from_3_to_18() {
        let mut dice = Dice::seeded(3);
        for _ in 0..1_000 {
            let Stats { charisma, wisdom, .. } = Stats::roll(&mut dice);
            assert!((3..=18).contains(&charisma) && (3..=18).contains(&wisdom));
        }
    }

    #[test]
    fn stats_are_shown_by_name_and_grow_together() {
        let stats = Stats::roll(&mut Dice::seeded(4));
        let shown = stats.raised().to_string();
        assert!(shown.contains(&format!("strength {}", stats.strength + 1)), "{shown}");
        assert_eq!(shown.split(", ").count(), 6);
    }
}
