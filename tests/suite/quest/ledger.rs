//! The state of a player as derived from the lines shown to its client. A line that contradicts
//! earlier ones is a fault.

use serde::{Deserialize, Serialize};

/// The state of a player as it reports it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sheet {
    pub(super) name: String,
    pub(super) stats: Stats,
    pub(super) level: u64,
    pub(super) experience: u64,
    pub(super) money: u64,
    pub(super) fights: u64,
    pub(super) loot: Vec<Item>,
    pub(super) weapon: Gear,
    pub(super) armour: Gear,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stats {
    charisma: u8,
    constitution: u8,
    dexterity: u8,
    intelligence: u8,
    strength: u8,
    wisdom: u8,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Item {
    name: String,
    value: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Gear {
    name: String,
    power: u64,
}

/// A sale, with the player's level at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sale {
    pub(super) item: String,
    pub(super) price: u64,
    pub(super) level: u64,
}

/// The state of a player as derived from its lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) level: u64,
    pub(super) experience: u64,
    pub(super) money: u64,
    pub(super) fights: u64,
    pub(super) loot: Vec<String>,
    pub(super) gear: Vec<String>,
    pub(super) kills: Vec<String>,
    pub(super) sales: Vec<Sale>,
    pub(super) quests: usize,
}

impl Ledger {
    /// Returns the ledger of a new player.
    pub(super) fn new() -> Self {
        let gear = ["bare hands", "rags"].map(str::to_owned).to_vec();
        let (loot, kills, sales) = (Vec::new(), Vec::new(), Vec::new());
        Self { level: 1, experience: 0, money: 0, fights: 0, loot, gear, kills, sales, quests: 0 }
    }

    /// Adds a line of the game.
    #[track_caller]
    pub(super) fn enter(&mut self, line: &str) {
        let Some(words) = line.strip_prefix("You ").and_then(|line| line.strip_suffix('.')) else {
            return self.enter_quest(line);
        };
        if let Some(of) = words.strip_prefix("killed ") {
            let (enemy, experience) = of.split_once(" and gained ").expect("the line has both numbers");
            self.kills.push(without_article(enemy));
            self.experience += number(experience);
            self.fight(experience);
        } else if let Some(enemy) = words.strip_prefix("fled from ") {
            self.fight(enemy);
        } else if let Some(balance) = words.strip_prefix("go hunting with ") {
            let (money, experience) = balance.split_once(" money and ").expect("the line has both numbers");
            let shown = (number(money), number(experience));
            assert_eq!(shown, (self.money, self.experience), "{line:?} after {self:#?}");
        } else if let Some(item) = words.strip_prefix("found ") {
            self.loot.push(without_article(item));
        } else if let Some(sale) = words.strip_prefix("sold ") {
            self.sell(sale);
        } else if let Some(bought) = words.strip_prefix("bought ") {
            let (item, price) = priced(bought);
            assert!(!self.gear.contains(&item), "{item} is bought twice: {self:#?}");
            self.money = self.money.checked_sub(price).unwrap_or_else(|| panic!("{line:?} after {self:#?}"));
            self.gear.push(item);
        } else if let Some(level) = words.strip_prefix("are level ") {
            assert_eq!(number(level), self.level + 1, "{line:?} after {self:#?}");
            self.level += 1;
        } else {
            assert_eq!(words, "carry your loot to the market", "{line:?} is no line of the game");
        }
    }

    /// Returns whether the player's own state equals the ledger.
    #[track_caller]
    pub(super) fn agrees_with(&self, sheet: &Sheet) -> bool {
        let loot = sheet.loot.iter().map(|item| &item.name);
        self.level == sheet.level
            && self.experience == sheet.experience
            && self.money == sheet.money
            && self.fights == sheet.fights
            && self.loot.iter().eq(loot)
            && [&sheet.weapon, &sheet.armour].iter().all(|worn| self.gear.contains(&worn.name))
    }

    /// Counts a fight by the end of its line. Checks that none is missing or doubled.
    fn fight(&mut self, line: &str) {
        let (_, shown) = line.rsplit_once(" in fight ").expect("the line has the number of the fight");
        self.fights += 1;
        assert_eq!(number(shown), self.fights, "{line:?} in {self:#?}");
    }

    fn sell(&mut self, sale: &str) {
        let (item, price) = priced(sale);
        assert_eq!(self.loot.pop().as_ref(), Some(&item), "the last find is sold first: {self:#?}");
        self.money += price;
        self.sales.push(Sale { item, price, level: self.level });
    }

    fn enter_quest(&mut self, line: &str) {
        let quest =
            line.strip_prefix("Quest done: ").unwrap_or_else(|| panic!("{line:?} is no line of the game"));
        let (_, experience) = quest.split_once(". You gained ").expect("the line has both numbers");
        self.experience += number(experience);
        self.quests += 1;
    }
}

/// Returns the number that a text begins with.
fn number(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{text:?} begins with no number"))
}

fn priced(text: &str) -> (String, u64) {
    let (item, price) = text.rsplit_once(" for ").expect("the line has a price");
    (without_article(item), number(price))
}

fn without_article(thing: &str) -> String {
    thing.split_once(' ').expect("a thing has an article").1.to_owned()
}
