//! The options of an order.

use std::time::Duration;

use reld_plan::Windows;

use crate::node::{OrphanPolicy, Unrest};
use crate::settle::CrashPolicy;

/// The options of an install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InstallOptions {
    /// The policy for processes outside every supervision tree.
    pub orphans: OrphanPolicy,
    /// The policy for members that do not come to rest in time.
    pub unrest: Unrest,
    /// The time limit for each member to come to rest; it overrides the script. OTP:
    /// `suspend_timeout`.
    pub rest: Option<Duration>,
    /// The time limit for the conversion of each state; it overrides the limit of the handler. OTP:
    /// `code_change_timeout`.
    pub code_change: Option<Duration>,
    /// Whether the running release may be uncommitted.
    pub supersede: bool,
    /// Whether the new release may have another name.
    pub rename: bool,
    /// Whether all modules are replaced at once, or group by group.
    pub windows: Windows,
    /// The reaction to crashes between two windows.
    pub crashes: CrashPolicy,
    /// Whether the release settles before it is kept, so that it may be taken back.
    pub settles: bool,
    /// Whether the upgrade is one-way: a way back is neither required nor tried.
    pub one_way: bool,
    /// Whether the node goes back to a release, or an app by hand, that ran before the failure. The
    /// policy of signatures has no say then: it may have changed meanwhile.
    pub goes_back: bool,
    /// Whether a release that was permanent before is judged by the policy of signatures and the
    /// floor, as one that is new to the node.
    pub as_new: bool,
    /// Whether an app by hand is accepted although the node requires signatures.
    pub unsigned: bool,
}
