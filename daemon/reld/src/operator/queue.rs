//! The turns of orders. An order begins at once, or is refused, or waits in a queue that clients
//! can see until its client disconnects.
//!
//! | order | the node is free | an order is carried out | a release settles |
//! |---|---|---|---|
//! | a question about an order (check, dry run) | begins | refused | begins |
//! | unpack; orders that end the settling | begins | refused or waits | begins |
//! | any other | begins | refused or waits | refused or waits |
//!
//! A waiting order has its turn before all later orders of the last row.

use std::time::Instant;

use reld_api::{ErrorCode, ErrorReport};
use tokio::sync::watch;

use super::board::{Board, Waiting};

/// An order and its client, as the queue sees them.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The order as text.
    what: String,
    uid: Option<u32>,
    waits: bool,
}

impl Entry {
    pub(crate) fn new(what: impl Into<String>, uid: Option<u32>, waits: bool) -> Self {
        Self { what: what.into(), uid, waits }
    }

    pub(super) const fn waits(&self) -> bool {
        self.waits
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }
}

/// The right to carry out an order. Dropping it ends the turn.
#[derive(Debug)]
pub(super) struct Turn(Option<watch::Sender<Board>>);

impl Turn {
    /// Makes the empty turn of a job that does not need one.
    pub(super) const fn none() -> Self {
        Self(None)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(board) = &self.0 {
            board.send_modify(|board| board.busy = None);
        }
    }
}

/// The position of a waiting order in the queue. Dropping it removes the order from the queue.
struct Place<'a> {
    board: &'a watch::Sender<Board>,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.board.send_modify(|board| board.waiting.retain(|waiting| waiting.ticket != self.ticket));
    }
}

/// Returns whether an order may begin. `beside` means that the order may begin while a release
/// settles.
fn may_begin(board: &Board, beside: bool, ticket: Option<u64>) -> bool {
    let is_next = board.waiting.first().is_none_or(|first| Some(first.ticket) == ticket);
    board.busy.is_none() && (beside || board.settling.is_none() && is_next)
}

/// Takes the turn, at once or after waiting for it.
pub(super) async fn take_turn(
    board: &watch::Sender<Board>,
    entry: Entry,
    beside: impl Fn(&Board) -> bool + Send,
) -> Result<Turn, ErrorReport> {
    let mut changes = board.subscribe();
    let mut place: Option<Place<'_>> = None;
    loop {
        let ticket = place.as_ref().map(|place| place.ticket);
        let begins = board.send_if_modified(|board| {
            let may = may_begin(board, beside(board), ticket);
            if may {
                board.busy = Some(entry.what.clone());
            }
            may
        });
        if begins {
            return Ok(Turn(Some(board.clone())));
        }
        if board.borrow().stops {
            let message = format!("cannot begin {}: the node is stopping", entry.what);
            return Err(ErrorReport::refused(ErrorCode::Stopping, message));
        }
        if !entry.waits {
            return Err(busy(&board.borrow(), &format!("begin {}", entry.what)));
        }
        if place.is_none() {
            place = Some(queue_up(board, &entry));
        }
        changes.changed().await.map_err(|_| stopping())?;
    }
}

/// Gives the first turn of a new board to the boot.
pub(super) fn first_turn(board: &watch::Sender<Board>, what: &str) -> Turn {
    board.send_modify(|board| board.busy = Some(what.to_owned()));
    Turn(Some(board.clone()))
}

fn queue_up<'a>(board: &'a watch::Sender<Board>, entry: &Entry) -> Place<'a> {
    let mut ticket = 0;
    board.send_modify(|board| {
        ticket = board.waiting.last().map_or(0, |last| last.ticket + 1);
        let Entry { what, uid, .. } = entry.clone();
        board.waiting.push(Waiting { ticket, what, uid, since: Instant::now() });
    });
    Place { board, ticket }
}

