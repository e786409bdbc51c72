//! Arguments of rollouts over several nodes.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Rollout {
    /// Upgrade the nodes of a list or of a fleet
    #[command(
        after_help = "With --hosts, relctl drives the nodes, and goes on with a rollout that has stopped. With --fleet, \
                      the nodes drive themselves, and relctl only watches: Ctrl-C ends the watching, not the rollout.\n\n\
                      Exit codes: 0 all nodes run the release; 1 refused, no node has moved; 4 failed, and every node is back; \
                      6 halted, a part of the nodes has moved."
    )]
    Start {
        /// Policy of the rollout: a rollout.toml
        #[arg(value_name = "ROLLOUT.TOML")]
        rollout: PathBuf,
        /// Let the nodes of the local node's fleet carry it out
        #[arg(long, conflicts_with = "hosts", required_unless_present = "hosts")]
        fleet: bool,
        #[command(flatten)]
        line: Line,
        /// Leave this node out, on the record
        #[arg(long, value_name = "NODE")]
        skip: Vec<String>,
        /// Return as soon as the rollout is written; `relctl rollout status --wait` waits for its
        /// end
        #[arg(long, requires = "fleet")]
        no_wait: bool,
    },
    /// Show the state of each node; exits as `start` would, and with 0 while a rollout runs
    Status {
        #[command(flatten)]
        policy: Policy,
        /// Show each change until the rollout has ended
        #[arg(long, visible_alias = "wait", conflicts_with = "hosts")]
        watch: bool,
    },
    /// Let no upgrade begin until `relctl rollout resume`; those under way end on their nodes
    Pause,
    /// End a pause
    Resume,
    /// Halt the rollout: no further upgrade begins; those under way end on their nodes
    Halt(Hosts),
    /// Take the release back from the nodes that the rollout has moved, the last one first
    #[command(after_help = "Exit codes: 4 every node is back; 6 a part of the nodes runs the release.")]
    TakeBack {
        #[command(flatten)]
        policy: Policy,
        /// Return as soon as the order is written
        #[arg(long, conflicts_with = "hosts")]
        no_wait: bool,
    },
    /// Leave a node out, on the record, and free the slot that it holds: for a node that is gone
    Skip {
        /// Node, as `relctl rollout nodes` has it
        node: String,
    },
    /// List the nodes that hold a slot of the rollout: since when, and whether each is connected
    Locks,
    /// List the nodes of the fleet
    Nodes {
        /// Remove a node that is gone for good
        #[arg(long, value_name = "NODE")]
        remove: Option<String>,
    },
}

/// The policy of a rollout over the nodes of a list. A fleet has the policy in etcd.
#[derive(Debug, ClapArgs)]
pub(crate) struct Policy {
    /// Policy of the rollout, with --hosts: a rollout.toml
    #[arg(value_name = "ROLLOUT.TOML", requires = "hosts")]
    pub(crate) rollout: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) line: Line,
}

/// The way to the nodes of a list.
#[derive(Debug, ClapArgs)]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    /// Command that runs a command line on a host: it gets the host and the line as its last two
    /// arguments
    #[arg(
        long,
        value_name = "CMD",
        requires = "hosts",
        default_value = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15"
    )]
    pub(crate) ssh: String,
    /// relctl on the hosts, such as `sudo relctl`
    #[arg(long, value_name = "CMD", requires = "hosts", default_value = "relctl")]
    pub(crate) relctl: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Hosts {
    /// List of hosts, one on each line, in the order of the rollout; `#` begins a comment [default:
    /// the fleet of the local node]
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,
    /// Journal of the rollouts over these hosts, which also keeps two rollouts from running at once
    /// [default: the list with `.rollout` appended]
    #[arg(long, value_name = "FILE", requires = "hosts")]
    journal: Option<PathBuf>,
}

/// A list of hosts and its journal.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) path: PathBuf,
    pub(crate) journal: PathBuf,
}

impl Hosts {
    /// Returns the list, unless the rollout is one of a fleet.
    pub(crate) fn list(&self) -> Option<List> {
        let path = self.hosts.clone()?;
        let journal = self.journal.clone().unwrap_or_else(|| {
            let mut path = path.clone().into_os_string();
            path.push(".rollout");
            path.into()
        });
        Some(List { path, journal })
    }
}
