//! The code change of a supervisor: calls the new init, and merges its child specs with the
//! existing rows. OTP: `supervisor:code_change/3`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::RwLock;
use serde_bytes::ByteBuf;

use super::{Supervisor, ask_init, template};
use crate::process::rows::{Child, Row, Rows};
use crate::words::child_spec::{ChildSpec, Restart, Strategy, SupervisorSpec, show_id};
use crate::words::code::{BodyKind, Bytes};
use crate::words::code_server::{Code, CodeServer};
use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// The effect of a supervisor's code change on its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Ids that the old init named and the new one does not, in the order of the old init. The rows
    /// stay and their children run on.
    pub vanished: Vec<Bytes>,
    /// Ids that only the new init names. Their rows are added but not started.
    pub added: Vec<Bytes>,
}

/// A supervisor as its next code change will find it.
#[derive(Debug, Clone)]
pub struct Supervised {
    /// The supervisor's process.
    pub pid: Pid,
    /// The supervisor's module.
    pub module: String,
    /// The supervisor's start argument, which is also passed to the new init.
    pub args: Bytes,
    pub(super) spec: SupervisorSpec,
    pub(super) rows: Arc<RwLock<Rows>>,
}

/// The predicted result of a supervisor's code change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prospect {
    /// The effect on the supervisor's rows.
    pub change: Change,
    /// Ids of the children that the new init gives another spec.
    pub differing: Vec<Bytes>,
    /// Children that keep their start arguments, up to the requested number.
    pub kept: Vec<Kept>,
    /// Whether there are more children that keep their start arguments.
    pub has_more: bool,
}

/// A child that keeps its start argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The id of the child.
    pub id: Bytes,
    /// The module that the child is started with.
    pub module: String,
    /// The start argument of the child.
    pub args: Bytes,
}

impl Supervised {
    /// Predicts the result of a code change to the spec `wanted`. Lists up to `most` children that
    /// keep their start arguments. Changes nothing, and runs no app code.
    ///
    /// # Errors
    /// The strategy would change to or from simple_one_for_one, which is not possible.
    pub fn prospect(&self, wanted: &SupervisorSpec, most: usize) -> Result<Prospect, Exit> {
        let rows = self.rows.read();
        let mut all = kept(&rows, wanted)?;
        let kept = all.by_ref().take(most).collect();
        let change = if is_simple(wanted) {
            Change::default()
        } else {
            changed(&rows, &self.spec.children, &wanted.children)
        };
        let old: HashMap<&ByteBuf, &ChildSpec> =
            self.spec.children.iter().map(|child| (&child.id, child)).collect();
        let differs = |new: &&ChildSpec| old.get(&new.id).is_some_and(|old| *old != *new);
        let differing = wanted.children.iter().filter(differs).map(|child| child.id.to_vec()).collect();
        Ok(Prospect { change, differing, kept, has_more: all.next().is_some() })
    }
}

/// Calls the init of the new code with the start argument of the supervisor. Returns `None` if the
/// supervisor does not change.
pub(crate) fn wanted(new: &Code, args: &[u8]) -> Result<Option<SupervisorSpec>, Exit> {
    ask_init(&*new.module, args)
}

/// Makes the new state of a supervisor from the old state and the new spec. Children are neither
/// started nor stopped. OTP: `supervisor:code_change/3`.
pub(crate) fn change(
    old: &Supervisor,
    new: &Code,
    wanted: Option<SupervisorSpec>,
) -> (Box<Supervisor>, Change) {
    let spec = wanted.unwrap_or_else(|| old.spec.clone());
    let (merged, change) = if is_simple(&spec) {
        // This takes the same time for any number of children: their rows get the new template when
        // the new state is installed.
        (None, Change::default())
    } else {
        let rows = old.rows.read();
        let change = changed(&rows, &old.spec.children, &spec.children);
        (merge(&rows, &old.spec.children, &spec.children), change)
    };
    let rows = merged.map_or_else(|| Arc::clone(&old.rows), |rows| Arc::new(RwLock::new(rows)));
    let (pid, args, intensity, retry_pending) =
        (old.pid, old.args.clone(), old.intensity.clone(), old.retry_pending);
    let (module, template) = (new.name().to_owned(), template(&spec));
    (Box::new(Supervisor { pid, module, args, spec, template, rows, intensity, retry_pending }), change)
}

fn is_simple(spec: &SupervisorSpec) -> bool {
    spec.strategy == Strategy::SimpleOneForOne
}

