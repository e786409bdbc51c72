//! The client of a connection, and its rights.

use std::fmt::{self, Display};

use reld_api::{ErrorCode, ErrorReport, Method};
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
}
