//! An acceptor: waits for a client, starts its session, and waits for the next one.
//!
//! The node owns the listener. An acceptor requests a connection and gets it as a message. So it is
//! idle while it waits, and your upgrade need not wait for it.

use reld_sdk::port::{self, Connection, Listener};
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::supervisor::start_child_of;
use reld_sdk::{Answer, Exit, From, GenServer, Info, Next, NotStarted, Schema, log};
use serde::{Deserialize, Serialize};

/// The length limit of a line, in bytes.
const LINE_MAX: usize = 256;

/// All acceptors share the listener.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Acceptor {
    listener: Listener,
}

/// The calls of an acceptor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Returns the address of the listener. With port 0 the system has chosen the port.
    Address,
}

impl GenServer for Acceptor {
    type Args = String;
    type Call = Request;
    type Reply = String;
    type Cast = ();
    type Message = ();

    async fn init(address: String) -> Result<Self, NotStarted> {
        let listener = port::Options::new().line(LINE_MAX).supervisor().listen(&address)?;
        listener.request_accept()?;
        Ok(Self { listener })
    }

    async fn handle_call(&mut self, Request::Address: Request, _from: From) -> Answer<String> {
        self.listener.address().map_or_else(|error| Answer::stop(error.into()), Answer::Reply)
    }

    async fn handle_info(&mut self, info: Info<()>) -> Next {
        let next = match info {
            Info::Port(port::Event::Accepted { connection, .. }) => {
                let_in(connection).await;
                self.listener.request_accept()
            }
            Info::Port(port::Event::Closed { error, .. }) => Err(error),
            _ => Ok(()),
        };
        next.map_or_else(|error| Next::Stop(error.into()), |()| Next::Continue)
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

/// Starts a session for the client. If that fails, the connection is closed and the acceptor
/// continues.
async fn let_in(connection: Connection) {
    let started = start_child_of("sockserv_sessions", &connection).await.map_err(Exit::error);
    let handed = started.and_then(|session| {
        let session = session.ok_or_else(|| Exit::error("the session did not start"))?;
        // The session owns the connection from now on: the connection closes when the session ends.
        Ok(connection.controlling_process(session)?)
    });
    if let Err(exit) = handed {
        log::warn!("a client is turned away: {exit}");
        // An error means that the connection is closed already.
        let _ = connection.close();
    }
}
