//! Rollouts over the hosts of a list, through ssh.
//!
//! The policy is `reld-fleet`. A node carries out its own upgrade: a driver that ends, or loses a
//! node, leaves nodes that behave as if they had never been in a rollout. The next driver asks the
//! nodes where they are.

use std::path::Path;
use std::sync::Arc;

use reld_api::ExitCode;
use reld_fleet::{Halt, Policy};
use reld_plan::{OnFailure, Rollout as Document};
use serde_json::json;

use super::drive::Drive;
use super::journal::{Entry, Journal, Last};
use super::member::{Course, Member};
use super::outcome::Report;
use super::sight::Direction;
use super::ssh::Ssh;
use super::target::Target;
use super::verdict::{self, Verdict};
use super::{hosts, journal, looks, outcome};
use crate::args::{Line, List};
use crate::error::Failure;
use crate::shown::Shown;
use crate::terminal;

/// The documents of a command.
struct Documents {
    rollout: Document,
    course: Arc<Course>,
    hosts: Vec<String>,
}

impl Documents {
    fn read(path: &Path, list: &List, line: &Line) -> Result<Self, Failure> {
        let text =
            std::fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))?;
        let rollout = Document::parse(&path.to_string_lossy(), &text)?;
        let target = Target::of(path, &rollout)?;
        let course = Arc::new(Course { target, ssh: Ssh::new(&line.ssh, &line.relctl)? });
        Ok(Self { rollout, course, hosts: hosts::read(&list.path)? })
    }

    /// Reads the documents of a command that has the policy only with a list.
    fn named(path: Option<&Path>, list: &List, line: &Line) -> Result<Self, Failure> {
        let missing = || Failure::usage("cannot read the policy: with --hosts, name the ROLLOUT.TOML");
        Self::read(path.ok_or_else(missing)?, list, line)
    }
}

pub(super) async fn start(
    policy: &Path,
    list: &List,
    line: &Line,
    skip: Vec<String>,
) -> Result<Shown, Failure> {
    let Documents { rollout, course, hosts } = Documents::read(policy, list, line)?;
    if let Some(unknown) = skip.iter().find(|host| !hosts.contains(host)) {
        let list = list.path.display();
        return Err(Failure::usage(format!("cannot skip {unknown}: {list} does not have it")));
    }
    let member = |host: &String| {
        if skip.contains(host) { Member::skipped(host.clone()) } else { Member::new(host.clone()) }
    };
    let members: Vec<Member> = hosts.iter().map(member).collect();
    if hosts.len() > 1 && rollout.canary.of(hosts.len()) == hosts.len() {
        let all = hosts.len();
        terminal::err(&format!("warning: `canary` covers all {all} nodes, so there is no further wave\n"));
    }
    let id = course.target.rollout.clone();
    let begin = Entry::Start { rollout: id.clone(), skip: skip.clone() };
    let mut journal = Journal::begin(&list.journal, begin)?;
    let policy = Policy::from(&rollout);
    let drive = Drive::new(&course, Direction::Forward, policy.clone(), members, &mut journal);
    let (verdict, members) = drive.run().await?;
    let why = verdict.why(&members);
    let (report, exit_code) = match verdict {
        Verdict::Halted(Halt::Failures(_)) if rollout.on_failure == OnFailure::TakeBack => {
            journal.write(Entry::TakeBack { rollout: id, skip })?;
            go_back(&course, &policy, members, why, &mut journal).await?
        }
        verdict => {
            let report = Report::new(&course.target, Direction::Forward, verdict.word(), why, &members);
            (report, outcome::exit_code(&members))
        }
    };
    end(&mut journal, &report)?;
    outcome::answer(&report, exit_code)
}

pub(super) async fn take_back(policy: Option<&Path>, list: &List, line: &Line) -> Result<Shown, Failure> {
    let Documents { rollout, course, hosts } = Documents::named(policy, list, line)?;
    let id = course.target.rollout.clone();
    let begin = Entry::TakeBack { rollout: id, skip: Vec::new() };
    let mut journal = Journal::begin(&list.journal, begin)?;
    let members = looks::all(&course, Direction::Back, hosts.into_iter().map(Member::new)).await;
    let (report, exit_code) = go_back(&course, &Policy::from(&rollout), members, None, &mut journal).await?;
    end(&mut journal, &report)?;
    outcome::answer(&report, exit_code)
}

