//! A place that has a tarball, and one reading of it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::body::{Body, NotOpened};
use crate::error::Error;
use crate::http;

/// A place that has a tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file that the daemon can read, such as one in a shared folder.
    File(PathBuf),
    /// A file of an http or https server.
    Http(String),
}

impl Source {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`Error::Scheme`].
    pub fn parse(url: &str) -> Result<Self, Error> {
        match url.split_once("://") {
            Some(("http" | "https", rest)) if !rest.is_empty() => Ok(Self::Http(url.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::File(path.into())),
            _ => Err(Error::Scheme { url: url.to_owned() }),
        }
    }

    /// Returns the part of a URL that may be logged. The query of a presigned URL is a secret.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(path) => format!("file://{}", path.display()),
            Self::Http(url) => without_secrets(url),
        }
    }

    /// Opens the source at a position, if the version of the file still has this mark, or else at
    /// its beginning.
    pub(crate) fn open(&self, from: u64, tag: Option<&str>) -> Result<Body, NotOpened> {
        match self {
            Self::Http(url) => http::open(url, from, tag).map_err(|error| error.of(&self.shown())),
            Self::File(path) => {
                let open = || {
                    // A pipe or a device would wait for ever, even in `open`.
                    if !fs::metadata(path)?.is_file() {
                        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
                    }
                    let mut file = File::open(path)?;
                    let now = mark(&file.metadata()?);
                    let from = if tag == Some(&*now) { from } else { 0 };
                    file.seek(SeekFrom::Start(from))?;
                    Ok(Body { from, tag: Some(now), content: Box::new(file) })
                };
                open().map_err(|source| NotOpened::Refused(Error::io(path)(source)))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// Returns the mark of a version of a file.
fn mark(facts: &fs::Metadata) -> String {
    format!("{} {} {}.{}", facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec())
}

/// Cuts the user, the password and the query out of a URL.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    format!("{scheme}://{server}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_a_server_and_nothing_else() {
        assert_eq!(Source::parse("file:///srv/a.tar.gz").ok(), Some(Source::File("/srv/a.tar.gz".into())));
        for url in ["http://h/a", "https://h:8443/a?x=1"] {
            assert_eq!(Source::parse(url).ok(), Some(Source::Http(url.to_owned())));
        }
        for url in ["ftp://h/a", "s3://b/a", "file://a", "https://", "a.tar.gz", ""] {
            assert!(Source::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_pipe_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe, folder.path().to_owned()] {
            assert!(matches!(Source::File(path).open(0, None), Err(NotOpened::Refused(_))));
        }
    }

    #[test]
    fn a_shown_url_has_no_secret() {
        let url = "https://user:word@h:1/r/a.tar.gz?X-Amz-Signature=beef#x";
        assert_eq!(Source::parse(url).ok().unwrap().to_string(), "https://h:1/r/a.tar.gz");
    }
}
