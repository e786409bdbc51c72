//! Arguments of the commands that inspect a node.

use std::fmt;

use clap::{Args as ClapArgs, ValueEnum};
use reld_api::request as q;

use crate::pid;
use crate::word::{Word, word};

#[derive(Debug, ClapArgs)]
pub(crate) struct Tree {
    /// Show only this app
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// Show only the tree below this supervisor
    #[arg(long = "sup", value_name = "PID|NAME|PLACE")]
    pub(crate) supervisor: Option<String>,
    /// Output format
    #[arg(long, default_value = "text")]
    pub(crate) format: TreeFormat,
    /// Direction in which a mermaid drawing grows
    #[arg(long, default_value = "top-down")]
    pub(crate) direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TreeFormat {
    Text,
    Mermaid,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    TopDown,
    LeftRight,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WaitFor {
    /// State to wait for
    #[arg(long = "for", value_name = "STATE", default_value = "up")]
    pub(crate) state: WaitState,
    /// Longest time to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitState {
    /// The permanent release runs, or there is none
    Up,
    /// It is up, no order is under way or waits, and no release settles
    Quiet,
    /// It is quiet and runs a permanent release
    Committed,
}

impl fmt::Display for WaitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Quiet => "quiet",
            Self::Committed => "committed",
        })
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Top {
    /// Number of rows
    #[arg(long, short = 'n', default_value = "20")]
    pub(crate) count: usize,
    /// Sort by running time or by mailbox length
    #[arg(long, default_value = "run")]
    pub(crate) sort: TopSort,
    /// Time that the node measures before each table
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) interval: u64,
    /// Print one table and exit
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopSort {
    Run,
    Mailbox,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Trace {
    /// Show only messages from or to this process; may be given more than once
    #[arg(long = "proc", value_name = "PID|NAME|PLACE")]
    pub(crate) processes: Vec<String>,
    /// Show only messages of this kind; may be given more than once
    #[arg(long = "kind", value_name = "KIND", value_parser = word::<q::TraceKind>(&TRACE_KINDS))]
    pub(crate) kinds: Vec<q::TraceKind>,
    /// Stop after this many messages
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// Label of a process in the drawing; may be given more than once
    #[arg(long = "label", value_name = "PROCESS=TEXT", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Output format
    #[arg(long, default_value = "mermaid")]
    pub(crate) format: TraceFormat,
    /// Stop after this many seconds
    #[arg(long = "for", value_name = "SECONDS", conflicts_with = "command")]
    pub(crate) seconds: Option<u64>,
    /// Command to run; tracing stops when it has ended
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Logs {
    /// Show only lines printed or logged by this app, or about it
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// Number of lines, the newest ones [default: all; 10 with --follow]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// Keep printing new lines until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (process, label) =
        text.split_once('=').ok_or("expected PROCESS=TEXT, with a pid, a name or a place in a tree")?;
    Ok((pid::printed(process).unwrap_or_else(|| process.to_owned()), label.to_owned()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TraceFormat {
    /// A mermaid sequence diagram
    Mermaid,
    /// One line per message
    Text,
}

/// The API's words for [`q::TraceKind`], with help where a word does not explain itself.
const TRACE_KINDS: [Word; 8] = [
    ("call", ""),
    ("reply", ""),
    ("cast", ""),
    ("info", ""),
    ("exit", ""),
    ("down", ""),
    ("spawn", ""),
    ("sys", "suspend, resume, change_code and the like"),
];
