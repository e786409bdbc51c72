//! A session serves one client, from the question for a name to the end of the game.
//!
//! ```text
//!   naming --a name--> rolling --y--> playing
//!     ^                 |  ^ n
//!     `------taken------'  `
//! ```

use pq_stats::{Dice, Stats};
use reld_sdk::port::{Connection, Event as PortEvent};
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Exit, GenServer, Info, MonitorRef, Next, NotStarted, Schema};
use serde::{Deserialize, Serialize};

use crate::{dialog, quest};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Session {
    connection: Connection,
    dice: Dice,
    stage: Stage,
}

/// The progress of the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// The client is asked for a name.
    Naming,
    /// The client is asked to accept these stats.
    Rolling { name: String, stats: Stats },
    /// The client watches its player until the monitor reports the end of the game.
    Playing { name: String, game: MonitorRef, has_begun: bool },
}

/// The messages from `sockserv_pq_events`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The player begins, or begins anew.
    Begun,
    /// An event of the player.
    Event(dialog::Event),
}

/// `Ok` to continue, or the exit reason of the session.
type Done = Result<(), Exit>;

impl GenServer for Session {
    type Args = Connection;
    type Call = ();
    type Reply = ();
    type Cast = ();
    type Message = Message;

    async fn init(connection: Connection) -> Result<Self, NotStarted> {
        let session = Self { connection, dice: Dice::default(), stage: Stage::Naming };
        session.say(dialog::WELCOME)?;
        connection.request_read()?;
        Ok(session)
    }

    async fn handle_info(&mut self, info: Info<Message>) -> Next {
        let done = match info {
            Info::Port(PortEvent::Data { bytes, .. }) => self.hear(&dialog::typed(&bytes)).await,
            Info::Port(PortEvent::Closed { .. }) => Err(Exit::Normal),
            Info::Message(Message::Event(event)) => self.say(&dialog::told(&event)),
            Info::Message(Message::Begun) => self.start(),
            Info::Down { monitor, .. } => self.stop(monitor),
            _ => Ok(()),
        };
        done.map_or_else(Next::Stop, |()| Next::Continue)
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

impl Session {
    /// Handles a line from the client, and requests the next one.
    async fn hear(&mut self, text: &str) -> Done {
        match self.stage.clone() {
            Stage::Naming => self.take_name(text).await?,
            Stage::Rolling { name, stats } => match text {
                "y" => self.begin(name, stats).await?,
                "n" => self.roll(name)?,
                _ => self.say(dialog::AGAIN)?,
            },
            Stage::Playing { name, .. } => self.obey(&name, text).await?,
        }
        Ok(self.connection.request_read()?)
    }

    async fn take_name(&mut self, name: &str) -> Done {
        if !dialog::is_name(name) {
            return self.say(dialog::BAD_NAME);
        }
        match quest::whereis(name).await? {
            Some(_) => self.say(dialog::TAKEN),
            None => self.roll(name.to_owned()),
        }
    }

    fn roll(&mut self, name: String) -> Done {
        let stats = Stats::roll(&mut self.dice);
        self.say(&dialog::offer(&stats))?;
        self.stage = Stage::Rolling { name, stats };
        Ok(())
    }

    async fn begin(&mut self, name: String, stats: Stats) -> Done {
        match quest::begin(&name, stats).await? {
            Some(game) => self.stage = Stage::Playing { name, game, has_begun: false },
            None => {
                self.stage = Stage::Naming;
                self.say(dialog::TAKEN)?;
            }
        }
        Ok(())
    }

    /// The player begins, or begins anew after a failure.
    fn start(&mut self) -> Done {
        let Stage::Playing { has_begun, .. } = &mut self.stage else { return Ok(()) };
        let line = if *has_begun { dialog::STARTED_ANEW } else { dialog::BEGIN };
        *has_begun = true;
        self.say(line)
    }

    /// The game ended, and not by `quit`.
    fn stop(&self, monitor: MonitorRef) -> Done {
        match &self.stage {
            Stage::Playing { game, .. } if *game == monitor => self.end(dialog::GONE),
            _ => Ok(()),
        }
    }

    async fn obey(&mut self, name: &str, command: &str) -> Done {
        match command {
            "quit" => {
                quest::leave(name).await?;
                self.end(dialog::BYE)
            }
            _ => self.say(dialog::UNKNOWN),
        }
    }

    /// Sends a last line, and ends the session.
    fn end(&self, line: &str) -> Done {
        self.say(line)?;
        Err(Exit::Normal)
    }

    /// Sends a line. If the client does not read, the session ends: a callback that waits for a
    /// slow client would delay your upgrade.
    fn say(&self, line: &str) -> Done {
        Ok(self.connection.send(format!("{line}\n").as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reld_sdk::Value;
    use reld_sdk::harness::{Node, Running, connection, pid};

    use super::*;

    /// A session on a node where the registry knows only the player `bob`.
    fn session() -> Running<Session> {
        let regis = |request: Value| {
            let asked: BTreeMap<String, String> = request.read()?;
            let found = (asked.get("whereis").map(String::as_str) == Some("bob")).then(|| pid(9));
            Ok(Value::write(&BTreeMap::from([("pid", found)]))?)
        };
        let node = Node::new().name("regis", pid(7)).answer_calls(move |_, request| regis(request));
        node.start(&connection(1)).expect("starts")
    }

    #[track_caller]
    fn check(session: &mut Running<Session>, typed: &str, shown: &str) {
        let bytes = format!("{typed}\r\n").into_bytes();
        session.port(PortEvent::Data { connection: connection(1), bytes }).expect("lives");
        let written = String::from_utf8(session.written(connection(1))).expect("text");
        assert!(written.contains(shown) && written.ends_with('\n'), "{typed:?}: {written:?}");
    }

    #[test]
    fn a_client_is_asked_for_a_name_and_then_to_accept_its_stats() {
        let mut session = session();
        assert_eq!(session.written(connection(1)), format!("{}\n", dialog::WELCOME).into_bytes());
        check(&mut session, "", dialog::BAD_NAME);
        check(&mut session, "bob", dialog::TAKEN);
        check(&mut session, "ada", "(y/n)");
        check(&mut session, "perhaps", dialog::AGAIN);
        let before = session.state().expect("lives").stage.clone();
        check(&mut session, "n", "(y/n)");
        assert_ne!(session.state().expect("lives").stage, before, "these are other stats");
    }

    #[test]
    fn the_events_of_the_player_are_shown() {
        let mut session = session();
        session.written(connection(1));
        let found = BTreeMap::from([("found", BTreeMap::from([("item", "Crumb")]))]);
        session.send(&BTreeMap::from([("event", found)])).expect("lives");
        assert_eq!(session.written(connection(1)), b"You found a Crumb.\n");
    }
}
