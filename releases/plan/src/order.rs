//! Finds the steps that a window executes in another order than the author's.
//!
//! All modules of a window become current at once, and no process runs purged code, so the order of
//! loads and purges among themselves has no effect. The order of calls, starts and terminations has
//! an effect. A step records these changes of place:
//!
//! | a call, start or termination | has changed places with |
//! |---|---|
//! | any | another one; the later of the two records it |
//! | any | a conversion |
//! | any | an earlier resume: the resumed processes should already run, but are still suspended |
//! | a call of an app's function | the load of its module: the call runs other code |

use std::fmt;

use crate::name::ModuleName;
use crate::script::{Action, Order, Step};

/// An instruction with its line in the author's order and its index in the window.
struct Item<'a> {
    line: usize,
    at: usize,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Act(&'a Action),
    Conversion(&'a ModuleName),
    Load(&'a ModuleName),
    Resume(&'a ModuleName),
}

/// Adds the changes of place to each step. `resumed` holds each module with the line that resumes
/// it.
pub(crate) fn note(steps: &mut [Step], resumed: &[(ModuleName, usize)]) {
    let resume = steps.iter().position(|step| matches!(step.action, Action::Resume { .. }));
    let resumes = resume.into_iter().flat_map(|at| {
        resumed.iter().map(move |(module, line)| Item { line: *line, at, kind: Kind::Resume(module) })
    });
    let written = steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| Some(Item { line: step.line?, at, kind: kind(&step.action)? }));
    let items: Vec<Item<'_>> = written.chain(resumes).collect();
    let acts = items.iter().filter(|item| matches!(item.kind, Kind::Act(_)));
    let orders: Vec<(usize, Order)> = acts.map(|act| (act.at, act.order(&items))).collect();
    for (at, order) in orders {
        let child_missing = steps[at].order.child_missing;
        steps[at].order = Order { child_missing, ..order };
    }
}

/// Returns the kind of an action; `None` if its order has no effect.
const fn kind(action: &Action) -> Option<Kind<'_>> {
    match action {
        Action::Apply(_)
        | Action::StartApplication { .. }
        | Action::LoadApplication { .. }
        | Action::RestartApplication { .. }
        | Action::StopApplication { .. }
        | Action::UnloadApplication { .. }
        | Action::Stop { .. }
        | Action::Start { .. }
        | Action::SyncNodes { .. } => Some(Kind::Act(action)),
        Action::CodeChange { module, .. } => Some(Kind::Conversion(module)),
        Action::Load { module, .. } => Some(Kind::Load(module)),
        _ => None,
    }
}

impl Item<'_> {
    /// Returns the steps that this call, start or termination has changed places with.
    fn order(&self, items: &[Self]) -> Order {
        let before =
            items.iter().filter(|item| self.line < item.line && self.at > item.at && self.shows_before(item));
        let behind: Vec<&Self> = items
            .iter()
            .filter(|item| self.line > item.line && self.at < item.at && item.shows_behind())
            .collect();
        let is_converted = |module: &ModuleName| {
            behind.iter().any(|item| matches!(item.kind, Kind::Conversion(other) if other == module))
        };
        let is_new = |item: &&&Self| !matches!(item.kind, Kind::Resume(module) if is_converted(module));
        Order {
            child_missing: false,
            written_before: before.map(|item| item.kind.to_string()).collect(),
            written_behind: behind.iter().filter(is_new).map(|item| item.kind.to_string()).collect(),
        }
    }

    /// Returns whether it has an effect that a call, start or termination written after this item
    /// is executed before it.
    const fn shows_behind(&self) -> bool {
        matches!(self.kind, Kind::Conversion(_) | Kind::Resume(_))
    }

    /// Returns whether it has an effect that this call, start or termination is executed after an
    /// item written after it.
    fn shows_before(&self, item: &Self) -> bool {
        match (&self.kind, &item.kind) {
            (Kind::Act(Action::Apply(call)), Kind::Load(module)) => call.module == **module,
            (_, Kind::Act(_) | Kind::Conversion(_)) => true,
            (_, Kind::Load(_) | Kind::Resume(_)) => false,
        }
    }
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(action) => write!(f, "{action}"),
            Self::Conversion(module) => write!(f, "code_change {module}"),
            Self::Load(module) => write!(f, "load {module}"),
            Self::Resume(module) => write!(f, "resume {module}"),
        }
    }
}
