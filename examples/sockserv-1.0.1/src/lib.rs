//! The app `sockserv` 1.0.1: the game over TCP, line by line, for people with `nc` or `telnet`.
//!
//! ```text
//! sockserv_sup -- sockserv_sessions -- sockserv_serv ...        one session for each client
//!              `- sockserv_acceptors -- sockserv_acceptor ...   waits for a client, starts a session
//!
//! in the event manager of each player: sockserv_pq_events, which passes events to the session
//! ```
#![forbid(unsafe_code)]

mod dialog;
mod quest;
mod sockserv_acceptor;
mod sockserv_acceptors;
mod sockserv_app;
mod sockserv_pq_events;
mod sockserv_serv;
mod sockserv_sessions;
mod sockserv_sup;

reld_sdk::export_app! {
    app: "sockserv",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        sockserv_serv: gen_server sockserv_serv::Session,
        sockserv_pq_events: event_handler sockserv_pq_events::Relay,
        sockserv_acceptor: gen_server sockserv_acceptor::Acceptor,
        sockserv_acceptors: supervisor sockserv_acceptors::Acceptors,
        sockserv_sessions: supervisor sockserv_sessions::Sessions,
        sockserv_sup: supervisor sockserv_sup::Sup,
        sockserv_app: application sockserv_app::App,
    },
}
