//! The causes of failed steps, and their codes.

use reld_error_codes::ErrorCode;

use crate::children::Unexpected;
use crate::interrupt::Wish;
use crate::meeting::Unmet;
use crate::node::{Exited, NodeError};
use crate::process::{Listed, Process};
use crate::settle::crashed;

/// The cause of a failed step.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Unmet(#[from] Unmet),
    #[error("members at rest were not converted: {}", Listed(.0))]
    Unconverted(Vec<Process>),
    #[error("{0}")]
    Children(Unexpected),
    #[error("{0}")]
    Interrupted(Wish),
    #[error("{}", crashed(.0))]
    Crashed(Vec<Exited>),
    #[error("the node panicked: {0}; this is a bug of reld")]
    Panicked(String),
}

impl Cause {
    /// Returns the code of the cause.
    pub(super) const fn code(&self) -> ErrorCode {
        match self {
            Self::Node(error) => of_node(error),
            Self::Unmet(unmet) => unmet.code(),
            Self::Unconverted(_) => ErrorCode::Unconverted,
            Self::Children(_) => ErrorCode::Children,
            Self::Interrupted(_) => ErrorCode::Interrupted,
            Self::Crashed(_) => ErrorCode::Crashed,
            Self::Panicked(_) => ErrorCode::Bug,
        }
    }

    /// Returns the process that the cause concerns. Of several processes it is the first.
    pub(super) fn process(&self) -> Option<Process> {
        match self {
            Self::Node(
                NodeError::ChangeCode { process, .. }
                | NodeError::ChangeCodeTimedOut { process, .. }
                | NodeError::NoWayBack { process, .. },
            ) => Some((**process).clone()),
            Self::Node(NodeError::NotAtRest { processes, .. }) | Self::Unconverted(processes) => {
                processes.first().cloned()
            }
            Self::Children(Unexpected { supervisor, .. }) => Some(supervisor.clone()),
            Self::Crashed(crashes) => crashes.first().map(|exited| exited.process.clone()),
            Self::Node(_) | Self::Unmet(_) | Self::Interrupted(_) | Self::Panicked(_) => None,
        }
    }
}

const fn of_node(error: &NodeError) -> ErrorCode {
    match error {
        NodeError::Load { .. } | NodeError::Unload { .. } => ErrorCode::Library,
        NodeError::Stage { .. } => ErrorCode::NotLoaded,
        NodeError::StartApplication { .. } => ErrorCode::StartFailed,
        NodeError::StopApplication { .. } => ErrorCode::Timeout,
        NodeError::Apply { .. } => ErrorCode::Apply,
        NodeError::Call { .. } => ErrorCode::Call,
        NodeError::Successor { .. } => ErrorCode::OtherDaemon,
        NodeError::NotAtRest { .. } => ErrorCode::NotAtRest,
        NodeError::ChangeCode { .. } => ErrorCode::ChangeCode,
        NodeError::NoWayBack { .. } => ErrorCode::NoWayBack,
        NodeError::Configure { .. } => ErrorCode::ConfigChange,
        NodeError::Starved { .. } => ErrorCode::Starved,
        NodeError::GivenUp => ErrorCode::Interrupted,
        NodeError::ChangeCodeTimedOut { .. } => ErrorCode::ChangeCodeTimedOut,
    }
}
