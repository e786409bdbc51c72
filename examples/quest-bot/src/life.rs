//! The model of a player. Its state decides which lines can come next.
//!
//! ```text
//!             fled                       laden                       sold
//!   fields <--------> fight:             -----------> market:       <----+
//!      ^              killed, found?,                 sold: each item; bought: all it can afford
//!      |              level?, quest?, level?                         |
//!      +-------------------------------------------------------------+ to the fields, with a balance
//! ```

use std::fmt;

use crate::line::Line;
use crate::rules::{self, ARMOURS, Enemy, Stats, WEAPONS};

/// A player, from its start to its death.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    stats: Stats,
    level: u64,
    experience: u64,
    money: u64,
    fights: u64,
    /// The carried items with their values.
    loot: Vec<(String, u64)>,
    /// The number of weapons bought.
    weapons: usize,
    armours: usize,
    /// The line about the next level has to come next.
    level_is_due: bool,
    place: Place,
}

/// The place of the player, and the stage of its last fight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Fields,
    /// The player has killed this enemy.
    Won(&'static Enemy),
    Searched,
    Rewarded,
    Market,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A line that has to come before this one is missing.
    Lost,
    /// The line came twice.
    Doubled,
    /// The line must not come at this time.
    Disordered,
    /// The line contradicts earlier lines.
    Wrong,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Disordered => "out of order",
            Self::Wrong => "wrong",
        })
    }
}

type Judged = Result<(), Kind>;

fn ensure(holds: bool, otherwise: Kind) -> Judged {
    if holds { Ok(()) } else { Err(otherwise) }
}

impl Life {
    pub(crate) fn new(stats: Stats) -> Self {
        Self {
            stats,
            level: 1,
            experience: 0,
            money: 0,
            fights: 0,
            loot: Vec::new(),
            weapons: 0,
            armours: 0,
            level_is_due: false,
            place: Place::Fields,
        }
    }

    /// Returns whether no fight of this life has been seen.
    pub(crate) fn is_unseen(&self) -> bool {
        self.fights == 0
    }

    /// Returns the current stats.
    pub(crate) fn stats(&self) -> Stats {
        self.stats
    }

    /// Applies the next line, or returns the fault.
    pub(crate) fn enter(&mut self, line: Line<'_>) -> Judged {
        match line {
            Line::Killed { enemy, experience, fight } => self.win(enemy, experience, fight),
            Line::Fled { fight } => self.fight(fight),
            Line::Found { item } => self.find(item),
            Line::Leveled { level } => self.rise(level),
            Line::Quest { title, experience } => self.reward(title, experience),
            Line::ToMarket => self.leave_fields(),
            Line::Sold { item, price } => self.sell(item, price),
            Line::Bought { item, price } => self.buy(item, price),
            Line::ToFields { money, experience } => self.leave_market(money, experience),
            Line::Undone => Err(Kind::Wrong),
        }
    }

    fn fight(&mut self, number: u64) -> Judged {
        ensure(number > self.fights, Kind::Disordered)?;
        let nothing_is_due = self.place != Place::Market && !self.level_is_due && !self.is_laden();
        ensure(number == self.fights + 1 && nothing_is_due, Kind::Lost)?;
        self.fights = number;
        self.place = Place::Fields;
        Ok(())
    }

    fn win(&mut self, enemy: &str, experience: u64, number: u64) -> Judged {
        self.fight(number)?;
        let enemy = Enemy::of(enemy).ok_or(Kind::Wrong)?;
        ensure(self.stats.lesson(enemy) == experience, Kind::Wrong)?;
        self.place = Place::Won(enemy);
        self.learn(experience);
        Ok(())
    }

    fn find(&mut self, item: &str) -> Judged {
        let Place::Won(enemy) = self.place else { return Err(Kind::Disordered) };
        let value = enemy.value(item).ok_or(Kind::Wrong)?;
        self.loot.push((item.to_owned(), value));
        self.place = Place::Searched;
        Ok(())
    }

    fn learn(&mut self, experience: u64) {
        self.experience += experience;
        self.level_is_due = self.experience >= rules::needed(self.level);
    }

    fn rise(&mut self, level: u64) -> Judged {
        ensure(level > self.level, Kind::Disordered)?;
        ensure(self.level_is_due && level == self.level + 1, Kind::Lost)?;
        self.level = level;
        self.level_is_due = false;
        self.stats = self.stats.raised();
        if let Place::Won(_) = self.place {
            self.place = Place::Searched;
        }
        Ok(())
    }

    fn reward(&mut self, title: &str, experience: u64) -> Judged {
        ensure(matches!(self.place, Place::Won(_) | Place::Searched), Kind::Disordered)?;
        ensure(!self.level_is_due, Kind::Lost)?;
        ensure(rules::reward(title) == Some(experience), Kind::Wrong)?;
        self.place = Place::Rewarded;
        self.learn(experience);
        Ok(())
    }

    fn is_laden(&self) -> bool {
        self.loot.len() >= self.stats.capacity()
    }

    fn leave_fields(&mut self) -> Judged {
        ensure(self.place != Place::Market, Kind::Disordered)?;
        ensure(self.is_laden() && !self.level_is_due, Kind::Lost)?;
        self.place = Place::Market;
        Ok(())
    }

    fn sell(&mut self, item: &str, price: u64) -> Judged {
        ensure(self.place == Place::Market, Kind::Disordered)?;
        let (_, value) = self.loot.pop().filter(|(last, _)| last == item).ok_or(Kind::Lost)?;
        // Since 1.1.0 the price is multiplied by the level.
        ensure(price == value || price == value * self.level, Kind::Wrong)?;
        self.money += price;
        Ok(())
    }

    /// Returns the next purchase: a weapon before an armour.
    fn wanted(&self) -> Option<(&'static str, u64)> {
        let next = [WEAPONS.get(self.weapons), ARMOURS.get(self.armours)];
        let mut priced = next.into_iter().flatten().map(|(name, price)| (*name, self.stats.price(*price)));
        priced.find(|(_, price)| *price <= self.money)
    }

    fn buy(&mut self, item: &str, price: u64) -> Judged {
        ensure(self.place == Place::Market, Kind::Disordered)?;
        ensure(self.loot.is_empty(), Kind::Lost)?;
        let (wanted, costs) = self.wanted().ok_or(Kind::Wrong)?;
        ensure(item == wanted, Kind::Lost)?;
        ensure(price == costs, Kind::Wrong)?;
        self.money -= price;
        let kind =
            if WEAPONS.iter().any(|(name, _)| *name == item) { &mut self.weapons } else { &mut self.armours };
        *kind += 1;
        Ok(())
    }

    fn leave_market(&mut self, money: u64, experience: u64) -> Judged {
        ensure(self.place == Place::Market, Kind::Disordered)?;
        ensure(self.loot.is_empty() && self.wanted().is_none(), Kind::Lost)?;
        ensure((self.money, self.experience) == (money, experience), Kind::Wrong)?;
        self.place = Place::Fields;
        Ok(())
    }
}
