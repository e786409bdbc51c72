//! The handler in the event manager of a player: it passes the events to the session that watches,
//! and ends the game when that session ends for any reason.
//!
//! In 1.0.0 a player went on without a client after a session had failed. Such players end at their
//! first event after the upgrade.

use reld_sdk::{
    EventHandler, Exit, Handled, Info, MonitorRef, NotStarted, Pid, State, Value, log, monitor, send,
};
use serde::{Deserialize, Serialize};

use crate::quest;

/// The start argument: the session and the player that it watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) session: Pid,
    pub(crate) player: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relay {
    watch: Watch,
    /// The monitor of the session. New in 1.0.1; `None` between the upgrade and the next event.
    monitor: Option<MonitorRef>,
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
    type Args = Watch;
    type Event = serde_json::Value;
    type Call = ();
    type Reply = ();
    type Message = ();

    async fn init(watch: Watch) -> Result<Self, NotStarted> {
        send(watch.session, &Passed::Begun)?;
        let monitor = Some(monitor(watch.session)?);
        Ok(Self { watch, monitor })
    }

    async fn handle_event(&mut self, event: serde_json::Value) -> Handled {
        match self.pass(event) {
            Ok(()) => Handled::Keep,
            Err(_) => Handled::Remove,
        }
    }

    async fn handle_info(&mut self, info: Info<()>) -> Handled {
        if !matches!(info, Info::Down { monitor, .. } if Some(monitor) == self.monitor) {
            return Handled::Keep;
        }
        if let Err(exit) = quest::leave(&self.watch.player).await {
            log::error!("{} plays on, and no client watches: {exit}", self.watch.player);
        }
        Handled::Remove
    }

    /// Up: the state of 1.0.0 is now the field `watch`. Your `change_code` cannot call the node, so
    /// `pass` creates the monitor at the next event.
    fn change_code(_from: &str, state: State, _extra: Value) -> Result<Self, Exit> {
        Ok(Self { watch: state.read()?, monitor: None })
    }

    /// Down: drops the monitor, because 1.0.0 has none.
    fn change_code_down(&self, _to: &str, _extra: Value) -> Result<State, Exit> {
        Ok(State::write(&self.watch)?)
    }
}

impl Relay {
    fn pass(&mut self, event: serde_json::Value) -> Result<(), Exit> {
        if self.monitor.is_none() {
            self.monitor = Some(monitor(self.watch.session)?);
        }
        Ok(send(self.watch.session, &Passed::Event(event))?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reld_sdk::harness::{Node, RunningHandler, Sent, pid};

    use super::*;

    fn watch() -> Watch {
        Watch { session: pid(5), player: "ada".to_owned() }
    }

    /// A handler on a node where `ada` plays as <9.1>.
    fn relay() -> RunningHandler<Relay> {
        let node = Node::new().name("regis", pid(7));
        let node = node.answer_calls(|_, _| Ok(Value::write(&BTreeMap::from([("pid", pid(9))]))?));
        node.start_handler(&watch()).expect("starts")
    }

    #[test]
    fn events_of_unknown_kinds_are_passed_on() {
        let mut relay = relay();
        assert_eq!(relay.notify(&BTreeMap::from([("sung", "a song")])), Ok(Handled::Keep));
        let [Sent::Info(_, begun), Sent::Info(to, passed)] = &relay.sent()[..] else {
            panic!("two messages")
        };
        assert_eq!((begun.read(), *to), (Ok("begun".to_owned()), pid(5)));
        let event = BTreeMap::from([(
            "event".to_owned(),
            BTreeMap::from([("sung".to_owned(), "a song".to_owned())]),
        )]);
        assert_eq!(passed.read(), Ok(event));
    }

    #[test]
    fn the_end_of_the_session_ends_the_game_and_the_handler() {
        let mut relay = relay();
        relay.sent();
        let monitor = relay.state().and_then(|relay| relay.monitor).expect("it watches");
        relay.down(monitor, pid(5), Exit::Killed).expect("lives");
        assert!(matches!(relay.sent().as_slice(), [Sent::Cast(to, _)] if *to == pid(9)));
        assert_eq!(relay.ended(), Some(&Exit::Normal));
    }

    #[test]
    fn up_and_down_keep_the_watch() {
        let old = State::write(&watch()).expect("a state is written");
        let new = Relay::change_code("1.0.0", old.clone(), Value::nothing()).expect("it goes up");
        assert_eq!(new, Relay { watch: watch(), monitor: None });
        assert_eq!(new.change_code_down("1.0.0", Value::nothing()), Ok(old));
    }
}
