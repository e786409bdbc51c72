//! The state of the node, as far as its fleet needs it.

use crate::operator::{Board, Operator};

/// The state of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) running: Option<String>,
    /// The version and the identity of the permanent release.
    pub(super) permanent: Option<(String, String)>,
    /// The work of the node, if it is not at rest.
    pub(super) busy: Option<String>,
}

impl Facts {
    /// Returns the state of a node. The first work that holds is shown:
    ///
    /// | the board | work |
    /// |---|---|
    /// | stops, or has to restart | stops, restarts |
    /// | has a permanent release and runs none | boots it |
    /// | has an order under way | the order |
    /// | has a release that settles | settles |
    /// | has orders that wait | waits for the first one |
    pub(super) fn of(board: &Board) -> Self {
        let permanent = board.releases.permanent();
        let runs = board.switched.as_ref().or(board.running.as_ref());
        let boots = permanent.filter(|_| runs.is_none());
        let settles = board.settling.as_ref().map(|settling| settling.trip().to.to_string());
        let busy = match boots {
            _ if board.stops => Some("stops".to_owned()),
            _ if board.restarts => Some("restarts".to_owned()),
            Some(release) => Some(format!("boots {}", release.version)),
            None => (board.busy.clone())
                .or_else(|| settles.map(|release| format!("release {release} settles")))
                .or_else(|| board.waiting.first().map(|next| format!("{} waits", next.what))),
        };
        Self {
            running: runs.map(ToString::to_string),
            permanent: permanent.map(|known| (known.version.to_string(), known.identity.to_string())),
            busy,
        }
    }
}

/// Reports each change of the node's state, until the operator has ended or `report` returns false.
pub(super) fn follow(operator: &Operator, report: impl Fn(Facts) -> bool + Send + 'static) {
    let mut board = operator.follow();
    tokio::spawn(async move {
        let mut known = Facts::default();
        loop {
            let facts = Facts::of(&board.borrow_and_update());
            if facts != known {
                known = facts.clone();
                if !report(facts) {
                    return;
                }
            }
            if board.changed().await.is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_of_a_node_is_that_of_the_first_row() {
        let busy = |board: &Board| Facts::of(board).busy.unwrap_or_default();
        let mut board = Board::default();
        assert_eq!(Facts::of(&board), Facts::default());
        board.running = "1.0.0".parse().ok();
        board.busy = Some("upgrade to 1.1.0".to_owned());
        assert_eq!(busy(&board), "upgrade to 1.1.0");
        board.switched = "1.1.0".parse().ok();
        assert_eq!(Facts::of(&board).running.as_deref(), Some("1.1.0"));
        board.restarts = true;
        assert_eq!(busy(&board), "restarts");
        board.stops = true;
        assert_eq!(busy(&board), "stops");
    }
}
