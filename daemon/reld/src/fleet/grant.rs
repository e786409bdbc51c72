//! The permission of an order to begin, until it has begun.
//!
//! The agent grants it with each look, for as long as the presence of the node outlives a silence:
//! then the others may count the node as missing, and the operator may have skipped it. An order
//! that has begun needs no grant: it runs to its end.

use std::time::Duration;

use reld_fleet::ledger::{Phase, Slot, View};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The agent's side of a grant.
#[derive(Debug)]
pub(super) struct Grant(watch::Sender<Instant>);

/// The order's side of a grant.
#[derive(Debug, Clone)]
pub(super) struct Granted(watch::Receiver<Instant>);

impl Grant {
    /// Makes a grant that ends at a time.
    pub(super) fn until(end: Instant) -> (Self, Granted) {
        let (grant, granted) = watch::channel(end);
        (Self(grant), Granted(granted))
    }

    /// Sets the end of the grant.
    pub(super) fn set(&self, end: Instant) {
        self.0.send_replace(end);
    }
}

impl Granted {
    /// Returns whether the grant has ended.
    pub(super) fn has_ended(&self) -> bool {
        *self.0.borrow() <= Instant::now()
    }

    /// Waits until the grant has ended.
    pub(super) async fn ended(&mut self) {
        while !self.has_ended() {
            let end = *self.0.borrow_and_update();
            tokio::select! {
                () = sleep_until(end) => {}
                Ok(()) = self.0.changed() => {}
            }
        }
    }
}

/// Returns the end of the grant of an order, from a look. The first line that holds decides:
///
/// | the rollout | the order |
/// |---|---|
/// | is another one, or its slot has another order | is revoked |
/// | is paused or halted, or goes in the other direction | is revoked |
/// | otherwise | may begin while the look is fresh |
pub(super) fn end(view: &View, rollout: &str, slot: &Slot, looked: Instant, fresh: Duration) -> Instant {
    let may_begin = view.rollout.as_ref().filter(|run| run.id == rollout).is_some_and(|run| {
        let standing = &run.standing.value;
        let is_held = run.slot_of(&slot.node).is_some_and(|(_, held)| held.tx == slot.tx);
        is_held
            && matches!(standing.phase, Phase::Running | Phase::Done)
            && standing.direction == slot.direction
    });
    if may_begin { looked + fresh } else { looked }
}

#[cfg(test)]
mod tests {
    use reld_fleet::ledger::{Entry, Keys};

    use super::*;

    const FRESH: Duration = Duration::from_secs(15);
    const SLOT: &str =
        r#"{"node":"n1","direction":"forward","tx":"a/1","life":"a","attempt":1,"since":"now"}"#;

    /// Returns whether the order `a/1` of the rollout `shop-1` may begin.
    fn may_begin(rollout: &str, phase: &str, direction: &str, slot: &str) -> bool {
        let keys = Keys::of(&"shop".parse().unwrap());
        let below = |name: &str| format!("{}{name}", keys.prefix());
        let document = r#"{"policy":"release = 'a'","name":"shop","version":"1.0.0","identity":"i",
            "source":"/a","members":["n1"],"by":"me","at":"now"}"#;
        let state = format!(r#"{{"phase":"{phase}","direction":"{direction}","changes":1}}"#);
        let entry = |key: String, value: &str| Entry { key, value: value.to_owned(), revision: 1 };
        let mut entries = vec![
            entry(below("current"), rollout),
            entry(below(&format!("r/{rollout}")), document),
            entry(below(&format!("r/{rollout}/state")), &state),
        ];
        if !slot.is_empty() {
            entries.push(entry(below(&format!("r/{rollout}/slot/0")), slot));
        }
        let view = View::read(keys, &entries).unwrap();
        let looked = Instant::now();
        end(&view, "shop-1", &serde_json::from_str(SLOT).unwrap(), looked, FRESH) > looked
    }

    #[test]
    fn an_order_may_begin_only_while_its_rollout_wants_it() {
        assert!(may_begin("shop-1", "running", "forward", SLOT));
        assert!(may_begin("shop-1", "done", "forward", SLOT));
        assert!(!may_begin("shop-1", "paused", "forward", SLOT));
        assert!(!may_begin("shop-1", "halted", "forward", SLOT));
        assert!(!may_begin("shop-1", "running", "back", SLOT));
        assert!(!may_begin("shop-1", "running", "forward", ""), "the node was skipped");
        assert!(!may_begin("shop-1", "running", "forward", &SLOT.replace("a/1", "a/2")));
        assert!(!may_begin("shop-2", "running", "forward", SLOT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_ends_with_a_revocation_or_without_a_further_look() {
        let begun = Instant::now();
        let (grant, mut granted) = Grant::until(begun + FRESH);
        grant.set(begun + 2 * FRESH);
        granted.ended().await;
        assert_eq!(begun.elapsed().as_secs(), 30);
        grant.set(Instant::now() + FRESH);
        assert!(!granted.has_ended());
        let ((), ()) = tokio::join!(granted.ended(), async { grant.set(Instant::now()) });
        assert_eq!(begun.elapsed().as_secs(), 30);
    }
}
