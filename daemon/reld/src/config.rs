//! The command line of the daemon.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use reld_plan::{Config, DocError};

/// The node daemon.
#[derive(Debug, Parser)]
#[command(name = "reld", version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) daemon: Daemon,
}

/// How the daemon runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct Daemon {
    /// The folder of the node: releases, apps, status table. Made when it is missing.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/reld")]
    pub(crate) root: PathBuf,
    /// The socket of the control API.
    #[arg(long, value_name = "PATH", default_value = "/run/reld/reld.sock")]
    pub(crate) socket: PathBuf,
    /// How many threads run app code; as many as there are cores when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// How many purged libraries may stay mapped before the status warns of it.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) residents: u16,
    /// Sets a value of an app's environment, for every release: `counter.interval_ms=250`, the value as in TOML. Goes before
    /// `config.toml`, and that before `app.toml`.
    #[arg(long, value_name = "APP.KEY=VALUE", value_parser = env)]
    pub(crate) env: Vec<Config>,
    /// Writes the log as JSON lines.
    #[arg(long)]
    pub(crate) log_json: bool,
    /// How much of the log is kept in memory for `relctl logs`, in KiB.
    #[arg(long, value_name = "KIB", default_value_t = 4096, value_parser = clap::value_parser!(u16).range(16..))]
    pub(crate) log_keep: u16,
}

impl Daemon {
    /// Returns the same with paths that hold wherever an app changes the working directory to.
    pub(crate) fn anchored(self) -> anyhow::Result<Self> {
        let anchored = |path: &Path| {
            std::path::absolute(path).with_context(|| format!("{} cannot be found from here", path.display()))
        };
        Ok(Self { root: anchored(&self.root)?, socket: anchored(&self.socket)?, ..self })
    }

    /// Returns what the command line sets of apps' environments; of a key that is set twice the last value.
    pub(crate) fn environment(&self) -> Config {
        let mut all = Config::default();
        self.env.iter().for_each(|one| all.override_with(one));
        all
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says what a library is, without running a node. Runs the library's constructors.
    Probe {
        /// The library.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// The app that it has to be the library of, with its version.
        #[arg(long, num_args = 2, value_names = ["APP", "VERSION"])]
        of: Option<Vec<String>>,
        /// The modules that it has to have, no more and no less.
        #[arg(long, value_delimiter = ',', requires = "of")]
        modules: Option<Vec<String>>,
        /// Writes it as JSON into this file, which says that it came to that; for the daemon itself.
        #[arg(long, value_name = "FILE", hide = true)]
        report: Option<PathBuf>,
        /// Answers the questions in this folder instead; for the daemon itself.
        #[arg(long, value_name = "DIR", hide = true)]
        ask: Option<PathBuf>,
    },
}

fn env(text: &str) -> Result<Config, DocError> {
    Config::parse("--env", text)
}

/// Prints what a library says about itself.
pub(crate) fn probe(
    file: &Path,
    json: bool,
    of: Option<&[String]>,
    modules: Option<&[String]>,
    into: Option<&Path>,
) -> anyhow::Result<()> {
    let report = reld_loader::probe(file)?;
    if let Some([app, version]) = of {
        report.confirm(file, app, version)?;
    }
    if let Some(listed) = modules {
        let has: Vec<&str> = report.modules.iter().map(|module| module.name.as_str()).collect();
        let listed: Vec<&str> = listed.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        other_modules(&listed, &has).map_or(Ok(()), |differs| Err(anyhow::Error::msg(differs)))?;
    }
    if let Some(into) = into {
        return fs::write(into, serde_json::to_vec(&report)?).context("the report cannot be written");
    }
    let text = if json { serde_json::to_string(&report)? } else { serde_json::to_string_pretty(&report)? };
    writeln!(std::io::stdout(), "{text}").context("the report cannot be written")
}

/// Says how the modules that an `app.toml` lists differ from those that its library has.
pub(crate) fn other_modules(listed: &[&str], has: &[&str]) -> Option<String> {
    let missing = listed.iter().find(|name| !has.contains(name));
    let unlisted = has.iter().find(|name| !listed.contains(name));
    match (missing, unlisted) {
        (Some(name), _) => Some(format!("app.toml lists module {name}, which the library does not have")),
        (None, Some(name)) => Some(format!("the library has module {name}, which app.toml does not list")),
        (None, None) => None,
    }
}

/// Ends with an error text on stderr.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}