/// Checks the new spec against the existing children, and lets the new code check the start
/// arguments that are kept. Runs app code, so no lock is held meanwhile. `stays` returns false for
/// the id of a child that is about to be deleted.
///
/// OTP has no such check. There, a child that was added at run time and cannot be restarted brings
/// its supervisor down minutes after the upgrade. A change to or from simple_one_for_one is not
/// checked either.
pub(crate) fn check_kept(
    rows: &RwLock<Rows>,
    wanted: Option<&SupervisorSpec>,
    stays: impl Fn(&[u8]) -> bool,
    server: &CodeServer,
) -> Result<(), Exit> {
    let Some(wanted) = wanted else { return Ok(()) };
    let kept: Vec<Kept> = kept(&rows.read(), wanted)?.collect();
    kept.iter().filter(|child| stays(&child.id)).try_for_each(|child| starts_again(child, server))
}

/// Returns the children that keep their start arguments.
fn kept<'a>(rows: &'a Rows, wanted: &'a SupervisorSpec) -> Result<Box<dyn Iterator<Item = Kept> + 'a>, Exit> {
    if is_simple(wanted) != rows.is_anonymous() {
        let why = "the strategy cannot change to or from simple_one_for_one, because its children have no ids; \
                   restart the application instead";
        return Err(Exit::Error(why.to_owned()));
    }
    // A temporary child is never restarted, so its start argument does not matter.
    Ok(if let Some(template) = template(wanted) {
        // All children were started from one template, so the check of the first stands for all.
        let first = rows.iter().find(|row| row.has_args());
        Box::new(first.map(move |row| kept_by(row, &template.id, &template.module)).into_iter())
    } else {
        let named = ids(&wanted.children);
        let stays = move |row: &&Row| !named.contains(row.id()) && row.terms.restart != Restart::Temporary;
        Box::new(rows.iter().filter(stays).map(|row| kept_by(row, row.id(), &row.terms.module)))
    })
}

fn kept_by(row: &Row, id: &[u8], module: &str) -> Kept {
    Kept { id: id.to_vec(), module: module.to_owned(), args: row.args().to_vec() }
}

/// Lets the newest code of a child's module check the start argument.
fn starts_again(child: &Kept, server: &CodeServer) -> Result<(), Exit> {
    let Some(code) = server.newest(&child.module) else { return Ok(()) };
    code.module.accepts(BodyKind::Init, &child.args).map_err(|why| {
        let (id, module, version) = (show_id(&child.id), code.name(), code.module.version());
        Exit::Error(format!(
            "child {id} could not be started again: module {module} {version} does not take its start argument: {why}; \
             terminate and delete it first"
        ))
    })
}

/// Returns which ids the new init adds and drops, by the table below. `old` has the specs of the
/// old init.
///
/// | the new init | the old init | row  | becomes                                      |
/// |--------------|--------------|------|----------------------------------------------|
/// | names it     |              | yes  | new spec, old process                        |
/// | names it     | did          | no   | not started; a temporary one had ended: none |
/// | names it     | did not      | no   | not started: added                           |
/// | does not     | did          | yes  | as it was, after the others: vanished        |
/// | does not     | did not      | yes  | as it was, after the others                  |
///
/// Unlike OTP, a temporary child that had ended gets no row. In OTP it comes back as a row without
/// a process.
fn changed(rows: &Rows, old: &[ChildSpec], new: &[ChildSpec]) -> Change {
    let (was_named, is_named) = (ids(old), ids(new));
    let has_row = |child: &ChildSpec| rows.by_id(&child.id).is_some();
    let vanished = old.iter().filter(|child| has_row(child) && !is_named.contains(child.id.as_slice()));
    let added = new.iter().filter(|child| !has_row(child) && !was_named.contains(child.id.as_slice()));
    let id = |child: &ChildSpec| child.id.to_vec();
    Change { vanished: vanished.map(id).collect(), added: added.map(id).collect() }
}

/// Returns the rows that the table of [`changed`] describes. Returns `None` if the rows do not
/// change, for example when all children were added at run time.
fn merge(rows: &Rows, old: &[ChildSpec], new: &[ChildSpec]) -> Option<Rows> {
    let was_named = ids(old);
    let has_ended = |child: &ChildSpec| {
        child.restart == Restart::Temporary
            && was_named.contains(child.id.as_slice())
            && rows.by_id(&child.id).is_none()
    };
    let named: Vec<&ChildSpec> = new.iter().filter(|child| !has_ended(child)).collect();
    let are_first = named.len() <= rows.len() && rows.iter().zip(&named).all(|(row, child)| row.is_of(child));
    if are_first {
        return None;
    }
    let mut merged = Rows::new(false);
    for spec in named {
        let child = rows.by_id(&spec.id).map_or(Child::Stopped, |(_, row)| row.child);
        merged.push(spec.clone(), child);
    }
    for row in rows.iter() {
        if merged.by_id(row.id()).is_none() {
            merged.push_row(row.clone());
        }
    }
    Some(merged)
}

fn ids(children: &[ChildSpec]) -> HashSet<&[u8]> {
    children.iter().map(|child| child.id.as_slice()).collect()
}
