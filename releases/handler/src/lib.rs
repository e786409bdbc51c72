//! The release handler: carries out a script on a node as a transaction.
//!
//! An upgrade ends in one of three ways: *installed*; *rolled back*, with code and states exactly
//! as before; or, only if the rollback itself failed, *needs restart*. The handler accesses a node
//! only through [`Node`], so tests can simulate every failure on a fake node; it must not depend on
//! the runtime, the loader or the API.
//!
//! ```text
//! store (status table, documents) --> check --> plan (script) --> program --> saga (forward, back) --> Node
//! ```
//!
//! ```no_run
//! use reld_handler::{End, Ended, InstallOptions, Limits, Node, Order, Platform, ReleaseHandler, Settle, Store};
//!
//! fn upgrade(node: impl Node, platform: Platform) -> Result<(), reld_handler::Error> {
//!     let store = Store::open("/var/lib/reld")?;
//!     let mut handler = ReleaseHandler::new(node, store, platform, Limits::default());
//!     handler.boot(&mut |_| ())?;
//!     let to = handler.unpack("shop-1.1.0.tar.gz".as_ref())?.release.version;
//!     let end = End::Commit(Settle::default());
//!     let order = Order::Upgrade { to, options: InstallOptions::default(), end };
//!     if let Ended::Moved(report) = handler.carry_out(order, &mut |_| ())? {
//!         println!("{report}");
//!     }
//!     Ok(())
//! }
//! ```

mod action;
mod back;
mod boot;
mod candidate;
mod check;
mod children;
mod configure;
mod error;
mod event;
mod foresight;
mod guard;
mod handler;
mod interrupt;
mod limits;
mod lineup;
mod material;
mod meeting;
mod node;
mod options;
mod order;
mod process;
mod program;
mod refusal;
mod rehearsal;
mod renamed;
mod report;
pub mod requirements;
mod saga;
mod settle;
mod step;
mod trial;
mod unconfirmed;

#[cfg(test)]
mod boot_test;
#[cfg(test)]
mod check_test;
#[cfg(test)]
mod configuring_test;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod handler_test;
#[cfg(test)]
mod lineup_test;
#[cfg(test)]
mod meeting_test;
#[cfg(test)]
mod restart_test;
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
mod site;
#[cfg(test)]
mod trust_test;
#[cfg(test)]
mod windows_test;

pub use check::Check;
pub use configure::{ChangedApp, Configure, Configured};
pub use error::{AsBefore, Error, Obstacle};
pub use event::{Event, Journey, Observer, Progress};
pub use foresight::Foresight;
pub use handler::{Checker, ReleaseHandler, Watched};
pub use interrupt::{Interrupt, Wish};
pub use limits::Limits;
pub use lineup::{ReplacedApp, SingleApp};
pub use meeting::{Joined, Meeting, MeetingReport, Meetings, Unmet, Verdict};
pub use node::{
    AppSpec, ChangedChildren, Child, Coming, Comparison, Conversion, Converted, Exited, Foreseen,
    ForeseenChildren, ForeseenRefusal, Gate, Held, Idle, Image, LeavingChild, Library, Lingerer, Look,
    Member, Node, NodeError, OldCode, OrphanPolicy, Outsider, OutsiderKind, Passage, Pause, Precopied,
    Purged, Raised, Refusable, Resident, Slot, Staged, Staging, StateChange, Switched, Tried, Unrest,
};
pub use order::{End, Ended, Order};
pub use process::{Pid, Process};
// Types of the lower crates that users of this crate need.
pub use back::Need;
pub use options::InstallOptions;
pub use reld_plan::{
    AppName, Apply, Behaviours, BuiltIn, Config, ConfigEdit, Dropped, Layers, MemberChange, Mode, ModuleName,
    Origin, PurgeMethod, Script, StartPhase, StartType, Step, Vsn, Windows,
};
pub use reld_store::{
    Abi, GaveWay, History, KnownApp, KnownRelease, Platform, Refusal, Removal, Status, StatusTable, Store,
    UnpackOptions, Unpacked,
};
pub use reld_trust::{Key, Keys, PolicyFile, Require, check_owner};
pub use report::{Failure, NotTried, Outcome, Report, StepReport, Trial, WindowReport};
pub use settle::{CrashPolicy, Probe, Probed, Probing, Settle, Settled, Trip};