/// Refuses a question while an order is carried out.
pub(super) fn may_ask(board: &Board, what: &str) -> Result<(), ErrorReport> {
    if board.busy.is_none() { Ok(()) } else { Err(busy(board, what)) }
}

/// Refuses an order because the node stops.
pub(super) fn stopping() -> ErrorReport {
    ErrorReport::refused(ErrorCode::Stopping, "the node is stopping and accepts no more orders")
}

fn busy(board: &Board, what: &str) -> ErrorReport {
    let (reason, hint) = match (&board.busy, &board.settling, board.waiting.first()) {
        (Some(order), ..) => {
            // While a release settles, the board shows the progress of its upgrade, not of this
            // order.
            let at = board.progress.as_ref().filter(|_| board.settling.is_none());
            let at = at.map(|at| format!(", at step {} of {}: {}", at.step, at.of, at.text));
            let hint =
                "`relctl attach` follows an upgrade, `relctl abort` takes it back; --wait waits for its end";
            (format!("{order} is under way{}", at.unwrap_or_default()), hint)
        }
        (None, Some(settling), _) => {
            let hint = "`relctl commit` keeps the release, `relctl downgrade` or `relctl abort` takes it back; --wait waits for its end";
            (format!("release {} settles", settling.trip().to), hint)
        }
        (None, None, Some(first)) => {
            (format!("{} waits for its turn", first.what), "--wait queues the order behind it")
        }
        (None, None, None) => ("another order was under way".to_owned(), "try again"),
    };
    ErrorReport::refused(ErrorCode::Busy, format!("cannot {what}: {reason}")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> watch::Sender<Board> {
        watch::Sender::new(Board::default())
    }

    fn order(what: &str, waits: bool) -> Entry {
        Entry::new(what, Some(7), waits)
    }

    #[tokio::test]
    async fn an_order_that_cannot_begin_at_once_is_refused_with_the_reason() {
        let board = sender();
        let turn = take_turn(&board, order("upgrade to 1.1.0", false), |_| false).await.unwrap();
        let refused = take_turn(&board, order("commit", false), |_| true).await.unwrap_err();
        assert_eq!(refused.kind, "busy");
        assert_eq!(refused.message, "cannot begin commit: upgrade to 1.1.0 is under way");
        assert!(may_ask(&board.borrow(), "check").is_err());
        drop(turn);
        take_turn(&board, order("commit", false), |_| false).await.unwrap();
    }

    #[tokio::test]
    async fn orders_wait_in_their_order_and_leave_the_queue_with_their_client() {
        let board = sender();
        let turn = take_turn(&board, order("upgrade to 1.1.0", false), |_| false).await.unwrap();
        let mut waiting: Vec<_> = ["first", "second", "third"]
            .map(|what| Box::pin(take_turn(&board, order(what, true), |_| false)))
            .into();
        for order in &mut waiting {
            assert!(futures_lite(order.as_mut()).await.is_none());
        }
        let names = |board: &watch::Sender<Board>| -> Vec<String> {
            board.borrow().waiting.iter().map(|waiting| waiting.what.clone()).collect()
        };
        assert_eq!(names(&board), ["first", "second", "third"]);
        drop(waiting.remove(1));
        assert_eq!(names(&board), ["first", "third"]);
        drop(turn);
        let third = waiting.remove(1);
        let first = waiting.remove(0);
        let refused = take_turn(&board, order("late", false), |_| false).await.unwrap_err();
        assert_eq!(refused.message, "cannot begin late: first waits for its turn");
        let first = first.await.unwrap();
        assert_eq!(names(&board), ["third"]);
        drop(first);
        drop(third.await.unwrap());
        assert_eq!(board.borrow().busy, None);
    }

    /// Polls a future once.
    async fn futures_lite<F: Future + Unpin>(future: F) -> Option<F::Output> {
        tokio::time::timeout(std::time::Duration::ZERO, future).await.ok()
    }
}
