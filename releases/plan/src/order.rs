//! What a window carries out in another order than its author wrote it.
//!
//! All modules of a window become current at once, and what is purged nobody runs any more: the order of these shows
//! nowhere. What shows is when something is called, started or ended:
//!
//! | an act | has changed places with |
//! |---|---|
//! | any | another act; the later one says so |
//! | any | a conversion |
//! | any | a resume before it: who would have run already is held |
//! | a call of an app's function | the load of its module: the code that it runs is another |

use std::fmt;

use crate::name::ModuleName;
use crate::script::{Action, Order, Step};

/// Something that has a place in its author's order and one in the window.
struct Item<'a> {
    line: usize,
    at: usize,
    what: What<'a>,
}

enum What<'a> {
    Act(&'a Action),
    Conversion(&'a ModuleName),
    Load(&'a ModuleName),
    Resume(&'a ModuleName),
}

/// Notes with each act what it has changed places with. `resumed` has each module with the line that resumes it.
pub(crate) fn note(steps: &mut [Step], resumed: &[(ModuleName, usize)]) {
    let resume = steps.iter().position(|step| matches!(step.action, Action::Resume { .. }));
    let resumes = resume.into_iter().flat_map(|at| {
        resumed.iter().map(move |(module, line)| Item { line: *line, at, what: What::Resume(module) })
    });
    let written = steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| Some(Item { line: step.line?, at, what: what(&step.action)? }));
    let items: Vec<Item<'_>> = written.chain(resumes).collect();
    let acts = items.iter().filter(|item| matches!(item.what, What::Act(_)));
    let orders: Vec<(usize, Order)> = acts.map(|act| (act.at, act.order(&items))).collect();
    for (at, order) in orders {
        let child_missing = steps[at].order.child_missing;
        steps[at].order = Order { child_missing, ..order };
    }
}

/// Returns what an action is; `None` for one whose order shows nowhere.
const fn what(action: &Action) -> Option<What<'_>> {
    match action {
        Action::Apply(_)
        | Action::StartApplication { .. }
        | Action::LoadApplication { .. }
        | Action::RestartApplication { .. }
        | Action::StopApplication { .. }
        | Action::UnloadApplication { .. }
        | Action::Stop { .. }
        | Action::Start { .. }
        | Action::SyncNodes { .. } => Some(What::Act(action)),
        Action::CodeChange { module, .. } => Some(What::Conversion(module)),
        Action::Load { module, .. } => Some(What::Load(module)),
        _ => None,
    }
}

impl Item<'_> {
    /// Returns what an act has changed places with.
    fn order(&self, items: &[Self]) -> Order {
        let before =
            items.iter().filter(|item| self.line < item.line && self.at > item.at && self.shows_before(item));
        let behind: Vec<&Self> = items
            .iter()
            .filter(|item| self.line > item.line && self.at < item.at && item.shows_behind())
            .collect();
        let is_converted = |module: &ModuleName| {
            behind.iter().any(|item| matches!(item.what, What::Conversion(other) if other == module))
        };
        let is_new = |item: &&&Self| !matches!(item.what, What::Resume(module) if is_converted(module));
        Order {
            child_missing: false,
            written_before: before.map(|item| item.what.to_string()).collect(),
            written_behind: behind.iter().filter(is_new).map(|item| item.what.to_string()).collect(),
        }
    }

    /// Says whether it shows that an act is done before this.
    const fn shows_behind(&self) -> bool {
        matches!(self.what, What::Conversion(_) | What::Resume(_))
    }

    /// Says whether it shows that the act is done after something.
    fn shows_before(&self, item: &Self) -> bool {
        match (&self.what, &item.what) {
            (What::Act(Action::Apply(call)), What::Load(module)) => call.module == **module,
            (_, What::Act(_) | What::Conversion(_)) => true,
            (_, What::Load(_) | What::Resume(_)) => false,
        }
    }
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(action) => write!(f, "{action}"),
            Self::Conversion(module) => write!(f, "code_change {module}"),
            Self::Load(module) => write!(f, "load {module}"),
            Self::Resume(module) => write!(f, "resume {module}"),
        }
    }
}
