//! Ways back: from a release that does badly, from windows of one that did not arrive, and by order.
//!
//! | what failed | states | road |
//! |---|---|---|
//! | an effect of the one window, or of the first | put back | none: the saga has undone it |
//! | what starts after the switch, or a settling release | converted back | the script to the release before |
//! | a later window of several | of that window put back, of those before it converted back | what of that script is about what moved |

use reld_plan::{Vsn, Windows};
use reld_store::{Refusal, Status};

use super::{Direction, Life, ReleaseHandler};
use crate::check::{Prepared, prepare_way_back};
use crate::error::Error;
use crate::lineup::Lineup;
use crate::node::Node;
use crate::program::InstallOptions;
use crate::report::{Outcome, Report, what};
use crate::saga::Progress;

impl<N: Node> ReleaseHandler<N> {
    /// Returns the release that a downgrade goes to: the named one, else the one from which the node came to the
    /// running one. It is gone to by the road of [`upgrade`](Self::upgrade) or [`install`](Self::install).
    ///
    /// # Errors
    /// [`Error::NoPrevious`] where none is named and none was before; [`Refusal::BadStatus`] for one that never ran.
    pub fn way_back(&self, named: Option<Vsn>) -> Result<Vsn, Error> {
        let Some(vsn) = named else { return self.previous() };
        match self.releases().get(&vsn).map(|release| release.status) {
            Some(status @ Status::Unpacked) => {
                let refusal = Refusal::BadStatus { vsn, status, needed: "one that ran before" };
                Err(reld_store::Error::from(refusal).into())
            }
            // One that is not here at all is told by the check.
            _ => Ok(vsn),
        }
    }

    fn previous(&self) -> Result<Vsn, Error> {
        if let Some(vsn) = self.running().and_then(|running| self.releases().previous(running)) {
            return Ok(vsn.clone());
        }
        let old = self.releases().releases.iter().filter(|release| release.status == Status::Old);
        Err(Error::NoPrevious { candidates: old.map(|release| release.version.clone()).collect() })
    }

    /// Goes back to the release that ran before, live, on the terms of the way there. Where that fails the node has to
    /// restart.
    pub(super) fn take_back(
        &mut self,
        fault: &str,
        report: &mut Report,
        observer: &mut dyn FnMut(Progress<'_>),
    ) {
        tracing::warn!(name: "release.take_back", vsn = %report.to, fault, "the release is taken back");
        self.interrupt.begin();
        let before = if report.changed {
            self.before.clone()
        } else {
            self.previous().ok().map(|vsn| (Lineup::of(vsn), InstallOptions::default()))
        };
        let way_back = before.map(|(before, options)| {
            // As one window: it arrives, or it leaves the node as it is.
            let options = InstallOptions { windows: Windows::Release, supersede: false, ..options };
            self.go(&before, None, options, observer)
        });
        self.taken_back(way_back, report);
    }

    /// Takes the first windows of an upgrade back, of which a later one failed.
    pub(super) fn take_windows_back(
        &mut self,
        lineup: &Lineup,
        in_force: usize,
        options: InstallOptions,
        report: &mut Report,
        observer: &mut dyn FnMut(Progress<'_>),
    ) {
        if report.outcome == Outcome::NeedsRestart {
            return;
        }
        tracing::warn!(name: "release.take_back", vsn = %report.to, in_force, "the first windows are taken back");
        self.interrupt.begin();
        let way_back = self.go_back(lineup, in_force, options, report, observer);
        self.taken_back(Some(way_back), report);
    }

    fn go_back(
        &mut self,
        lineup: &Lineup,
        in_force: usize,
        options: InstallOptions,
        report: &Report,
        observer: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, Error> {
        let before = self.lineup().ok_or(Error::Idle)?;
        let moved = report.script.as_ref().map(|script| script.moved(in_force)).unwrap_or_default();
        let Prepared { check, programs } =
            prepare_way_back(&self.node, &self.store, lineup, &before, &moved, options)?;
        if !check.obstacles.is_empty() {
            let (what, obstacles) = (what(&before.vsn, None), check.obstacles);
            return Err(Error::Refused { what, running: check.from, obstacles });
        }
        let mut way_back = Report::new(check.from, check.to);
        way_back.script = check.script;
        way_back.warnings = check.warnings;
        self.carry_out(&programs, Direction::Back, options, &mut way_back, observer);
        Ok(way_back)
    }

    /// Completes the report of an upgrade that was taken back, or was to be.
    fn taken_back(&mut self, way_back: Option<Result<Report, Error>>, report: &mut Report) {
        let failed = match way_back {
            Some(Ok(way_back)) if way_back.outcome == Outcome::Installed => {
                // What ran before runs. What did not start on the way is told; going on and on would not help.
                report.warnings.extend(
                    way_back.failure.iter().map(|failure| format!("on the way back: {}", failure.cause)),
                );
                report.outcome = Outcome::TakenBack;
                report.way_back = Some(Box::new(way_back));
                return;
            }
            Some(Ok(way_back)) => {
                let failed = format!("downgrade: {way_back}");
                report.way_back = Some(Box::new(way_back));
                failed
            }
            Some(Err(error)) => format!("downgrade: {error}"),
            None => "downgrade: no release ran before".to_owned(),
        };
        report.not_undone.push(failed);
        report.outcome = Outcome::NeedsRestart;
        self.life = Life::NeedsRestart;
    }
}
