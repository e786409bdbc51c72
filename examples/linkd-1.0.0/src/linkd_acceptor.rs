//! The acceptor waits for a client, starts its session, and waits for the next client.
//!
//! It ends only if its listener or the supervisor of the sessions fails. A client that has left
//! already, a session that does not start, or too many clients must not end it, because its end
//! counts for the restart intensity of the root.

use std::time::Duration;

use reld_sdk::port::{self, Connection, Listener};
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::supervisor::{count_children, start_child_of};
use reld_sdk::{Answer, Exit, From, GenServer, Info, Next, NotStarted, Schema, log, self_pid, send_after};
use serde::{Deserialize, Serialize};

/// The length limit of a line, in bytes. A longer line ends the connection.
const LINE_MAX: usize = 2048;

/// The time after which a full house is looked at again.
const RETRY: Duration = Duration::from_millis(100);

/// The address of the listener, and the number of sessions at the same time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Door {
    host: String,
    port: u16,
    sessions: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Acceptor {
    listener: Listener,
    sessions: usize,
}

/// The calls of the acceptor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Returns the address of the listener. With port 0 the system has chosen the port.
    Address,
}

/// The message of the acceptor to itself: a session may have ended.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Retry;

impl GenServer for Acceptor {
    type Args = Door;
    type Call = Request;
    type Reply = String;
    type Cast = ();
    type Message = Retry;

    async fn init(Door { host, port, sessions }: Door) -> Result<Self, NotStarted> {
        // The supervisor owns the listener, so the port stays open if the acceptor is restarted.
        let listener = port::Options::new().line(LINE_MAX).supervisor().listen(&format!("{host}:{port}"))?;
        let acceptor = Self { listener, sessions };
        acceptor.request_next().await?;
        Ok(acceptor)
    }

    async fn handle_call(&mut self, Request::Address: Request, _from: From) -> Answer<String> {
        self.listener.address().map_or_else(|error| Answer::stop(error.into()), Answer::Reply)
    }

    async fn handle_info(&mut self, info: Info<Retry>) -> Next {
        let next = match info {
            Info::Port(port::Event::Accepted { connection, .. }) => {
                let_in(connection).await;
                self.request_next().await
            }
            Info::Message(Retry) => self.request_next().await,
            Info::Port(port::Event::Closed { error, .. }) => Err(error.into()),
            _ => Ok(()),
        };
        next.map_or_else(Next::Stop, |()| Next::Continue)
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

impl Acceptor {
    /// Requests the next client, or looks again later if there are as many sessions as allowed.
    /// Meanwhile clients wait in the queue of the kernel.
    async fn request_next(&self) -> Result<(), Exit> {
        let counts = count_children("linkd_sessions").await.map_err(Exit::error)?;
        if counts.active < self.sessions {
            self.listener.request_accept()?;
        } else if let Some(me) = self_pid() {
            send_after(me, RETRY, &Retry)?;
        }
        Ok(())
    }
}

/// Starts the session of a client, or turns the client away.
async fn let_in(connection: Connection) {
    if let Err(exit) = hand_over(connection).await {
        log::info!("a client is turned away: {exit}");
        // An error means that the connection is closed already.
        let _ = connection.close();
    }
}

async fn hand_over(connection: Connection) -> Result<(), Exit> {
    let session = start_child_of("linkd_sessions", &connection).await.map_err(Exit::error)?;
    let session = session.ok_or_else(|| Exit::error("the session did not start"))?;
    // From now on the connection closes when the session ends. This fails if the client has left,
    // and its session has ended with it.
    Ok(connection.controlling_process(session)?)
}

#[cfg(test)]
mod tests {
    use reld_sdk::harness::{Node, Running, connection};

    use super::*;

    /// An acceptor for two sessions at the same time.
    fn acceptor() -> Running<Acceptor> {
        let door = Door { host: "127.0.0.1".to_owned(), port: 0, sessions: 2 };
        Node::new().simple_one_for_one("linkd_sessions").start(&door).expect("starts")
    }

    fn is_open(acceptor: &Running<Acceptor>) -> bool {
        acceptor.is_accepting(acceptor.state().expect("lives").listener)
    }

    fn accept(acceptor: &mut Running<Acceptor>, number: u64) {
        let listener = acceptor.state().expect("lives").listener;
        let connection = connection(number);
        let accepted = port::Event::Accepted { listener, connection, peer: String::new() };
        acceptor.port(accepted).expect("lives");
    }

    #[test]
    fn a_client_that_has_left_is_turned_away_and_the_next_one_is_let_in() {
        let mut acceptor = acceptor();
        acceptor.hang_up(connection(5));
        accept(&mut acceptor, 5);
        assert!(acceptor.is_closed(connection(5)) && is_open(&acceptor));
        accept(&mut acceptor, 6);
        assert!(!acceptor.is_closed(connection(6)));
    }

    #[test]
    fn clients_wait_while_there_are_as_many_sessions_as_allowed() {
        let mut acceptor = acceptor();
        accept(&mut acceptor, 5);
        assert!(is_open(&acceptor));
        accept(&mut acceptor, 6);
        acceptor.advance(5 * RETRY).expect("lives");
        assert!(!is_open(&acceptor));
        acceptor.end_child("linkd_sessions");
        acceptor.advance(RETRY).expect("lives");
        assert!(is_open(&acceptor));
    }
}
