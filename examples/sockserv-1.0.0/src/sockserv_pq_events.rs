//! The handler in the events of a player: passes them on to the session that watches it.

use reld_sdk::{EventHandler, Handled, NotStarted, Pid, send};
use serde::{Deserialize, Serialize};

/// Who watches whom; also the start argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relay {
    pub(crate) session: Pid,
    pub(crate) player: String,
}

/// That a game begins, once more where the player failed; and each event as it came. What it says is read by the session, so that a new kind of event needs no new relay.
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
