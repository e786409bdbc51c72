//! A second copy of the rules of the game. With the rules of the game itself, a bot would not
//! notice when the game breaks them.

/// An enemy: the experience from its death, and its possible loot with the values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Enemy {
    name: &'static str,
    lesson: u64,
    loot: [(&'static str, u64); 2],
}

const fn enemy(name: &'static str, lesson: u64, loot: [(&'static str, u64); 2]) -> Enemy {
    Enemy { name, lesson, loot }
}

/// The enemies of all versions of the game.
const ENEMIES: &[Enemy] = &[
    enemy("Ant", 1, [("Ant Egg", 1), ("Crumb", 1)]),
    enemy("Spider", 3, [("Spider Egg", 10), ("Silk Thread", 4)]),
    enemy("Wildcat", 10, [("Cat Pelt", 30), ("Whisker", 6)]),
    enemy("Wild Pig", 6, [("Bacon", 12), ("Bristle", 5)]),
    enemy("Wild Dog", 12, [("Dog Tag", 20), ("Old Bone", 3)]),
    enemy("Goblin", 20, [("Goblin Ear", 45), ("Rusty Key", 15)]),
];

const QUESTS: &[(&str, u64)] = &[
    ("Keep the kitchen clean", 10),
    ("Guard the bridge for a night", 20),
    ("Clear the cellar of the inn", 40),
    ("Make the road safe", 80),
];

/// The weapons in the order of purchase, with their prices before the charisma discount.
pub(crate) const WEAPONS: &[(&str, u64)] =
    &[("stick", 5), ("dagger", 25), ("axe", 90), ("sword", 300), ("halberd", 900)];
pub(crate) const ARMOURS: &[(&str, u64)] =
    &[("cloak", 5), ("leather coat", 30), ("chain mail", 110), ("scale mail", 360), ("plate", 1_000)];

/// The stats that affect the lines of a game.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stats {
    charisma: u8,
    constitution: u8,
    dexterity: u8,
    intelligence: u8,
}

impl Stats {
    /// Parses the stats from the question whether the client accepts them.
    pub(crate) fn read(offer: &str) -> Option<Self> {
        let offer = offer.strip_prefix("Your stats: ")?.strip_suffix(". Is that fine? (y/n)")?;
        let stat = |name| {
            let number = |stat: &str| stat.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
            offer.split(", ").find_map(number)
        };
        Some(Self {
            charisma: stat("charisma")?,
            constitution: stat("constitution")?,
            dexterity: stat("dexterity")?,
            intelligence: stat("intelligence")?,
        })
    }

    /// Returns the stats after one more level.
    pub(crate) fn raised(self) -> Self {
        let more = |stat: u8| stat.saturating_add(1);
        Self {
            charisma: more(self.charisma),
            constitution: more(self.constitution),
            dexterity: more(self.dexterity),
            intelligence: more(self.intelligence),
        }
    }

    /// Returns the experience from a kill.
    pub(crate) fn lesson(self, enemy: &Enemy) -> u64 {
        enemy.lesson + u64::from(self.intelligence / 6)
    }

    /// Returns how many items the hero can carry.
    pub(crate) fn capacity(self) -> usize {
        2 + usize::from(self.constitution / 3)
    }

    /// Returns the price after the charisma discount.
    pub(crate) fn price(self, price: u64) -> u64 {
        price - price * u64::from(self.charisma.min(25)) / 50
    }

    /// Returns the time of a step at this pace.
    pub(crate) fn step_ms(self, pace_ms: u64) -> u64 {
        pace_ms * (40 - u64::from(self.dexterity.min(20))) / 20
    }
}

impl Enemy {
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        ENEMIES.iter().find(|enemy| enemy.name == name)
    }

    /// Returns the value of an item of its loot.
    pub(crate) fn value(&self, item: &str) -> Option<u64> {
        among(&self.loot, item)
    }
}

/// Returns the experience from a quest.
pub(crate) fn reward(quest: &str) -> Option<u64> {
    among(QUESTS, quest)
}

/// Returns the experience that the next level needs.
pub(crate) fn needed(level: u64) -> u64 {
    20 * level * level
}

fn among(table: &[(&str, u64)], name: &str) -> Option<u64> {
    table.iter().find_map(|(of, number)| (*of == name).then_some(*number))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const OFFER: &str = "Your stats: charisma 10, constitution 3, dexterity 12, intelligence 12, strength 7, \
                         wisdom 13. Is that fine? (y/n)";

    #[test]
    fn stats_are_read_from_the_offer_and_count() {
        let stats = Stats::read(OFFER).expect("an offer");
        assert_eq!(stats, Stats { charisma: 10, constitution: 3, dexterity: 12, intelligence: 12 });
        assert_eq!(Enemy::of("Ant").map(|ant| stats.lesson(ant)), Some(3));
        assert_eq!((stats.capacity(), stats.price(300), stats.step_ms(800)), (3, 240, 1_120));
        assert_eq!(stats.raised().capacity(), 3);
        assert_eq!(Stats::read("Welcome to Process Quest. What is your name?"), None);
    }
}
