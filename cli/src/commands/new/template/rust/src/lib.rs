//! The app `__app__`: a server that adds up numbers, below a supervisor.
#![forbid(unsafe_code)]

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{
    Answer, Application, ChildSpec, From, GenServer, NotStarted, Root, Schema, StartArgs, Supervisor,
    SupervisorSpec, register,
};
use serde::{Deserialize, Serialize};

/// The state. It moves to the next version as bytes; give a new field `#[serde(default)]`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Server {
    sum: u64,
}

/// The requests that the server answers, each with the sum.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Request {
    Add(u64),
    Sum,
}

impl GenServer for Server {
    type Args = ();
    type Call = Request;
    type Reply = u64;
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        register("__crate___server")?;
        Ok(Self { sum: 0 })
    }

    async fn handle_call(&mut self, request: Request, _from: From) -> Answer<u64> {
        match request {
            Request::Add(number) => self.sum += number,
            Request::Sum => {}
        }
        Answer::Reply(self.sum)
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

/// The supervisor. It restarts the server after a crash.
struct Sup;

impl Supervisor for Sup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        let server = ChildSpec::worker("server", "__crate___server", ());
        SupervisorSpec::one_for_one().named("__crate___sup").child(server)
    }
}

/// The application. It starts the supervisor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct App;

impl Application for App {
    async fn start(_args: StartArgs) -> Result<(Self, Root), NotStarted> {
        Ok((Self, Root::new("__crate___sup", &())?))
    }

    fn schema() -> Schema {
        Schema::of_application::<Self>()
    }
}

reld_sdk::export_app! {
    app: "__app__",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        __crate___server: gen_server Server,
        __crate___sup: supervisor Sup,
        __crate___app: application App,
    },
}

#[cfg(test)]
mod tests {
    use reld_sdk::harness::Node;

    use super::*;

    #[test]
    fn the_server_adds_up() {
        let mut server = Node::new().start::<Server>(&()).expect("it starts");
        assert_eq!(server.call(&Request::Add(5)), Ok(5));
        assert_eq!(server.call(&Request::Add(2)), Ok(7));
        assert_eq!(server.call(&Request::Sum), Ok(7));
    }
}
