//! The app `regis` 1.1.0: names for processes, any text for any process, each name once.
//!
//! One server, registered as `regis`, is called with `regis::Request`s. A name is free again when its process ends.
//!
//! Since 1.1.0 the names stand in a shared table, also called `regis`: any process may look into it, and the names outlive a
//! crash of the server.
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
