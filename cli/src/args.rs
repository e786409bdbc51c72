//! The command line as clap reads it.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use reld_api::request as q;
use serde_json::Value;

use crate::json_arg;
use crate::word::{Word, word};

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

#[derive(Debug, ClapArgs)]
pub(crate) struct Version {
    /// The release's version
    pub(crate) version: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Prune {
    /// How many old releases stay, the newest
    #[arg(long, value_name = "N")]
    pub(crate) keep: u64,
    /// Print what would be removed and change nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// What an order does that cannot begin at once.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct Wait {
    /// Wait until the orders before it have ended instead of being refused; Ctrl-C gives the place in the queue up
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Process {
    /// Pid, registered name, or place in a tree (APP/CHILD)
    pub(crate) process: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Build {
    /// The cargo profile to build with
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
    /// The daemon to look into libraries with; by default the one beside relctl
    #[arg(long, value_name = "PATH")]
    pub(crate) reld: Option<PathBuf>,
}

/// How the app of `upgrade --app` is built.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct AppBuild {
    /// The cargo profile to build the app with [default: release]
    #[arg(long, requires = "app")]
    profile: Option<String>,
    /// The daemon to look into the app's library with; by default the one beside relctl
    #[arg(long, value_name = "PATH", requires = "app")]
    reld: Option<PathBuf>,
}

impl From<AppBuild> for Build {
    fn from(args: AppBuild) -> Self {
        Self { profile: args.profile.unwrap_or_else(|| "release".to_owned()), reld: args.reld }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Pack {
    /// The release.toml
    pub(crate) release: PathBuf,
    /// The folder below which the apps are
    #[arg(long, value_name = "DIR")]
    pub(crate) apps: PathBuf,
    /// The tarball; by default NAME-VSN.tar.gz
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave this app out of the tarball; nodes must have it already
    #[arg(long, value_name = "APP")]
    pub(crate) without: Vec<String>,
    #[command(flatten)]
    pub(crate) build: Build,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Plan {
    /// The release that runs: a tarball, a folder laid out like one, or FOLDER/releases/VSN where it holds several
    pub(crate) from: PathBuf,
    /// The release to go to, likewise
    pub(crate) to: PathBuf,
    /// One window for the whole release, or OTP's windows group by group, both ways
    #[arg(long, default_value = "release")]
    pub(crate) window: Window,
    /// Print what the appups come to, both ways, as the relup.toml of TO: to be read, changed and packed with it
    #[arg(long, conflicts_with = "window")]
    pub(crate) relup: bool,
    /// End each direction with a restart of the daemon (OTP: `restart_emulator`)
    #[arg(long)]
    pub(crate) restart_daemon: bool,
    /// Plan between releases of two names, which a node would not go between unless told
    #[arg(long)]
    pub(crate) rename: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// The older release: a tarball, or a folder laid out like one
    pub(crate) from: PathBuf,
    /// The newer release: a tarball, or a folder laid out like one
    pub(crate) to: PathBuf,
    /// Write each draft to DIR/APP-VSN.appup.toml as well, but over no file that is there
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Window {
    Release,
    Group,
}

#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct Timeouts {
    /// How long the processes concerned may take to come to rest [default: what the appup says, else 1000]
    #[arg(long, value_name = "MS")]
    pub(crate) suspend_timeout: Option<u64>,
    /// How long the conversion of each state may take [default: 5000]
    #[arg(long, value_name = "MS")]
    pub(crate) code_change_timeout: Option<u64>,
}

/// What is done about what stands in the way of an upgrade, and how much of it moves at once.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct Policy {
    /// Go on from a release that is not committed
    #[arg(long)]
    pub(crate) supersede: bool,
    /// Go on to a release of another name than the one that runs
    #[arg(long)]
    pub(crate) rename: bool,
    /// What is done about processes outside every supervision tree that use a module which changes
    #[arg(long, default_value = "refuse", value_parser = word::<q::Orphans>(&ORPHANS))]
    pub(crate) orphans: q::Orphans,
    /// What is done about processes of updated modules that do not come to rest in time
    #[arg(long, default_value = "abort", value_parser = word::<q::Unrest>(&UNREST))]
    pub(crate) unrest: q::Unrest,
    /// What is done about processes that crash in new code, between two windows or while the release settles
    #[arg(long, default_value = "abort", value_parser = word::<q::Crashes>(&CRASHES))]
    pub(crate) crashes: q::Crashes,
    /// Move the modules group by group, each group in a window of its own, as in OTP. Where a later window fails, those
    /// before it are taken back by a downgrade, for new code has run by then
    #[arg(long)]
    pub(crate) group_windows: bool,
    /// Go without a way back: do not try it, and go where there is none. By default the way back of
    /// each state is tried before a release that is watched, or that can fail after the switch
    #[arg(long)]
    pub(crate) one_way: bool,
}

/// The words of the wire for it, with what each means.
const ORPHANS: [Word; 4] = [
    ("refuse", "Refuse the upgrade"),
    ("kill", "End them"),
    ("include", "Convert them like others"),
    ("ignore", "Leave them alone: their next message meets new code with a state of the old"),
];

/// The words of the wire for it, with what each means.
const UNREST: [Word; 3] = [
    ("abort", "Take the upgrade back"),
    ("kill", "End them"),
    ("leave", "Leave them in old code until their callback returns"),
];

/// The words of the wire for it, with what each means.
const CRASHES: [Word; 2] = [("abort", "Take the upgrade back"), ("ignore", "Tell of them, and go on")];

#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    /// The release's version
    pub(crate) version: String,
    #[command(flatten)]
    pub(crate) policy: Policy,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Install {
    /// The release's version
    pub(crate) version: String,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) policy: Policy,
    #[command(flatten)]
    pub(crate) timeouts: Timeouts,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Going {
    /// Do not make the release permanent: a restart of the node goes back
    #[arg(long)]
    pub(crate) no_commit: bool,
    #[command(flatten)]
    pub(crate) policy: Policy,
    /// Return as soon as it has begun; `relctl attach` follows it
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) settle: Settle,
    #[command(flatten)]
    pub(crate) timeouts: Timeouts,
}

/// What is watched before the release becomes permanent.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Settle {
    /// Watch the release for so long before it becomes permanent, and go back if a process of it crashes
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400), conflicts_with = "no_commit")]
    pub(crate) settle: Option<u64>,
    /// Have the daemon run this when the release has settled, and go back if it does not exit with 0. An executable file
    /// is sent; anything else is a command, which the daemon runs with `sh -c`
    #[arg(long, value_name = "CMD", conflicts_with = "no_commit")]
    pub(crate) probe: Option<String>,
    /// How long the probe may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400), requires = "probe")]
    pub(crate) probe_timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Mode {
    /// While everything runs
    #[default]
    Live,
    /// Stop all apps in order and boot the release; if it does not boot, the one before is booted
    Restart,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Upgrade {
    /// A tarball, or the version of a release that the node knows; with --app, the folder of an app
    #[arg(value_name = "FILE|VSN|DIR")]
    pub(crate) release: OsString,
    /// For development: build the app in DIR and move just this app of the running release to it, up or down. The node
    /// is dirty then, and a restart forgets it
    #[arg(long, conflicts_with_all = ["mode", "detach", "no_commit", "supersede", "rename", "orphans", "unrest", "crashes", "group_windows", "one_way", "settle", "probe", "suspend_timeout", "code_change_timeout"])]
    pub(crate) app: Option<String>,
    #[command(flatten)]
    pub(crate) build: AppBuild,
    /// Print the script and change nothing
    #[arg(long, conflicts_with_all = ["mode", "detach", "no_commit", "settle", "probe"])]
    pub(crate) dry_run: bool,
    /// How to get there
    #[arg(long, default_value = "live")]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) going: Going,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Downgrade {
    /// The release's version; by default the one that ran before
    #[arg(required_if_eq("wait", "true"))]
    pub(crate) version: Option<String>,
    #[command(flatten)]
    pub(crate) going: Going,
}

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }
}
