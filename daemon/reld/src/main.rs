//! The node daemon: hosts apps and upgrades them live.
//!
//! `reld --root DIR` runs in the foreground until SIGTERM or SIGINT; `reld probe FILE` says what a library is. This
//! crate is the only one that knows both houses: releases (`reld-handler`) and processes (`reld-runtime`).

mod api_server;
mod ask;
mod child_spec;
mod config;
mod daemon;
mod history;
mod node;
mod operator;
mod probe;
mod service;
mod sockets;

use std::process::ExitCode;

use clap::Parser;

use crate::config::{Arguments, Command};

/// Libraries forward their allocations here, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(Command::Probe { file, ask: Some(folder), .. }) => ask::answer(&file, &folder),
        Some(Command::Probe { file, json, of, modules, report, ask: None }) => {
            config::probe(&file, json, of.as_deref(), modules.as_deref(), report.as_deref())
        }
        None => daemon::run(arguments.daemon),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => config::fail(&error),
    }
}
