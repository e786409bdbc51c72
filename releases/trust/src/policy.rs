//! `trust.toml`: the policy of a node.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use reld_plan::DocError;
use serde::{Deserialize, Serialize};

use crate::judge::{Fault, Verdict};
use crate::key::{BadKey, Key, KeyLine, Limits, check_name};
use crate::ring::Keys;

/// The largest file that is read, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// The policy of a node.
///
/// ```toml
/// require = "signed"
/// threshold = 1
///
/// [keys.ci]            # limits of keys.d/ci.pub
/// names = ["shop"]
/// not_after = 90
/// ```
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The required signatures.
    pub require: Require,
    /// The number of keys that have to sign.
    pub threshold: usize,
    /// The keys of the administrator.
    pub keys: Vec<Key>,
}

/// The place of a policy. It is read anew for each decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyFile {
    /// The file may be missing if the node has no keys; then nothing is required.
    Usual(PathBuf),
    /// The file has to exist, because the administrator has named it.
    Named(PathBuf),
}

/// The consequence of insufficient signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// None.
    #[default]
    Off,
    /// A warning.
    Warn,
    /// A refusal.
    Signed,
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Signed => "signed",
        })
    }
}

/// The reason why a policy cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file has a mistake.
    #[error("cannot read the policy of signatures: {0}")]
    Document(Box<DocError>),
    /// A key cannot be read.
    #[error("cannot use the key {path}: {fault}; replace or delete it", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: BadKey,
    },
    /// The file was named and does not exist.
    #[error("the policy of signatures {path} does not exist", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There are keys, but no policy.
    #[error(
        "the policy of signatures {path} does not exist, but the node has keys, in keys.d beside it or from releases; \
         write `require = \"signed\"` into it, or \"off\"",
        path = path.display()
    )]
    KeysAlone {
        /// The file.
        path: PathBuf,
    },
    /// Limits are set for a key without a file.
    #[error(
        "{path} limits the key {name}, but keys.d/{name}.pub does not exist; delete [keys.{name}] too",
        path = path.display()
    )]
    NoKey {
        /// The policy.
        path: PathBuf,
        /// The name of the key.
        name: String,
    },
    /// Two files have the same key.
    #[error(
        "{folder}: {first}.pub and {second}.pub are the same key; delete one of them",
        folder = folder.display(), first = names[0], second = names[1]
    )]
    Twice {
        /// The folder.
        folder: PathBuf,
        /// The names of the keys.
        names: [String; 2],
    },
    /// Other users can change a file.
    #[error("cannot trust {path}: other users can write it; run `chmod go-w {path}`", path = path.display())]
    Writable {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file belongs to another user.
    #[error(
        "cannot trust {path}: it belongs to user {owner}, and neither to root nor to the user of reld; run `chown root \
         {path}`",
        path = path.display()
    )]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// The operating system cannot read a file.
    #[error("cannot read {path}: {fault}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        fault: io::Error,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    require: Require,
    #[serde(default = "one")]
    threshold: NonZeroUsize,
    #[serde(default)]
    keys: BTreeMap<String, Limits>,
}

const fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

impl PolicyFile {
    /// Returns the path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Usual(path) | Self::Named(path) => path,
        }
    }

    /// Reads the policy and the keys in the folder `keys.d` beside it. `of_releases` are the other
    /// keys of the node.
    ///
    /// | file | keys.d and `of_releases` | policy |
    /// |---|---|---|
    /// | exists | | the one of the file |
    /// | missing, named | | error |
    /// | missing | have keys | error: a deleted policy must not open the node |
    /// | missing | have none | nothing is required |
    ///
    /// # Errors
    /// [`PolicyError`]. A node with such a policy has to refuse new releases.
    pub fn read(&self, of_releases: &Keys) -> Result<Policy, PolicyError> {
        match (text(self.path())?, self) {
            (Some(text), _) => Policy::parse(self.path(), &text),
            (None, Self::Named(path)) => Err(PolicyError::Missing { path: path.clone() }),
            (None, Self::Usual(path)) => {
                check_folder(path)?;
                if of_releases.is_empty() && keys(&keys_folder(path), &BTreeMap::new())?.is_empty() {
                    return Ok(Policy::default());
                }
                Err(PolicyError::KeysAlone { path: path.clone() })
            }
        }
    }
}

fn keys_folder(policy: &Path) -> PathBuf {
    policy.with_file_name("keys.d")
}

