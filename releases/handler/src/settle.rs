//! Settling: decides whether a release that was just installed is kept. Crashes are watched for a
//! while, then a probe runs.
//!
//! ```text
//! install --> [ watch for the window ] --> [ probe, once ] --> keep (commit)
//!                 | crash, abort, downgrade    | failed
//!                 +----------------------------+---------> take back (an ordinary downgrade)
//! ```
//!
//! Settling does not block: the owner of a [`Settling`] polls it, and does other work in between.
//!
//! OTP only has the status `current`, from which a restart goes back, and leaves the watching to
//! the operator.

use std::time::{Duration, Instant};

use reld_plan::{AppName, Vsn};
use serde::Serialize;

use crate::interrupt::Wish;
use crate::node::Exited;
use crate::process::Listed;

/// The polling interval for crashes and the probe. A fault is noticed after this time at the
/// latest.
const LOOK: Duration = Duration::from_millis(50);

/// How a release is watched before it is committed. The default commits at once.
#[derive(Default)]
pub struct Settle {
    /// The time for which crashes are watched.
    pub window: Duration,
    /// The probe. It starts once, after the window, so that the release has time to warm up.
    pub probe: Option<Probe>,
    /// The reaction to a crash.
    pub crashes: CrashPolicy,
}

/// The reaction to a process that crashes in new code before the release is kept: between two
/// windows of an upgrade, or while the release settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrashPolicy {
    /// The first crash makes the node take the release back.
    #[default]
    TakeBack,
    /// Crashes are reported, and supervisors act as always.
    Ignore,
}

impl CrashPolicy {
    /// Returns the crashes for which a release is taken back.
    pub(crate) fn counting(self, crashes: &[Exited]) -> &[Exited] {
        match self {
            Self::TakeBack => crashes,
            Self::Ignore => &[],
        }
    }
}

/// Starts a test, outside the node, of whether a release works.
pub type Probe = Box<dyn FnOnce(Trip<'_>) -> Box<dyn Probing> + Send + Sync>;

/// A running probe. Dropping it ends it.
pub trait Probing: Send {
    /// Returns the finding if the probe has ended. Does not wait.
    fn finding(&mut self) -> Option<Probed>;
}

/// The two releases of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip<'a> {
    /// The release that ran before; `None` if the node was idle.
    pub from: Option<&'a Vsn>,
    /// The running release.
    pub to: &'a Vsn,
}

/// The finding of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// Why the release is bad; `None` if it is good.
    pub fault: Option<String>,
    /// The last lines of the probe's output.
    pub output: Vec<String>,
}

/// The observations on a release before it was kept or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Settled {
    /// The duration of the watch, including the probe, in microseconds.
    pub duration_us: u64,
    /// Processes that crashed.
    pub crashes: Vec<Exited>,
    /// The finding of the probe, if it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probed>,
    /// Why the release was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Settle {
    /// Returns whether a release has to settle before it is committed.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.window.is_zero() || self.probe.is_some()
    }
}

impl std::fmt::Debug for Settle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settle").field("window", &self.window).field("probe", &self.probe.is_some()).finish()
    }
}

/// The processes and apps that have ended since the release was installed.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Processes that crashed.
    pub(crate) crashes: Vec<Exited>,
    /// Apps that ended and take the node down with them, each with the reason.
    pub(crate) fallen: Vec<(AppName, String)>,
}

/// The observations at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen<'a> {
    wish: Option<Wish>,
    crashes: &'a [Exited],
    /// Apps that ended and take the node down with them, each with the reason.
    fallen: &'a [(AppName, String)],
    /// The remaining time of the window.
    left: Duration,
    probe: ProbeState<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbeState<'a> {
    /// There is no probe, or it found no fault.
    Passed,
    Due,
    Running,
    Failed(&'a str),
}

/// The decision on a settling release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The release is watched for this time, then it is polled again.
    Watch(Duration),
    /// The probe starts.
    Probe,
    /// The release is committed.
    Keep,
    /// The release stays current, because the daemon stops.
    Leave,
    /// The release is taken back, for this reason.
    TakeBack(String),
}

/// Decides by the first matching row:
///
/// | wish | crashes | window | probe | verdict |
/// |---|---|---|---|---|
/// | stop | | | | leave: exits are now caused by the stop |
/// | abort | | | | take back |
/// | | some that count, or an app ended that takes the node down | | | take back |
/// | | | not over | | watch |
/// | | | over | due | probe |
/// | | | over | running | watch |
/// | | | over | failed | take back |
/// | | | over | passed, or none | keep |
fn decide(seen: &Seen<'_>) -> Verdict {
    let fault = [crashed(seen.crashes), fallen(seen.fallen)];
    let fault = fault.into_iter().filter(|fault| !fault.is_empty()).collect::<Vec<_>>().join("; ");
    match (seen.wish, seen.probe) {
        (Some(Wish::Stop), _) => Verdict::Leave,
        (Some(wish @ Wish::Abort), _) => Verdict::TakeBack(wish.to_string()),
        (None, _) if !fault.is_empty() => Verdict::TakeBack(fault),
        (None, _) if !seen.left.is_zero() => Verdict::Watch(seen.left.min(LOOK)),
        (None, ProbeState::Due) => Verdict::Probe,
        (None, ProbeState::Running) => Verdict::Watch(LOOK),
        (None, ProbeState::Failed(fault)) => Verdict::TakeBack(fault.to_owned()),
        (None, ProbeState::Passed) => Verdict::Keep,
    }
}

