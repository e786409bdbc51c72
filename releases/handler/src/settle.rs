//! Whether a release that was just installed is kept: restarts are watched for a while, then a probe is asked.
//!
//! ```text
//! install --> [ watch for the window ] --> [ probe, once ] --> keep (commit)
//!                 | crash, abort, downgrade    | failed
//!                 +----------------------------+---------> take back (a downgrade by the ordinary road)
//! ```
//!
//! A settling release is a state, not a call: its owner looks at it again and again, and does other things between.
//!
//! OTP has the status for it (`current`: a restart goes back) and leaves the watching to people.

use std::time::{Duration, Instant};

use reld_plan::{AppName, Vsn};
use serde::Serialize;

use crate::interrupt::Wish;
use crate::node::Exited;
use crate::process::Listed;

/// How often crashes and the probe are looked at. Going back waits no longer than this for its reason.
const LOOK: Duration = Duration::from_millis(50);

/// How long and how a release is watched before it is committed. The default commits at once.
#[derive(Default)]
pub struct Settle {
    /// How long crashes are watched.
    pub window: Duration,
    /// Started once, when the window is over: a release is given time to warm up before it is judged.
    pub probe: Option<Probe>,
    /// What a crash means.
    pub crashes: CrashPolicy,
}

/// What is done about a process of the release that crashes in new code before the release is kept: between two windows
/// of an upgrade, or while it settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrashPolicy {
    /// The first one takes the release back.
    #[default]
    TakeBack,
    /// It is told, and its supervisor acts as always.
    Ignore,
}

impl CrashPolicy {
    /// Returns the crashes that take a release back.
    pub(crate) fn counting(self, crashes: &[Exited]) -> &[Exited] {
        match self {
            Self::TakeBack => crashes,
            Self::Ignore => &[],
        }
    }
}

/// Starts to find out, from outside, whether a release does what it should.
pub type Probe = Box<dyn FnOnce(Trip<'_>) -> Box<dyn Probing> + Send + Sync>;

/// A probe that was started. Dropping it ends it.
pub trait Probing: Send {
    /// Returns the finding, once there is one. Does not wait.
    fn finding(&mut self) -> Option<Probed>;
}

/// From which release the node came to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip<'a> {
    /// `None`: it was idle.
    pub from: Option<&'a Vsn>,
    /// What runs now.
    pub to: &'a Vsn,
}

/// The finding of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// Why the release is bad; `None` = it is good.
    pub fault: Option<String>,
    /// The last lines of what it wrote.
    pub output: Vec<String>,
}

/// What was seen of a release before it was kept or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Settled {
    /// For how long, the probe included, in microseconds.
    pub duration_us: u64,
    /// Who crashed.
    pub crashes: Vec<Exited>,
    /// What the probe said, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probed>,
    /// Why the release was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Settle {
    /// Says whether there is anything to wait for.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.window.is_zero() || self.probe.is_some()
    }
}

impl std::fmt::Debug for Settle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settle").field("window", &self.window).field("probe", &self.probe.is_some()).finish()
    }
}

/// Who has ended since the release was installed.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Processes that crashed.
    pub(crate) crashes: Vec<Exited>,
    /// Apps that the node cannot be without, and why they ended.
    pub(crate) fallen: Vec<(AppName, String)>,
}

/// What is known at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen<'a> {
    wish: Option<Wish>,
    crashes: &'a [Exited],
    /// Apps that the node cannot be without and that have ended, and why.
    fallen: &'a [(AppName, String)],
    /// What is left of the window.
    left: Duration,
    probe: ProbeState<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbeState<'a> {
    /// There is none to ask, or it found nothing wrong.
    Content,
    ToAsk,
    Asked,
    Failed(&'a str),
}

/// What is to be done about a settling release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is watched on.
    Watch(Duration),
    /// The probe is to be started.
    Probe,
    /// It is committed.
    Keep,
    /// It stays current, since the daemon stops.
    Leave,
    /// It is taken back.
    TakeBack(String),
}

