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
    PolicyFile::Usual(path).read(&Keys::default())
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
fn a_threshold_of_no_keys_is_a_mistake() {
    refused("require = \"signed\"\nthreshold = 0\n", KEY, 0o644, "trust.toml:2:13");
}

#[test]
fn without_a_file_and_without_keys_nothing_is_required_unless_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trust.toml");
    let words = |file: PolicyFile| {
        file.read(&Keys::default()).map(|policy| policy.require).map_err(|error| error.to_string())
    };
    assert_eq!(words(PolicyFile::Usual(path.clone())), Ok(Require::Off));
    assert!(words(PolicyFile::Named(path.clone())).unwrap_err().ends_with("does not exist"));
    let keys = folder.path().join("keys.d");
    fs::create_dir(&keys).unwrap();
    assert_eq!(words(PolicyFile::Usual(path.clone())), Ok(Require::Off));
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    assert!(words(PolicyFile::Usual(path.clone())).unwrap_err().contains("cannot read"));
    fs::remove_file(&path).unwrap();
    fs::write(keys.join("ci.pub"), KEY).unwrap();
    let words = words(PolicyFile::Usual(path)).unwrap_err();
    assert!(words.contains("but the node has keys"), "{words}");
}

#[test]
fn a_missing_policy_requires_nothing_only_where_no_other_user_could_have_deleted_it() {
    let place = tempfile::tempdir().unwrap();
    let [folder, link] = ["etc", "link"].map(|name| place.path().join(name));
    let read = |folder: &Path| {
        let policy = PolicyFile::Usual(folder.join("trust.toml")).read(&Keys::default());
        policy.map(|policy| policy.require).map_err(|error| error.to_string())
    };
    assert_eq!(read(&folder), Ok(Require::Off), "neither the folder exists");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    assert!(read(&link).unwrap_err().contains("cannot read"), "the link leads to nothing");
    fs::create_dir(&folder).unwrap();
    assert_eq!(read(&link), Ok(Require::Off));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    for folder in [&folder, &link] {
        assert!(read(folder).unwrap_err().contains("chmod go-w"));
    }
}

#[test]
fn a_policy_that_cannot_be_trusted_is_an_error() {
    refused("require = \"sined\"", KEY, 0o644, "trust.toml:1:11: ");
    refused("require = \"warn\"\nrequires = 1", KEY, 0o644, "unknown field `requires`");
    refused(
        "require = \"warn\"\n[keys.cj]",
        KEY,
        0o644,
        "keys.d/cj.pub does not exist; delete [keys.cj] too",
    );
    refused("require = \"warn\"", "RW", 0o644, "ci.pub: it is no public key");
    refused("require = \"warn\"", KEY, 0o666, "chmod go-w");
}

#[test]
fn a_policy_that_another_user_can_change_or_replace_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let [path, link, elsewhere] =
        ["trust.toml", "link.toml", "elsewhere"].map(|name| folder.path().join(name));
    fs::write(&path, "require = \"signed\"").unwrap();
    let open = |folder: &Path, mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    let read = |path: &Path| {
        PolicyFile::Named(path.to_owned()).read(&Keys::default()).map(drop).map_err(|error| error.to_string())
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
    let file = PolicyFile::Usual(folder.path().join("trust.toml"));
    let read = || file.read(&Keys::default()).unwrap_err().to_string();
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
