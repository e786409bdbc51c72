//! The choices of an order.

use std::time::Duration;

use reld_plan::Windows;

use crate::node::{OrphanPolicy, Unrest};
use crate::settle::CrashPolicy;

/// What the one who installs chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InstallOptions {
    /// What is done about processes outside every supervision tree.
    pub orphans: OrphanPolicy,
    /// What is done about members that do not come to rest in time.
    pub unrest: Unrest,
    /// How long each member may take to come to rest, whatever the script says. OTP: `suspend_timeout`.
    pub rest: Option<Duration>,
    /// How long the conversion of each state may take, in place of the handler's own limit. OTP:
    /// `code_change_timeout`.
    pub code_change: Option<Duration>,
    /// Whether it may go on from a release that is not committed.
    pub supersede: bool,
    /// Whether it may be a release of another name.
    pub rename: bool,
    /// Whether everything moves at once, or group by group.
    pub windows: Windows,
    /// What is done about crashes between two windows.
    pub crashes: CrashPolicy,
    /// Whether the release settles before it is kept, and may be taken back.
    pub settles: bool,
    /// Whether it goes without a way back: that is not tried then, and need not be there.
    pub one_way: bool,
}
