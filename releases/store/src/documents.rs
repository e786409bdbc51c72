//! Reads the documents of a release: from a node, from a tarball, or during an unpack.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use reld_plan::{AppDocs, AppupFile, Config, Layers, Rel, RelApp, Release, RelupFile, Schemas, Vsn};
use reld_trust::{KEYS, KeyChange};

use crate::error::Error;
use crate::layout::{self, Root};
use crate::manifest::Manifest;
use crate::package::Tarball;

/// All documents of one release. Each document matches the app or release in its path.
#[derive(Debug, Clone, PartialEq)]
pub struct Documents {
    /// The `release.toml` and `relup.toml`, and the `app.toml`, `appup.toml` and `schema.json` of
    /// every app, which fit together.
    pub release: Release,
    /// The configuration: the release's `config.toml`, and that of the node where there is one.
    pub config: Layers,
    /// `keys.toml`; empty if there is none.
    pub keys: KeyChange,
}

/// Reads the documents of a release on a node. No lock is needed, because this only reads.
///
/// # Errors
/// [`Error::NoDocument`], [`Error::OtherDocument`], [`Error::Document`], [`Error::Release`] and
/// [`Error::Io`].
pub fn docs(root: &Root, vsn: &Vsn) -> Result<Documents, Error> {
    read(&Folder(root.path()), vsn)
}

/// Reads only the configuration of a release on a node.
///
/// # Errors
/// [`Error::Document`] and [`Error::Io`].
pub(crate) fn config(root: &Root, vsn: &Vsn) -> Result<Config, Error> {
    read_config(&Folder(root.path()), vsn)
}

/// Reads the manifest and the documents of a tarball, and verifies the whole tarball.
///
/// # Errors
/// [`Error::Tarball`], and those of [`docs`]. [`Error::NoDocument`] if the tarball leaves out an
/// app: planning with it needs a node that has the app.
pub fn docs_of_tarball(tarball: &Path) -> Result<(Manifest, Documents), Error> {
    let manifest = Tarball::open(tarball)?.head()?.manifest;
    let mut texts = BTreeMap::new();
    Tarball::open(tarball)?.files(&manifest, |file, content| {
        if is_document(&file.path) {
            texts.insert(file.path.clone(), text(bounded(content)?, &tarball.join(&file.path))?);
            Ok(())
        } else {
            io::copy(content, &mut io::sink())?;
            Ok(())
        }
    })?;
    let documents = read(&Carried { tarball, texts }, &manifest.version)?;
    Ok((manifest, documents))
}

/// Reads the documents of any tarball by their paths, and nothing else. Any tool may have made the
/// tarball, and nothing is verified. The texts are sufficient for planning, but not for an install.
///
/// # Errors
/// [`Error::Tarball`], [`Error::NotText`] and [`Error::Io`].
pub fn texts_of_tarball(tarball: &Path) -> Result<BTreeMap<String, String>, Error> {
    let mut texts = BTreeMap::new();
    Tarball::open(tarball)?.plain_files(|path, content| {
        if is_document(path) {
            texts.insert(path.to_owned(), text(bounded(content)?, &tarball.join(path))?);
        }
        Ok(())
    })?;
    Ok(texts)
}

/// The largest document that is read, in bytes.
const DOCUMENT_SIZE_MAX: u64 = 16 << 20;

fn is_document(path: &str) -> bool {
    let is_named = path.ends_with(".toml") || path.ends_with("/schema.json");
    is_named && path.split('/').count() == 3
}

pub(crate) trait Texts {
    /// Returns the text of a document below the root, with its path for messages.
    fn find(&self, path: &str) -> Result<(PathBuf, Option<String>), Error>;
}

/// A folder laid out like a root.
struct Folder<'a>(&'a Path);

impl Texts for Folder<'_> {
    fn find(&self, path: &str) -> Result<(PathBuf, Option<String>), Error> {
        let full = self.0.join(path);
        let text = text_of_file(&full, &full)?;
        Ok((full, text))
    }
}