/// Decides. The first line that fits counts:
///
/// | wish | crashes | window | probe | verdict |
/// |---|---|---|---|---|
/// | stop | | | | leave: what ends now ends by the stop |
/// | abort | | | | take back |
/// | | some that count, or the end of an app that ends the node | | | take back |
/// | | | not over | | watch |
/// | | | over | to ask | probe |
/// | | | over | asked | watch |
/// | | | over | failed | take back |
/// | | | over | content | keep |
fn decide(seen: &Seen<'_>) -> Verdict {
    let fault = [crashed(seen.crashes), fallen(seen.fallen)];
    let fault = fault.into_iter().filter(|fault| !fault.is_empty()).collect::<Vec<_>>().join("; ");
    match (seen.wish, seen.probe) {
        (Some(Wish::Stop), _) => Verdict::Leave,
        (Some(wish @ Wish::Abort), _) => Verdict::TakeBack(wish.to_string()),
        (None, _) if !fault.is_empty() => Verdict::TakeBack(fault),
        (None, _) if !seen.left.is_zero() => Verdict::Watch(seen.left.min(LOOK)),
        (None, ProbeState::ToAsk) => Verdict::Probe,
        (None, ProbeState::Asked) => Verdict::Watch(LOOK),
        (None, ProbeState::Failed(fault)) => Verdict::TakeBack(fault.to_owned()),
        (None, ProbeState::Content) => Verdict::Keep,
    }
}

/// Says which apps have ended that the node cannot be without.
fn fallen(apps: &[(AppName, String)]) -> String {
    let ended = |(app, reason): &(AppName, String)| format!("app {app} ended: {reason}");
    apps.iter().map(ended).collect::<Vec<_>>().join("; ")
}

/// Says who crashed.
pub(crate) fn crashed(crashes: &[Exited]) -> String {
    let [first, more @ ..] = crashes else { return String::new() };
    let more: Vec<_> = more.iter().map(|exited| exited.process.clone()).collect();
    let others = if more.is_empty() { String::new() } else { format!("; then {}", Listed(&more)) };
    format!("{} crashed: {}{others}", first.process, first.reason)
}

/// A release that settles: how it is watched, and what was seen so far.
pub(crate) struct Settling {
    settle: Settle,
    begin: Instant,
    probing: Option<Box<dyn Probing>>,
    settled: Settled,
}

impl Settling {
    /// Begins to watch.
    pub(crate) fn begin(settle: Settle) -> Self {
        Self { settle, begin: Instant::now(), probing: None, settled: Settled::default() }
    }

    /// Returns what is watched, for people.
    pub(crate) fn title(&self) -> Option<String> {
        let window = self.settle.window;
        (!window.is_zero()).then(|| format!("settle for {window:?}"))
    }

    /// Looks, and says what is to be done. A probe that is due is started.
    pub(crate) fn look(
        &mut self,
        trip: Trip<'_>,
        wish: Option<Wish>,
        ends: Ends,
        tell: &mut dyn FnMut(&str),
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
                tell("probe");
                self.probing = self.settle.probe.take().map(|probe| probe(trip));
                Verdict::Watch(LOOK)
            }
            verdict => verdict,
        }
    }

    fn probe(&self) -> ProbeState<'_> {
        match &self.settled.probe {
            _ if self.settle.probe.is_some() => ProbeState::ToAsk,
            _ if self.probing.is_some() => ProbeState::Asked,
            Some(Probed { fault: Some(fault), .. }) => ProbeState::Failed(fault),
            None | Some(_) => ProbeState::Content,
        }
    }

    /// Ends the watch, and returns what was seen. A probe that still runs is ended.
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
    fn every_line_of_the_table() {
        use ProbeState::{Asked, Content, Failed, ToAsk};
        let one = [crash(7)];
        let both = [crash(7), crash(8)];
        check(Some(Wish::Stop), &one, 5, Failed("exit 1"), Verdict::Leave);
        check(Some(Wish::Abort), &one, 0, Content, take_back("aborted by the operator"));
        check(None, &one, 5, ToAsk, take_back("<7.1> (shop:counter) crashed: panicked"));
        let then = "<7.1> (shop:counter) crashed: panicked; then <8.1> (shop:counter)";
        check(None, &both, 0, Content, take_back(then));
        check(None, &[], 5, ToAsk, Verdict::Watch(LOOK));
        check(None, &[], 0, ToAsk, Verdict::Probe);
        check(None, &[], 0, Asked, Verdict::Watch(LOOK));
        check(None, &[], 0, Failed("exit 1"), take_back("exit 1"));
        check(None, &[], 0, Content, Verdict::Keep);
    }

    #[test]
    fn the_end_of_an_app_that_would_end_the_node_takes_the_release_back_first() {
        let fallen = [("shop".parse().unwrap(), "shutdown".to_owned())];
        let one = [crash(7)];
        let seen = |wish, crashes| {
            let left = Duration::from_secs(5);
            decide(&Seen { wish, crashes, fallen: &fallen, left, probe: ProbeState::ToAsk })
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
