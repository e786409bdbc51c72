//! The app `pi`: two processes hold a number, one in its own loop and one as a gen_server.
#![forbid(unsafe_code)]

mod pi_loop;
mod pi_server;

use serde::Deserialize;

/// The call that both processes answer.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Get,
}

reld_sdk::export_app! {
    app: "pi",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        pi_loop: task pi_loop::PiLoop,
        pi_server: gen_server pi_server::PiServer,
    },
}
