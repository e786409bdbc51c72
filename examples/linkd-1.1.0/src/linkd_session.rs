//! A session serves one client, one line after the other.
//!
//! It waits outside of callbacks, by messages. So an upgrade never waits for a client, and a line
//! that arrives meanwhile stays in the node until the session runs again.

use std::time::Duration;

use reld_sdk::port::{Connection, Event};
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Exit, GenServer, Info, Next, NotStarted, Schema, State, Value, env, receive_timeout};
use serde::{Deserialize, Serialize};

use crate::command::{Command, HELP};
use crate::links::{Link, Links};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Session {
    connection: Connection,
    links: Links,
    idle_ms: u64,
    /// How long new links of this client live. New in 1.1.0.
    keep_s: u64,
}

/// The state of 1.0.0.
#[derive(Debug, Serialize, Deserialize)]
struct SessionV100 {
    connection: Connection,
    links: Links,
    idle_ms: u64,
}

/// The data of the upgrade in `appup.toml`.
#[derive(Debug, Serialize, Deserialize)]
struct Up {
    keep_s: u64,
}

/// `Ok` to continue, or the exit reason of the session.
type Done = Result<(), Exit>;

impl GenServer for Session {
    type Args = Connection;
    type Call = ();
    type Reply = ();
    type Cast = ();
    type Message = ();

    async fn init(connection: Connection) -> Result<Self, NotStarted> {
        let idle_ms = env("idle_ms")?.unwrap_or(60_000);
        let keep_s = env("keep_s")?.unwrap_or(86_400);
        let session = Self { connection, links: Links::find()?, idle_ms, keep_s };
        connection.request_read()?;
        session.start_idle_timer()?;
        Ok(session)
    }

    async fn handle_info(&mut self, info: Info<()>) -> Next {
        let done = match info {
            Info::Port(Event::Data { bytes, .. }) => self.serve(&bytes),
            Info::Port(Event::Closed { .. }) => Err(Exit::Normal),
            _ => Ok(()),
        };
        let done = done.and_then(|()| self.start_idle_timer());
        done.map_or_else(Next::Stop, |()| Next::Continue)
    }

    /// The client was silent for too long. Bytes that are not a whole line count as silence, so a
    /// client cannot hold a session with them.
    async fn handle_timeout(&mut self) -> Next {
        self.say("bye: no command for too long").map_or_else(Next::Stop, |()| Next::Stop(Exit::Normal))
    }

