//! What is told while an order is carried out.

use reld_plan::Vsn;

use crate::lineup::ReplacedApp;

/// Something that happens while an order is carried out.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// Nothing stands in the way, and the node is about to change. Comes at most once for an order.
    Begins(Journey<'a>),
    /// A step is about to be done.
    Step(Progress<'a>),
    /// What was begun is taken back: the steps from here on lead there.
    GoesBack {
        /// The release that ran before.
        to: &'a Vsn,
    },
}

/// From where to where an order moves the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journey<'a> {
    /// The release that runs; `None` = the node is idle.
    pub from: Option<&'a Vsn>,
    /// The release that is to run.
    pub to: &'a Vsn,
    /// The app that is replaced in a release that stays.
    pub app: Option<&'a ReplacedApp>,
    /// Whether the way is a restart of the node.
    pub restarts: bool,
}

/// A step that is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The step of the script, counted from 1.
    pub step: usize,
    /// How many steps the script has.
    pub steps: usize,
    /// What is done.
    pub title: &'a str,
    /// Whether the switch is behind it, after which the other release runs.
    pub is_switched: bool,
}

/// Takes events. Called inside the pause too, so it must not wait then; at [`Event::Begins`] it may.
pub type Observer<'a> = &'a mut dyn FnMut(Event<'_>);
