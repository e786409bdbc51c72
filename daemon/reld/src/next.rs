//! The next action of the daemon.

/// The next action of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Keep serving.
    Serve,
    /// Stop.
    Stop,
    /// Stop, then execute the daemon again. The new daemon boots the permanent release.
    Restart,
    /// Stop with a failure, so that the service manager restarts the daemon. A permanent app ended,
    /// or the API can no longer be served.
    Fail,
}
