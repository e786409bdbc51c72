//! The command line as clap reads it.

mod build;
mod look;
mod release;
mod touch;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use serde_json::Value;

pub(crate) use self::build::{AppBuild, Build, Diff, Pack, Plan, Window};
pub(crate) use self::look::{Direction, Logs, Top, TopSort, Trace, TraceFormat, Tree, TreeFormat};
pub(crate) use self::release::{
    Check, Downgrade, Going, Install, Mode, Policy, Prune, Settle, Timeouts, Upgrade, Version, Wait,
};
pub(crate) use self::touch::{App, Call, ChangeCode, Child, ChildId, Load, Process, Spawn, Sys};
use crate::json_arg;

/// Live upgrades of native code: pack, upgrade, look, touch.
#[derive(Debug, Parser)]
#[command(name = "relctl", version, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done; 1 refused, nothing changed, or damage found; 2 usage; 3 no daemon; \
                        4 failed and rolled back; 5 rollback incomplete, node restarts; \
                        7 installed, not committed and not taken back; 70 bug"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the daemon listens if nobody says otherwise.
const SOCKET: &str = "/run/reld/reld.sock";

#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// The daemon's socket [env: RELD_SOCKET] [default: /run/reld/reld.sock]
    // Not clap's own `env`: a usage line would demand the option wherever the variable is set.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Global {
    /// Returns where the daemon listens.
    pub(crate) fn socket(&self) -> PathBuf {
        let named = || env::var_os("RELD_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from);
        self.socket.clone().or_else(named).unwrap_or_else(|| SOCKET.into())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build the apps of a release and pack them into a tarball
    Pack(Pack),
    /// Print the script from one release to another; needs no daemon
    Plan(Plan),
    /// Compare two releases, and draft the appups that lead from one to the other and back; needs no daemon
    Diff(Diff),
    /// Hand a tarball to the node
    Unpack {
        /// The tarball
        file: PathBuf,
        #[command(flatten)]
        wait: Wait,
    },
    /// Say what an install would do, and everything that stands against it
    Check(Check),
    /// Make a release current; a restart of the node still goes back
    Install(Install),
    /// Make a release permanent
    Commit {
        /// The release; by default the one that runs
        version: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Forget a release
    Remove {
        #[command(flatten)]
        release: Version,
        #[command(flatten)]
        wait: Wait,
    },
    /// Remove old releases, but for the newest of them and the way back
    #[command(
        after_help = "What runs, what the node boots and what ran before these stays in any case, and so does what never ran."
    )]
    Prune(Prune),
    /// Compare every file of the releases with what was unpacked
    #[command(
        after_help = "Exit codes: 0 all files are sound; 1 some are damaged. `relctl unpack` of a release's tarball repairs them."
    )]
    Verify {
        /// Only this release
        version: Option<String>,
    },
    /// Restart the node into an old release
    RebootOld {
        #[command(flatten)]
        release: Version,
        #[command(flatten)]
        wait: Wait,
    },
    /// List the releases the node knows
    Releases,
    /// Unpack, check, install and commit a release
    Upgrade(Upgrade),
    /// Go back to a release that ran before
    Downgrade(Downgrade),
    /// Follow the upgrade under way to its end
    Attach,
    /// Have the upgrade under way taken back
    Abort,
    /// Tell what happened to the releases
    History {
        /// Only this entry, in full
        number: Option<u64>,
    },
    /// Say how the node is
    Status,
    /// Draw the supervision trees
    Tree(Tree),
    /// List the processes
    Ps,
    /// Show who keeps the node busy, again and again; once if stdout is no terminal
    Top(Top),
    /// Show one process in full: mailbox, timers, links, monitors
    Proc(Process),
    /// List the apps
    Apps,
    /// List the sockets of apps
    Ports,
    /// List the shared tables
    Tables,
    /// List current and old code of modules, and who runs old code
    Code {
        /// Only this module
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
        /// The message: JSON, or a bare word for a string
        #[arg(value_parser = json_arg::parse)]
        message: Value,
    },
    /// Start a process outside every tree
    Spawn(Spawn),
    /// Build one app and load it by hand
    Load(Load),
    /// Let a process take no further message
    Suspend(Process),
    /// Let a suspended process go on
    Resume(Process),
    /// Ask a process for what only it can do: status, statistics, log, another state, an end in order
    #[command(subcommand)]
    Sys(Sys),
    /// Print what happens in the node until interrupted: upgrades, starts, ends, crashes, restarts, code, alarms
    Events {
        /// Begin with what followed the event with this id, as far as the daemon keeps it; 0: with all that it keeps.
        /// `--json` prints ids
        #[arg(long, value_name = "ID")]
        since: Option<u64>,
    },
    /// Print the last lines of the log, as far as the daemon keeps them
    Logs(Logs),
    /// Draw what processes tell each other, while a command runs or until interrupted
    Trace(Trace),
    /// Have current code take over the state of a suspended process
    ChangeCode(ChangeCode),
    /// Free the old slot of a module, and kill who still runs old code
    Purge {
        /// The module
        module: String,
    },
    /// Free the old slot of a module unless somebody still runs old code
    SoftPurge {
        /// The module
        module: String,
    },
    /// Send an exit signal to a process
    Kill {
        /// Pid, registered name, or place in a tree (APP/CHILD)
        process: String,
        /// kill, shutdown, normal, or any other text
        #[arg(default_value = "kill")]
        reason: String,
    },
    /// Start, stop, show and forget children of a supervisor
    #[command(subcommand)]
    Child(Child),
    /// Start and stop apps
    #[command(subcommand)]
    App(App),
    /// Show a live upgrade and downgrade of the example on a node of its own
    Demo {
        /// Let bots play Process Quest, and check that they miss no line
        #[arg(long)]
        quest: bool,
    },
    /// Print what a shell needs to complete relctl's command lines
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages, one for each command, into a folder
    #[command(hide = true)]
    Man {
        /// The folder; made when it is missing
        folder: PathBuf,
    },
    /// Run a program with the limits of a probe
    #[command(hide = true)]
    Limited {
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
