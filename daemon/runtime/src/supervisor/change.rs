//! A supervisor's code change: the new init is asked again, and its rows are merged with those that are there. OTP, e.5.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{Supervisor, ask_init};
use crate::child_spec::{ChildSpec, Strategy, SupervisorSpec, show_id};
use crate::code::{BodyKind, Bytes, Instance};
use crate::code_server::{Code, CodeServer};
use crate::exit::Exit;
use crate::rows::{Child, Row, Rows};

/// What a supervisor's code change did to its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Ids of the old init that the new one does not name: their rows stay, and run on.
    pub vanished: Vec<Bytes>,
    /// Ids that only the new init names: rows that are not started.
    pub added: Vec<Bytes>,
}
/// Asks new code what it wants of a supervisor that was started with these arguments; `None` for no change.
pub(crate) fn wanted(new: &Code, args: &[u8]) -> Result<Option<SupervisorSpec>, Exit> {
    ask_init(new, args)
}

/// Makes the supervisor that the new code wants of the old one. Children are neither started nor stopped. OTP, e.5.
pub(crate) fn change(
    old: &Supervisor,
    new: &Arc<Code>,
    wanted: Option<SupervisorSpec>,
) -> (Box<dyn Instance>, Change) {
    let spec = wanted.unwrap_or_else(|| old.spec.clone());
    let simple = |spec: &SupervisorSpec| spec.strategy == Strategy::SimpleOneForOne;
    let unchanged = Change { vanished: Vec::new(), added: Vec::new() };
    let (rows, change) = match (simple(&old.spec), simple(&spec)) {
        // However many they are: they get the new template when the new state is taken.
        (true, true) => (Arc::clone(&old.rows), unchanged),
        (false, true) => (Arc::new(RwLock::new(old.rows.read().without_ids())), unchanged),
        (_, false) => {
            let (rows, mut change) = old.rows.read().merge(&spec.children);
            // What was added at run time was never in an init, and stays.
            change.vanished.retain(|id| old.spec.children.iter().any(|child| child.id == *id));
            (Arc::new(RwLock::new(rows)), change)
        }
    };
    let (pid, args, intensity) = (old.pid, old.args.clone(), old.intensity.clone());
    (Box::new(Supervisor { pid, code: Arc::clone(new), args, spec, rows, intensity }), change)
}

/// Shows the start arguments that stay to the code that is to come. Runs that code, so nothing is held meanwhile.
///
/// Unlike OTP, where a child that was added at run time and cannot be started again brings its supervisor down, minutes
/// after the upgrade.
pub(crate) fn check_kept(
    rows: &RwLock<Rows>,
    wanted: Option<&SupervisorSpec>,
    server: &CodeServer,
) -> Result<(), Exit> {
    let Some(wanted) = wanted else { return Ok(()) };
    let kept: Vec<Row> = if wanted.strategy == Strategy::SimpleOneForOne {
        // All were started by one template: the first speaks for the others.
        let first = rows.read().iter().next().cloned();
        let args = first.map(|row| Some(row.args().to_vec()));
        args.map(|args| Row { spec: Arc::new(wanted.children[0].clone()), args, child: Child::Stopped })
            .into_iter()
            .collect()
    } else {
        let is_named = |row: &Row| wanted.children.iter().any(|child| child.id == row.spec.id);
        rows.read().iter().filter(|row| !is_named(row)).cloned().collect()
    };
    kept.iter().try_for_each(|row| starts_again(row, server))
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

impl Rows {
    fn without_ids(&self) -> Self {
        let mut rows = Self::new(true);
        for row in self.iter() {
            rows.push(row.clone());
        }
        rows
    }

    /// OTP: by id; in both: new spec, old process; only new: added, not started; only old: kept, after the new ones.
    fn merge(&self, children: &[ChildSpec]) -> (Self, Change) {
        let mut change = Change { vanished: Vec::new(), added: Vec::new() };
        let mut rows = Self::new(false);
        for spec in children {
            let child = self.by_id(&spec.id).map(|(_, row)| row.child);
            if child.is_none() {
                change.added.push(spec.id.to_vec());
            }
            rows.push(Row {
                spec: Arc::new(spec.clone()),
                args: None,
                child: child.unwrap_or(Child::Stopped),
            });
        }
        for row in self.iter() {
            if rows.by_id(&row.spec.id).is_none() {
                change.vanished.push(row.spec.id.to_vec());
                rows.push(row.clone());
            }
        }
        (rows, change)
    }
}
