//! The order in which the apps of a release start; also the order of their appups in a script.
//!
//! OTP: systools, sorting of applications. An app goes out when all apps that it uses or includes are out; those that are
//! not are tried first, the used ones before the included ones, each in the order of the release file.

use crate::error::PlanError;
use crate::name::AppName;
use crate::release::ReleaseApp;

/// Returns the names of the apps in start order.
pub(crate) fn start_order(apps: &[ReleaseApp]) -> Result<Vec<AppName>, PlanError> {
    let mut walk = Walk { apps, waiting: Vec::new(), out: Vec::new() };
    for app in apps {
        walk.visit(app)?;
    }
    Ok(walk.out)
}

/// A walk in depth: `waiting` are the apps from the root to the current one.
struct Walk<'a> {
    apps: &'a [ReleaseApp],
    waiting: Vec<&'a AppName>,
    out: Vec<AppName>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, app: &'a ReleaseApp) -> Result<(), PlanError> {
        if self.out.contains(app.name()) {
            return Ok(());
        }
        if let Some(at) = self.waiting.iter().position(|name| *name == app.name()) {
            let apps = self.waiting[at..].iter().map(|name| (*name).clone()).collect();
            return Err(PlanError::CircularDependencies { apps });
        }
        self.waiting.push(app.name());
        for needed in self.needed(app) {
            self.visit(needed)?;
        }
        self.waiting.pop();
        self.out.push(app.name().clone());
        Ok(())
    }

    fn needed(&self, app: &ReleaseApp) -> Vec<&'a ReleaseApp> {
        let uses = self.uses(app);
        let used = self.apps.iter().filter(|other| uses.contains(&other.name()));
        let included = self.apps.iter().filter(|other| app.included.contains(other.name()));
        used.chain(included).filter(|other| other.name() != app.name()).collect()
    }

    /// Returns what an app uses, where an app included elsewhere stands for the one that starts it.
    fn uses(&self, app: &'_ ReleaseApp) -> Vec<&'a AppName> {
        let top = self.top(app.name());
        let names = self.apps.iter().map(ReleaseApp::name);
        let used = names.filter(|name| app.docs.app.applications.contains(name));
        let starts = |name: &'a AppName| match self.top(name) {
            other if other != top => Some(other),
            // An included app may say that it uses the one that includes it.
            other if other == name => None,
            _ => Some(name),
        };
        used.filter_map(starts).collect()
    }

    /// Returns the outermost app that includes an app, or the app itself.
    fn top<'n>(&self, name: &'n AppName) -> &'n AppName
    where
        'a: 'n,
    {
        let mut top = name;
        // Bounded, because apps may include each other in a circle, which is reported elsewhere.
        for _ in self.apps {
            let Some(outer) = self.apps.iter().find(|app| app.included.contains(top)) else { break };
            top = outer.name();
        }
        top
    }
}
