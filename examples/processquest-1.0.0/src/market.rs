//! The prices of the market, and the goods on offer.

use crate::pq_enemy::Item;

/// A weapon or armour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) name: &'static str,
    pub(crate) power: u64,
    price: u64,
}

const fn offer(name: &'static str, power: u64, price: u64) -> Offer {
    Offer { name, power, price }
}

pub(crate) const WEAPONS: &[Offer] = &[
    offer("stick", 1, 5),
    offer("dagger", 2, 25),
    offer("axe", 4, 90),
    offer("sword", 7, 300),
    offer("halberd", 11, 900),
];

pub(crate) const ARMOURS: &[Offer] = &[
    offer("cloak", 1, 5),
    offer("leather coat", 2, 30),
    offer("chain mail", 4, 110),
    offer("scale mail", 7, 360),
    offer("plate", 11, 1_000),
];

/// Returns the price that a merchant pays for an item.
pub(crate) fn worth(item: &Item) -> u64 {
    item.value
}

/// Returns the cheapest offer with more power than `than`.
pub(crate) fn better(offers: &'static [Offer], than: u64) -> Option<&'static Offer> {
    offers.iter().find(|offer| offer.power > than)
}

impl Offer {
    /// Returns the price for a customer. Charisma lowers it, at most to half.
    pub(crate) fn price_for(&self, charisma: u8) -> u64 {
        self.price - self.price * u64::from(charisma.min(25)) / 50
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_offer_costs_more_and_the_best_one_has_no_better() {
        for offers in [WEAPONS, ARMOURS] {
            for pair in offers.windows(2) {
                assert_eq!(better(offers, pair[0].power), Some(&pair[1]));
                assert!(pair[0].price < pair[1].price);
            }
            assert_eq!(better(offers, offers[offers.len() - 1].power), None);
        }
    }

    #[test]
    fn charisma_makes_things_cheaper_but_not_free() {
        let sword = WEAPONS[3];
        assert_eq!((sword.price_for(0), sword.price_for(10), sword.price_for(255)), (300, 240, 150));
    }
}
