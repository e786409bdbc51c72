//! The next state of the daemon.

/// The next state of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Keep serving.
    Serve,
    /// Stop.
    Stop,
    /// Stop, then execute the daemon again, which boots the permanent release.
    Restart,
    /// Stop with a failure: a permanent app ended, or the API cannot be served any longer. The
    /// service manager restarts the daemon.
    Fail,
}
