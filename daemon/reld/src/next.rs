//! How the daemon's life goes on.

/// How the daemon's life goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It serves.
    Serve,
    /// It stops.
    Stop,
    /// It stops and executes itself again, into the permanent release.
    Restart,
    /// It stops and fails: an application ended that it cannot be without, or it can serve no more.
    /// Whoever watches the daemon starts it again.
    Fail,
}
