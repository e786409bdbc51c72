//! Arguments of the commands that act on a running node.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;

use super::build::Build;
use super::trust::ByHand;
use crate::json_arg;

#[derive(Debug, ClapArgs)]
pub(crate) struct Process {
    /// Pid, registered name, or place in a tree (APP/CHILD)
    pub(crate) process: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Call {
    /// Pid, registered name, or place in a tree (APP/CHILD)
    pub(crate) process: String,
    /// Request: JSON, or a bare word for a string
    #[arg(value_parser = json_arg::parse)]
    pub(crate) request: Value,
    /// Time to wait for the reply
    #[arg(long, default_value_t = 5000, value_name = "MS")]
    pub(crate) timeout: u64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Spawn {
    /// Module to start
    pub(crate) module: String,
    /// Start arguments: JSON, or a bare word for a string
    #[arg(value_parser = json_arg::parse, default_value = "null")]
    pub(crate) args: Value,
    /// Stay linked to the process: wait for its exit, and shut it down when this command is
    /// interrupted
    #[arg(long)]
    pub(crate) link: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Load {
    /// Folder of the app
    pub(crate) dir: PathBuf,
    /// Load even if processes cannot take the new code; these are killed
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
    #[command(flatten)]
    pub(crate) build: Build,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ChangeCode {
    /// Pid, registered name, or place in a tree (APP/CHILD)
    pub(crate) process: String,
    /// Module that the process runs
    pub(crate) module: String,
    /// Version of the code that the state is from
    pub(crate) from_version: String,
    /// Extra argument of change_code: JSON, or a bare word for a string
    #[arg(value_parser = json_arg::parse, default_value = "null")]
    pub(crate) extra: Value,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sys {
    /// Show whether a process is suspended, its statistics and log settings, and its state
    Status(Process),
    /// Turn off the statistics and the message log of a process
    NoDebug(Process),
    /// Count the messages of a process, or show the count
    Statistics {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// Start counting
        #[arg(long, conflicts_with = "off")]
        on: bool,
        /// Stop counting
        #[arg(long)]
        off: bool,
    },
    /// Keep the last messages of a process, or show them
    Log {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// Number of messages to keep
        #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10", conflicts_with = "off")]
        keep: Option<u32>,
        /// Stop keeping messages
        #[arg(long)]
        off: bool,
    },
    /// Replace the state of a process
    ReplaceState {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// New state, in the form that `relctl state` prints
        #[arg(value_parser = json_arg::parse)]
        state: Value,
    },
    /// Terminate a process in order, suspended or not
    Terminate {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// Exit reason: shutdown, normal, or any other text
        #[arg(default_value = "shutdown")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// Start a child
    Start {
        /// Supervisor: pid, registered name, or place in a tree (APP/CHILD)
        supervisor: String,
        /// Child spec: {"id": ID, "module": NAME, "args": …, "restart": …, "significant": …,
        /// "shutdown": …, "type": …}
        #[arg(value_parser = json_arg::parse, required_unless_present = "args")]
        spec: Option<Value>,
        /// Arguments of one more child of a simple_one_for_one supervisor
        #[arg(long, value_parser = json_arg::parse, value_name = "JSON", conflicts_with = "spec")]
        args: Option<Value>,
    },
    /// Terminate a child and keep its child spec
    Terminate(ChildId),
    /// Restart a terminated child
    Restart(ChildId),
    /// Delete the child spec of a child that is not running
    Delete(ChildId),
    /// Show the child spec of a child
    Spec(ChildId),
    /// List and count the children, the latest started first
    List {
        /// Supervisor: pid, registered name, or place in a tree (APP/CHILD)
        supervisor: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ChildId {
    /// Supervisor: pid, registered name, or place in a tree (APP/CHILD)
    pub(crate) supervisor: String,
    /// Id of the child: JSON, or a bare word for a string; the pid of a child without an id
    #[arg(value_parser = json_arg::child_id)]
    pub(crate) id: Value,
}

#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Start an app, and the apps it needs first
    Start {
        /// Name of the app
        app: String,
    },
    /// Stop an app
    Stop {
        /// Name of the app
        app: String,
    },
}
