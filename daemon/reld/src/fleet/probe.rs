//! The probe of a rollout. etcd names it; the program is the node's own, or one of the release.

use reld_api::request::{Probe, Script};
use reld_handler::KnownRelease;
use reld_store::{Root, read_file};

use super::membership::Membership;

/// The time limit of a probe, that of `relctl upgrade` without `--probe-timeout`.
const LIMIT_MS: u64 = 30_000;

/// The beginning of a probe that is a file of the release.
const OF_RELEASE: &str = "release:";

/// Returns the probe that a rollout names, or the reason why the node has none with this name.
///
/// | name | program |
/// |---|---|
/// | `release:PATH` | the file of the release, with the content that its manifest lists |
/// | another one | the command in the table `probes` of the node's `fleet.toml` |
pub(super) fn named(
    name: &str,
    membership: &Membership,
    root: &Root,
    release: &KnownRelease,
) -> Result<Probe, String> {
    let probe = |command: &str, script| Probe { command: command.to_owned(), script, timeout_ms: LIMIT_MS };
    if let Some(path) = name.strip_prefix(OF_RELEASE) {
        return match read_file(root, release, path) {
            Ok(Some(content)) => Ok(probe(name, Some(Script(content)))),
            Ok(None) => Err(format!("release {} has no file {path}", release.version)),
            Err(error) => Err(error.to_string()),
        };
    }
    command(name, membership).map(|command| probe(command, None))
}

/// Checks that this node has a probe with this name, as far as that is known before the release is.
pub(super) fn check(name: &str, membership: &Membership) -> Result<(), String> {
    if name.starts_with(OF_RELEASE) { Ok(()) } else { command(name, membership).map(drop) }
}

fn command<'a>(name: &str, membership: &'a Membership) -> Result<&'a str, String> {
    membership.probes.get(name).map(String::as_str).ok_or_else(|| {
        format!(
            "the fleet.toml of this node has no probe {name:?}; add it to [probes], or use {OF_RELEASE}PATH"
        )
    })
}
