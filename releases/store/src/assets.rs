//! Finds the files below `priv/` of an app to be packed.
//!
//! A tarball holds only regular files, so a link is packed as the file or folder that it points to.
//! A link to a target outside of the app's folder is refused, because the content would depend on
//! the machine. Special files, such as sockets, are refused before any file is read.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::layout;

/// The maximum number of files and folders below one `priv/`. Links to folders could multiply them
/// without limit.
const ENTRIES_MAX: usize = 100_000;

/// Returns the path of each file below the app's folder, and the path of its content with links
/// resolved.
///
/// # Errors
/// [`Error::NotPackable`] and [`Error::Io`].
pub(crate) fn files(app: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let top = app.join("priv");
    match fs::symlink_metadata(&top) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        _ => {}
    }
    let real = fs::canonicalize(app).map_err(Error::io("read", app))?;
    let mut walk = Walk { app: real, files: Vec::new(), entries: 0 };
    match walk.resolve(&top)? {
        Found::Folder(real) => walk.enter("priv", &mut vec![real])?,
        Found::File(_) => return Err(not_packable(&top, "it is not a folder; put the file into one")),
    }
    Ok(walk.files)
}

struct Walk {
    /// The app's folder, without links in its path.
    app: PathBuf,
    files: Vec<(String, PathBuf)>,
    entries: usize,
}

/// The target of a path, with all links resolved.
enum Found {
    File(PathBuf),
    Folder(PathBuf),
}

impl Walk {
    /// Adds the files of the last folder in `chain`. Each folder in `chain` contains the next one.
    fn enter(&mut self, below: &str, chain: &mut Vec<PathBuf>) -> Result<(), Error> {
        let Some(folder) = chain.last().cloned() else { return Ok(()) };
        for name in layout::names(&folder)? {
            let full = folder.join(&name);
            let Some(name) = name.to_str() else {
                return Err(not_packable(&full, "its name is not UTF-8; rename it"));
            };
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                let why = format!("with it, priv/ has more than {ENTRIES_MAX} files and folders");
                return Err(not_packable(&full, why));
            }
            let path = format!("{below}/{name}");
            match self.resolve(&full)? {
                Found::File(real) => self.files.push((path, real)),
                Found::Folder(real) if chain.contains(&real) => {
                    return Err(not_packable(
                        &full,
                        "this link leads to a folder that contains it; remove it",
                    ));
                }
                Found::Folder(real) => {
                    chain.push(real);
                    self.enter(&path, chain)?;
                    chain.pop();
                }
            }
        }
        Ok(())
    }

    fn resolve(&self, path: &Path) -> Result<Found, Error> {
        let real = self.follow(path)?;
        let kind = fs::symlink_metadata(&real).map_err(Error::io("read", path))?.file_type();
        let other = match kind {
            kind if kind.is_file() => return Ok(Found::File(real)),
            kind if kind.is_dir() => return Ok(Found::Folder(real)),
            kind if kind.is_fifo() => "a FIFO",
            kind if kind.is_socket() => "a socket",
            _ => "a device",
        };
        let why = format!("it is {other}; remove it from priv/, and let the app create it when it starts");
        Err(not_packable(path, why))
    }

    fn follow(&self, path: &Path) -> Result<PathBuf, Error> {
        const COPY: &str = "copy the files there";
        let link = fs::read_link(path).ok();
        match (fs::canonicalize(path), link) {
            (Ok(real), None) => Ok(real),
            (Ok(real), Some(_)) if real.starts_with(&self.app) => Ok(real),
            (Ok(real), Some(_)) => {
                let why = format!("it is a link to {}, outside of the app's folder; {COPY}", real.display());
                Err(not_packable(path, why))
            }
            (Err(error), Some(to)) if error.kind() == io::ErrorKind::NotFound => {
                let why = format!("it is a link to {}, which does not exist; {COPY}", to.display());
                Err(not_packable(path, why))
            }
            (Err(error), Some(to)) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
                let why = format!("it is a link to {}, which leads back to it; {COPY}", to.display());
                Err(not_packable(path, why))
            }
            (Err(error), _) => Err(Error::io("read", path)(error)),
        }
    }
}

