//! A character, and the rules of the game.

use pq_stats::{Dice, Stats};
use reld_sdk::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

use crate::market::{self, ARMOURS, Offer, WEAPONS};
use crate::pq_enemy::{Enemy, Item};
use crate::pq_events::Event;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Hero {
    pub(crate) name: String,
    pub(crate) stats: Stats,
    pub(crate) level: u64,
    pub(crate) experience: u64,
    pub(crate) money: u64,
    /// The number of fights so far.
    pub(crate) fights: u64,
    pub(crate) loot: Vec<Item>,
    pub(crate) weapon: Gear,
    pub(crate) armour: Gear,
}

/// A weapon or armour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Gear {
    name: String,
    power: u64,
}

impl Gear {
    fn new(name: &str, power: u64) -> Self {
        Self { name: name.to_owned(), power }
    }
}

impl Hero {
    pub(crate) fn new(name: String, stats: Stats) -> Self {
        let (weapon, armour) = (Gear::new("bare hands", 0), Gear::new("rags", 0));
        let loot = Vec::new();
        Self { name, stats, level: 1, experience: 0, money: 0, fights: 0, loot, weapon, armour }
    }

    /// Fights until the enemy is dead or the hero flees.
    pub(crate) fn fight(&mut self, enemy: Enemy, dice: &mut Dice) -> Vec<Event> {
        self.fights += 1;
        let fight = self.fights;
        if !self.beats(&enemy, dice) {
            return vec![Event::Fled { enemy: enemy.name, fight }];
        }
        let experience = enemy.experience + u64::from(self.stats.intelligence / 6);
        let mut events = vec![Event::Killed { enemy: enemy.name, experience, fight }];
        events.extend(self.search(enemy.loot, dice));
        events.extend(self.learn(experience));
        events
    }

    /// Returns whether the hero can carry nothing more.
    pub(crate) fn is_laden(&self) -> bool {
        self.loot.len() >= 2 + usize::from(self.stats.constitution / 3)
    }

    /// Sells or buys one item. Returns `None` when nothing is left to trade.
    pub(crate) fn trade(&mut self) -> Option<Event> {
        if let Some(item) = self.loot.pop() {
            let price = market::worth(&item, self.level);
            self.money += price;
            return Some(Event::Sold { item: item.name, price });
        }
        let charisma = self.stats.charisma;
        Self::buy(WEAPONS, &mut self.weapon, &mut self.money, charisma)
            .or_else(|| Self::buy(ARMOURS, &mut self.armour, &mut self.money, charisma))
    }

    fn beats(&self, enemy: &Enemy, dice: &mut Dice) -> bool {
        let blow = u64::from(self.stats.strength / 2) + self.weapon.power + self.armour.power + self.level;
        blow + u64::from(dice.roll(20)) >= enemy.power + 8
    }

    fn search(&mut self, item: Item, dice: &mut Dice) -> Option<Event> {
        let is_found = dice.roll(20) <= self.stats.wisdom.saturating_add(6);
        is_found.then(|| {
            let name = item.name.clone();
            self.loot.push(item);
            Event::Found { item: name }
        })
    }

    /// Adds experience, which may raise the level.
    pub(crate) fn learn(&mut self, experience: u64) -> Option<Event> {
        self.experience += experience;
        let needed = 20 * self.level * self.level;
        (self.experience >= needed).then(|| {
            self.level += 1;
            self.stats = self.stats.raised();
            Event::Leveled { level: self.level }
        })
    }

    fn buy(offers: &'static [Offer], gear: &mut Gear, money: &mut u64, charisma: u8) -> Option<Event> {
        let offer = market::better(offers, gear.power)?;
        let price = offer.price_for(charisma);
        *money = money.checked_sub(price)?;
        *gear = Gear::new(offer.name, offer.power);
        Some(Event::Bought { item: offer.name.to_owned(), price })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hero() -> Hero {
        Hero::new("ada".to_owned(), Stats::roll(&mut Dice::seeded(1)))
    }

    fn enemy(power: u64, experience: u64) -> Enemy {
        let loot = Item { name: "Crumb".to_owned(), value: 10 };
        Enemy { name: "Ant".to_owned(), power, experience, loot }
    }

    #[test]
    fn a_beaten_hero_flees_and_keeps_its_things() {
        let mut ada = hero();
        let events = ada.fight(enemy(1_000, 5), &mut Dice::seeded(1));
        assert_eq!(events, [Event::Fled { enemy: "Ant".to_owned(), fight: 1 }]);
        assert_eq!(ada, Hero { fights: 1, ..hero() });
    }

    #[test]
    fn a_kill_brings_experience_and_loot_and_enough_of_it_a_level() {
        let mut ada = hero();
        ada.stats.wisdom = 18;
        let learnt = u64::from(ada.stats.intelligence / 6);
        let events = ada.fight(enemy(0, 20), &mut Dice::seeded(1));
        assert_eq!(
            events,
            [
                Event::Killed { enemy: "Ant".to_owned(), experience: 20 + learnt, fight: 1 },
                Event::Found { item: "Crumb".to_owned() },
                Event::Leveled { level: 2 },
            ]
        );
        assert_eq!((ada.level, ada.experience, ada.loot.len()), (2, 20 + learnt, 1));
        assert_eq!(ada.stats, Stats { wisdom: 18, ..hero().stats }.raised());
    }

    #[test]
    fn the_market_buys_the_loot_and_sells_affordable_gear() {
        let mut ada = hero();
        ada.stats.charisma = 0;
        ada.loot = vec![enemy(0, 0).loot];
        assert_eq!(ada.trade(), Some(Event::Sold { item: "Crumb".to_owned(), price: 10 }));
        assert_eq!(ada.trade(), Some(Event::Bought { item: "stick".to_owned(), price: 5 }));
        assert_eq!(ada.trade(), Some(Event::Bought { item: "cloak".to_owned(), price: 5 }));
        assert_eq!(ada.trade(), None);
        assert_eq!((ada.money, ada.weapon, ada.armour), (0, Gear::new("stick", 1), Gear::new("cloak", 1)));
    }

    #[test]
    fn constitution_limits_the_items_that_a_hero_can_carry() {
        let mut ada = hero();
        ada.stats.constitution = 3;
        ada.loot = vec![enemy(0, 0).loot; 2];
        assert!(!ada.is_laden());
        ada.loot.push(enemy(0, 0).loot);
        assert!(ada.is_laden());
    }
}
