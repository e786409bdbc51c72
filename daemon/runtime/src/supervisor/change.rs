//! A supervisor's code change: the new init is asked again, and its rows are merged with those that are there. OTP, e.5.

use std::sync::Arc;

use parking_lot::RwLock;
use serde_bytes::ByteBuf;

use super::{Supervisor, ask_init, template};
use crate::child_spec::{ChildSpec, Restart, Strategy, SupervisorSpec, show_id};
use crate::code::{BodyKind, Bytes, Instance};
use crate::code_server::{Code, CodeServer};
use crate::exit::Exit;
use crate::pid::Pid;
use crate::rows::{Child, Row, Rows};

/// What a supervisor's code change did to its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Ids of the old init that the new one does not name: their rows stay, and run on.
    pub vanished: Vec<Bytes>,
    /// Ids that only the new init names: rows that are not started.
    pub added: Vec<Bytes>,
}

/// A supervisor as a code change of it would find it.
#[derive(Debug, Clone)]
pub struct Supervised {
    /// Its process.
    pub pid: Pid,
    /// Its module.
    pub module: String,
    /// What it was started with, and what a new init is asked with.
    pub args: Bytes,
    pub(super) spec: SupervisorSpec,
    pub(super) rows: Arc<RwLock<Rows>>,
}

/// What a code change of a supervisor would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prospect {
    /// What it would do to its rows.
    pub change: Change,
    /// Children that the new init names with another spec, by id.
    pub differing: Vec<Bytes>,
    /// Children that stay with the start argument that they have.
    pub kept: Vec<Kept>,
}

/// A child that stays with its start argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: Bytes,
    /// The module that it is started with.
    pub module: String,
    /// Its start argument.
    pub args: Bytes,
}

impl Supervised {
    /// Returns what a code change would come to, if the new init wants this. Changes nothing, runs no code of apps.
    ///
    /// # Errors
    /// The strategy cannot change so.
    pub fn prospect(&self, wanted: &SupervisorSpec) -> Result<Prospect, Exit> {
        let rows = self.rows.read();
        let kept = kept(&rows, wanted)?;
        let kept = kept.iter().map(|row| Kept {
            id: row.spec.id.to_vec(),
            module: row.spec.module.clone(),
            args: row.args().to_vec(),
        });
        let change = if is_simple(wanted) {
            Change { vanished: Vec::new(), added: Vec::new() }
        } else {
            merge(&rows, &self.spec.children, &wanted.children).1
        };
        let was = |new: &&ChildSpec| {
            let old = self.spec.children.iter().find(|old| old.id == new.id);
            old.is_some_and(|old| old != *new)
        };
        let differing = wanted.children.iter().filter(was).map(|child| child.id.to_vec()).collect();
        Ok(Prospect { change, differing, kept: kept.collect() })
    }
}

/// Asks new code what it wants of a supervisor that was started with these arguments; `None` for no change.
pub(crate) fn wanted(new: &Code, args: &[u8]) -> Result<Option<SupervisorSpec>, Exit> {
    ask_init(&*new.module, args)
}

/// Makes the supervisor that the new code wants of the old one. Children are neither started nor stopped. OTP, e.5.
pub(crate) fn change(
    old: &Supervisor,
    new: &Code,
    wanted: Option<SupervisorSpec>,
) -> (Box<dyn Instance>, Change) {
    let spec = wanted.unwrap_or_else(|| old.spec.clone());
    let (rows, change) = if is_simple(&spec) {
        // However many they are: they get the new template when the new state is taken.
        (Arc::clone(&old.rows), Change { vanished: Vec::new(), added: Vec::new() })
    } else {
        let (rows, change) = merge(&old.rows.read(), &old.spec.children, &spec.children);
        (Arc::new(RwLock::new(rows)), change)
    };
    let (pid, args, intensity, tries_again) =
        (old.pid, old.args.clone(), old.intensity.clone(), old.tries_again);
    let (module, template) = (new.name().to_owned(), template(&spec));
    (Box::new(Supervisor { pid, module, args, spec, template, rows, intensity, tries_again }), change)
}

