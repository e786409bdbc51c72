//! The app `linkd` 1.1.0: short names for addresses, over TCP, line by line.
//!
//! ```text
//! linkd_sup --- linkd_tables                     owns the tables of links and hits
//!            |- linkd_sessions -- linkd_session  one for each client; reads and writes the tables
//!            |- linkd_acceptor                   waits for a client, starts its session
//!            `- linkd_sweeper                    removes links when their time is over; new in 1.1.0
//! ```
#![forbid(unsafe_code)]

mod command;
mod linkd_acceptor;
mod linkd_app;
mod linkd_session;
mod linkd_sessions;
mod linkd_sup;
mod linkd_sweeper;
mod linkd_tables;
mod links;

reld_sdk::export_app! {
    app: "linkd",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        linkd_session: gen_server linkd_session::Session,
        linkd_sessions: supervisor linkd_sessions::Sessions,
        linkd_acceptor: gen_server linkd_acceptor::Acceptor,
        linkd_tables: gen_server linkd_tables::Tables,
        linkd_sweeper: gen_server linkd_sweeper::Sweeper,
        linkd_sup: supervisor linkd_sup::Sup,
        linkd_app: application linkd_app::App,
    },
}
