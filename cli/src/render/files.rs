//! The results of `verify`, `unpack` and `prune`, and the keys that have to sign a release.

use reld_api::response::{DamagedFile, Harm, KeyList, Pruned, Verified, VerifiedRelease};

use super::table::table;
use super::{account, counted, line, size};

/// The maximum number of damaged files listed per release.
const NAMED_MAX: usize = 20;

/// Shows the state of the releases' files.
pub(crate) fn verified(answer: &Verified) -> String {
    let rows = answer.releases.iter().map(row);
    let mut text = table(&["name", "version", "files", "size", "damaged"], rows);
    for release in answer.releases.iter().filter(|release| !release.damage.is_empty()) {
        text += &format!("\n{} {}:\n", release.name, release.version);
        text += &named(release.damage.iter().map(damaged));
    }
    if let Some(order) = &answer.beside {
        text += &format!("\n{order} is under way; verify again when it has ended\n");
        return text;
    }
    let has = |is_stray| {
        let mut damage = answer.releases.iter().flat_map(|release| &release.damage);
        damage.any(|file| (file.harm == Harm::Stray) == is_stray)
    };
    if has(true) {
        text += "\nremove the stray files\n";
    }
    if has(false) {
        text += "\n`relctl unpack FILE` with the tarball of a damaged release repairs it\n";
    }
    text
}

fn row(release: &VerifiedRelease) -> Vec<String> {
    let damaged = release.damage.len();
    let damaged = if damaged == 0 { String::new() } else { damaged.to_string() };
    vec![
        release.name.clone(),
        release.version.clone(),
        release.files.to_string(),
        size(release.bytes),
        damaged,
    ]
}

fn damaged(file: &DamagedFile) -> String {
    match &file.cause {
        None => format!("{:<10} {}", file.harm, file.path),
        Some(cause) => format!("{:<10} {}: {cause}", file.harm, file.path),
    }
}

/// Lists the repaired files; empty if there are none.
pub(crate) fn repaired(paths: &[String]) -> String {
    match paths {
        [] => String::new(),
        [path] => format!("repaired {path}\n"),
        paths => format!("repaired {} files:\n{}", paths.len(), named(paths.iter().cloned())),
    }
}

fn named(lines: impl ExactSizeIterator<Item = String>) -> String {
    let more = lines.len().saturating_sub(NAMED_MAX);
    let more = if more == 0 { String::new() } else { format!("  and {more} more\n") };
    lines.take(NAMED_MAX).map(|line| format!("  {line}\n")).collect::<String>() + &more
}

/// Lists the releases that were or would be removed; `went` is the verb.
pub(crate) fn pruned(answer: &Pruned, went: &str) -> String {
    let line = |release: &reld_api::response::PrunedRelease| {
        let apps = match release.apps.as_slice() {
            [] => String::new(),
            apps => format!(" with {}", apps.join(", ")),
        };
        format!("{went} {}{apps}: {}\n", release.version, size(release.bytes))
    };
    match answer.releases.as_slice() {
        [] => "nothing to remove\n".to_owned(),
        releases => {
            releases.iter().map(line).collect::<String>() + &format!("{} in total\n", size(answer.bytes))
        }
    }
}

/// Shows the policy of signatures with its keys.
pub(crate) fn keys(list: &KeyList) -> String {
    let KeyList { policy, fault, require, threshold, keys, retired, floors } = list;
    let mut text = match fault {
        Some(fault) => format!("{policy}: unknown, and no new release is accepted\n{}", account(fault)),
        None => format!("{policy}: require {require}, {}\n", counted(*threshold, "key", "keys")),
    };
    if require != "off" && *threshold > keys.len() as u64 {
        let held = counted(keys.len() as u64, "key", "keys");
        line(&mut text, format_args!("warning: no release can satisfy it: the node has {held}"));
    }
    let rows = keys.iter().map(|key| {
        vec![
            key.name.clone(),
            key.id.clone(),
            key.brought_by.as_ref().map_or_else(|| "administrator".to_owned(), |by| format!("release {by}")),
            if key.names.is_empty() { "all".to_owned() } else { key.names.join(" ") },
            key.not_after.map(|last| last.to_string()).unwrap_or_default(),
        ]
    });
    text += &table(&["key", "number", "from", "releases", "last serial"], rows);
    for id in retired {
        line(&mut text, format_args!("retired: {id}"));
    }
    for (name, serial) in floors {
        line(&mut text, format_args!("floor of {name}: serial {serial}"));
    }
    text
}