fn is_simple(spec: &SupervisorSpec) -> bool {
    spec.strategy == Strategy::SimpleOneForOne
}

/// Checks what the new init wants against the children that are there, and shows the start arguments that stay to the
/// code that is to come. Runs that code, so nothing is held meanwhile. `stays` says of an id that its child is not about to
/// be deleted.
///
/// Unlike OTP, where a child that was added at run time and cannot be started again brings its supervisor down, minutes
/// after the upgrade, and where nothing guards a change to or from simple_one_for_one.
pub(crate) fn check_kept(
    rows: &RwLock<Rows>,
    wanted: Option<&SupervisorSpec>,
    stays: impl Fn(&[u8]) -> bool,
    server: &CodeServer,
) -> Result<(), Exit> {
    let Some(wanted) = wanted else { return Ok(()) };
    let kept = kept(&rows.read(), wanted)?;
    kept.iter().filter(|row| stays(&row.spec.id)).try_for_each(|row| starts_again(row, server))
}

/// Returns the rows whose children stay with their start arguments.
fn kept(rows: &Rows, wanted: &SupervisorSpec) -> Result<Vec<Row>, Exit> {
    if is_simple(wanted) != rows.is_anonymous() {
        let why = "the strategy cannot change to or from simple_one_for_one, for its children have no ids; \
                   restart the application instead";
        return Err(Exit::Error(why.to_owned()));
    }
    // A temporary child is never started again.
    Ok(if let Some(template) = template(wanted) {
        // All were started by one template: the first speaks for the others.
        let first = rows.iter().find(|row| row.args.is_some()).cloned();
        first.map(|row| Row { spec: template, ..row }).into_iter().collect()
    } else {
        let is_named = |row: &Row| wanted.children.iter().any(|child| child.id == row.spec.id);
        let stays = |row: &&Row| !is_named(row) && row.spec.restart != Restart::Temporary;
        rows.iter().filter(stays).cloned().collect()
    })
}

/// Asks the code that a row's child would be started with whether it takes the start argument.
fn starts_again(row: &Row, server: &CodeServer) -> Result<(), Exit> {
    let Some(code) = server.newest(&row.spec.module) else { return Ok(()) };
    code.module.accepts(BodyKind::Init, row.args()).map_err(|why| {
        let (id, module, version) = (show_id(&row.spec.id), code.name(), code.module.version());
        Exit::Error(format!(
            "child {id} could not be started again: module {module} {version} does not take its start argument: {why}; \
             terminate and delete it first"
        ))
    })
}

/// Merges the rows with what the new init names; `old` is what the old one did.
///
/// | the new init | the old init | row  | becomes                                      |
/// |--------------|--------------|------|----------------------------------------------|
/// | names it     |              | yes  | new spec, old process                        |
/// | names it     | did          | no   | not started; a temporary one had ended: none |
/// | names it     | did not      | no   | not started: added                           |
/// | does not     | did          | yes  | as it was, after the others: vanished        |
/// | does not     | did not      | yes  | as it was, after the others                  |
///
/// OTP does the same, but for a temporary child that had ended: it comes back as a dead row there.
fn merge(rows: &Rows, old: &[ChildSpec], new: &[ChildSpec]) -> (Rows, Change) {
    let was_named = |id: &ByteBuf| old.iter().any(|child| child.id == *id);
    let mut change = Change { vanished: Vec::new(), added: Vec::new() };
    let mut merged = Rows::new(false);
    for spec in new {
        let child = match rows.by_id(&spec.id) {
            Some((_, row)) => row.child,
            None if was_named(&spec.id) && spec.restart == Restart::Temporary => continue,
            None => {
                change.added.extend((!was_named(&spec.id)).then(|| spec.id.to_vec()));
                Child::Stopped
            }
        };
        merged.push(Row { spec: Arc::new(spec.clone()), args: None, child });
    }
    for row in rows.iter() {
        let id = &row.spec.id;
        if merged.by_id(id).is_none() {
            change.vanished.extend(was_named(id).then(|| id.to_vec()));
            merged.push(row.clone());
        }
    }
    (merged, change)
}