/// The documents of a staged tarball. Documents of apps that the tarball leaves out come from the
/// root, and no others: the root may have a release of the same version, whose place this one
/// takes. Messages use the paths in the tarball.
pub(crate) struct Staged<'a> {
    pub(crate) staged: &'a Path,
    pub(crate) root: &'a Path,
    pub(crate) manifest: &'a Manifest,
}

impl Texts for Staged<'_> {
    fn find(&self, path: &str) -> Result<(PathBuf, Option<String>), Error> {
        let shown = PathBuf::from(path);
        let is_left_out = self.manifest.file(path).is_some_and(|file| file.not_carried);
        let folder = if is_left_out { self.root } else { self.staged };
        let text = text_of_file(&folder.join(path), &shown)?;
        Ok((shown, text))
    }
}

/// Reads a document that must exist.
pub(crate) fn text_of(path: &Path) -> Result<String, Error> {
    text_of_file(path, path)?.ok_or_else(|| Error::NoDocument { path: path.to_owned() })
}

/// Reads a document; `None` if there is none.
///
/// The file must be a regular file of limited size, or a link to one, because reading other files
/// may never end.
pub(crate) fn text_of_file(file: &Path, shown: &Path) -> Result<Option<String>, Error> {
    // Without `O_NONBLOCK`, opening a FIFO without a writer would block.
    let opened = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(file);
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound && !file.is_symlink() => return Ok(None),
        Err(e) => return Err(Error::io("read", shown)(e)),
    };
    if !file.metadata().map_err(Error::io("read", shown))?.is_file() {
        return Err(Error::NotPlain { path: shown.to_owned() });
    }
    let bytes = bounded(file).map_err(Error::io("read", shown))?;
    text(bytes, shown).map(Some)
}

/// Reads at most one byte more than the size limit of documents.
fn bounded(content: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    content.take(DOCUMENT_SIZE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>, shown: &Path) -> Result<String, Error> {
    if bytes.len() as u64 > DOCUMENT_SIZE_MAX {
        return Err(Error::TooLong { path: shown.to_owned(), max: DOCUMENT_SIZE_MAX });
    }
    String::from_utf8(bytes).map_err(|_| Error::NotText { path: shown.to_owned() })
}

/// The texts of the documents in a tarball.
struct Carried<'a> {
    tarball: &'a Path,
    texts: BTreeMap<String, String>,
}

impl Texts for Carried<'_> {
    fn find(&self, path: &str) -> Result<(PathBuf, Option<String>), Error> {
        Ok((self.tarball.join(path), self.texts.get(path).cloned()))
    }
}

pub(crate) fn read(texts: &dyn Texts, vsn: &Vsn) -> Result<Documents, Error> {
    let folder = layout::release_dir(vsn);
    let (path, rel) = required(texts, &format!("{folder}/release.toml"))?;
    let rel = Rel::parse(&path.to_string_lossy(), &rel)?;
    expect(&path, &format!("release {vsn}"), &format!("release {}", rel.version))?;
    let apps = rel.apps.iter().map(|app| read_app(texts, app)).collect::<Result<Vec<_>, _>>()?;
    let config = Layers { release: read_config(texts, vsn)?, ..Layers::default() };
    let keys = match texts.find(&format!("{folder}/{KEYS}"))? {
        (path, Some(text)) => KeyChange::parse(&path.to_string_lossy(), &text)?,
        (_, None) => KeyChange::default(),
    };
    let release = Release::new(rel, apps)?;
    let release = match texts.find(&format!("{folder}/relup.toml"))? {
        (path, Some(text)) => release.with_relup(parse_relup(&path, &text, vsn)?),
        (_, None) => release,
    };
    Ok(Documents { release, config, keys })
}

