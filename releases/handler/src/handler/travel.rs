//! Moves the node from one lineup to another, and records the result.

use std::time::Instant;

use reld_store::StatusTable;

use super::{Apps, Before, Life, ReleaseHandler};
use crate::candidate::chain;
use crate::check::{Check, Prepared};
use crate::error::{Error, Obstacle};
use crate::event::{Event, Journey, Observer, Progress};
use crate::limits::Limits;
use crate::lineup::{Lineup, ReplacedApp};
use crate::node::{Exited, Look, Node};
use crate::options::InstallOptions;
use crate::report::{Outcome, Report, WindowReport, what};
use crate::saga::{self, Around};
use crate::settle;
use crate::step::Program;

/// The direction of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    There,
    /// To the previous lineup, after a failure on the way there.
    Back,
}

/// A planned move.
#[derive(Debug)]
pub(super) struct Way {
    lineup: Lineup,
    replaced: Option<ReplacedApp>,
    options: InstallOptions,
    prepared: Prepared,
    begin: Instant,
}

impl Way {
    /// Returns the findings of the check.
    pub(super) const fn check(&self) -> &Check {
        &self.prepared.check
    }

    /// Returns the move if it has no obstacles.
    pub(super) fn without_obstacles(self) -> Result<Self, Error> {
        let Check { from, to, obstacles, restarts, .. } = self.check();
        let mut obstacles = obstacles.clone();
        obstacles.extend(restarts.then_some(Obstacle::Restarts));
        if obstacles.is_empty() {
            return Ok(self);
        }
        Err(Error::Refused { what: what(to, self.replaced.as_ref()), running: from.clone(), obstacles })
    }

    fn journey(&self) -> Journey<'_> {
        let Check { from, to, .. } = self.check();
        Journey { from: from.as_ref(), to, app: self.replaced.as_ref(), restarts: false }
    }
}

impl<N: Node> ReleaseHandler<N> {
    /// Plans the move to a lineup.
    pub(super) fn plan(
        &self,
        lineup: Lineup,
        replaced: Option<ReplacedApp>,
        options: InstallOptions,
    ) -> Result<Way, Error> {
        let begin = Instant::now();
        let prepared = self.prepare(&lineup, options, Some(Look::Tree))?;
        Ok(Way { lineup, replaced, options, prepared, begin })
    }

    /// Makes a move without obstacles. If a start fails after the switch, the node goes back.
    pub(super) fn travel(&mut self, way: Way, observer: Observer<'_>) -> Result<Report, Error> {
        let way = way.without_obstacles()?;
        if way.check().changed {
            observer(Event::Begins(way.journey()));
        }
        let mut report = self.go(way, observer);
        if let Some(failure) = report.failure.clone().filter(|_| report.outcome == Outcome::Installed) {
            self.take_back(&failure.cause, &mut report, observer);
        }
        Ok(report)
    }

    /// Carries out the script of a move.
    pub(super) fn go(&mut self, way: Way, observer: Observer<'_>) -> Report {
        let Way { lineup, replaced, options, prepared, begin } = way;
        let Prepared { check, programs } = prepared;
        let mut report = Report::new(check.from, check.to);
        let known = self.releases().get(&report.to);
        report.signed_by = known.map(|known| known.provenance.signed_by.clone()).unwrap_or_default();
        report.app = replaced;
        report.script = check.script;
        report.warnings = check.warnings;
        if check.changed {
            self.is_moving = true;
            let apps = self.node.which_applications();
            let in_force = self.carry_windows(&programs, Direction::There, options, &mut report, observer);
            if (1..programs.len()).contains(&in_force) {
                self.take_windows_back(&lineup, in_force, (options, &apps), &mut report, observer);
            } else if in_force > 1 {
                let crashes = self.crashes(&report);
                report.warnings.extend((!crashes.is_empty()).then(|| settle::crashed(&crashes)));
            }
            if report.outcome == Outcome::RolledBack || report.outcome == Outcome::TakenBack {
                report.afresh = self.afresh(&apps);
            }
            self.note(&lineup, options, apps, &mut report);
            self.is_moving = false;
        }
        let is_packed = self.is_permanent(&lineup.vsn) && lineup.replaced.is_empty();
        report.permanent = is_packed && report.outcome == Outcome::Installed;
        report.duration_us = begin.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        report
    }

