//! The node daemon: hosts apps and upgrades them live.
//!
//! `reld --root DIR` runs in the foreground until SIGTERM or SIGINT. `reld probe FILE` shows the
//! contents of a library. Only this crate knows both sides: releases (`reld-handler`) and processes
//! (`reld-runtime`).

mod alarms;
mod api_server;
mod ask;
mod child_spec;
mod config;
mod daemon;
mod environment;
mod fleet;
mod gate;
mod handed;
mod history;
mod log;
mod next;
mod node;
mod operator;
mod panics;
mod probe;
mod program;
mod record;
mod report;
mod ring;
mod service;
mod socket_file;
mod sockets;
mod threads;

use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use crate::alarms::Alarms;
use crate::config::{Arguments, Command};
use crate::environment::Environment;
use crate::handed::Handed;
use crate::log::{Form, Log};

/// The time limit for writing the log when the daemon ends.
const FLUSH: Duration = Duration::from_secs(2);

/// The daemon's allocator. Libraries forward their allocations to it.
#[global_allocator]
static ALLOCATOR: reld_loader::Mimalloc = reld_loader::Mimalloc;

fn main() -> ExitCode {
    // This must precede the start of any thread. Threads inherit the signal mask, which the parent
    // OS process has chosen.
    reld_loader::reset_signals();
    // The defaults of the options depend on the environment.
    let arguments = Arguments::parse();
    let environment = Environment::take();
    let result = match arguments.command {
        Some(Command::Probe { file, ask: Some(folder), .. }) => ask::answer(&file, &folder),
        Some(Command::Probe { file, json, of, modules, report, ask: None }) => {
            config::probe(&file, json, of.as_deref(), modules.as_deref(), report.as_deref())
        }
        None => return run(arguments.daemon, &environment),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => config::fail(&error),
    }
}

/// Runs the daemon. Its final error is also logged.
fn run(config: config::Daemon, environment: &Environment) -> ExitCode {
    let handed = Handed::take(environment);
    let config = match config.absolute() {
        Ok(config) => config,
        Err(error) => return config::fail(&error),
    };
    let form = if config.log_json { Form::Json } else { Form::Text };
    let log = match Log::to_stderr(form, usize::from(config.log_keep) << 10).context("cannot start the log") {
        Ok(log) => log,
        Err(error) => return config::fail(&error),
    };
    log.subscribe(environment.get("RELD_LOG").and_then(OsStr::to_str));
    let alarms = Alarms::default();
    panics::report(log.clone(), alarms.clone());
    let ended = daemon::run(&config, environment, &handed, &log, alarms);
    if let Err(error) = &ended {
        log.plain(&config::shown(error));
    }
    log.flush(FLUSH);
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
