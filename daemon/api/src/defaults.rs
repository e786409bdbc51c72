//! The folder and the socket of a node if no option names them.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use nix::unistd::geteuid;

/// The places of a user's node, the same for the daemon and its clients:
///
/// | user | root | socket |
/// |---|---|---|
/// | root | `/var/lib/reld` | `/run/reld/reld.sock` |
/// | another | `$XDG_STATE_HOME/reld` | `$XDG_RUNTIME_DIR/reld/reld.sock` |
///
/// `RELD_SOCKET` overrides the socket for every user. The other variables count only if they hold
/// an absolute path, as the XDG specification demands. Without `XDG_STATE_HOME` the folder is
/// `~/.local/state/reld`, and without `XDG_RUNTIME_DIR` the socket is `reld.sock` in that folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// The folder of the node.
    pub root: PathBuf,
    /// The socket of the control API.
    pub socket: PathBuf,
}

impl Defaults {
    /// Returns the places of the user that runs this program.
    pub fn of_user() -> Self {
        Self::of(geteuid().is_root(), |name| env::var_os(name))
    }

    fn of(is_root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let places = if is_root { None } else { Self::of_plain_user(&variable) };
        let places = places.unwrap_or_else(Self::of_system);
        let named = variable("RELD_SOCKET").filter(|path| !path.is_empty());
        Self { socket: named.map_or(places.socket, PathBuf::from), root: places.root }
    }

    fn of_system() -> Self {
        Self { root: "/var/lib/reld".into(), socket: "/run/reld/reld.sock".into() }
    }

    /// Returns `None` for a user without a home.
    fn of_plain_user(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
        let root = state.join("reld");
        let run = folder("XDG_RUNTIME_DIR").map_or_else(|| root.clone(), |run| run.join("reld"));
        Some(Self { root, socket: run.join("reld.sock") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(is_root: bool, variables: &[(&str, &str)], root: &str, socket: &str) {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let expected = Defaults { root: root.into(), socket: socket.into() };
        assert_eq!(Defaults::of(is_root, variable), expected);
    }

    #[test]
    fn a_plain_users_node_is_in_the_users_own_folders() {
        let (state, home, run) = (("XDG_STATE_HOME", "/s"), ("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"));
        check(false, &[state, home, run], "/s/reld", "/r/reld/reld.sock");
        check(false, &[home, run], "/h/.local/state/reld", "/r/reld/reld.sock");
        check(false, &[state], "/s/reld", "/s/reld/reld.sock");
        let relative = [("XDG_STATE_HOME", "s"), home, ("XDG_RUNTIME_DIR", "")];
        check(false, &relative, "/h/.local/state/reld", "/h/.local/state/reld/reld.sock");
        check(true, &[state, home, run], "/var/lib/reld", "/run/reld/reld.sock");
        check(false, &[run], "/var/lib/reld", "/run/reld/reld.sock");
    }

    #[test]
    fn reld_socket_overrides_the_socket_of_every_user() {
        let named = ("RELD_SOCKET", "n/socket");
        check(true, &[named], "/var/lib/reld", "n/socket");
        check(false, &[named, ("HOME", "/h")], "/h/.local/state/reld", "n/socket");
        check(false, &[("RELD_SOCKET", "")], "/var/lib/reld", "/run/reld/reld.sock");
    }
}
