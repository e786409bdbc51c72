//! Arguments of the commands that move a node between releases.

use std::ffi::OsString;

use clap::{Args as ClapArgs, ValueEnum};
use reld_api::request as q;

use super::build::AppBuild;
use super::trust::{ByHand, Floor};
use crate::word::{Word, word};

#[derive(Debug, ClapArgs)]
pub(crate) struct Version {
    /// Version of the release
    pub(crate) version: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Prune {
    /// Number of old releases to keep, the newest ones
    #[arg(long, value_name = "N")]
    pub(crate) keep: u64,
    /// Print what would be removed and change nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// Whether an order that cannot begin at once waits or is refused.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct Wait {
    /// Queue behind earlier orders instead of being refused while one is under way; Ctrl-C leaves
    /// the queue
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct Timeouts {
    /// Time for the affected processes to come to rest [default: the appup's value, or 1000]
    #[arg(long, value_name = "MS")]
    pub(crate) suspend_timeout: Option<u64>,
    /// Time for the conversion of each state [default: 5000]
    #[arg(long, value_name = "MS")]
    pub(crate) code_change_timeout: Option<u64>,
}

/// How an upgrade reacts to obstacles, and whether all modules are replaced at once.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct Policy {
    /// Allow leaving a running release that is not committed
    #[arg(long)]
    pub(crate) supersede: bool,
    /// Allow a release with another name than the running one
    #[arg(long)]
    pub(crate) rename: bool,
    /// Action for orphans: processes outside every supervision tree that use a changed module
    #[arg(long, default_value = "refuse", value_parser = word::<q::Orphans>(&ORPHANS))]
    pub(crate) orphans: q::Orphans,
    /// Action for processes of updated modules that do not come to rest in time
    #[arg(long, default_value = "abort", value_parser = word::<q::Unrest>(&UNREST))]
    pub(crate) unrest: q::Unrest,
    /// Action for processes that crash in new code, between two windows or while the release
    /// settles
    #[arg(long, default_value = "abort", value_parser = word::<q::Crashes>(&CRASHES))]
    pub(crate) crashes: q::Crashes,
    /// Switch the modules group by group, each group in a window of its own, as in OTP. If a later
    /// window fails, a downgrade reverts the earlier ones, because new code has run by then
    #[arg(long)]
    pub(crate) group_windows: bool,
    /// Do not try the way back, and accept a release without one. By default the reverse conversion
    /// of each state is tried before an upgrade that settles or that can fail after the switch
    #[arg(long)]
    pub(crate) one_way: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    /// Version of the release
    pub(crate) version: String,
    #[command(flatten)]
    pub(crate) policy: Policy,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Install {
    /// Version of the release
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
    /// Print the script and change nothing
    #[arg(long, conflicts_with_all = ["mode", "detach", "no_commit", "settle", "probe"])]
    pub(crate) dry_run: bool,
    /// How to move the node
    #[arg(long, default_value = "live")]
    pub(crate) mode: Mode,
    /// Do not make the release permanent: a restart of the node goes back
    #[arg(long)]
    pub(crate) no_commit: bool,
    #[command(flatten)]
    pub(crate) policy: Policy,
    /// Return as soon as the order has begun; `relctl attach` follows it
    #[arg(long)]
    pub(crate) detach: bool,
    /// Name of the rollout that the order belongs to; the history records it
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) rollout: Option<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) settle: Settle,
    #[command(flatten)]
    pub(crate) timeouts: Timeouts,
}

/// The checks before the release becomes permanent.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Settle {
    /// Watch the release this long before it becomes permanent, and go back if one of its processes
    /// crashes
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400), conflicts_with = "no_commit")]
    pub(crate) settle: Option<u64>,
    /// Command that the daemon runs when the release has settled; the node goes back unless it
    /// exits with 0. An executable file, or `-` for stdin, is sent to the daemon; any other command
    /// is run there with `sh -c`
    #[arg(long, value_name = "CMD", conflicts_with = "no_commit")]
    pub(crate) probe: Option<String>,
    /// Time limit of the probe
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400), requires = "probe")]
    pub(crate) probe_timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Mode {
    /// Move while everything runs
    #[default]
    Live,
    /// Stop all apps in order and boot the release; if it does not boot, the previous one is booted
    Restart,
}

impl From<Mode> for q::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Live => Self::Live,
            Mode::Restart => Self::Restart,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Upgrade {
    /// Tarball (`-` is stdin), or the version of a release on the node; with --app, the folder of
    /// an app
    #[arg(value_name = "FILE|VSN|DIR")]
    pub(crate) release: OsString,
    /// For development: build the app in DIR and switch only this app of the running release to it,
    /// up or down. This makes the node dirty, and a restart discards it
    #[arg(long, conflicts_with_all = ["mode", "detach", "no_commit", "supersede", "rename", "orphans", "unrest", "crashes", "group_windows", "one_way", "settle", "probe", "suspend_timeout", "code_change_timeout", "ignore_floor"])]
    pub(crate) app: Option<String>,
    #[command(flatten)]
    pub(crate) build: AppBuild,
    #[command(flatten)]
    pub(crate) floor: Floor,
    #[command(flatten)]
    pub(crate) by_hand: ByHand,
    #[command(flatten)]
    pub(crate) going: Going,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Downgrade {
    /// Version of the release [default: the one that ran before]
    #[arg(required_if_eq("wait", "true"))]
    pub(crate) version: Option<String>,
    #[command(flatten)]
    pub(crate) going: Going,
}

/// The API's words for [`q::Orphans`], with their help.
const ORPHANS: [Word; 4] = [
    ("refuse", "Refuse the upgrade"),
    ("kill", "Kill them"),
    ("include", "Convert them like all other processes"),
    ("ignore", "Leave them alone: their next message meets new code with an old state"),
];

/// The API's words for [`q::Unrest`], with their help.
const UNREST: [Word; 3] = [
    ("abort", "Roll the upgrade back"),
    ("kill", "Kill them"),
    ("leave", "Leave them in old code until their callback returns"),
];

/// The API's words for [`q::Crashes`], with their help.
const CRASHES: [Word; 2] = [("abort", "Undo the upgrade"), ("ignore", "Report them, and go on")];
