//! Events during an order.

use reld_plan::Vsn;

use crate::lineup::ReplacedApp;

/// An event during an order.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The check found no obstacles, and the node is about to change. This event occurs at most
    /// once per order.
    Begins(Journey<'a>),
    /// A step begins.
    Step(Progress<'a>),
    /// The move failed. The following steps lead back to the previous release.
    GoesBack {
        /// The release that ran before.
        to: &'a Vsn,
    },
}

/// The move of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journey<'a> {
    /// The running release; `None` if the node is idle.
    pub from: Option<&'a Vsn>,
    /// The release that is to run.
    pub to: &'a Vsn,
    /// The app to replace, if only one app of the running release changes.
    pub app: Option<&'a ReplacedApp>,
    /// Whether the node restarts into the release.
    pub restarts: bool,
}

/// A step that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The step of the script, counted from 1.
    pub step: usize,
    /// The number of steps of the script.
    pub steps: usize,
    /// The step as text.
    pub title: &'a str,
    /// Whether the last switch is done, so that the new release runs.
    pub is_switched: bool,
}

/// A callback for events. It is also called inside the pause, so it must not wait, except in
/// [`Event::Begins`].
pub type Observer<'a> = &'a mut dyn FnMut(Event<'_>);
