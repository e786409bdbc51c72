//! What reaches into a node.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;

use super::build::Build;
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
    /// The request: JSON, or a bare word for a string
    #[arg(value_parser = json_arg::parse)]
    pub(crate) request: Value,
    /// Milliseconds to wait for the reply
    #[arg(long, default_value_t = 5000, value_name = "MS")]
    pub(crate) timeout: u64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Spawn {
    /// The module
    pub(crate) module: String,
    /// The start arguments: JSON, or a bare word for a string
    #[arg(value_parser = json_arg::parse, default_value = "null")]
    pub(crate) args: Value,
    /// Stay linked: wait for its end, and end it with this command
    #[arg(long)]
    pub(crate) link: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Load {
    /// The app's folder
    pub(crate) dir: PathBuf,
    /// Load it even if processes do not take the new code: they are killed
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) build: Build,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ChangeCode {
    /// Pid, registered name, or place in a tree (APP/CHILD)
    pub(crate) process: String,
    /// The module that it runs
    pub(crate) module: String,
    /// The version its state is of
    pub(crate) from_version: String,
    /// Handed to change_code: JSON, or a bare word for a string
    #[arg(value_parser = json_arg::parse, default_value = "null")]
    pub(crate) extra: Value,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sys {
    /// Show all that system messages tell: suspended or not, what is noted, the state
    Status(Process),
    /// Turn statistics and log of a process off
    NoDebug(Process),
    /// Count a process's messages, or show the count
    Statistics {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// Begin to count
        #[arg(long, conflicts_with = "off")]
        on: bool,
        /// Count no longer
        #[arg(long)]
        off: bool,
    },
    /// Keep a process's last messages, or show them
    Log {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// Keep so many
        #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10", conflicts_with = "off")]
        keep: Option<u32>,
        /// Keep none
        #[arg(long)]
        off: bool,
    },
    /// Give a process another state
    ReplaceState {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// The state, as `relctl state` prints it
        #[arg(value_parser = json_arg::parse)]
        state: Value,
    },
    /// End a process in order, suspended or not
    Terminate {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// shutdown, normal, or any other text
        #[arg(default_value = "shutdown")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// Start a child
    Start {
        /// The supervisor: pid, registered name, or place in a tree (APP/CHILD)
        supervisor: String,
        /// {"id": ID, "module": NAME, "args": …, "restart": …, "significant": …, "shutdown": …, "type": …}
        #[arg(value_parser = json_arg::parse, required_unless_present = "args")]
        spec: Option<Value>,
        /// One more child of a simple_one_for_one supervisor, with these arguments
        #[arg(long, value_parser = json_arg::parse, value_name = "JSON", conflicts_with = "spec")]
        args: Option<Value>,
    },
    /// End a child and keep its row
    Terminate(ChildId),
    /// Start a child again that was terminated
    Restart(ChildId),
    /// Remove the row of a child that does not run
    Delete(ChildId),
    /// Show how a child is started, restarted and stopped
    Spec(ChildId),
    /// List and count the children, the latest started first
    List {
        /// The supervisor: pid, registered name, or place in a tree (APP/CHILD)
        supervisor: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ChildId {
    /// The supervisor: pid, registered name, or place in a tree (APP/CHILD)
    pub(crate) supervisor: String,
    /// The child's id: JSON, or a bare word for a string
    #[arg(value_parser = json_arg::parse)]
    pub(crate) id: Value,
}

#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Start an app, and the apps it needs first
    Start {
        /// The app
        app: String,
    },
    /// Stop an app
    Stop {
        /// The app
        app: String,
    },
}
