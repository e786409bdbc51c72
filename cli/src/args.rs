//! The clap definition of the command line.

mod build;
mod env;
mod look;
mod new;
mod release;
mod rollout;
mod touch;
mod trust;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use reld_api::Defaults;
use reld_store::Digest;
use serde_json::Value;

pub(crate) use self::build::{AppBuild, Build, Diff, Pack, Plan, Window};
pub(crate) use self::env::{Env, EnvCommand, EnvHow, Key as EnvKey};
pub(crate) use self::look::{
    Direction, Logs, Top, TopSort, Trace, TraceFormat, Tree, TreeFormat, WaitFor, WaitState,
};
pub(crate) use self::new::{Bump, Dev, Lang, Misfits, New};
pub(crate) use self::release::{
    Check, Downgrade, Going, Install, Policy, Prune, Settle, Timeouts, Upgrade, Version, Wait,
};
pub(crate) use self::rollout::{Line, List, Rollout};
pub(crate) use self::touch::{App, Call, ChangeCode, Child, ChildId, Load, Process, Spawn, Sys};
pub(crate) use self::trust::{ByHand, Floor, Sign, VerifyFile};
use crate::json_arg;

/// Pack releases of native code, upgrade a running node live, and inspect or control its processes.
#[derive(Debug, Parser)]
#[command(name = "relctl", version, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done; 1 refused, nothing changed, or damage found; 2 usage; 3 no daemon; \
                        4 failed and rolled back; 5 rollback incomplete, node restarts; \
                        6 rollout halted, a part of the nodes has moved; \
                        7 installed, not committed and not taken back; 70 bug"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// The daemon's socket [env: RELD_SOCKET] [default: /run/reld/reld.sock for root,
    /// $XDG_RUNTIME_DIR/reld/reld.sock for another user]
    // Not clap's `env`: with the variable set, usage lines would show the option as required.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Global {
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| Defaults::of_user().socket)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a new app into a folder: sources, documents, a test and a README
    New(New),
    /// Start the next version of an app: move its versions and draft its appup
    #[command(allow_missing_positional = true)]
    Bump(Bump),
    /// Run a release on a temporary node, and load each app anew whenever its sources change
    #[command(
        after_help = "Processes keep their states if the new code takes them. If a build fails, the old code runs on. \
                      Prints the socket of the node, and one line for each app of a round; Ctrl-C stops the node and \
                      removes its folder."
    )]
    Dev(Dev),
    /// Build the apps of a release and pack them into a tarball
    Pack(Pack),
    /// Print the upgrade script between two releases; needs no daemon
    Plan(Plan),
    /// Compare two releases and draft the appups for both directions; needs no daemon
    Diff(Diff),
    /// Unpack a tarball on the node
    Unpack {
        /// Tarball of a release; `-` is stdin. The node itself fetches an https://, http:// or
        /// file:/// URL, and goes on with a download that was cut
        #[arg(value_name = "FILE|URL")]
        file: PathBuf,
        /// Identity that the release at the URL must have
        #[arg(long, value_name = "SHA256")]
        identity: Option<Digest>,
        #[command(flatten)]
        floor: Floor,
        #[command(flatten)]
        wait: Wait,
    },
    /// Show the steps of an install, and every obstacle to it, without executing anything
    Check(Check),
    /// Make a release current but not permanent: a restart of the node still goes back
    Install(Install),
    /// Make a release permanent
    Commit {
        /// Version of the release [default: the running one]
        version: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Remove a release from the node
    Remove {
        #[command(flatten)]
        release: Version,
        #[command(flatten)]
        wait: Wait,
    },
    /// Remove old releases, except the newest ones and those needed to go back
    #[command(
        after_help = "The running and the permanent release, the releases that ran before these two, and releases that never ran are always kept."
    )]
    Prune(Prune),
    /// Sign a tarball with a secret key of minisign; needs no daemon
    #[command(
        after_help = "A tarball may have the signatures of several keys. `minisign -G` makes a pair of keys. The password of an encrypted key is read from RELD_KEY_PASSWORD, or else from the terminal."
    )]
    Sign(Sign),
    /// Show the policy of signatures, the keys that may sign, and the floors
    Keys,
    /// Check every file of the releases against their manifests, or a tarball and its signatures
    #[command(
        after_help = "Exit codes: 0 all files are sound; 1 some are damaged, or the signatures of the tarball are not sufficient. Unpacking the tarball of a damaged release again repairs it: `relctl unpack FILE`."
    )]
    Verify {
        /// Verify only this release of the node, or this tarball, without a daemon
        release: Option<OsString>,
        #[command(flatten)]
        file: VerifyFile,
    },
    /// Restart the node into an old release
    RebootOld {
        #[command(flatten)]
        release: Version,
        #[command(flatten)]
        wait: Wait,
    },
    /// List the releases on the node
    Releases,
    /// Unpack, check, install and commit a release
    Upgrade(Upgrade),
    /// Go back to a release that ran before
    Downgrade(Downgrade),
    /// Upgrade the nodes of a list over ssh, or those of a fleet: canaries first, then wave after
    /// wave
    #[command(subcommand)]
    Rollout(Rollout),
    /// Follow the upgrade under way until it ends
    #[command(
        after_help = "Exit code: that of the order's own command. If nothing is under way, 0; with VERSION, that of \
                      the last order, which must lead to this release."
    )]
    Attach {
        /// Show the outcome of the last order even if it has ended; it must lead to this release
        version: Option<String>,
    },
    /// Abort the upgrade under way and undo it
    Abort,
    /// Show the history of upgrades, downgrades and restarts
    History {
        /// Show only this entry, in full
        number: Option<u64>,
        /// Show only the entries of this rollout
        #[arg(long, value_name = "NAME", conflicts_with = "number")]
        rollout: Option<String>,
    },
    /// Wait until the node is in a state, and show its status
    #[command(
        after_help = "Exit codes: 0 it is; 1 it was in another state until the timeout; 3 no daemon answered until the timeout."
    )]
    Wait(WaitFor),
    /// Show the status of the node
    Status,
    /// Draw the supervision trees
    Tree(Tree),
    /// List the processes
    Ps,
    /// Show the busiest processes, refreshed until interrupted; a single table if stdout is not a
    /// terminal
    Top(Top),
    /// Show one process in full: mailbox, timers, links, monitors
    Proc(Process),
    /// List the apps
    Apps,
    /// Show the environments of the apps with the origin of each value, and change those of the
    /// node
    Env(Env),
    /// List the sockets that apps hold
    Ports,
    /// List the shared tables
    Tables,
    /// List the current and old code of modules, and the processes that still run old code
    Code {
        /// Show only this module
        module: Option<String>,
    },
    /// Print the state of a process
    State(Process),
    /// Send a request to a process and print its reply
    Call(Call),
    /// Send a message to a process
    Cast {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// Message: JSON, or a bare word for a string
        #[arg(value_parser = json_arg::parse)]
        message: Value,
    },
    /// Start a process outside every supervision tree
    Spawn(Spawn),
    /// Build one app and load it into the running node, outside any release
    Load(Load),
    /// Suspend a process: it handles no messages until it is resumed
    Suspend(Process),
    /// Resume a suspended process
    Resume(Process),
    /// Inspect or control one process with system messages: status, statistics, message log, state,
    /// termination
    #[command(subcommand)]
    Sys(Sys),
    /// Print the events of the node until interrupted: upgrades, starts, exits, crashes, restarts,
    /// code changes, alarms
    Events {
        /// Start after the event with this id, as far back as the daemon keeps events; 0 prints
        /// every kept event. `--json` prints the ids
        #[arg(long, value_name = "ID")]
        since: Option<u64>,
    },
    /// Print the log, as far back as the daemon keeps it
    Logs(Logs),
    /// Draw the messages between processes while a command runs, or until interrupted
    Trace(Trace),
    /// Convert the state of a suspended process with the `change_code` of the module's current code
    ChangeCode(ChangeCode),
    /// Purge the old code of a module, and kill the processes that still run it
    Purge {
        /// Name of the module
        module: String,
    },
    /// Purge the old code of a module unless a process still runs it
    SoftPurge {
        /// Name of the module
        module: String,
    },
    /// Send an exit signal to a process
    Kill {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// Exit reason: kill, shutdown, normal, or any other text
        #[arg(default_value = "kill")]
        reason: String,
    },
    /// Start, stop, show and delete the children of a supervisor
    #[command(subcommand)]
    Child(Child),
    /// Start and stop apps
    #[command(subcommand)]
    App(App),
    /// Run a live upgrade and downgrade of the example on a temporary node
    Demo {
        /// Use Process Quest as the example: bots play it and check that they miss no line
        #[arg(long)]
        quest: bool,
    },
    /// Explain an error code: its meaning, the usual cause, the remedy
    #[command(
        after_help = "The code of an error is the word in `error[CODE]`; with --json, it is the `kind` of the error and the `class` of an obstacle."
    )]
    Explain {
        /// The code [default: list all codes]
        code: Option<String>,
    },
    /// Print the completion script for a shell
    Completions {
        /// Name of the shell
        shell: clap_complete::Shell,
    },
    /// Write one manual page per command and per document into a folder
    #[command(hide = true)]
    Man {
        /// Folder for the pages, created if missing
        folder: PathBuf,
    },
    /// Run a program with the resource limits of a library probe
    #[command(hide = true)]
    Limited {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<OsString>,
    },
    /// Run a program that ends with its parent
    #[command(hide = true)]
    Tied {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<OsString>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }
}