impl Policy {
    fn parse(path: &Path, text: &str) -> Result<Self, PolicyError> {
        let document = |error| PolicyError::Document(Box::new(error));
        let shown = path.display().to_string();
        let Document { require, threshold, keys: limits } =
            toml::from_str(text).map_err(|error| document(DocError::of_toml(&shown, text, &error)))?;
        let keys = keys(&keys_folder(path), &limits)?;
        match limits.into_keys().find(|name| keys.iter().all(|key| key.name != *name)) {
            Some(name) => Err(PolicyError::NoKey { path: path.to_owned(), name }),
            None => Ok(Self { require, threshold: threshold.get(), keys }),
        }
    }

    /// Returns the reason why this policy refuses a release with a verdict.
    pub fn refuses<'a>(&self, verdict: &'a Verdict) -> Option<&'a Fault> {
        verdict.fault.as_ref().filter(|_| self.require == Require::Signed)
    }

    /// Returns the warning about a release with a verdict.
    pub fn warns<'a>(&self, verdict: &'a Verdict) -> Option<&'a Fault> {
        verdict.fault.as_ref().filter(|_| self.require == Require::Warn)
    }
}

/// Reads the keys of a folder, sorted by name.
fn keys(folder: &Path, limits: &BTreeMap<String, Limits>) -> Result<Vec<Key>, PolicyError> {
    let io = |fault| PolicyError::Io { path: folder.to_owned(), fault };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_missing(folder, &error) => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    check_owner(folder)?;
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "pub") {
            keys.push(key(&path, limits)?);
        }
    }
    keys.sort_by(|one, two| one.name.cmp(&two.name));
    // With the limits of two files, a key would have those of the first one only.
    for (at, key) in keys.iter().enumerate() {
        if let Some(other) = keys[..at].iter().find(|other| other.id == key.id) {
            let names = [other, key].map(|key| key.name.clone());
            return Err(PolicyError::Twice { folder: folder.to_owned(), names });
        }
    }
    Ok(keys)
}

/// Reads a key; the name of its file is its name.
fn key(path: &Path, limits: &BTreeMap<String, Limits>) -> Result<Key, PolicyError> {
    let bad = |fault| PolicyError::Key { path: path.to_owned(), fault };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    check_name(&name).map_err(bad)?;
    let line = KeyLine::parse(&text(path)?.unwrap_or_default()).map_err(bad)?;
    Ok(line.with(&name, limits.get(&*name).cloned().unwrap_or_default()))
}

/// Reads a file; `None` if there is none.
fn text(path: &Path) -> Result<Option<String>, PolicyError> {
    let io = |fault| PolicyError::Io { path: path.to_owned(), fault };
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= SIZE_MAX => {}
        Ok(_) => return Err(io(io::Error::other("it is no plain file, or larger than 1 MiB"))),
        Err(error) if is_missing(path, &error) => return Ok(None),
        Err(error) => return Err(io(error)),
    }
    check_owner(path)?;
    fs::read_to_string(path).map(Some).map_err(io)
}

/// Returns whether there is no such file. A link to nothing on the way to it is a mistake of the
/// administrator.
fn is_missing(path: &Path, error: &io::Error) -> bool {
    let is_dangling = |place: &Path| place.is_symlink() && !place.exists();
    error.kind() == io::ErrorKind::NotFound && !path.ancestors().any(is_dangling)
}

/// Refuses the folder of a missing policy if other users can delete the policy.
fn check_folder(policy: &Path) -> Result<(), PolicyError> {
    let folder = folder_around(policy);
    match fs::metadata(folder) {
        Ok(found) => check_access(folder, found.mode(), found.uid(), geteuid().as_raw()),
        Err(error) if is_missing(folder, &error) => Ok(()),
        Err(fault) => Err(PolicyError::Io { path: folder.to_owned(), fault }),
    }
}

fn folder_around(place: &Path) -> &Path {
    match place.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    }
}

/// Refuses a file or folder that users other than root and the node's own can change, or replace in
/// the folder around it: they could add keys.
///
/// # Errors
/// [`PolicyError::Foreign`], [`PolicyError::Writable`] and [`PolicyError::Io`].
pub fn check_owner(path: &Path) -> Result<(), PolicyError> {
    let io = |fault| PolicyError::Io { path: path.to_owned(), fault };
    // A link can be replaced in its own folder, and its target in another one.
    let target = fs::canonicalize(path).map_err(io)?;
    for place in [path, folder_around(path), folder_around(&target)] {
        let found = fs::metadata(place).map_err(io)?;
        check_access(place, found.mode(), found.uid(), geteuid().as_raw())?;
    }
    Ok(())
}

fn check_access(path: &Path, mode: u32, owner: u32, own: u32) -> Result<(), PolicyError> {
    let path = path.to_owned();
    if ![0, own].contains(&owner) {
        return Err(PolicyError::Foreign { path, owner });
    }
    if mode & 0o022 == 0 { Ok(()) } else { Err(PolicyError::Writable { path }) }
}

#[cfg(test)]
mod tests;
