//! Decides from a path whether a change of the file concerns a build.

use std::path::Path;

use super::rounds::Change;

/// Returns the place of a changed file. `top` is the folder of all apps; `is_app` is whether a
/// folder has an `app.toml`. `None` means that the file is no source, such as the output of a build
/// or a file of an editor.
pub(super) fn place(
    path: &Path,
    top: &Path,
    release: &Path,
    is_app: impl Fn(&Path) -> bool,
) -> Option<Change> {
    if path == release || path == release.with_file_name("config.toml") {
        return Some(Change::Release);
    }
    let below = path.strip_prefix(top).ok()?;
    if below.iter().any(|name| name.to_str().is_none_or(is_ignored)) {
        return None;
    }
    let mut folders = path.ancestors().take_while(|folder| folder.starts_with(top));
    let app = folders.find(|folder| is_app(folder));
    Some(app.map_or(Change::Shared, |app| Change::App(app.to_owned())))
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
        let (top, release) = (Path::new("/apps"), Path::new("/apps/shop/release.toml"));
        let is_app = |folder: &Path| folder == Path::new("/apps/shop/till");
        assert_eq!(place(Path::new(path), top, release, is_app), expected, "{path}");
    }

    #[test]
    fn a_change_belongs_to_the_app_around_it_or_to_all_apps() {
        for path in ["src/lib.rs", "priv/logo.png", "app.toml", ""] {
            check(&format!("/apps/shop/till/{path}"), Some(Change::App("/apps/shop/till".into())));
        }
        for path in ["/apps/shop/common/src/lib.rs", "/apps/Cargo.toml", "/apps"] {
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
        check("/elsewhere/lib.rs", None);
    }
}
