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
mod shown;
mod terminal;
mod word;

use std::env;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Parser;
use reld_api::{ErrorBody, ErrorCode, ErrorReport};
use serde_json::Value;

use args::Args;
use error::Failure;
use shown::Shown;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return unparsed(&error),
    };
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

/// Prints a failure: the text to stderr, and for `--json` the document to stdout as well.
fn complain(failure: &Failure, json: bool) -> reld_api::ExitCode {
    let report = failure.report();
    terminal::err(&render::failure(report));
    if io::stderr().is_terminal() {
        terminal::err(&render::more(report));
    }
    if json {
        print_error(report.clone());
    }
    report.exit_code
}

/// Prints the usage, the help or the version. The exit code is clap's.
fn unparsed(error: &clap::Error) -> ExitCode {
    // Without stderr there is no place to report that.
    let _ = error.print();
    if error.use_stderr() && env::args_os().any(|argument| argument == "--json") {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
        print_error(ErrorReport::new(ErrorCode::Usage, first, reld_api::ExitCode::Usage));
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Prints an error as a document to stdout. An error of stdout is ignored: the exit code and stderr
/// report the failure.
fn print_error(report: ErrorReport) {
    let body = serde_json::to_string_pretty(&ErrorBody::from(report)).expect("an error has only text keys");
    let _ = terminal::out(&(body + "\n"));
}
