//! Floors: the protection against old releases.

use reld_plan::AppName;
use serde::{Deserialize, Serialize};

/// The highest serial that was committed on a node, for one name of releases.
///
/// A commit raises it, or the first boot after a restart. A release that was permanent on the node
/// may always run again, so neither a rollback nor a downgrade meets the floor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// The name of the releases.
    pub name: AppName,
    /// The serial.
    pub serial: u64,
}

impl Floor {
    /// Returns the floor of a name; 0 if no release of that name with a serial was committed.
    pub fn of(floors: &[Self], name: &AppName) -> u64 {
        floors.iter().find(|floor| floor.name == *name).map_or(0, |floor| floor.serial)
    }

    /// Raises the floor of a name to a serial, if the serial is higher.
    pub fn raise(floors: &mut Vec<Self>, name: &AppName, serial: u64) {
        match floors.iter_mut().find(|floor| floor.name == *name) {
            Some(floor) => floor.serial = floor.serial.max(serial),
            None if serial > 0 => floors.push(Self { name: name.clone(), serial }),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_belongs_to_a_name_and_only_rises() {
        let [shop, plant] = ["shop", "plant"].map(|name| name.parse::<AppName>().unwrap());
        let mut floors = Vec::new();
        Floor::raise(&mut floors, &shop, 0);
        assert_eq!(floors, []);
        for (serial, expected) in [(7, 7), (3, 7), (9, 9)] {
            Floor::raise(&mut floors, &shop, serial);
            assert_eq!(Floor::of(&floors, &shop), expected);
        }
        assert_eq!(Floor::of(&floors, &plant), 0);
    }
}
