//! The app `count_server` 0.3.0: each bump carries its increment.
#![forbid(unsafe_code)]

use reld_sdk::{Answer, From, GenServer, Next, NotStarted};
use serde::{Deserialize, Serialize};

/// The state is data in the process, and the callbacks are code in the library. So you can replace
/// the code and keep the state.
#[derive(Serialize, Deserialize)]
struct CountServer {
    n: i64,
}

/// The calls of the server.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Get,
}

/// The casts of the server.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Bump(i64),
}

impl GenServer for CountServer {
    type Args = i64;
    type Call = Request;
    type Reply = i64;
    type Cast = Order;
    type Message = ();

    async fn init(n: i64) -> Result<Self, NotStarted> {
        Ok(Self { n })
    }

    async fn handle_call(&mut self, Request::Get: Request, _: From) -> Answer<i64> {
        Answer::Reply(self.n)
    }

    async fn handle_cast(&mut self, Order::Bump(by): Order) -> Next {
        self.n += by;
        Next::Continue
    }
}

reld_sdk::export_app! {
    app: "count_server",
    version: env!("CARGO_PKG_VERSION"),
    modules: { count_server: gen_server CountServer },
}