/// Returns the text for apps that ended and take the node down.
fn fallen(apps: &[(AppName, String)]) -> String {
    let ended = |(app, reason): &(AppName, String)| format!("app {app} ended: {reason}");
    apps.iter().map(ended).collect::<Vec<_>>().join("; ")
}

/// Returns the text for crashed processes.
pub(crate) fn crashed(crashes: &[Exited]) -> String {
    let [first, more @ ..] = crashes else { return String::new() };
    let more: Vec<_> = more.iter().map(|exited| exited.process.clone()).collect();
    let others = if more.is_empty() { String::new() } else { format!("; then {}", Listed(&more)) };
    format!("{} crashed: {}{others}", first.process, first.reason)
}

/// The watch over a settling release, with the observations so far.
pub(crate) struct Settling {
    settle: Settle,
    begin: Instant,
    probing: Option<Box<dyn Probing>>,
    settled: Settled,
}

impl Settling {
    /// Begins the watch.
    pub(crate) fn begin(settle: Settle) -> Self {
        Self { settle, begin: Instant::now(), probing: None, settled: Settled::default() }
    }

    /// Returns the title of the watch for reports.
    pub(crate) fn title(&self) -> Option<String> {
        let window = self.settle.window;
        (!window.is_zero()).then(|| format!("settle for {window:?}"))
    }

    /// Polls the release and decides. Starts the probe when it is due, and passes its title to
    /// `announce`.
    pub(crate) fn look(
        &mut self,
        trip: Trip<'_>,
        wish: Option<Wish>,
        ends: Ends,
        announce: &mut dyn FnMut(&str),
    ) -> Verdict {
        if let Some(finding) = self.probing.as_mut().and_then(|probing| probing.finding()) {
            self.settled.probe = Some(finding);
            self.probing = None;
        }
        self.settled.crashes = ends.crashes;
        let seen = Seen {
            wish,
            crashes: self.settle.crashes.counting(&self.settled.crashes),
            fallen: &ends.fallen,
            left: self.settle.window.saturating_sub(self.begin.elapsed()),
            probe: self.probe(),
        };
        match decide(&seen) {
            Verdict::Probe => {
                announce("probe");
                self.probing = self.settle.probe.take().map(|probe| probe(trip));
                Verdict::Watch(LOOK)
            }
            verdict => verdict,
        }
    }

    fn probe(&self) -> ProbeState<'_> {
        match &self.settled.probe {
            _ if self.settle.probe.is_some() => ProbeState::Due,
            _ if self.probing.is_some() => ProbeState::Running,
            Some(Probed { fault: Some(fault), .. }) => ProbeState::Failed(fault),
            None | Some(_) => ProbeState::Passed,
        }
    }

    /// Ends the watch and a running probe, and returns the observations.
    pub(crate) fn end(self, fault: Option<String>) -> Settled {
        let duration_us = self.begin.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        Settled { duration_us, fault, ..self.settled }
    }
}

impl std::fmt::Debug for Settling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settling").field("settle", &self.settle).field("settled", &self.settled).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Pid, Process};

    fn crash(slot: u32) -> Exited {
        let pid = Pid { slot, generation: 1 };
        let process =
            Process { pid, name: None, module: "counter".parse().unwrap(), app: "shop".parse().unwrap() };
        Exited { process, reason: "panicked".to_owned() }
    }

    fn take_back(fault: &str) -> Verdict {
        Verdict::TakeBack(fault.to_owned())
    }

    #[track_caller]
    fn check(wish: Option<Wish>, crashes: &[Exited], left_s: u64, probe: ProbeState<'_>, expected: Verdict) {
        let seen = Seen { wish, crashes, fallen: &[], left: Duration::from_secs(left_s), probe };
        assert_eq!(decide(&seen), expected);
    }

    #[test]
    fn every_row_of_the_table() {
        use ProbeState::{Due, Failed, Passed, Running};
        let one = [crash(7)];
        let both = [crash(7), crash(8)];
        check(Some(Wish::Stop), &one, 5, Failed("exit 1"), Verdict::Leave);
        check(Some(Wish::Abort), &one, 0, Passed, take_back("aborted by the operator"));
        check(None, &one, 5, Due, take_back("<7.1> (shop:counter) crashed: panicked"));
        let then = "<7.1> (shop:counter) crashed: panicked; then <8.1> (shop:counter)";
        check(None, &both, 0, Passed, take_back(then));
        check(None, &[], 5, Due, Verdict::Watch(LOOK));
        check(None, &[], 0, Due, Verdict::Probe);
        check(None, &[], 0, Running, Verdict::Watch(LOOK));
        check(None, &[], 0, Failed("exit 1"), take_back("exit 1"));
        check(None, &[], 0, Passed, Verdict::Keep);
    }

    #[test]
    fn the_end_of_an_app_that_would_end_the_node_takes_the_release_back_first() {
        let fallen = [("shop".parse().unwrap(), "shutdown".to_owned())];
        let one = [crash(7)];
        let seen = |wish, crashes| {
            let left = Duration::from_secs(5);
            decide(&Seen { wish, crashes, fallen: &fallen, left, probe: ProbeState::Due })
        };
        assert_eq!(seen(None, &[]), take_back("app shop ended: shutdown"));
        let both = "<7.1> (shop:counter) crashed: panicked; app shop ended: shutdown";
        assert_eq!(seen(None, &one), take_back(both));
        assert_eq!(seen(Some(Wish::Stop), &[]), Verdict::Leave);
    }

    #[test]
    fn a_crash_that_is_to_be_ignored_does_not_count() {
        let one = [crash(7)];
        assert_eq!(CrashPolicy::TakeBack.counting(&one), one);
        assert_eq!(CrashPolicy::Ignore.counting(&one), []);
    }
}
