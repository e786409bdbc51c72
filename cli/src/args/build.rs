//! What makes tarballs and compares them.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

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
