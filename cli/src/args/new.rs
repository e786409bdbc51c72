//! Arguments of the commands for the author of an app: `new`, `bump` and `dev`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
pub(crate) struct New {
    /// Name of the app, and of the folder to write
    pub(crate) app: String,
    /// Language of the app
    #[arg(long, value_name = "LANG", default_value = "rust")]
    pub(crate) lang: Lang,
    /// SDK: a version of the crate reld-sdk, or a folder with `sdk`, `abi` and `wire` [default: the
    /// one that was installed with relctl, or that of the clone in which relctl was built]
    #[arg(long, value_name = "VERSION|PATH")]
    pub(crate) sdk: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    Rust,
    C,
    #[value(name = "c++")]
    Cpp,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Bump {
    /// Folder of the app
    #[arg(default_value = ".", value_name = "APP")]
    pub(crate) folder: PathBuf,
    /// Next version of the app
    pub(crate) version: String,
    /// Release that has the present version, for the draft of the appup [default: NAME-VSN.tar.gz,
    /// as release.toml names it, in the folder of the app or in this one]
    #[arg(long, value_name = "TARBALL")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Dev {
    /// Path of the release.toml
    pub(crate) release: PathBuf,
    /// Folder of the app, or a folder with apps in subfolders
    #[arg(long, value_name = "DIR")]
    pub(crate) apps: PathBuf,
    /// Action for processes whose states the new code does not take
    #[arg(long, value_name = "ACTION", default_value = "ask")]
    pub(crate) state: Misfits,
    /// Cargo profile to build with
    #[arg(long, default_value = "dev")]
    pub(crate) profile: String,
    /// `reld` binary to run, and to inspect libraries with [default: the one next to relctl]
    #[arg(long, value_name = "PATH")]
    pub(crate) reld: Option<PathBuf>,
}

/// The action for processes whose states the new code does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Misfits {
    /// Ask on the terminal; without a terminal keep the old code
    Ask,
    /// Start these processes anew, and keep the others
    Restart,
    /// Keep the old code of the app running
    KeepOld,
}
