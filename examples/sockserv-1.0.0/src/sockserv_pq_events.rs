//! The handler in the event manager of a player: it passes the events to the session that watches.

use reld_sdk::{EventHandler, Handled, NotStarted, Pid, send};
use serde::{Deserialize, Serialize};

/// The session and the player that it watches. Also the start argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relay {
    pub(crate) session: Pid,
    pub(crate) player: String,
}

/// The messages to the session: a game begins (again after a failure of the player), or an event
/// occurred. The handler passes events on unread. So a new kind of event needs new code only in the
/// session, not here.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Passed {
    Begun,
    Event(serde_json::Value),
}

impl EventHandler for Relay {
    type Args = Self;
    type Event = serde_json::Value;
    type Call = ();
    type Reply = ();
    type Message = ();

    async fn init(relay: Self) -> Result<Self, NotStarted> {
        send(relay.session, &Passed::Begun)?;
        Ok(relay)
    }

    async fn handle_event(&mut self, event: serde_json::Value) -> Handled {
        match send(self.session, &Passed::Event(event)) {
            Ok(()) => Handled::Keep,
            Err(_) => Handled::Remove,
        }
    }
}
