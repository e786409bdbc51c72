//! The app `counter` 0.1.0: growing numbers, each in its own process, below one supervisor.
#![forbid(unsafe_code)]

mod counter;
mod counter_app;
mod counter_sup;

reld_sdk::export_app! {
    app: "counter",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        counter: gen_server counter::Counter,
        counter_sup: supervisor counter_sup::CounterSup,
        counter_app: application counter_app::CounterApp,
    },
}
