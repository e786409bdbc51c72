//! Decides from a path whether a change of the file concerns a build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::rounds::Change;

/// Returns the place of a changed file. `apps` is the folder of all apps, `crates` are folders of
/// path dependencies outside of it; `is_app` is whether a folder has an `app.toml`. `None` means
/// that the file is no source, such as the output of a build or a file of an editor.
pub(super) fn place(
    path: &Path,
    apps: &Path,
    crates: &BTreeSet<PathBuf>,
    release: &Path,
    is_app: impl Fn(&Path) -> bool,
) -> Option<Change> {
    if path == release || path == release.with_file_name("config.toml") {
        return Some(Change::Release);
    }
    let is_source =
        |below: &Path| below.iter().all(|name| name.to_str().is_some_and(|name| !is_ignored(name)));
    let is_below = |top: &Path| path.strip_prefix(top).is_ok_and(is_source);
    if is_below(apps) {
        let mut folders = path.ancestors().take_while(|folder| folder.starts_with(apps));
        let app = folders.find(|folder| is_app(folder));
        return Some(app.map_or(Change::Shared, |app| Change::App(app.to_owned())));
    }
    crates.iter().any(|folder| is_below(folder)).then_some(Change::Shared)
}

/// Returns whether files and folders of this name are no sources. Builds write `Cargo.lock`; vim
/// writes the file `4913` before it saves.
pub(super) fn is_ignored(name: &str) -> bool {
    let temporary = [".tmp", ".swp", ".swx", "~", "#"];
    name.starts_with(['.', '#'])
        || matches!(name, "target" | "Cargo.lock" | "4913")
        || temporary.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<Change>) {
        let (apps, release) = (Path::new("/apps"), Path::new("/apps/shop/release.toml"));
        let crates = [PathBuf::from("/crates/money")].into();
        let is_app = |folder: &Path| folder == Path::new("/apps/shop/till");
        assert_eq!(place(Path::new(path), apps, &crates, release, is_app), expected, "{path}");
    }

    #[test]
    fn a_change_belongs_to_the_app_around_it_or_to_all_apps() {
        for path in ["src/lib.rs", "priv/logo.png", "app.toml", ""] {
            check(&format!("/apps/shop/till/{path}"), Some(Change::App("/apps/shop/till".into())));
        }
        for path in ["/apps/shop/common/src/lib.rs", "/apps/Cargo.toml", "/apps", "/crates/money/src/lib.rs"]
        {
            check(path, Some(Change::Shared));
        }
        check("/apps/shop/release.toml", Some(Change::Release));
        check("/apps/shop/config.toml", Some(Change::Release));
    }

    #[test]
    fn outputs_and_files_of_editors_are_ignored() {
        for name in ["target/dev/till.so", ".git/index", "Cargo.lock", "4913"] {
            check(&format!("/apps/shop/till/{name}"), None);
        }
        for name in [".lib.rs.swp", "lib.rs~", "#lib.rs#", ".#lib.rs", "lib.rs.tmp"] {
            check(&format!("/apps/shop/till/src/{name}"), None);
        }
        for path in ["/elsewhere/lib.rs", "/crates/lib.rs", "/crates/money/target/debug/money.d"] {
            check(path, None);
        }
    }
}
