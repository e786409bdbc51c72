//! Arguments of rollouts over several nodes.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Rollout {
    /// Upgrade the nodes of a list, or go on with a rollout that has stopped
    #[command(
        after_help = "Exit codes: 0 all nodes run the release; 1 refused, no node has moved; 4 failed, and every node is back; \
                      6 halted, a part of the nodes has moved."
    )]
    Start {
        #[command(flatten)]
        fleet: Fleet,
        /// Leave this host out; the journal records it
        #[arg(long, value_name = "HOST")]
        skip: Vec<String>,
    },
    /// Show the state of each node; exits as `start` would, and with 0 while a rollout runs
    Status(Fleet),
    /// Halt the rollout that runs over these hosts: no further upgrade begins
    Halt(Hosts),
    /// Take the release back from the nodes that this rollout has moved, the last one first
    #[command(after_help = "Exit codes: 4 every node is back; 6 a part of the nodes runs the release.")]
    TakeBack(Fleet),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Fleet {
    /// Policy of the rollout: a rollout.toml
    #[arg(value_name = "ROLLOUT.TOML")]
    pub(crate) rollout: PathBuf,
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    /// Command that runs a command line on a host: it gets the host and the line as its last two
    /// arguments
    #[arg(
        long,
        value_name = "CMD",
        default_value = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15"
    )]
    pub(crate) ssh: String,
    /// relctl on the hosts, such as `sudo relctl`
    #[arg(long, value_name = "CMD", default_value = "relctl")]
    pub(crate) relctl: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Hosts {
    /// List of hosts, one on each line, in the order of the rollout; `#` begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts: PathBuf,
    /// Journal of the rollouts over these hosts, which also keeps two rollouts from running at once
    /// [default: the list with `.rollout` appended]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

impl Hosts {
    /// Returns the path of the journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.journal.clone().unwrap_or_else(|| {
            let mut path = self.hosts.clone().into_os_string();
            path.push(".rollout");
            path.into()
        })
    }
}
