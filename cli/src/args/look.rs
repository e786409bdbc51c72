//! What shows a node.

use clap::{Args as ClapArgs, ValueEnum};
use reld_api::request as q;

use crate::word::{Word, word};

#[derive(Debug, ClapArgs)]
pub(crate) struct Tree {
    /// Only this app
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// Only what is below this supervisor
    #[arg(long = "sup", value_name = "PID|NAME")]
    pub(crate) supervisor: Option<String>,
    /// How to draw
    #[arg(long, default_value = "text")]
    pub(crate) format: TreeFormat,
    /// Where a mermaid drawing grows to
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
pub(crate) struct Top {
    /// So many processes
    #[arg(long, short = 'n', default_value = "20")]
    pub(crate) count: usize,
    /// What comes first: who ran longest, or who has the longest mailbox
    #[arg(long, default_value = "run")]
    pub(crate) sort: TopSort,
    /// How long the node looks before each table
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) interval: u64,
    /// Show one table and end
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
    /// Only what goes from or to this process; may be given more than once
    #[arg(long = "proc", value_name = "PID|NAME")]
    pub(crate) processes: Vec<String>,
    /// Only what is of this kind; may be given more than once
    #[arg(long = "kind", value_name = "KIND", value_parser = word::<q::TraceKind>(&TRACE_KINDS))]
    pub(crate) kinds: Vec<q::TraceKind>,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// What to call a process in the drawing; may be given more than once
    #[arg(long = "label", value_name = "PID|NAME=TEXT", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// How to draw
    #[arg(long, default_value = "mermaid")]
    pub(crate) format: TraceFormat,
    /// End after so many seconds
    #[arg(long = "for", value_name = "SECONDS", conflicts_with = "command")]
    pub(crate) seconds: Option<u64>,
    /// End when this command has ended
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Logs {
    /// Only lines that this app has printed or logged, or that are about it
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// So many lines, the newest [default: all; 10 with --follow]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// Go on with the lines that come, until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (process, label) = text.split_once('=').ok_or("expected PID=TEXT or NAME=TEXT")?;
    Ok((process.to_owned(), label.to_owned()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TraceFormat {
    /// A mermaid sequence diagram
    Mermaid,
    /// A line for each message
    Text,
}

/// The words of the wire for it, with what those mean that do not say so.
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
