//! The command line of the daemon.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use nix::unistd::geteuid;
use reld_api::Defaults;
use reld_handler::PolicyFile;
use reld_plan::{Config, DocError};
use reld_source::Source;
use reld_store::make_folder;

use crate::gate::{self, FleetLock};
use crate::probe::other_modules;

/// The place of the policy of signatures, unless the command line names one.
const USUAL_POLICY: &str = "/etc/reld/trust.toml";

/// The node daemon.
#[derive(Debug, Parser)]
#[command(name = "reld", version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) daemon: Daemon,
}

/// The options of the daemon.
#[derive(Debug, Clone, Args)]
pub(crate) struct Daemon {
    /// The folder of the node: releases, apps, status table. Created if it is missing.
    #[arg(long, value_name = "DIR", default_value_os_t = Defaults::of_user().root)]
    pub(crate) root: PathBuf,
    /// The socket of the control API [env: RELD_SOCKET].
    #[arg(long, value_name = "PATH", default_value_os_t = Defaults::of_user().socket)]
    pub(crate) socket: PathBuf,
    /// The number of threads that run app code [default: the number of cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// The number of purged libraries that may stay mapped without an alarm.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) residents: u16,
    /// Set a key of an app's environment in every release: `linkd.idle_ms=30000`, with a TOML
    /// value; a bare word is a string. Takes precedence over `config.toml` below the root, which
    /// overrides that of the release, which overrides `app.toml`.
    #[arg(long, value_name = "APP.KEY=VALUE", value_parser = env)]
    pub(crate) env: Vec<Config>,
    /// The policy of signatures, which has to exist [default: /etc/reld/trust.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Join the fleet of this `fleet.toml`, and take part in its rollouts.
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet: Option<PathBuf>,
    /// Take a lock of this server before each order that changes the running release, and give it
    /// back when the node is at rest: `fleetlock:https://airlock:3333`.
    #[arg(long, value_name = "fleetlock:URL", value_parser = gate::server)]
    pub(crate) gate: Option<(Source, String)>,
    /// The name of the node at the lock server. Two nodes of a machine need two names [default: an
    /// id that follows from the machine id].
    #[arg(long, value_name = "NAME", requires = "gate", value_parser = gate::id)]
    pub(crate) gate_id: Option<String>,
    /// The group of nodes that share the locks of the server.
    #[arg(long, value_name = "GROUP", default_value = "default", value_parser = gate::group)]
    pub(crate) gate_group: String,
    /// Write the log as JSON lines.
    #[arg(long)]
    pub(crate) log_json: bool,
    /// The size of the log in memory for `relctl logs`, in KiB.
    #[arg(long, value_name = "KIB", default_value_t = 4096, value_parser = clap::value_parser!(u16).range(16..))]
    pub(crate) log_keep: u16,
}

impl Daemon {
    /// Makes the paths absolute, because an app may change the working directory later.
    pub(crate) fn absolute(self) -> anyhow::Result<Self> {
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .with_context(|| format!("cannot make {} an absolute path", path.display()))
        };
        let (root, socket) = (absolute(&self.root)?, absolute(&self.socket)?);
        let [trust, fleet] = [&self.trust, &self.fleet].map(|file| file.as_deref().map(absolute).transpose());
        Ok(Self { root, socket, trust: trust?, fleet: fleet?, ..self })
    }

    /// Creates the folders for the places that a plain user has by default. Only that user may
    /// enter them; folders that an option names are created later, for other users too.
    pub(crate) fn make_private_folders(&self) -> anyhow::Result<()> {
        if geteuid().is_root() {
            return Ok(());
        }
        let own = Defaults::of_user();
        let root = Some(&*self.root).filter(|root| *root == own.root);
        let run = self.socket.parent().filter(|_| self.socket == own.socket);
        for folder in root.into_iter().chain(run) {
            make_folder(folder, 0o700)
                .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        }
        Ok(())
    }

    /// Returns the place of the policy of signatures.
    ///
    /// # Errors
    /// The command line names a file that does not exist. A node without the policy that was meant
    /// for it would accept every release.
    pub(crate) fn policy(&self) -> anyhow::Result<PolicyFile> {
        let Some(file) = &self.trust else { return Ok(PolicyFile::Usual(USUAL_POLICY.into())) };
        // A file that cannot be looked at keeps no permanent release from booting.
        ensure!(
            file.try_exists().unwrap_or(true),
            "cannot use the policy of signatures {}: it does not exist; write it, or start reld without --trust",
            file.display()
        );
        Ok(PolicyFile::Named(file.clone()))
    }

    /// Returns the lock of the node, if it has a gate.
    ///
    /// # Errors
    /// The node has no name.
    pub(crate) fn lock(&self) -> anyhow::Result<Option<FleetLock>> {
        let Some(server) = self.gate.clone() else { return Ok(None) };
        let id = self.gate_id.clone().map_or_else(gate::id_of_machine, Ok)?;
        Ok(Some(FleetLock::new(server, id, self.gate_group.clone())))
    }

    /// Returns the environment keys that the command line sets. The last value of a repeated key
    /// wins.
    pub(crate) fn environment(&self) -> Config {
        let mut all = Config::default();
        self.env.iter().for_each(|one| all.override_with(one));
        all
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the contents of a library, without running a node. Runs the library's constructors.
    Probe {
        /// The library.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// The app and the version that the library must have.
        #[arg(long, num_args = 2, value_names = ["APP", "VERSION"])]
        of: Option<Vec<String>>,
        /// The exact set of modules that the library must have.
        #[arg(long, value_delimiter = ',', requires = "of")]
        modules: Option<Vec<String>>,
        /// Write the result as JSON into this file, as proof of success; for the daemon itself.
        #[arg(long, value_name = "FILE", hide = true)]
        report: Option<PathBuf>,
        /// Answer the questions in this folder instead; for the daemon itself.
        #[arg(long, value_name = "DIR", hide = true)]
        ask: Option<PathBuf>,
    },
}

fn env(text: &str) -> Result<Config, DocError> {
    Config::setting("--env", text)
}

/// Prints the description of a library.
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
        return fs::write(into, serde_json::to_vec(&report)?).context("cannot write the report");
    }
    let text = if json { serde_json::to_string(&report)? } else { serde_json::to_string_pretty(&report)? };
    writeln!(std::io::stdout(), "{text}").context("cannot write the report")
}

/// Prints an error on stderr and returns the exit code of a failure.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    // If stderr is closed, the error cannot be reported at all.
    let _ = writeln!(std::io::stderr(), "{}", shown(error));
    ExitCode::FAILURE
}

/// Formats the final error of the program. An error of the root has a code, as in `relctl`.
pub(crate) fn shown(error: &anyhow::Error) -> String {
    let code = error.downcast_ref::<reld_store::Error>().map(|error| format!("[{}]", error.code()));
    format!("error{}: {error:#}", code.unwrap_or_default())
}
