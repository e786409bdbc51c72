//! `trust.toml`: the policy of a node.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use reld_plan::DocError;
use serde::{Deserialize, Serialize};

use crate::judge::{Fault, Verdict};
use crate::key::{BadKey, Key, KeyLine, Limits, check_name};

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
    /// The file may be missing if the folder `keys.d` beside it has no keys; then nothing is
    /// required.
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
    Document(#[source] Box<DocError>),
    /// A key cannot be read.
    #[error("cannot use the key {path}: {source}; replace or delete it", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: BadKey,
    },
    /// The file was named and does not exist.
    #[error("the policy of signatures {path} does not exist", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There are keys, but no policy.
    #[error(
        "the policy of signatures {path} does not exist, but keys.d beside it has keys; write `require = \"signed\"` \
         into it, or \"off\"",
        path = path.display()
    )]
    KeysAlone {
        /// The file.
        path: PathBuf,
    },
    /// Limits are set for a key without a file.
    #[error("{path} limits the key {name}, but keys.d/{name}.pub does not exist", path = path.display())]
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
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    require: Require,
    #[serde(default = "one")]
    threshold: usize,
    #[serde(default)]
    keys: BTreeMap<String, Limits>,
}

const fn one() -> usize {
    1
}

impl PolicyFile {
    /// Returns the path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Usual(path) | Self::Named(path) => path,
        }
    }

    /// Reads the policy and the keys in the folder `keys.d` beside it.
    ///
    /// | file | keys.d | policy |
    /// |---|---|---|
    /// | exists | | the one of the file |
    /// | missing, named | | error |
    /// | missing | has keys | error: a deleted policy must not open the node |
    /// | missing | has none, or is missing | nothing is required |
    ///
    /// # Errors
    /// [`PolicyError`]. A node with such a policy has to refuse new releases.
    pub fn read(&self) -> Result<Policy, PolicyError> {
        match (text(self.path())?, self) {
            (Some(text), _) => Policy::parse(self.path(), &text),
            (None, Self::Named(path)) => Err(PolicyError::Missing { path: path.clone() }),
            (None, Self::Usual(path)) if keys(&keys_folder(path), &BTreeMap::new())?.is_empty() => {
                Ok(Policy::default())
            }
            (None, Self::Usual(path)) => Err(PolicyError::KeysAlone { path: path.clone() }),
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
            None => Ok(Self { require, threshold: threshold.max(1), keys }),
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
    let io = |source| PolicyError::Io { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
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
    let bad = |source| PolicyError::Key { path: path.to_owned(), source };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    check_name(&name).map_err(bad)?;
    let line = KeyLine::parse(&text(path)?.unwrap_or_default()).map_err(bad)?;
    Ok(line.with(&name, limits.get(&*name).cloned().unwrap_or_default()))
}

/// Reads a file; `None` if there is none.
fn text(path: &Path) -> Result<Option<String>, PolicyError> {
    let io = |source| PolicyError::Io { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= SIZE_MAX => {}
        Ok(_) => return Err(io(io::Error::other("it is no plain file, or larger than 1 MiB"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    }
    check_owner(path)?;
    fs::read_to_string(path).map(Some).map_err(io)
}

/// Refuses a file or folder that users other than root and the node's own can change, or replace in
/// the folder around it: they could add keys.
fn check_owner(path: &Path) -> Result<(), PolicyError> {
    let io = |source| PolicyError::Io { path: path.to_owned(), source };
    // A link can be replaced in its own folder, and its target in another one.
    let target = fs::canonicalize(path).map_err(io)?;
    let around = [path, &target].map(|place| match place.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    });
    for place in [path].into_iter().chain(around) {
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
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    /// Writes a policy and a key with an access mode, and reads the policy.
    fn read(policy: &str, key: &str, mode: u32) -> Result<Policy, PolicyError> {
        let folder = tempfile::tempdir().unwrap();
        let [path, keys] = ["trust.toml", "keys.d"].map(|name| folder.path().join(name));
        fs::create_dir(&keys).unwrap();
        fs::write(&path, policy).unwrap();
        fs::write(keys.join("ci.pub"), key).unwrap();
        fs::write(keys.join("README"), "no key").unwrap();
        fs::set_permissions(keys.join("ci.pub"), fs::Permissions::from_mode(mode)).unwrap();
        PolicyFile::Usual(path).read()
    }

    #[track_caller]
    fn refused(policy: &str, key: &str, mode: u32, part: &str) {
        let words = read(policy, key, mode).unwrap_err().to_string();
        assert!(words.contains(part), "{words}");
    }

    #[test]
    fn a_policy_has_the_keys_of_its_folder_with_their_limits() {
        let policy = "require = \"signed\"\n[keys.ci]\nnames = [\"shop\"]\nnot_after = 9\n";
        let policy = read(policy, KEY, 0o644).unwrap();
        assert_eq!((policy.require, policy.threshold), (Require::Signed, 1));
        assert_eq!(policy.keys.len(), 1);
        assert_eq!((policy.keys[0].name.as_str(), policy.keys[0].limits.not_after), ("ci", Some(9)));
    }

    #[test]
    fn without_a_file_and_without_keys_nothing_is_required_unless_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust.toml");
        let words =
            |file: PolicyFile| file.read().map(|policy| policy.require).map_err(|error| error.to_string());
        assert_eq!(words(PolicyFile::Usual(path.clone())), Ok(Require::Off));
        assert!(words(PolicyFile::Named(path.clone())).unwrap_err().ends_with("does not exist"));
        let keys = folder.path().join("keys.d");
        fs::create_dir(&keys).unwrap();
        assert_eq!(words(PolicyFile::Usual(path.clone())), Ok(Require::Off));
        fs::write(keys.join("ci.pub"), KEY).unwrap();
        let words = words(PolicyFile::Usual(path)).unwrap_err();
        assert!(words.contains("but keys.d beside it has keys"), "{words}");
    }

    #[test]
    fn a_policy_that_cannot_be_trusted_is_an_error() {
        refused("require = \"sined\"", KEY, 0o644, "trust.toml:1:11: ");
        refused("require = \"warn\"\nrequires = 1", KEY, 0o644, "unknown field `requires`");
        refused("require = \"warn\"\n[keys.cj]", KEY, 0o644, "keys.d/cj.pub does not exist");
        refused("require = \"warn\"", "RW", 0o644, "ci.pub: it is no public key");
        refused("require = \"warn\"", KEY, 0o666, "chmod go-w");
    }

    #[test]
    fn a_policy_that_another_user_can_change_or_replace_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link, elsewhere] =
            ["trust.toml", "link.toml", "elsewhere"].map(|name| folder.path().join(name));
        fs::write(&path, "require = \"signed\"").unwrap();
        let open =
            |folder: &Path, mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        let read = |path: &Path| {
            PolicyFile::Named(path.to_owned()).read().map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(read(&path), Ok(()));
        open(folder.path(), 0o777);
        assert!(read(&path).unwrap_err().contains("chmod go-w"));
        open(folder.path(), 0o700);

        // The target of a link is in a folder that others can write.
        fs::create_dir(&elsewhere).unwrap();
        fs::rename(&path, elsewhere.join("trust.toml")).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("trust.toml"), &link).unwrap();
        assert_eq!(read(&link), Ok(()));
        open(&elsewhere, 0o777);
        assert!(read(&link).unwrap_err().contains("elsewhere: other users can write it"));
    }

    #[test]
    fn a_key_has_one_file_with_a_plain_name() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.d");
        let read = || PolicyFile::Usual(folder.path().join("trust.toml")).read().unwrap_err().to_string();
        fs::create_dir(&keys).unwrap();
        fs::write(folder.path().join("trust.toml"), "require = \"signed\"\n[keys.ci]\nnames = [\"shop\"]")
            .unwrap();
        fs::write(keys.join("ci.pub"), KEY).unwrap();
        fs::write(keys.join("again.pub"), format!("untrusted comment: the same key\n{KEY}\n")).unwrap();
        assert!(read().contains("again.pub and ci.pub are the same key"), "{}", read());
        fs::rename(keys.join("again.pub"), keys.join("c i.pub")).unwrap();
        assert!(read().contains("cannot be the name of a key"), "{}", read());
    }

    #[test]
    fn a_policy_belongs_to_root_or_to_the_user_of_the_node() {
        let path = Path::new("/etc/reld/trust.toml");
        let access = |mode, owner| check_access(path, mode, owner, 990).map_err(|error| error.to_string());
        assert_eq!(access(0o644, 0), Ok(()));
        assert_eq!(access(0o600, 990), Ok(()));
        assert!(access(0o644, 1000).unwrap_err().contains("it belongs to user 1000"));
        assert!(access(0o664, 0).unwrap_err().contains("chmod go-w"));
    }
}
