//! A settling release is installed and watched. Then it is kept or taken back, or left uncommitted
//! if the daemon stops.

use std::time::Duration;

use super::ReleaseHandler;
use crate::error::Error;
use crate::event::{Event, Observer, Progress};
use crate::guard::guarded;
use crate::node::Node;
use crate::order::Ended;
use crate::report::{Outcome, Report};
use crate::settle::{Ends, Settle, Settling, Trip, Verdict};

/// The result of polling a settling release.
#[derive(Debug)]
pub enum Watched {
    /// The release still settles. The next poll is due after this time.
    Again(Duration),
    /// The release was kept, taken back or left. The value is the result of the order that
    /// installed the release.
    Ended(Result<Box<Report>, Error>),
}

/// The watch over a settling release, or its result until the result is fetched.
#[derive(Debug)]
pub(super) struct Watch {
    report: Report,
    /// `None` after the end of the watch.
    settling: Option<Settling>,
}

impl Watch {
    /// Ends the watch, and records its observations.
    fn end(&mut self, fault: Option<String>) {
        self.report.settled = self.settling.take().map(|settling| settling.end(fault));
    }
}

impl<N: Node> ReleaseHandler<N> {
    /// Returns the releases before and after the settling upgrade; `None` if no release settles.
    pub fn settling(&self) -> Option<Trip<'_>> {
        let watch = self.watch.as_ref().filter(|watch| watch.settling.is_some())?;
        Some(Trip { from: watch.report.from.as_ref(), to: &watch.report.to })
    }

    pub(super) fn begin_to_settle(&mut self, settle: Settle, report: Report, observer: Observer<'_>) {
        let settling = Settling::begin(settle);
        if let Some(title) = settling.title() {
            announce(&report, &title, observer);
        }
        self.watch = Some(Watch { report, settling: Some(settling) });
    }

    /// Polls the settling release, and acts on the decision. Returns `None` if no release settles.
    ///
    /// The caller polls after the time that the last poll returned, and after each order, because
    /// an order may have ended the settling.
    pub fn watch(&mut self, observer: Observer<'_>) -> Option<Watched> {
        let mut watch = self.watch.take()?;
        match guarded(|| self.judge(&mut watch, observer)) {
            Ok(Some(again)) => {
                self.watch = Some(watch);
                Some(Watched::Again(again))
            }
            Ok(None) => Some(Watched::Ended(Ok(Box::new(watch.report)))),
            Err(panic) => Some(Watched::Ended(Err(self.broken(panic)))),
        }
    }

    /// Keeps the settling release, takes it back, or waits on. Returns the time until the next
    /// poll; `None` if the release no longer settles.
    fn judge(&mut self, watch: &mut Watch, observer: Observer<'_>) -> Option<Duration> {
        let Watch { report, settling } = &mut *watch;
        let trip = Trip { from: report.from.as_ref(), to: &report.to };
        let ends = Ends { crashes: self.crashes(report), fallen: self.node.fallen() };
        let mut steps = |title: &str| announce(report, title, observer);
        let verdict = settling.as_mut()?.look(trip, self.interrupt.wish(), ends, &mut steps);
        match verdict {
            Verdict::Watch(again) => return Some(again),
            // `look` has started the probe.
            Verdict::Probe => return Some(Duration::ZERO),
            Verdict::Keep => {
                watch.end(None);
                self.commit(&mut watch.report);
            }
            Verdict::Leave => {
                watch.end(None);
                watch.report.commit_error =
                    Some("the daemon stops before the release has settled".to_owned());
            }
            Verdict::TakeBack(fault) => {
                watch.end(Some(fault.clone()));
                self.take_back(&fault, &mut watch.report, observer);
            }
        }
        tracing::info!(name: "release.settled", vsn = %watch.report.to, outcome = watch.report.outcome.name());
        None
    }

    /// Keeps the settling release, because an order requests it.
    pub(super) fn keep(&mut self) -> Result<Ended, Error> {
        let mut watch = self.watch.take().ok_or(Error::NothingToCommit)?;
        let before = self.releases().permanent().map(|release| release.version.clone());
        let committed = self.make_permanent(&watch.report.to);
        let vsn = watch.report.to.clone();
        if let Ok(warning) = &committed {
            watch.end(None);
            (watch.report.permanent, watch.report.changed) = (true, true);
            watch.report.warnings.extend(warning.clone());
        }
        // A release that cannot be committed continues to settle.
        self.watch = Some(watch);
        committed.map(|warning| Ended::Committed { vsn, before, warning })
    }

    /// Takes back the settling release, because an order requests it.
    pub(super) fn take_settling_back(&mut self, observer: Observer<'_>) -> Result<Ended, Error> {
        let mut watch = self.watch.take().ok_or(Error::NoPrevious { candidates: Vec::new() })?;
        let fault = "downgraded by the operator";
        watch.end(Some(fault.to_owned()));
        self.take_back(fault, &mut watch.report, observer);
        let answer = match &watch.report {
            Report { outcome: Outcome::TakenBack, way_back: Some(way_back), .. } => {
                let mut way_back = way_back.clone();
                if !way_back.permanent {
                    self.commit(&mut way_back);
                }
                way_back
            }
            failed => Box::new(failed.clone()),
        };
        self.watch = Some(watch);
        Ok(Ended::Moved(answer))
    }
}

/// Reports an activity that follows the last step of the script to the observer.
fn announce(report: &Report, title: &str, observer: Observer<'_>) {
    let step = report.steps.last().map_or(0, |step| step.step);
    tracing::info!(name: "release.install.step", vsn = %report.to, step, of = step, title, "step");
    observer(Event::Step(Progress { step, steps: step, title, is_switched: true }));
}
