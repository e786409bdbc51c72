//! Arguments of the commands that write an app: `new` and `bump`.

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
    /// folder that was installed with relctl]
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
