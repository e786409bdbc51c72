//! The script of a boot, which starts a release with the same steps as an upgrade.

use crate::dropped::Dropped;
use crate::instr::{Mode, PurgeWords};
use crate::reason::Cause;
use crate::rel::StartType;
use crate::release::{Release, ReleaseApp};
use crate::script::{Action, Script, Step};

impl Script {
    /// Returns the script that boots a release: all code first, then the apps in start order.
    ///
    /// OTP: systools:make_script. An included app is only loaded: the including app starts it.
    pub fn boot(release: &Release) -> Self {
        let apps = || release.start_order();
        let with_code = apps().filter(|app| !app.modules().is_empty());
        let actions = with_code
            .map(load_object_code)
            .chain(apps().flat_map(loads))
            .chain(apps().filter_map(|app| start(release, app)))
            .chain([Action::Switch]);
        Self {
            from: None,
            to: release.version().clone(),
            mode: Mode::Up,
            steps: actions.map(|action| Step::new(action, Cause::Boot.into())).collect(),
            warnings: Vec::new(),
        }
    }
}

fn load_object_code(app: &ReleaseApp) -> Action {
    let (name, vsn) = (app.name().clone(), app.version().clone());
    Action::LoadObjectCode { app: name, vsn, modules: app.modules().to_vec() }
}

fn loads(app: &ReleaseApp) -> impl Iterator<Item = Action> {
    app.modules().iter().map(|module| Action::Load {
        module: module.clone(),
        app: app.name().clone(),
        vsn: app.version().clone(),
        implied: false,
        purge: PurgeWords::default(),
        dropped: Dropped::default(),
    })
}

fn start(release: &Release, app: &ReleaseApp) -> Option<Action> {
    let name = app.name().clone();
    match release.boot_type(app) {
        StartType::None => None,
        StartType::Load => Some(Action::LoadApplication { app: name }),
        start_type => Some(Action::StartApplication { app: name, start_type }),
    }
}
