//! The start order of a release's apps, which is also the order of their appups in a script.
//!
//! OTP: systools, sorting of applications. An app is emitted once all apps that it uses or includes
//! are emitted. Needed apps that are not emitted yet are queued in front of that app: used apps
//! before included apps, both in the order of the release file.

use crate::error::PlanError;
use crate::name::AppName;
use crate::release::{ReleaseApp, without};

/// Returns the names of the apps in start order.
pub(crate) fn start_order(apps: &[ReleaseApp]) -> Result<Vec<AppName>, PlanError> {
    let queue = apps.iter().map(|app| Needs::of(app, apps)).collect();
    let mut sorting = Sorting { queue, ..Sorting::default() };
    sorting.run();
    let Sorting { out, missing, circular, .. } = sorting;
    match (circular.is_empty(), missing.is_empty()) {
        (true, true) => Ok(out),
        (true, false) => Err(PlanError::UnreachableApplications { missing }),
        (false, _) => Err(PlanError::CircularDependencies { apps: circular }),
    }
}

/// The apps that must be emitted before an app.
#[derive(Debug)]
struct Needs<'a> {
    app: &'a ReleaseApp,
    uses: Vec<&'a AppName>,
    includes: Vec<&'a AppName>,
}

impl<'a> Needs<'a> {
    fn of(app: &'a ReleaseApp, apps: &'a [ReleaseApp]) -> Self {
        let position =
            |name: &&AppName| apps.iter().position(|app| app.name() == *name).unwrap_or(apps.len());
        let (mut uses, mut includes) = (uses(app, apps), app.included.iter().collect::<Vec<_>>());
        uses.sort_by_key(position);
        includes.sort_by_key(position);
        Self { app, uses, includes }
    }
}

/// Returns the apps that an app uses. A used app that another app includes is replaced by the app
/// that starts it.
///
/// OTP modifies the list while iterating over it, so that the order of names in an app.toml can
/// matter.
fn uses<'a>(app: &'a ReleaseApp, apps: &'a [ReleaseApp]) -> Vec<&'a AppName> {
    let top = outermost(app.name(), apps);
    let named = &app.docs.app.applications;
    let mut uses: Vec<_> = named.iter().collect();
    for name in named {
        let starter = outermost(name, apps);
        if name == top {
            // An included app may list the including app as used.
            uses = without(uses, [top]);
        } else if starter != name && uses.contains(&starter) {
            uses = without(uses, [name]);
        } else if starter != name && starter != top {
            uses = without(uses, [name]);
            uses.push(starter);
        }
    }
    uses
}

/// Returns the outermost app that includes an app, or the app itself.
pub(crate) fn outermost<'a>(name: &'a AppName, apps: &'a [ReleaseApp]) -> &'a AppName {
    let mut top = name;
    // Bounded, because apps may include each other in a circle.
    for _ in apps {
        let Some(outer) = apps.iter().find(|app| app.included.contains(top)) else { break };
        top = outer.name();
    }
    top
}

/// The state of the sort: the apps that are not emitted yet, and the results for the others.
#[derive(Debug, Default)]
struct Sorting<'a> {
    queue: Vec<Needs<'a>>,
    visited: Vec<&'a AppName>,
    out: Vec<AppName>,
    missing: Vec<(AppName, AppName)>,
    circular: Vec<AppName>,
}

impl<'a> Sorting<'a> {
    fn run(&mut self) {
        while !self.queue.is_empty() {
            let next = self.queue.remove(0);
            let name = next.app.name();
            let (mut first, unused) = self.take(name, &next.uses);
            let (included, unfound) = self.take(name, &next.includes);
            first.extend(included);
            let unused = without(unused, &next.app.docs.app.optional_applications);
            // As in OTP, the names that were found missing last come first.
            let missing = unused.into_iter().chain(unfound);
            self.missing.splice(0..0, missing.map(|needed| (name.clone(), needed.clone())));
            if first.is_empty() {
                self.out.push(name.clone());
            } else {
                self.put_in_front(first, next);
            }
            self.visited.push(name);
        }
    }

    /// Removes the named apps from the queue and returns them, except apps that include `user`.
    /// Also returns the other names that were not visited before.
    fn take(&mut self, user: &AppName, names: &[&'a AppName]) -> (Vec<Needs<'a>>, Vec<&'a AppName>) {
        let (mut taken, mut missing) = (Vec::new(), Vec::new());
        for name in names.iter().copied() {
            match self.queue.iter().position(|needs| needs.app.name() == name) {
                // An app that includes the user starts it and therefore comes after it.
                Some(at) if !self.queue[at].app.included.contains(user) => {
                    self.note_circle(user, at);
                    taken.push(self.queue.remove(at));
                }
                _ if self.visited.contains(&name) => {}
                _ => missing.push(name),
            }
        }
        (taken, missing)
    }

    /// Records the first cycle. There is one if the needed app already waits for `user`; the cycle
    /// consists of the waiting apps up to it in the queue, and `user`.
    fn note_circle(&mut self, user: &AppName, needed: usize) {
        let waits = |needs: &&Needs<'a>| self.visited.contains(&needs.app.name());
        if self.circular.is_empty() && waits(&&self.queue[needed]) {
            let waiting = self.queue[..=needed].iter().filter(waits).map(|needs| needs.app.name());
            self.circular = waiting.rev().chain([user]).cloned().collect();
        }
    }

    /// Puts an app in front of the queue, preceded by the apps that it needs. Needed apps that
    /// already wait for the app are left out.
    fn put_in_front(&mut self, first: Vec<Needs<'a>>, next: Needs<'a>) {
        let waits = |needs: &Needs<'a>| self.visited.contains(&needs.app.name());
        let before = first.into_iter().filter(|needs| !waits(needs)).chain([next]);
        self.queue.splice(0..0, before);
    }
}
