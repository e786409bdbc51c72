//! The origin of a step in a script.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::name::{AppName, ModuleName};
use crate::version::Vsn;

/// All causes of a step, each once.
///
/// The list is shared, because all steps of a large group have the same long list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reason(Arc<Vec<Cause>>);

/// One cause of a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// An instruction of the app's appup.
    Appup(AppName),
    /// An instruction of the release's `relup.toml`.
    Relup,
    /// The app is only in the target release.
    AddedApplication(AppName),
    /// The app is only in the source release.
    RemovedApplication(AppName),
    /// The library of a module without an instruction is replaced, so the module is loaded too.
    Implied {
        /// The module.
        module: ModuleName,
        /// The replaced library's app.
        app: AppName,
        /// The version that replaces it.
        vsn: Vsn,
    },
    /// The app's version changes.
    Replaced {
        /// The app.
        app: AppName,
        /// The source version.
        from: Vsn,
        /// The target version.
        to: Vsn,
    },
    /// The releases name different daemons.
    DaemonChanged,
    /// The operator requested a restart.
    RestartAsked,
    /// The switch, which every script has.
    PointOfNoReturn,
    /// The node boots this release.
    Boot,
}

impl Reason {
    /// Returns the causes, in the order in which they were added.
    pub fn causes(&self) -> &[Cause] {
        &self.0
    }

    /// Returns whether the two have a cause in common.
    pub(crate) fn shares_cause(&self, other: &Self) -> bool {
        self.0.iter().any(|cause| other.0.contains(cause))
    }

    /// Returns whether the only cause is a hand-written script for the whole release.
    pub(crate) fn is_relup(&self) -> bool {
        self.0[..] == [Cause::Relup]
    }

    /// Adds the missing causes of another reason.
    pub(crate) fn join(&mut self, other: &Self) {
        if !Arc::ptr_eq(&self.0, &other.0) {
            *self = Self::joined([&*self, other]);
        }
    }

    pub(crate) fn joined<'a>(reasons: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut known = BTreeSet::new();
        let causes =
            reasons.into_iter().flat_map(|reason| reason.0.iter()).filter(|cause| known.insert(*cause));
        Self(Arc::new(causes.cloned().collect()))
    }
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Self {
        Self(Arc::new(vec![cause]))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let causes: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&causes.join(", "))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appup(app) => write!(f, "appup of {app}"),
            Self::Relup => f.write_str("relup"),
            Self::AddedApplication(app) => write!(f, "{app} is added"),
            Self::RemovedApplication(app) => write!(f, "{app} is removed"),
            Self::Implied { module, app, vsn } => {
                write!(f, "implied: module {module} of replaced library {app}-{vsn} has no instruction")
            }
            Self::Replaced { app, from, to } => write!(f, "{app} goes from {from} to {to}"),
            Self::DaemonChanged => f.write_str("the releases name different daemons"),
            Self::RestartAsked => f.write_str("a restart was requested"),
            Self::PointOfNoReturn => f.write_str("the point of no return"),
            Self::Boot => f.write_str("boot"),
        }
    }
}