    /// Up: a running session gets the time of the appup. Down needs no code: the node cuts the
    /// added field out, because both versions have a schema.
    fn change_code(_from: &str, state: State, extra: Value) -> Result<Self, Exit> {
        let SessionV100 { connection, links, idle_ms } = state.read()?;
        let Up { keep_s } = extra.read()?;
        Ok(Self { connection, links, idle_ms, keep_s })
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

impl Session {
    /// Answers a line, and requests the next one.
    fn serve(&mut self, line: &[u8]) -> Done {
        let none = || "none".to_owned();
        let answer = match Command::read(line) {
            Command::Put { name, url } => self.put(name, url)?,
            Command::Get { name } => self.links.follow(name)?.unwrap_or_else(none),
            Command::Hits { name } => self.links.hits(name)?.map_or_else(none, |hits| hits.to_string()),
            Command::Keep { seconds } => {
                self.keep_s = seconds.into();
                "ok".to_owned()
            }
            Command::Quit => return self.say("bye").and(Err(Exit::Normal)),
            Command::Unknown => HELP.to_owned(),
        };
        self.say(&answer)?;
        Ok(self.connection.request_read()?)
    }

    fn put(&self, name: &str, url: &str) -> Result<String, Exit> {
        let is_new = self.links.add(name, &Link::new(url, self.keep_s))?;
        Ok(if is_new { "ok" } else { "taken" }.to_owned())
    }

    /// Sends a line. If the client has left or does not read, that is no fault of this app: the
    /// session ends, rather than keep its answers or wait for it in a callback.
    fn say(&self, line: &str) -> Done {
        self.connection.send(format!("{line}\n").as_bytes()).map_err(|_| Exit::Normal)
    }

    /// Starts the timer anew. Each callback cancels it.
    fn start_idle_timer(&self) -> Done {
        Ok(receive_timeout(Duration::from_millis(self.idle_ms))?)
    }
}

#[cfg(test)]
mod tests {
    use reld_sdk::harness::{Node, Running, connection};

    use super::*;
    use crate::links::{HITS, LINKS};

    /// A session on a node with one link.
    fn session() -> Running<Session> {
        let link = Link::new("https://docs.rs", 60);
        let node = Node::new().env("idle_ms", Value::write(&1_000).expect("a number"));
        let node = node.table(LINKS, &[("docs", link)]).expect("the name is free");
        let node = node.table(HITS, &[("docs", 0)]).expect("the name is free");
        node.start(&connection(1)).expect("starts")
    }

    fn written(session: &mut Running<Session>) -> String {
        String::from_utf8(session.written(connection(1))).expect("text")
    }

    #[track_caller]
    fn check(session: &mut Running<Session>, line: &str, answer: &str) {
        let bytes = format!("{line}\n").into_bytes();
        session.port(Event::Data { connection: connection(1), bytes }).expect("lives");
        assert_eq!(written(session), format!("{answer}\n"));
    }

    #[test]
    fn a_client_adds_and_follows_links_and_reads_their_hits() {
        let mut session = session();
        check(&mut session, "get docs", "https://docs.rs");
        check(&mut session, "put docs https://other.example", "taken");
        check(&mut session, "put book https://doc.rust-lang.org/book", "ok");
        check(&mut session, "get book", "https://doc.rust-lang.org/book");
        check(&mut session, "get docs", "https://docs.rs");
        check(&mut session, "hits docs", "2");
        check(&mut session, "get nothing", "none");
        check(&mut session, "hits nothing", "none");
        check(&mut session, "hello", HELP);
        let hits = [("book".to_owned(), 1), ("docs".to_owned(), 2)];
        assert_eq!(session.rows(HITS), Ok(hits.to_vec()));
        check(&mut session, "quit", "bye");
        assert_eq!(session.ended(), Some(&Exit::Normal));
    }

    #[test]
    fn a_client_chooses_how_long_its_links_live() {
        let mut session = session();
        check(&mut session, "put day https://docs.rs", "ok");
        check(&mut session, "keep 0", "ok");
        check(&mut session, "put moment https://docs.rs", "ok");
        let rows: Vec<(String, Link)> = session.rows(LINKS).expect("they are links");
        let lives = |name: &str| rows.iter().find(|row| row.0 == name).and_then(|row| row.1.until_s);
        assert!(lives("day") >= lives("moment").map(|until_s| until_s + 86_400 - 1), "{rows:?}");
    }

    #[test]
    fn a_session_of_1_0_0_keeps_its_client_and_gets_the_time_of_the_appup() {
        let session = session();
        let &Session { connection, links, idle_ms, .. } = session.state().expect("lives");
        let old = State::write(&SessionV100 { connection, links, idle_ms }).expect("a state");
        let extra = Value::write(&Up { keep_s: 5 }).expect("data");
        let new = Session::change_code("1.0.0", old, extra).expect("it is converted");
        assert_eq!(new, Session { connection, links, idle_ms, keep_s: 5 });
    }

    #[test]
    fn a_silent_client_is_disconnected_and_a_busy_one_is_not() {
        let mut session = session();
        session.advance(Duration::from_millis(900)).expect("lives");
        check(&mut session, "hits docs", "0");
        session.advance(Duration::from_millis(900)).expect("lives");
        assert_eq!(session.ended(), None);
        session.advance(Duration::from_millis(100)).expect("lives until then");
        assert_eq!(session.ended(), Some(&Exit::Normal));
        assert_eq!(written(&mut session), "bye: no command for too long\n");
    }

    #[test]
    fn a_client_that_has_left_ends_its_session_without_an_error() {
        let mut session = session();
        session.hang_up(connection(1));
        let bytes = b"get docs\n".to_vec();
        session.port(Event::Data { connection: connection(1), bytes }).expect("lives until then");
        assert_eq!(session.ended(), Some(&Exit::Normal));
    }
}
