//! The client of a connection, and its rights.

use std::fmt::{self, Display};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use reld_api::{ErrorCode, ErrorReport, Method};
use reld_handler::{Keys, PolicyFile, Require};
use tokio::net::UnixStream;

/// The client at the other end of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peer {
    pub(super) uid: Option<u32>,
}

impl Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uid {
            Some(uid) => write!(f, "user {uid}"),
            None => f.write_str("an unknown user"),
        }
    }
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> Self {
        Self { uid: stream.peer_cred().ok().map(|credentials| credentials.uid()) }
    }

    /// Refuses a request that the client has no right to make.
    pub(super) fn may(self, method: Method, path: &'static str) -> Result<(), ErrorReport> {
        let own = nix::unistd::geteuid().as_raw();
        match (method, self.uid) {
            (Method::Get | Method::Watch, _) => Ok(()),
            (_, Some(uid)) if uid == own || uid == 0 => {
                tracing::info!(name: "api.change", path, uid, "request that may change the node");
                Ok(())
            }
            _ => {
                let message =
                    format!("{self} may not use {path}: only user {own} and root may change the node");
                Err(ErrorReport::refused(ErrorCode::Forbidden, message))
            }
        }
    }

    /// Refuses to pass by a policy of signatures, unless the client could change the policy.
    pub(super) fn may_pass_by(self, policy: &Path) -> Result<(), ErrorReport> {
        let owner = fs::metadata(policy).map(|found| found.uid()).ok();
        if self.is_root_or(owner) {
            return Ok(());
        }
        let path = policy.display();
        let message =
            format!("{self} may not pass by the policy of signatures: only root and the owner of {path} may");
        Err(ErrorReport::refused(ErrorCode::Forbidden, message))
    }

    /// Refuses another name for the running release where the policy requires signatures, unless
    /// the client could change the policy: the floor is one of a name.
    pub(super) fn may_rename(self, policy: &Path) -> Result<(), ErrorReport> {
        match PolicyFile::Usual(policy.to_owned()).read(&Keys::default()) {
            Ok(read) if read.require != Require::Signed => Ok(()),
            _ => self.may_pass_by(policy),
        }
    }

    /// Without a policy there is no owner, and nothing to pass by.
    fn is_root_or(self, owner: Option<u32>) -> bool {
        self.uid == Some(0) || owner.is_none_or(|owner| self.uid == Some(owner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_may_read_and_only_the_daemons_user_and_root_may_change() {
        let own = nix::unistd::geteuid().as_raw();
        let other = own.wrapping_add(1).max(1);
        let may = |uid, method| Peer { uid }.may(method, "/processes/kill").is_ok();
        for uid in [Some(own), Some(0), Some(other), None] {
            assert!(may(uid, Method::Get) && may(uid, Method::Watch), "{uid:?} reads");
            for method in [Method::Post, Method::Upload, Method::Follow] {
                assert_eq!(may(uid, method), uid == Some(own) || uid == Some(0), "{uid:?} changes");
            }
        }
        let refusal = Peer { uid: Some(other) }.may(Method::Post, "/processes/kill").unwrap_err();
        assert_eq!(refusal.kind, "forbidden");
        assert!(refusal.message.contains(&format!("user {other} may not use")), "{}", refusal.message);
    }
    #[test]
    fn only_root_and_the_owner_of_the_policy_pass_by_it() {
        let may = |uid, owner| Peer { uid }.is_root_or(owner);
        assert!(may(Some(0), Some(990)) && may(Some(990), Some(990)));
        assert!(!may(Some(990), Some(0)), "the daemon's own user is not the owner of root's policy");
        assert!(!may(None, Some(0)));
        assert!(may(Some(990), None), "there is no policy");

        let own = nix::unistd::geteuid().as_raw();
        let (other, folder) = (Peer { uid: Some(own.wrapping_add(1)) }, tempfile::tempdir().unwrap());
        let policy = folder.path().join("trust.toml");
        assert!(other.may_pass_by(&policy).is_ok());
        fs::write(&policy, "").unwrap();
        assert!(Peer { uid: Some(own) }.may_pass_by(&policy).is_ok());
        let refusal = other.may_pass_by(&policy).unwrap_err();
        assert_eq!(refusal.kind, "forbidden");
    }
    #[test]
    fn another_name_passes_by_a_policy_that_requires_signatures() {
        let own = nix::unistd::geteuid().as_raw();
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("trust.toml");
        let may = |uid| Peer { uid: Some(uid) }.may_rename(&policy).is_ok();
        assert!(may(own.wrapping_add(1)), "there is no policy");
        for (require, other_may) in [("signed", false), ("sigend", false), ("warn", true), ("off", true)] {
            fs::write(&policy, format!("require = \"{require}\"")).unwrap();
            assert!(may(own), "{require}");
            assert_eq!(may(own.wrapping_add(1)), other_may, "{require}");
        }
    }
}