fn not_packable(path: &Path, why: impl Into<String>) -> Error {
    Error::NotPackable { path: path.to_owned(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// An app with a file in `priv/`, and a file outside of the app.
    fn app() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        fs::create_dir_all(app.join("priv/www")).unwrap();
        fs::write(app.join("priv/www/index.html"), "<p>hello").unwrap();
        fs::write(folder.path().join("outside"), "secret").unwrap();
        (folder, app)
    }

    /// Returns the packed paths of an app after `change`, or the text of the refusal.
    fn paths(change: impl FnOnce(&Path)) -> Result<Vec<String>, String> {
        let (_folder, app) = app();
        change(&app);
        let files = files(&app).map_err(|error| error.to_string())?;
        for (path, real) in &files {
            assert_eq!(fs::read(app.join(path)).unwrap(), fs::read(real).unwrap());
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&Path), expected: &str) {
        let error = paths(change).unwrap_err();
        assert!(error.starts_with("cannot pack ") && error.contains(expected), "{error}");
    }

    #[test]
    fn a_link_within_the_app_is_packed_as_its_target() {
        let linked = paths(|app| {
            fs::create_dir(app.join("dist")).unwrap();
            fs::write(app.join("dist/app.js"), "1").unwrap();
            symlink("../dist", app.join("priv/assets")).unwrap();
            symlink("www/index.html", app.join("priv/start.html")).unwrap();
            symlink("www", app.join("priv/again")).unwrap();
        });
        let expected =
            ["priv/again/index.html", "priv/assets/app.js", "priv/start.html", "priv/www/index.html"];
        assert_eq!(linked.unwrap(), expected);
    }

    #[test]
    fn the_folder_itself_may_be_a_link_or_missing() {
        let linked = |app: &Path| {
            fs::rename(app.join("priv"), app.join("dist")).unwrap();
            symlink("dist", app.join("priv")).unwrap();
        };
        assert_eq!(paths(linked).unwrap(), ["priv/www/index.html"]);
        assert_eq!(paths(|app| fs::remove_dir_all(app.join("priv")).unwrap()).unwrap(), [""; 0]);
    }

    #[test]
    fn links_that_leave_the_app_lead_nowhere_or_in_circles_are_refused() {
        let link = |to: &'static str| move |app: &Path| symlink(to, app.join("priv/www/link")).unwrap();
        check_refused(link("../../../outside"), "/outside, outside of the app's folder; copy");
        check_refused(link("/dev/zero"), "it is a link to /dev/zero, outside of the app's folder");
        check_refused(link("/"), "it is a link to /, outside of the app's folder");
        check_refused(link("gone"), "it is a link to gone, which does not exist");
        check_refused(link("link"), "it is a link to link, which leads back to it");
        check_refused(link(".."), "this link leads to a folder that contains it");
        check_refused(link("../.."), "this link leads to a folder that contains it");
        let other = |app: &Path| {
            fs::remove_dir_all(app.join("priv")).unwrap();
            symlink("..", app.join("priv")).unwrap();
        };
        check_refused(other, "priv: it is a link to ");
    }

    #[test]
    fn links_to_folders_that_multiply_are_refused_before_they_fill_the_memory() {
        let multiply = |app: &Path| {
            for n in 0..40 {
                let folder = app.join(format!("priv/f{n}"));
                fs::create_dir(&folder).unwrap();
                for link in ["a", "b"] {
                    symlink(format!("../f{}", n + 1), folder.join(link)).unwrap();
                }
            }
            fs::create_dir(app.join("priv/f40")).unwrap();
        };
        check_refused(multiply, "more than 100000 files and folders");
    }

    #[test]
    fn special_files_are_refused_at_once() {
        let fifo = |app: &Path| {
            nix::unistd::mkfifo(&app.join("priv/pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        };
        check_refused(fifo, "priv/pipe: it is a FIFO; remove it from priv/");
        let socket = |app: &Path| drop(UnixListener::bind(app.join("priv/socket")).unwrap());
        check_refused(socket, "priv/socket: it is a socket; remove it from priv/");
        let to_fifo = |app: &Path| {
            nix::unistd::mkfifo(&app.join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
            symlink("../pipe", app.join("priv/link")).unwrap();
        };
        check_refused(to_fifo, "priv/link: it is a FIFO");
        let file = |app: &Path| {
            fs::remove_dir_all(app.join("priv")).unwrap();
            fs::write(app.join("priv"), "").unwrap();
        };
        check_refused(file, "priv: it is not a folder");
    }
}
