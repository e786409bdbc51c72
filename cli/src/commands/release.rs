//! The single steps of a release's life: unpack, check, commit, remove, reboot-old, releases, and
//! verify and prune.

use std::ffi::OsString;
use std::path::Path;

use reld_api::response::Unpacked;
use reld_api::{Client, ExitCode, request as q};
use reld_store::Digest;
use tokio::fs::File;

use super::{sign, upgrade};
use crate::args::{Floor, Policy, Prune, VerifyFile, Wait};
use crate::error::Failure;
use crate::shown::Shown;
use crate::{input, render};

pub(super) async fn unpack(
    client: &Client,
    file: &Path,
    identity: Option<Digest>,
    floor: Floor,
    wait: Wait,
) -> Result<Shown, Failure> {
    let answer = match (input::url(file), identity) {
        (Some(url), identity) => {
            let (url, ignore_floor) = (url.to_owned(), floor.ignore_floor);
            let identity = identity.map(|digest| digest.to_string());
            let request = q::Fetch { url, identity, replace: true, ignore_floor, wait: wait.wait };
            client.call(&request).await?
        }
        (None, Some(_)) => {
            let refused = Failure::usage("cannot use --identity with a file that relctl sends");
            return Err(refused.or_hint("name a URL, such as file:///srv/shop-1.1.0.tar.gz"));
        }
        (None, None) => upload(client, file, true, floor, wait).await?,
    };
    let release = format!("{} {}", answer.name, answer.version);
    let line = match (answer.changed, answer.repaired.as_slice()) {
        (true, _) if answer.replaced => format!("unpacked {release} in place of other content\n"),
        (true, _) => format!("unpacked {release}\n"),
        (false, []) => format!("{release} is already unpacked\n"),
        (false, _) => format!("{release} is already unpacked, but was damaged\n"),
    };
    let rest = render::repaired(&answer.repaired) + &render::warnings(&answer.warnings);
    Ok(Shown::new(&answer, line + &rest))
}

/// Verifies releases of the node or, if the argument is a file, a tarball.
pub(super) async fn verify(
    client: &Client,
    release: Option<OsString>,
    file: &VerifyFile,
) -> Result<Shown, Failure> {
    let version = match release.map(upgrade::Target::of) {
        Some(upgrade::Target::File(tarball)) => return sign::verify(&tarball, file),
        Some(upgrade::Target::Version(version)) => Some(version),
        None => None,
    };
    let answer = client.call(&q::Verify { version }).await?;
    let is_sound = answer.releases.iter().all(|release| release.damage.is_empty());
    let exit_code = if is_sound { ExitCode::Done } else { ExitCode::Refused };
    Ok(Shown { exit_code, ..Shown::new(&answer, render::verified(&answer)) })
}

pub(super) async fn keys(client: &Client) -> Result<Shown, Failure> {
    let answer = client.call(&q::Keys {}).await?;
    let exit_code = answer.fault.as_ref().map_or(ExitCode::Done, |fault| fault.exit_code);
    Ok(Shown { exit_code, ..Shown::new(&answer, render::keys(&answer)) })
}

pub(super) async fn prune(client: &Client, args: Prune) -> Result<Shown, Failure> {
    let Prune { keep, dry_run, wait } = args;
    let (answer, went) = if dry_run {
        (client.call(&q::CheckPrune { keep }).await?, "would remove")
    } else {
        (client.call(&q::Prune { keep, wait: wait.wait }).await?, "removed")
    };
    Ok(Shown::new(&answer, render::pruned(&answer, went)))
}

/// Sends a tarball to the node, which may `replace` a release of its version with other content.
/// Stdin is sent as it comes.
pub(super) async fn upload(
    client: &Client,
    file: &Path,
    replace: bool,
    floor: Floor,
    wait: Wait,
) -> Result<Unpacked, Failure> {
    let unreadable = |fault: std::io::Error| Failure::io("read", file.display(), &fault);
    let tarball = if input::is_stdin(file) {
        File::from_std(input::stdin()?)
    } else {
        File::open(file).await.map_err(unreadable)?
    };
    if tarball.metadata().await.map_err(unreadable)?.is_dir() {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    Ok(client
        .upload(&q::Unpack { replace, ignore_floor: floor.ignore_floor, wait: wait.wait }, tarball)
        .await?)
}

pub(super) async fn check(client: &Client, version: String, policy: Policy) -> Result<Shown, Failure> {
    let answer = client.call(&checking(version, policy)).await?;
    Ok(Shown::new(&answer, render::checked(&answer)))
}

pub(super) async fn check_downgrade(
    client: &Client,
    version: Option<String>,
    policy: Policy,
) -> Result<Shown, Failure> {
    let supersede = policy.supersede;
    let q::Policy { orphans, group_windows, rename, one_way, .. } = upgrade::policy(policy);
    let request = q::CheckDowngrade { version, supersede, orphans, group_windows, rename, one_way };
    let answer = client.call(&request).await?;
    Ok(Shown::new(&answer, render::checked(&answer)))
}

/// Returns the check request for an install with this policy.
pub(super) fn checking(version: String, policy: Policy) -> q::Check {
    let supersede = policy.supersede;
    let q::Policy { orphans, group_windows, rename, one_way, .. } = upgrade::policy(policy);
    q::Check { version, supersede, orphans, group_windows, rename, one_way }
}

pub(super) async fn commit(client: &Client, version: Option<String>, wait: Wait) -> Result<Shown, Failure> {
    let answer = client.call(&q::Commit { version, wait: wait.wait }).await?;
    let what = if answer.changed { "is permanent" } else { "is already permanent" };
    let killed = render::ended("killed", &answer.killed);
    let lingering = render::lingering(&answer.lingering);
    let warnings = render::warnings(&answer.warnings);
    Ok(Shown::new(&answer, format!("{} {what}\n{killed}{lingering}{warnings}", answer.version)))
}

pub(super) async fn remove(client: &Client, version: String, wait: Wait) -> Result<Shown, Failure> {
    let answer = client.call(&q::Remove { version, wait: wait.wait }).await?;
    let apps = match answer.apps.as_slice() {
        [] => String::new(),
        apps => format!(" with {}", apps.join(", ")),
    };
    Ok(Shown::line(&answer, format_args!("removed {}{apps}", answer.version)))
}

pub(super) async fn reboot_old(client: &Client, version: String, wait: Wait) -> Result<Shown, Failure> {
    let answer = client.call(&q::RebootOld { version, wait: wait.wait }).await?;
    Ok(Shown::line(&answer, format_args!("the node restarts into {}", answer.version)))
}

pub(super) async fn releases(client: &Client) -> Result<Shown, Failure> {
    let answer = client.call(&q::Releases {}).await?;
    Ok(Shown::new(&answer, render::releases(&answer)))
}
