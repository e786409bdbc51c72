//! `relctl rollout`: moves several nodes to a release, with one policy and two drivers.
//!
//! With `--hosts` relctl itself drives the nodes of a list, over ssh. Otherwise the nodes of a
//! fleet drive themselves, and relctl asks the local daemon, so it needs no way to etcd.

mod drive;
mod hosts;
mod journal;
mod looks;
mod member;
mod node;
mod outcome;
mod over_fleet;
mod over_hosts;
mod progress;
mod sight;
mod ssh;
mod target;
mod verdict;

use reld_api::Client;

use crate::args::Rollout;
use crate::error::Failure;
use crate::shown::Shown;

pub(super) async fn run(client: &Client, args: Rollout) -> Result<Shown, Failure> {
    match args {
        Rollout::Start { rollout, line, skip, no_wait, fleet: _ } => match line.hosts.list() {
            Some(list) => over_hosts::start(&rollout, &list, &line, skip).await,
            None => over_fleet::start(client, &rollout, skip, !no_wait).await,
        },
        Rollout::Status { policy, watch } => match policy.line.hosts.list() {
            Some(list) => over_hosts::status(policy.rollout.as_deref(), &list, &policy.line).await,
            None => over_fleet::status(client, watch).await,
        },
        Rollout::Halt(hosts) => match hosts.list() {
            Some(list) => over_hosts::halt(&list),
            None => over_fleet::halt(client).await,
        },
        Rollout::TakeBack { policy, no_wait } => match policy.line.hosts.list() {
            Some(list) => over_hosts::take_back(policy.rollout.as_deref(), &list, &policy.line).await,
            None => over_fleet::take_back(client, !no_wait).await,
        },
        Rollout::Pause => over_fleet::pause(client).await,
        Rollout::Resume => over_fleet::resume(client).await,
        Rollout::Skip { node } => over_fleet::skip(client, node).await,
        Rollout::Locks => over_fleet::locks(client).await,
        Rollout::Nodes { remove: None } => over_fleet::nodes(client).await,
        Rollout::Nodes { remove: Some(node) } => over_fleet::remove(client, node).await,
    }
}
