//! Refuses a release with another name: it is another product, and its version has no relation to
//! the version of the running release.

use reld_plan::Vsn;
use reld_store::StatusTable;

use crate::error::Obstacle;

/// Returns the obstacle if the release `to` has another name than the running one.
///
/// Going back to the previous release is always allowed. OTP finds releases by version only, and
/// changes the name silently.
pub(crate) fn obstacle(table: &StatusTable, to: &Vsn) -> Option<Obstacle> {
    let (running, wanted) = (table.running()?, table.get(to)?);
    let is_back = running.previous.as_ref() == Some(to);
    (running.name != wanted.name && !is_back).then(|| Obstacle::OtherRelease {
        wanted: wanted.name.clone(),
        running: running.name.clone(),
        vsn: running.version.clone(),
    })
}

#[cfg(test)]
mod tests {
    use reld_store::{KnownRelease, Status};

    use super::*;
    use crate::fixture::known as release;

    #[track_caller]
    fn check(releases: &[KnownRelease], to: u64, expected: Option<&str>) {
        let table = StatusTable { releases: releases.to_vec(), ..StatusTable::default() };
        let found = obstacle(&table, &Vsn::new(1, to, 0)).map(|obstacle| obstacle.to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn a_node_goes_on_under_its_name_and_back_to_where_it_came_from() {
        use Status::{Old, Permanent, Unpacked};
        let idle = [release("shop", 0, Unpacked, None), release("plant", 1, Unpacked, None)];
        check(&idle, 0, None);
        let shop =
            [&idle[1..], &[release("shop", 0, Permanent, None), release("shop", 2, Old, None)]].concat();
        check(&shop, 2, None);
        check(&shop, 1, Some("the release belongs to plant, but the node runs shop 1.0.0"));
        check(&shop, 9, None);
        let plant = [release("plant", 1, Permanent, Some(0)), release("shop", 0, Old, None)];
        check(&plant, 0, None);
    }
}