    /// Carries out windows in order until one fails. Returns the number of windows that took
    /// effect.
    pub(super) fn carry_windows(
        &mut self,
        programs: &[Program],
        direction: Direction,
        options: InstallOptions,
        report: &mut Report,
        observer: Observer<'_>,
    ) -> usize {
        let limits = Limits { convert: options.code_change.unwrap_or(self.limits.convert), ..self.limits };
        for (number, program) in (1..).zip(programs) {
            let mut part = Report::new(report.from.clone(), report.to.clone());
            // Crashes between windows count. Unlike OTP, which ignores them.
            let counts = number > 1 && direction == Direction::There;
            let crashes = |node: &N| {
                let crashes = if counts { crashes(node, self.store.releases(), report) } else { Vec::new() };
                options.crashes.counting(&crashes).to_vec()
            };
            let is_last = number == programs.len();
            let mut steps = |progress: Progress<'_>| {
                let is_switched = progress.is_switched && is_last;
                observer(Event::Step(Progress { is_switched, ..progress }));
            };
            let (interrupt, meetings) = (&self.interrupt, self.meetings.as_deref());
            let around = Around { limits, interrupt, crashes: &crashes, meetings };
            saga::run(&mut self.node, program, around, &mut part, &mut steps);
            let (outcome, has_failed) = (part.outcome, part.failure.is_some());
            if programs.len() > 1 {
                let (pause, converted) = (part.pause, part.converted);
                let modules = program.stage.what.modules.keys().cloned().collect();
                report.windows.push(WindowReport { window: number, modules, outcome, pause, converted });
            }
            report.add(part);
            match outcome {
                // On the way back, a failed start is only reported, because there is no further
                // release to go back to.
                Outcome::Installed if !has_failed || direction == Direction::Back => {}
                Outcome::Installed => return number,
                _ => {
                    self.refuse(&programs[number..], report);
                    return number - 1;
                }
            }
        }
        programs.len()
    }

    /// Refuses the meetings of windows that are not carried out.
    fn refuse(&self, programs: &[Program], report: &Report) {
        let why = report.failure.as_ref().map(|failure| failure.cause.clone()).unwrap_or_default();
        for meeting in programs.iter().filter_map(|program| program.meeting.as_ref()) {
            self.meetings.iter().for_each(|meetings| meetings.refuse(&meeting.what, why.clone()));
        }
    }

    /// Returns crashed processes of the release's apps, except those that the upgrade itself
    /// killed.
    pub(super) fn crashes(&self, report: &Report) -> Vec<Exited> {
        crashes(&self.node, self.releases(), report)
    }

    /// Updates the status table after an upgrade.
    fn note(&mut self, lineup: &Lineup, options: InstallOptions, apps: Apps, report: &mut Report) {
        match report.outcome {
            Outcome::Installed => self.installed(lineup, options, apps, report),
            // The release was not installed as a whole, so the table does not change.
            Outcome::RolledBack | Outcome::TakenBack | Outcome::NotTakenBack => (),
            Outcome::NeedsRestart => self.life = Life::NeedsRestart,
        }
        report.residents = self.node.residents();
        tracing::info!(name: "release.install.done", vsn = %report.to, outcome = report.outcome.name());
    }

    fn installed(&mut self, lineup: &Lineup, options: InstallOptions, apps: Apps, report: &mut Report) {
        let was_idle = self.life == Life::Idle;
        let stays = self.running() == Some(&lineup.vsn);
        self.before = self.lineup().map(|lineup| Before { lineup, options, apps });
        self.replaced = lineup.replaced.clone();
        self.store.adopt_config(lineup.config.clone());
        self.life = Life::Running;
        self.trouble = None;
        // For a node that was idle, the table already records the permanent release as running.
        if stays || was_idle && self.is_permanent(&report.to) {
            return;
        }
        if let Err(error) = self.store.install(&report.to) {
            report.warnings.push(chain(&error));
        }
    }

    pub(super) fn commit(&mut self, report: &mut Report) {
        match self.make_permanent(&report.to) {
            Ok(warning) => {
                (report.permanent, report.changed) = (true, true);
                report.warnings.extend(warning);
            }
            Err(error) => {
                let error = chain(&error);
                self.trouble = Some(format!(
                    "release {} runs and is not committed: {error}; `relctl commit` tries again",
                    report.to
                ));
                report.commit_error = Some(error);
            }
        }
    }
}

fn crashes<N: Node>(node: &N, releases: &StatusTable, report: &Report) -> Vec<Exited> {
    let mut crashes = node.crashes();
    let apps = releases.get(&report.to).map(|release| release.apps.as_slice()).unwrap_or_default();
    let is_ours = |crash: &Exited| apps.iter().any(|app| app.name == crash.process.app);
    let was_killed = |crash: &Exited| report.killed.iter().any(|killed| killed.pid == crash.process.pid);
    crashes.retain(|crash| is_ours(crash) && !was_killed(crash));
    crashes
}
