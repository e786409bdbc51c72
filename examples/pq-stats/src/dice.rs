//! Random numbers from a source that is plain data, so your state can keep it across an upgrade.

use std::hash::{BuildHasher, RandomState};

use reld_sdk::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

/// A source of random numbers: SplitMix64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Dice(u64);

impl Default for Dice {
    /// Returns dice with a random seed.
    fn default() -> Self {
        Self::seeded(RandomState::new().hash_one(()))
    }
}

impl Dice {
    /// Returns dice that always roll the same numbers, for tests.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number from 1 to `sides`.
    pub fn roll(&mut self, sides: u8) -> u8 {
        // No truncation: the remainder is less than `sides`, which is a `u8`.
        1 + (self.next() % u64::from(sides.max(1))) as u8
    }

    /// Returns a random element of the slice.
    ///
    /// # Panics
    /// Panics if the slice is empty.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[(self.next() % of.len() as u64) as usize]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_die_shows_each_of_its_sides_and_nothing_else() {
        let mut dice = Dice::seeded(1);
        let shown: BTreeSet<_> = (0..1_000).map(|_| dice.roll(6)).collect();
        assert_eq!(shown, (1..=6).collect());
    }

    #[test]
    fn dice_roll_the_same_numbers_only_with_the_same_seed() {
        let rolls = |mut dice: Dice| (0..20).map(|_| dice.roll(20)).collect::<Vec<_>>();
        assert_eq!(rolls(Dice::seeded(7)), rolls(Dice::seeded(7)));
        assert_ne!(rolls(Dice::default()), rolls(Dice::default()));
    }

    #[test]
    fn each_element_is_picked_at_some_time() {
        let mut dice = Dice::seeded(2);
        let picked: BTreeSet<_> = (0..100).map(|_| *dice.pick(&["a", "b", "c"])).collect();
        assert_eq!(picked, BTreeSet::from(["a", "b", "c"]));
    }
}
