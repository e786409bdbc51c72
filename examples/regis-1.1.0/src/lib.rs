//! The app `regis` 1.1.0: a registry of process names. A name is any text and belongs to one
//! process.
//!
//! Call the server, which is registered as `regis`, with `regis::Request`. A name is free again
//! when its process ends.
//!
//! Since 1.1.0 the names are also in a shared table, named `regis`. Any process may read it, and
//! the names survive a crash of the server.
#![forbid(unsafe_code)]

mod regis;
mod regis_app;
mod regis_sup;
mod regis_table;

reld_sdk::export_app! {
    app: "regis",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        regis: gen_server regis::Regis,
        regis_table: gen_server regis_table::RegisTable,
        regis_sup: supervisor regis_sup::RegisSup,
        regis_app: application regis_app::RegisApp,
    },
}
