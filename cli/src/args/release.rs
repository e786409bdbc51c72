//! What moves a node between releases.

use std::ffi::OsString;

use clap::{Args as ClapArgs, ValueEnum};
use reld_api::request as q;

use super::build::AppBuild;
use crate::word::{Word, word};

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
