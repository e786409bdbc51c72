//! The release handler: carries a script out on a node as a transaction.
//!
//! It promises that an upgrade ends in one of three ways: *installed*; *rolled back*, code and state exactly as before;
//! or, only where a rollback itself failed, *needs restart*. It knows a node only through [`Node`], so that every
//! failure can be played on a fake one; it must not know runtime, loader or API.
//!
//! ```text
//! store (status table, documents) --> check --> plan (script) --> program --> saga (forward, back) --> Node
//! ```
//!
//! ```no_run
//! use reld_handler::{InstallOptions, Limits, Node, Platform, ReleaseHandler, Store, Target};
//!
//! fn upgrade(node: impl Node, platform: Platform) -> Result<(), reld_handler::Error> {
//!     let store = Store::open("/var/lib/reld")?;
//!     let mut handler = ReleaseHandler::new(node, store, platform, Limits::default());
//!     handler.boot(&mut |_| ())?;
//!     let target = Target::Tarball("shop-1.1.0.tar.gz".into());
//!     let report = handler.upgrade(&target, InstallOptions::default(), &mut |_| ())?;
//!     println!("{report}");
//!     Ok(())
//! }
//! ```

mod boot;
mod check;
mod children;
mod error;
mod foresight;
mod handler;
mod interrupt;
mod lineup;
mod node;
mod process;
mod program;
mod rehearsal;
mod renamed;
mod report;
pub mod requirements;
mod saga;
mod settle;
mod step;
mod unconfirmed;

#[cfg(test)]
mod boot_test;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod handler_test;
#[cfg(test)]
mod lineup_test;
#[cfg(test)]
mod saga_call_test;
#[cfg(test)]
mod saga_pair_test;
#[cfg(test)]
mod saga_property;
#[cfg(test)]
mod saga_test;
#[cfg(test)]
mod settle_test;
#[cfg(test)]
mod windows_test;

pub use check::Check;
pub use error::{Error, NodeError, Obstacle};
pub use handler::{ReleaseHandler, Target};
pub use interrupt::{Interrupt, Wish};
pub use lineup::{ReplacedApp, SingleApp};
pub use node::{
    AppSpec, ChangedChildren, Child, Coming, Comparison, Conversion, Converted, Exited, Foreseen,
    ForeseenChildren, ForeseenRefusal, Gate, Image, LeavingChild, Library, Lingerer, Look, Member, Node,
    OldCode, OrphanPolicy, Outsider, OutsiderKind, Pause, Precopied, Purged, Raised, Refusable, Resident,
    Slot, Staging, StateChange, Unrest,
};
pub use process::{Pid, Process};
// The words of the crates below that a user of this one needs.
pub use program::InstallOptions;
pub use reld_plan::{
    AppName, Apply, Behaviours, BuiltIn, MemberChange, Mode, ModuleName, PurgeMethod, Script, StartPhase,
    StartType, Step, Vsn, Windows,
};
pub use reld_store::{
    Abi, GaveWay, History, KnownRelease, Platform, Refusal, Status, StatusTable, Store, Unpacked,
};
pub use report::{Failure, Outcome, Report, StepReport, WindowReport};
pub use saga::{Limits, Progress};
pub use settle::{CrashPolicy, Probe, Probed, Settle, Settled, Trip};
