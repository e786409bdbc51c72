//! Refuses an upgrade from an uncommitted release, because a crash would lose two releases at once.

use reld_plan::Vsn;
use reld_store::{Status, StatusTable};

use crate::error::Obstacle;

/// Returns the obstacle if the running release is uncommitted and `to` does not go back.
///
/// Going back to the permanent or the previous release is always allowed:
///
/// | the running release is | `to` | |
/// |---|---|---|
/// | permanent, or there is none | any | allowed |
/// | current | itself, its previous one, the permanent one | allowed |
/// | current | any other | unconfirmed |
pub(crate) fn obstacle(table: &StatusTable, to: &Vsn) -> Option<Obstacle> {
    let running = table.running().filter(|release| release.status == Status::Current)?;
    let permanent = table.permanent().map(|release| &release.version);
    let is_back = running.version == *to || running.previous.as_ref() == Some(to) || permanent == Some(to);
    (!is_back).then(|| Obstacle::Unconfirmed { running: running.version.clone(), boots: permanent.cloned() })
}

#[cfg(test)]
mod tests {
    use reld_store::KnownRelease;

    use super::*;
    use crate::fixture::known;

    fn release(minor: u64, status: Status, previous: Option<u64>) -> KnownRelease {
        known("shop", minor, status, previous)
    }

    #[track_caller]
    fn check(releases: &[KnownRelease], to: u64, expected: Option<&str>) {
        let table = StatusTable { releases: releases.to_vec(), ..StatusTable::default() };
        let found = obstacle(&table, &Vsn::new(1, to, 0)).map(|obstacle| obstacle.to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn from_an_uncommitted_release_the_node_goes_back_but_not_forward() {
        let others = [release(3, Status::Unpacked, None), release(0, Status::Old, None)];
        let committed = [&others[..], &[release(2, Status::Permanent, Some(1))]].concat();
        check(&others, 3, None);
        check(&committed, 3, None);
        let uncommitted =
            [&others[..], &[release(2, Status::Current, Some(0)), release(1, Status::Permanent, None)]]
                .concat();
        for back in [0, 1, 2] {
            check(&uncommitted, back, None);
        }
        check(&uncommitted, 3, Some("release 1.2.0 runs and is not committed; a restart boots 1.1.0"));
        let first = [&others[..], &[release(2, Status::Current, None)]].concat();
        check(&first, 3, Some("release 1.2.0 runs and is not committed; after a restart the node is idle"));
    }
}
