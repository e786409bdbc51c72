//! Arguments of the commands that build, plan and compare releases.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
pub(crate) struct Build {
    /// Cargo profile to build with
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
    /// `reld` binary used to inspect libraries [default: the one next to relctl]
    #[arg(long, value_name = "PATH")]
    pub(crate) reld: Option<PathBuf>,
}

/// Build options of `upgrade --app`.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct AppBuild {
    /// Cargo profile to build the app with [default: release]
    #[arg(long, requires = "app")]
    profile: Option<String>,
    /// `reld` binary used to inspect the app's library [default: the one next to relctl]
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
    /// Path of the release.toml; `-` is stdin, and no config.toml or relup.toml is packed
    pub(crate) release: PathBuf,
    /// Folder of the app, or a folder with apps in subfolders
    #[arg(long, value_name = "DIR")]
    pub(crate) apps: PathBuf,
    /// Tarball to write [default: NAME-VSN.tar.gz]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave this app out of the tarball; nodes must already have it
    #[arg(long, value_name = "APP")]
    pub(crate) without: Vec<String>,
    #[command(flatten)]
    pub(crate) build: Build,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Plan {
    /// Release to start from: a tarball (`-` is stdin), a folder laid out like one, or
    /// FOLDER/releases/VSN if the folder holds several
    pub(crate) from: PathBuf,
    /// Release to go to, in one of the same forms
    pub(crate) to: PathBuf,
    /// Plan one window for the whole release, or OTP's windows group by group in both directions
    #[arg(long, default_value = "release")]
    pub(crate) window: Window,
    /// Print a relup.toml for TO, generated from the appups of both directions, to review, edit and
    /// pack with TO
    #[arg(long, conflicts_with = "window")]
    pub(crate) relup: bool,
    /// End each direction with a restart of the daemon (OTP: `restart_emulator`)
    #[arg(long)]
    pub(crate) restart_daemon: bool,
    /// Plan between releases with different names, as `relctl upgrade --rename` does
    #[arg(long)]
    pub(crate) rename: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// Older release: a tarball (`-` is stdin), or a folder laid out like one
    pub(crate) from: PathBuf,
    /// Newer release: a tarball (`-` is stdin), or a folder laid out like one
    pub(crate) to: PathBuf,
    /// Also write each draft to DIR/APP-VSN.appup.toml; never overwrites a file
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
    /// Exit with 1 if there are findings, for CI
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Window {
    Release,
    Group,
}
