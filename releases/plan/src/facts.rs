//! Looks up data of a relup and its two releases while a window is built.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::Pair;
use crate::error::PlanError;
use crate::instr::{Apply, LowLevel, PurgeWords};
use crate::name::{AppName, ModuleName};
use crate::reason::Reason;
use crate::release::{Release, ReleaseApp};
use crate::relup::{Line, Relup};
use crate::script::MemberChange;
use crate::version::Vsn;
use crate::warning::Warning;

/// A relup with its releases.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) relup: &'a Relup,
    from: &'a Release,
    to: &'a Release,
    loaded: BTreeSet<&'a ModuleName>,
    removed: BTreeMap<&'a ModuleName, PurgeWords>,
    converted: BTreeSet<&'a ModuleName>,
    restarted: BTreeSet<&'a AppName>,
    /// Modules with a purge written before their load.
    purged_first: BTreeSet<&'a ModuleName>,
    /// Modules with users that a `stop` terminates.
    stopped: BTreeSet<&'a ModuleName>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(pair: &Pair<'a>, relup: &'a Relup) -> Self {
        let mut facts = Self {
            relup,
            from: pair.from(),
            to: pair.to(),
            loaded: BTreeSet::new(),
            removed: BTreeMap::new(),
            converted: BTreeSet::new(),
            restarted: BTreeSet::new(),
            purged_first: BTreeSet::new(),
            stopped: BTreeSet::new(),
        };
        let mut purged: BTreeSet<&ModuleName> = BTreeSet::new();
        let mut stopped: BTreeSet<&AppName> = BTreeSet::new();
        for line in &relup.lines {
            match &line.instruction {
                LowLevel::Load { module, .. } => {
                    let is_first = facts.loaded.insert(module);
                    facts.purged_first.extend((is_first && purged.contains(module)).then_some(module));
                }
                LowLevel::Purge { modules } => purged.extend(modules),
                LowLevel::Remove { module, purge } => facts.removed.extend([(module, *purge)]),
                LowLevel::CodeChange { modules, .. } => {
                    facts.converted.extend(modules.iter().map(|change| &change.module));
                }
                LowLevel::Stop { modules } => facts.stopped.extend(modules),
                LowLevel::StopApplication { app } => stopped.extend([app]),
                LowLevel::StartApplication { app, .. } if stopped.contains(app) => {
                    facts.restarted.extend([app]);
                }
                _ => {}
            }
        }
        facts
    }

    /// Returns the app of the source release that has a module.
    pub(crate) fn old_owner(&self, module: &ModuleName) -> Option<&'a ReleaseApp> {
        self.from.owner(module)
    }

    /// Returns the app of the target release that has a module.
    pub(crate) fn new_owner(&self, module: &ModuleName) -> Result<&'a ReleaseApp, PlanError> {
        self.to.owner(module).ok_or_else(|| PlanError::NoSuchModule { module: module.clone() })
    }

    /// Returns whether another app of the target release includes this app and therefore starts it.
    /// Unlike OTP: it starts an included app that a release adds like any other app.
    pub(crate) fn is_included(&self, app: &AppName) -> bool {
        self.to.is_included(app)
    }

    /// Returns an app version that the target release has and the running release lacks.
    pub(crate) fn new_library(&self, app: &AppName, vsn: &Vsn) -> Result<&'a ReleaseApp, PlanError> {
        let runs = self.from.app(app).is_some_and(|old| old.version() == vsn);
        let library = self.to.app(app).filter(|new| new.version() == vsn && !runs);
        library.ok_or_else(|| PlanError::BadLibVsn { app: app.clone(), vsn: vsn.clone() })
    }

    /// Returns the replaced libraries, old and new, in start order.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = (&'a ReleaseApp, &'a ReleaseApp)> {
        let from = self.from;
        let both = self.to.start_order().filter_map(move |new| Some((from.app(new.name())?, new)));
        both.filter(|(old, new)| old.version() != new.version())
    }

    /// Returns the modules with processes that keep running in the new code.
    pub(crate) fn moving(&self) -> impl Iterator<Item = &'a ModuleName> {
        let implied = self.replaced().flat_map(|(_, new)| new.modules());
        let implied = implied.filter(|module| self.is_implied(module));
        let goes_on = |module: &&ModuleName| {
            let restarts = |owner: &ReleaseApp| self.is_restarted(owner.name());
            !self.stopped.contains(module) && !self.new_owner(module).is_ok_and(restarts)
        };
        self.loaded.iter().copied().chain(implied).filter(goes_on)
    }

    /// Returns whether a module has no instruction and is replaced because its library is replaced.
    pub(crate) fn is_implied(&self, module: &ModuleName) -> bool {
        !self.loaded.contains(module)
            && !self.removed.contains_key(module)
            && !self.relup.keep.contains(module)
    }

    /// Returns the module with a conversion that a call may prepare. It is the first module
    /// converted by these lines that belongs to the app of the call, or has a conversion written by
    /// the author of the call.
    pub(crate) fn prepared<'b>(
        &self,
        call: &Apply,
        reason: &Reason,
        behind: &'b [Line],
    ) -> Option<&'b ModuleName> {
        let app = self.app_of(&call.module);
        let converted = behind.iter().flat_map(|line| match &line.instruction {
            LowLevel::CodeChange { modules, .. } => {
                modules.iter().map(|it| (&it.module, &line.reason)).collect()
            }
            _ => Vec::new(),
        });
        let mut converted = converted.filter(|(module, _)| self.old_owner(module).is_some());
        let is_prepared = |(module, other): &(&ModuleName, &Reason)| {
            // All lines of a hand-written relup have the same author, so a common cause proves
            // nothing.
            app.is_some() && self.app_of(module) == app || !reason.is_relup() && other.shares_cause(reason)
        };
        converted.find(is_prepared).map(|(module, _)| module)
    }

    fn app_of(&self, module: &ModuleName) -> Option<&'a AppName> {
        self.to.owner(module).or_else(|| self.from.owner(module)).map(ReleaseApp::name)
    }

    /// Returns whether the code of a module is replaced, not only removed.
    pub(crate) fn is_loaded(&self, module: &ModuleName) -> bool {
        self.loaded.contains(module)
    }

    /// Returns whether the app is stopped and started again, as by `restart_application`.
    pub(crate) fn is_restarted(&self, app: &AppName) -> bool {
        self.restarted.contains(app)
    }

    /// Returns whether the app is restarted in its running version, without a code change.
    pub(crate) fn keeps_code(&self, app: &AppName) -> bool {
        let vsn = |release: &'a Release| release.app(app).map(ReleaseApp::version);
        self.is_restarted(app) && vsn(self.from) == vsn(self.to)
    }

    /// Returns the change of the users of a suspended module. A hand-written code_change counts as
    /// advanced.
    pub(crate) fn change(&self, module: &ModuleName) -> MemberChange {
        let by_hand = self.converted.contains(module);
        let usual = if by_hand { MemberChange::Advanced } else { MemberChange::Soft };
        self.relup.changes.get(module).copied().unwrap_or(usual)
    }

    /// Returns whether a purge belongs to a remove without purge methods. The step of the remove
    /// then purges.
    pub(crate) fn is_part_of_remove(&self, module: &ModuleName) -> bool {
        self.removed.get(module).is_some_and(|words| words.post.is_none())
    }

    /// Returns whether a purge is written before the load of its module, so that it purges older
    /// code.
    pub(crate) fn is_purged_before_load(&self, module: &ModuleName) -> bool {
        self.purged_first.contains(module) && !self.removed.contains_key(module)
    }

    /// Returns warnings about instructions without an effect and about modules that stay in a
    /// replaced library.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let absent = |module: &&&ModuleName| self.old_owner(module).is_none();
        let nothing =
            |word| move |module: &&ModuleName| Warning::NothingToDo { word, module: (*module).clone() };
        let converted = self.converted.iter().filter(absent).map(nothing("code_change"));
        let removed: Vec<_> = self.removed.keys().filter(absent).map(nothing("remove")).collect();
        converted
            .chain(removed)
            .chain(self.replaced().flat_map(|(old, new)| self.left_behind(old, new)))
            .collect()
    }

    /// Returns warnings about the modules that keep a replaced library mapped.
    fn left_behind(&self, old: &ReleaseApp, new: &ReleaseApp) -> Vec<Warning> {
        let warning = |module: &ModuleName| {
            let (app, vsn) = (old.name().clone(), old.version().clone());
            let kept = self.relup.keep.contains(module);
            let module = module.clone();
            if kept { Warning::Kept { module, app, vsn } } else { Warning::NotDeleted { module, app, vsn } }
        };
        let moves = |module: &ModuleName| {
            self.loaded.contains(module)
                || self.removed.contains_key(module)
                || (new.modules().contains(module) && self.is_implied(module))
        };
        old.modules().iter().filter(|module| !moves(module)).map(warning).collect()
    }
}