/// Reads the `config.toml` of a release; empty if there is none.
fn read_config(texts: &dyn Texts, vsn: &Vsn) -> Result<Config, Error> {
    match texts.find(&format!("{}/config.toml", layout::release_dir(vsn)))? {
        (path, Some(text)) => Ok(Config::parse(&path.to_string_lossy(), &text)?),
        (_, None) => Ok(Config::default()),
    }
}

pub(crate) fn parse_relup(path: &Path, text: &str, vsn: &Vsn) -> Result<RelupFile, Error> {
    let relup = RelupFile::parse(&path.to_string_lossy(), text)?;
    expect(path, &format!("release {vsn}"), &format!("release {}", relup.version))?;
    Ok(relup)
}

/// Reads a `schema.json`. An invalid file counts as empty, because a release runs without schemas.
fn schemas(texts: &dyn Texts, app: &RelApp) -> Result<Schemas, Error> {
    let (path, text) = texts.find(&layout::schemas(&app.name, &app.version))?;
    let schemas = text.and_then(|text| Schemas::parse(&path.to_string_lossy(), &text).ok());
    Ok(schemas.unwrap_or_default())
}

fn read_app(texts: &dyn Texts, app: &RelApp) -> Result<AppDocs, Error> {
    let folder = layout::app_dir(&app.name, &app.version);
    let (path, text) = required(texts, &format!("{folder}/app.toml"))?;
    let (appup_path, appup) = texts.find(&format!("{folder}/appup.toml"))?;
    let (shown, appup_shown) = (path.to_string_lossy(), appup_path.to_string_lossy());
    let docs = AppDocs::parse((&shown, &text), appup.as_deref().map(|text| (&*appup_shown, text)))?;
    let expected = format!("{} {}", app.name, app.version);
    expect(&path, &expected, &format!("{} {}", docs.app.name, docs.app.version))?;
    if let AppupFile::Found(appup) = &docs.appup {
        expect(&appup_path, &expected, &format!("{} {}", appup.app, appup.version))?;
    }
    Ok(docs.with_schemas(schemas(texts, app)?))
}

fn required(texts: &dyn Texts, path: &str) -> Result<(PathBuf, String), Error> {
    match texts.find(path)? {
        (path, Some(text)) => Ok((path, text)),
        (path, None) => Err(Error::NoDocument { path }),
    }
}

/// Refuses a document that describes another app or release than its path.
pub(crate) fn expect(path: &Path, expected: &str, found: &str) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::OtherDocument {
        path: path.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixture::{self, RawEntry, raw};

    #[test]
    fn the_documents_of_a_foreign_tarball_are_read_by_their_paths() {
        let folder = tempfile::tempdir().unwrap();
        let tarball = folder.path().join("by_hand.tar.gz");
        let of_kind = |path: &str, kind: u8| RawEntry { kind, ..raw(path, "") };
        let entries = [
            of_kind("./", b'5'),
            of_kind("./lib/a-1.0.0/", b'5'),
            raw("./lib/a-1.0.0/app.toml", "name"),
            raw("./lib/a-1.0.0/a.so", "code"),
            raw("./lib/a-1.0.0/priv/deep.toml", "not a document"),
            of_kind("lib/a-1.0.0/appup.toml", b'2'),
            raw("releases/1.0.0/release.toml", "version"),
        ];
        fs::write(&tarball, fixture::raw_tarball(&entries)).unwrap();
        let expected = [("lib/a-1.0.0/app.toml", "name"), ("releases/1.0.0/release.toml", "version")];
        let expected = expected.map(|(path, text)| (path.to_owned(), text.to_owned()));
        assert_eq!(texts_of_tarball(&tarball).unwrap(), BTreeMap::from(expected));
    }

    #[test]
    fn a_file_that_is_not_a_tarball_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tarball = folder.path().join("no.tar.gz");
        fs::write(&tarball, "no tarball").unwrap();
        let error = texts_of_tarball(&tarball).unwrap_err();
        assert!(matches!(error, Error::Tarball { .. }), "{error:?}");
    }
}