/// Takes the release back from the nodes that the rollout has moved, the last one first.
async fn go_back(
    course: &Arc<Course>,
    policy: &Policy,
    members: Vec<Member>,
    failed: Option<String>,
    journal: &mut Journal,
) -> Result<(Report, ExitCode), Failure> {
    let members = last_first(members).into_iter().map(Member::anew).collect();
    let drive = Drive::new(course, Direction::Back, policy.back(), members, journal);
    let (verdict, members) = drive.run().await?;
    let exit_code = outcome::exit_code_back(&members);
    let word = if exit_code == ExitCode::RolledBack { verdict::TAKEN_BACK } else { verdict.word() };
    let why = failed.into_iter().chain(verdict.why(&members)).collect::<Vec<_>>();
    let why = (!why.is_empty()).then(|| why.join("; on the way back: "));
    Ok((Report::new(&course.target, Direction::Back, word, why, &members), exit_code))
}

/// Sorts nodes for the way back. The nodes began in the order of the list, so this order decides
/// between nodes that began in the same second. Nodes that have not begun come last.
fn last_first(mut members: Vec<Member>) -> Vec<Member> {
    members.reverse();
    members.sort_by(|one, other| other.begun.cmp(&one.begun));
    members
}

fn end(journal: &mut Journal, report: &Report) -> Result<(), Failure> {
    let Report { rollout, outcome, .. } = report;
    journal.write(Entry::End { rollout: rollout.clone(), outcome: (*outcome).to_owned() })
}

/// Asks each node once.
pub(super) async fn status(policy: Option<&Path>, list: &List, line: &Line) -> Result<Shown, Failure> {
    let Documents { course, hosts, .. } = Documents::named(policy, list, line)?;
    let mut last = Last::read(&list.journal)?;
    let other = last.rollout().filter(|rollout| *rollout != course.target.rollout);
    let why = other.filter(|_| last.is_running).map(|other| format!("rollout {other} runs over these hosts"));
    if other.is_some() {
        last = Last::default();
    }
    let member = |host: String| {
        if last.skipped().contains(&host) { Member::skipped(host) } else { Member::with_all_failures(host) }
    };
    let direction = last.direction();
    let members = looks::all(&course, direction, hosts.into_iter().map(member)).await;
    let exit_code = match direction {
        Direction::Forward => outcome::exit_code(&members),
        Direction::Back => outcome::exit_code_back(&members),
    };
    let outcome = match (direction, exit_code) {
        _ if last.is_running => verdict::RUNNING,
        (Direction::Forward, ExitCode::Done) => verdict::DONE,
        (Direction::Forward, ExitCode::Refused) if last.driver.is_none() => verdict::NOT_BEGUN,
        (Direction::Back, ExitCode::RolledBack) => verdict::TAKEN_BACK,
        _ => verdict::HALTED,
    };
    let mut report = Report::new(&course.target, direction, outcome, why, &members);
    (report.by, report.since) = last.driver.map(|line| (line.by, line.at)).unzip();
    let exit_code = if last.is_running { ExitCode::Done } else { exit_code };
    Ok(Shown { exit_code, ..Shown::new(&report, report.text()) })
}

pub(super) fn halt(list: &List) -> Result<Shown, Failure> {
    let last = Last::read(&list.journal)?;
    let Some(rollout) = last.rollout().filter(|_| last.is_running) else {
        let message = format!("no rollout runs over {}: no upgrade begins", list.path.display());
        return Ok(Shown::line(&json!({ "halts": null }), message));
    };
    journal::halt(&list.journal)?;
    let message =
        format!("rollout {rollout} halts: no further upgrade begins; those under way end on their nodes");
    Ok(Shown::line(&json!({ "halts": rollout }), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_begins_with_the_last_node_even_within_one_second() {
        let member = |(host, begun): (&str, Option<&str>)| {
            let mut member = Member::new(host.to_owned());
            member.begun = begun.map(str::to_owned);
            member
        };
        let (second, next) = (Some("2026-11-30T12:00:00Z"), Some("2026-11-30T12:00:01Z"));
        let began = [("n1", second), ("n2", None), ("n3", second), ("n4", next), ("n5", second)];
        let back = last_first(began.map(member).into());
        let hosts: Vec<_> = back.iter().map(|member| member.host.as_str()).collect();
        assert_eq!(hosts, ["n4", "n5", "n3", "n1", "n2"]);
    }
}
