//! `relctl bump [APP] VERSION`: starts the next version of an app.
//!
//! All files are read and all changes decided before the first file is written. `app.toml`, which
//! has the present version, is written last, so that a bump that was interrupted can be repeated.

mod edit;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reld_api::{ErrorCode, ErrorReport};
use reld_plan::{App, AppDocs, Appup, AppupFile, PackedRelease, Rel, Vsn};
use serde_json::{Value, json};

use self::edit::Versions;
use super::plan::documents;
use crate::args::Bump;
use crate::error::Failure;
use crate::shown::Shown;

pub(super) fn bump(args: &Bump) -> Result<Shown, Failure> {
    let app_toml = args.folder.join("app.toml");
    let text = read(&app_toml)
        .map_err(|failure| failure.or_hint("call it in the folder of an app, or name that folder"))?;
    let app = App::parse(&app_toml.to_string_lossy(), &text)?;
    let to: Vsn =
        args.version.parse().map_err(|error: reld_plan::VsnError| Failure::usage(error.to_string()))?;
    if to == app.version {
        let message = format!("cannot start {to}: {} has this version already", app_toml.display());
        return Err(Failure::usage(message).or_hint("name the next version"));
    }
    let versions = Versions { app: &app.name, from: &app.version, to: &to };
    let appup = appup(args, &app, &to)?;
    let edits = edits(&args.folder, &versions)?;
    appup.write(&args.folder)?;
    for (path, text) in &edits {
        replace(path, text)?;
    }
    let changed: Vec<_> = edits.iter().map(|(path, _)| shown(path)).collect();
    let text = format!("{} {} is {to} now, in {}\n{appup}\n", app.name, app.version, changed.join(", "));
    let answer = json!({
        "app": app.name, "from": app.version, "to": to, "changed": changed, "appup": appup.json(),
    });
    Ok(Shown::new(&answer, text))
}

/// Returns the files to change, `app.toml` last.
fn edits(folder: &Path, versions: &Versions<'_>) -> Result<Vec<(PathBuf, String)>, Failure> {
    let [cargo, release, app] = ["Cargo.toml", "release.toml", "app.toml"].map(|name| folder.join(name));
    let sources = edit::sources(folder).map_err(|fault| Failure::io("read", folder.display(), &fault))?;
    let mut edits = Vec::new();
    for path in sources.into_iter().chain([cargo, release, app]).filter(|path| path.is_file()) {
        let text = read(&path)?;
        let moved = versions.moved(&path, &text)?;
        if moved != text {
            edits.push((path, moved));
        }
    }
    Ok(edits)
}

/// What becomes of `appup.toml`.
enum NextAppup {
    /// The author has written that of the next version already.
    Kept,
    /// It is drafted. An appup of the present version is kept under the name.
    Drafted { from: PathBuf, draft: String, kept: Option<String> },
}

fn appup(args: &Bump, app: &App, to: &Vsn) -> Result<NextAppup, Failure> {
    let path = args.folder.join("appup.toml");
    let present =
        path.is_file().then(|| Appup::parse(&path.to_string_lossy(), &read(&path)?).map_err(Failure::from));
    let kept = match present.transpose()? {
        Some(appup) if appup.version == *to => return Ok(NextAppup::Kept),
        Some(appup) => Some(format!("appup-{}.toml", appup.version)),
        None => None,
    };
    if let Some(taken) = kept.as_ref().map(|name| args.folder.join(name)).filter(|path| path.exists()) {
        let message = format!(
            "cannot keep {}: {} already exists; nothing was written",
            path.display(),
            taken.display()
        );
        return Err(Failure::from(ErrorReport::refused(ErrorCode::Exists, message))
            .or_hint("move one of the two away"));
    }
    let from = tarball(args, app)?;
    let draft = draft(&from, app, to)?;
    Ok(NextAppup::Drafted { from, draft, kept })
}

/// Returns the tarball of the present version.
fn tarball(args: &Bump, app: &App) -> Result<PathBuf, Failure> {
    if let Some(named) = &args.from {
        return Ok(named.clone());
    }
    let path = args.folder.join("release.toml");
    let missing = |what: String| {
        Failure::from(ErrorReport::refused(ErrorCode::NoTarball, format!("cannot draft appup.toml: {what}"))).or_hint(format!(
            "pack {} {} before its version moves: `relctl pack release.toml --apps .`; or name its tarball with --from",
            app.name, app.version,
        ))
    };
    if !path.is_file() {
        return Err(missing(format!("{} is missing, which would name the tarball", path.display())));
    }
    let rel = Rel::parse(&path.to_string_lossy(), &read(&path)?)?;
    let name = format!("{}-{}.tar.gz", rel.name, rel.version);
    let places = [args.folder.join(&name), PathBuf::from(&name)];
    let found = places.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| missing(format!("there is no {name}")))
}

/// Drafts the appup for a version that has the same modules as the packed one.
fn draft(tarball: &Path, app: &App, to: &Vsn) -> Result<String, Failure> {
    let packed = documents::packed(tarball)??;
    let found = packed.release.app(&app.name).filter(|found| found.version() == &app.version);
    let Some(found) = found else {
        let message =
            format!("cannot draft appup.toml: {} has no {} {}", tarball.display(), app.name, app.version);
        return Err(Failure::from(ErrorReport::refused(ErrorCode::OtherVersion, message))
            .or_hint("name a tarball that has it with --from"));
    };
    let mut next: AppDocs = found.docs.clone();
    next.app.version = to.clone();
    next.appup = AppupFile::Missing;
    let next = PackedRelease { release: packed.release.with_app(next)?, ..packed.clone() };
    let diff = reld_plan::diff(&packed, &next);
    let changed = diff.apps.into_iter().find(|changed| changed.app == app.name);
    Ok(changed.and_then(|changed| changed.draft).expect("an app with another version has a draft"))
}

impl NextAppup {
    fn json(&self) -> Value {
        match self {
            Self::Kept => json!({ "drafted_from": null, "kept": "appup.toml" }),
            Self::Drafted { from, kept, .. } => json!({ "drafted_from": from, "kept": kept }),
        }
    }

    fn write(&self, folder: &Path) -> Result<(), Failure> {
        let Self::Drafted { draft, kept, .. } = self else { return Ok(()) };
        let path = folder.join("appup.toml");
        if let Some(kept) = kept {
            let moved = fs::rename(&path, folder.join(kept));
            moved.map_err(|fault| Failure::io("move", path.display(), &fault))?;
        }
        replace(&path, draft)
    }
}

impl std::fmt::Display for NextAppup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kept => f.write_str("appup.toml is for this version already, and was kept"),
            Self::Drafted { from, kept, .. } => {
                write!(f, "appup.toml is a draft, of the modules in {}", shown(from))?;
                kept.iter().try_for_each(|kept| write!(f, "; the appup of the version before is {kept} now"))
            }
        }
    }
}

/// Returns a path without the `./` of the default folder.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))
}

/// Replaces a file at once: it has the old text or the new one.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let write = || -> io::Result<()> {
        fs::write(&draft, text)?;
        fs::rename(&draft, path)
    };
    write().map_err(|fault| Failure::io("write", path.display(), &fault))
}
