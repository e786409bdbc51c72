//! The command line of reld: packs, plans and upgrades releases, and inspects and controls a node.
//!
//! Data about a node comes only from its daemon. Packing and planning work offline, with the crates
//! that the daemon uses too. Data goes to stdout, all other output to stderr.

mod args;
mod commands;
mod error;
mod input;
mod json_arg;
mod pid;
mod render;
mod terminal;
mod word;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use reld_api::ErrorBody;
use serde_json::Value;

use args::Args;
use commands::Shown;
use error::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.global.json;
    let code = match run(args).and_then(|shown| print(&shown, json)) {
        Ok(code) => code,
        Err(failure) => complain(&failure, json),
    };
    ExitCode::from(u8::from(code))
}

fn run(args: Args) -> Result<Shown, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|fault| Failure::io("start", "the event loop", &fault))?;
    let ended = runtime.block_on(commands::run(args));
    // A read of stdin may still block. The end of the command does not wait for it.
    runtime.shutdown_background();
    ended
}

fn print(shown: &Shown, json: bool) -> Result<reld_api::ExitCode, Failure> {
    let text = if json { pretty(&shown.json) } else { shown.text.clone() };
    match terminal::out(&text) {
        // The reader has closed the pipe, as in `relctl ps | head`.
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(shown.exit_code),
        Err(fault) => Err(Failure::io("write", "stdout", &fault)),
        Ok(()) => Ok(shown.exit_code),
    }
}

/// Formats JSON. `null` marks a command that printed its output while it ran, and gives no text.
fn pretty(json: &Value) -> String {
    if json.is_null() { String::new() } else { format!("{json:#}\n") }
}

fn complain(failure: &Failure, json: bool) -> reld_api::ExitCode {
    let report = failure.report().clone();
    let code = report.exit_code;
    let text = if json {
        serde_json::to_string_pretty(&ErrorBody::from(report)).unwrap_or_default() + "\n"
    } else {
        render::failure(&report)
    };
    terminal::err(&text);
    code
}
