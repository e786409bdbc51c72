//! One look at each node.

use std::sync::Arc;

use reld_fleet::State;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::member::{Course, Member};
use super::node;
use super::sight::Direction;

/// The greatest number of looks at a time.
pub(super) const LOOKS_MAX: usize = 16;

/// Looks at all members, and returns them in their order.
pub(super) async fn all(
    course: &Arc<Course>,
    direction: Direction,
    members: impl IntoIterator<Item = Member>,
) -> Vec<Member> {
    let looks = Arc::new(Semaphore::new(LOOKS_MAX));
    let mut tasks = JoinSet::new();
    for (place, mut member) in members.into_iter().enumerate() {
        let (course, looks) = (Arc::clone(course), Arc::clone(&looks));
        tasks.spawn(async move {
            if member.state() != State::Skipped {
                // The semaphore is never closed.
                let _permit = looks.acquire().await;
                let look = node::look(&course.ssh, &member.host, &course.target.rollout).await;
                member.see(&course.target, direction, look);
            }
            (place, member)
        });
    }
    let mut members = tasks.join_all().await;
    members.sort_by_key(|(place, _)| *place);
    members.into_iter().map(|(_, member)| member).collect()
}
