//! A release that settles: installed, watched, and then kept, taken back, or left as it is where the daemon stops.

use std::time::Duration;

use super::ReleaseHandler;
use crate::error::Error;
use crate::event::{Event, Observer, Progress};
use crate::guard::guarded;
use crate::node::Node;
use crate::order::Ended;
use crate::report::{Outcome, Report};
use crate::settle::{Ends, Settle, Settling, Trip, Verdict};

/// What a look at a settling release finds.
#[derive(Debug)]
pub enum Watched {
    /// It settles on. The next look is due after this time.
    Again(Duration),
    /// It was kept, taken back or left: how the order ended that had installed it.
    Ended(Result<Box<Report>, Error>),
}

/// A release that settles, or that did and whose end was not fetched yet.
#[derive(Debug)]
pub(super) struct Watch {
    report: Report,
    /// `None` = it is over.
    settling: Option<Settling>,
}

impl Watch {
    /// Notes what was seen.
    fn end(&mut self, fault: Option<String>) {
        self.report.settled = self.settling.take().map(|settling| settling.end(fault));
    }
}

impl<N: Node> ReleaseHandler<N> {
    /// Returns from where to where the node came with the release that settles; `None` where none does.
    pub fn settling(&self) -> Option<Trip<'_>> {
        let watch = self.watch.as_ref().filter(|watch| watch.settling.is_some())?;
        Some(Trip { from: watch.report.from.as_ref(), to: &watch.report.to })
    }

    pub(super) fn begin_to_settle(&mut self, settle: Settle, report: Report, observer: Observer<'_>) {
        let settling = Settling::begin(settle);
        if let Some(title) = settling.title() {
            tell(&report, &title, observer);
        }
        self.watch = Some(Watch { report, settling: Some(settling) });
    }

    /// Looks at the release that settles, and does what is due. `None` where none settles.
    ///
    /// To be called when the time is over that the last look named, and after each order: one may have ended it.
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

    /// Returns when to look again; `None` = it is over.
    fn judge(&mut self, watch: &mut Watch, observer: Observer<'_>) -> Option<Duration> {
        let Watch { report, settling } = &mut *watch;
        let trip = Trip { from: report.from.as_ref(), to: &report.to };
        let ends = Ends { crashes: self.crashes(report), fallen: self.node.fallen() };
        let mut steps = |title: &str| tell(report, title, observer);
        let verdict = settling.as_mut()?.look(trip, self.interrupt.wish(), ends, &mut steps);
        match verdict {
            Verdict::Watch(again) => return Some(again),
            // A probe is started by the look itself.
            Verdict::Probe => return Some(Duration::ZERO),
            Verdict::Keep => {
                watch.end(None);
                self.commit(&mut watch.report);
            }
            Verdict::Leave => {
                watch.end(None);
                watch.report.commit_error = Some("the daemon stops before it has settled".to_owned());
            }
            Verdict::TakeBack(fault) => {
                watch.end(Some(fault.clone()));
                self.take_back(&fault, &mut watch.report, observer);
            }
        }
        tracing::info!(name: "release.settled", vsn = %watch.report.to, outcome = watch.report.outcome.name());
        None
    }

    /// Keeps the release that settles, by order.
    pub(super) fn keep(&mut self) -> Result<Ended, Error> {
        let mut watch = self.watch.take().ok_or(Error::NothingToCommit)?;
        let before = self.releases().permanent().map(|release| release.version.clone());
        let committed = self.make_permanent(&watch.report.to);
        let vsn = watch.report.to.clone();
        if committed.is_ok() {
            watch.end(None);
            (watch.report.permanent, watch.report.changed) = (true, true);
        }
        // One that cannot be committed settles on.
        self.watch = Some(watch);
        committed.map(|()| Ended::Committed { vsn, before })
    }

    /// Takes the release that settles back, by order.
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

/// Announces something that follows the last step of the script.
fn tell(report: &Report, title: &str, observer: Observer<'_>) {
    let step = report.steps.last().map_or(0, |step| step.step);
    tracing::info!(name: "release.install.step", vsn = %report.to, step, of = step, title, "step");
    observer(Event::Step(Progress { step, steps: step, title, is_switched: true }));
}
