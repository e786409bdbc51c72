//! The code server: at most one current and one old version of each module.
//!
//! OTP: `code`. Unlike OTP, the versions of one release are *staged* first and become current
//! together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{RwLock, RwLockWriteGuard};
use thiserror::Error;

use crate::words::code::{Behaviour, Instance, Module};
use crate::words::cut::Cut;
use crate::words::exit::Exit;
use crate::words::figures::Exits;
use crate::words::pid::Pid;

/// One version of one module in a node.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) module: Arc<dyn Module>,
    /// The behaviour of the module. It is read several times for each callback, so it is kept here.
    behaviour: Behaviour,
    /// Whether the version is no longer current. A process that is not a task then moves on at its
    /// next callback boundary.
    stale: AtomicBool,
    pub(crate) exits: Exits,
    late: RwLock<Late>,
}

/// The fields to cut out of the states of processes that were not converted for the switch and move
/// to this version later. Only states of the version `from` are cut.
#[derive(Debug, Default)]
struct Late {
    from: Weak<Code>,
    cut: Cut,
}

impl Code {
    fn new(module: Arc<dyn Module>) -> Arc<Self> {
        let (stale, exits, late) = (AtomicBool::new(false), Exits::default(), RwLock::default());
        Arc::new(Self { behaviour: module.behaviour(), module, stale, exits, late })
    }

    pub(crate) fn name(&self) -> &str {
        self.module.name()
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// Sets the version that this one replaces, and the fields to cut out of the states of that
    /// version.
    pub(crate) fn replaces(&self, old: &Arc<Self>, cut: Cut) {
        *self.late.write() = Late { from: Arc::downgrade(old), cut };
    }

    /// Makes an instance from the state of a process that moves to this version after the switch.
    pub(crate) fn import_late(&self, from: &Arc<Self>, state: &[u8]) -> Result<Box<dyn Instance>, Exit> {
        let cut = {
            let late = self.late.read();
            let is_it = std::ptr::eq(late.from.as_ptr(), Arc::as_ptr(from));
            if is_it { late.cut.clone() } else { Cut::NOTHING }
        };
        self.module.import(&cut.of(state))
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }
}

/// The versions of one module.
#[derive(Debug, Default, Clone)]
struct Slots {
    current: Option<Arc<Code>>,
    old: Option<Arc<Code>>,
    /// The version that becomes current at the switch of the upgrade under way. `Some(None)` means
    /// that the switch removes the module.
    staged: Option<Option<Arc<Code>>>,
    /// Whether new processes run the staged version before it is current.
    at_once: bool,
    /// Versions that an upgrade pushed out of the old slot while processes still ran them.
    condemned: Vec<Arc<Code>>,
}

/// The slot that a version is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// New processes run the version, and running ones move to it at their next callback boundary.
    Current,
    /// Processes may still run the version.
    Old,
    /// The version becomes current at the switch.
    Staged,
    /// An upgrade has pushed the version out of the old slot; the processes that still run it are
    /// being ended.
    Condemned,
}

/// One version of one module, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The module's name.
    pub module: String,
    /// The app that the module belongs to.
    pub app: String,
    /// The version of that app.
    pub version: String,
    /// The kind of process that the module makes.
    pub behaviour: Behaviour,
    /// The slot that the version is in.
    pub place: Place,
    /// How many processes of this version have ended, by kind of exit reason (see [`Exit::kind`]).
    pub exits: Vec<(&'static str, u64)>,
}

/// The reason why code was not loaded or purged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodeError {
    /// The module already has both a current and an old version. OTP: `not_purged`. This is an
    /// error even when no process runs the old version.
    #[error("module {module} has old code of version {old} already; purge it first")]
    NotPurged {
        /// The module.
        module: String,
        /// The version in the old slot.
        old: String,
    },
    /// No module of that name has ever been loaded.
    #[error("module {0} is not loaded")]
    NotLoaded(String),
    /// Processes still run the old version.
    #[error("old code of module {module} is still in use by {}", list(.by))]
    InUse {
        /// The module.
        module: String,
        /// The processes that run the old version.
        by: Vec<Pid>,
    },
    /// This version is already current.
    #[error("version {version} of module {module} is already current")]
    SameVersion {
        /// The module.
        module: String,
        /// The version that is current.
        version: String,
    },
}

fn list(pids: &[Pid]) -> String {
    pids.iter().map(Pid::to_string).collect::<Vec<_>>().join(", ")
}

/// All modules of a node.
#[derive(Debug, Default)]
pub(crate) struct CodeServer {
    modules: RwLock<BTreeMap<String, Slots>>,
    /// Changes with each change of the modules. No two code servers have the same number.
    epoch: AtomicU64,
}

static EPOCHS: AtomicU64 = AtomicU64::new(1);

/// The last result of [`CodeServer::resolve`] on a thread. It does not keep the code alive.
struct Recent {
    epoch: u64,
    module: String,
    code: Weak<Code>,
}

thread_local! {
    static RECENT: RefCell<Recent> =
        const { RefCell::new(Recent { epoch: 0, module: String::new(), code: Weak::new() }) };
}

impl CodeServer {
    /// Begins a change of the modules.
    fn change(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Slots>> {
        let modules = self.modules.write();
        self.epoch.store(EPOCHS.fetch_add(1, Ordering::Relaxed), Ordering::Release);
        modules
    }

    /// Returns the version that a new process runs: the current one, or the staged one if the
    /// module is new or was staged with `at_once`. A thread that starts many processes of one
    /// module in a row looks it up once.
    pub(crate) fn resolve(&self, module: &str) -> Option<Arc<Code>> {
        RECENT.with_borrow_mut(|recent| {
            if recent.epoch == self.epoch.load(Ordering::Acquire)
                && recent.module == module
                && let Some(code) = recent.code.upgrade()
            {
                return Some(code);
            }
            let modules = self.modules.read();
            let code = modules.get(module)?.for_new()?;
            let epoch = self.epoch.load(Ordering::Relaxed);
            *recent = Recent { epoch, module: module.to_owned(), code: Arc::downgrade(&code) };
            Some(code)
        })
    }

    /// Returns the staged version of an upgrade under way, or else the current one.
    pub(crate) fn newest(&self, module: &str) -> Option<Arc<Code>> {
        let modules = self.modules.read();
        let slots = modules.get(module)?;
        slots.staged.clone().flatten().or_else(|| slots.current.clone())
    }

    pub(crate) fn current(&self, module: &str) -> Option<Arc<Code>> {
        self.modules.read().get(module)?.current.clone()
    }

    pub(crate) fn old(&self, module: &str) -> Option<Arc<Code>> {
        self.modules.read().get(module)?.old.clone()
    }

    pub(crate) fn staged(&self, module: &str) -> Option<Arc<Code>> {
        self.modules.read().get(module)?.staged.clone().flatten()
    }

    pub(crate) fn all_staged(&self) -> Vec<Arc<Code>> {
        self.modules.read().values().filter_map(|slots| slots.staged.clone().flatten()).collect()
    }

    /// Makes versions current at once, outside an upgrade. Loads all or none.
    pub(crate) fn load(&self, new: Vec<Arc<dyn Module>>) -> Result<(), CodeError> {
        let mut modules = self.change();
        for module in &new {
            if let Some(old) = modules.get(module.name()).and_then(|slots| slots.old.as_ref()) {
                let old = old.module.version().to_owned();
                return Err(CodeError::NotPurged { module: module.name().to_owned(), old });
            }
        }
        for module in new {
            let name = module.name().to_owned();
            modules.entry(name).or_default().replace(Some(Code::new(module)));
        }
        Ok(())
    }

    /// Stages the versions that become current at the next switch, and the removal of modules. New
    /// processes run the modules named in `at_once` from now on.
    pub(crate) fn stage(&self, new: Vec<Arc<dyn Module>>, removed: &[String], at_once: &[String]) {
        let mut modules = self.change();
        for module in new {
            let slots = modules.entry(module.name().to_owned()).or_default();
            slots.at_once = at_once.iter().any(|name| name == module.name());
            slots.staged = Some(Some(slots.known(&module).unwrap_or_else(|| Code::new(module))));
        }
        for module in removed {
            modules.entry(module.clone()).or_default().staged = Some(None);
        }
    }

    /// Drops the staged versions. A process that already runs a staged version moves back, or ends
    /// if its state cannot be converted.
    pub(crate) fn unstage(&self) {
        let mut modules = self.change();
        for slots in modules.values_mut() {
            let staged = slots.staged.take().flatten();
            if std::mem::take(&mut slots.at_once) {
                staged.iter().for_each(|code| code.stale.store(true, Ordering::Relaxed));
            }
        }
        modules.retain(|_, slots| !slots.is_empty());
    }

    /// Makes all staged versions current. Changes memory only and cannot fail.
    pub(crate) fn switch(&self) {
        let mut modules = self.change();
        for slots in modules.values_mut() {
            slots.at_once = false;
            if let Some(staged) = slots.staged.take() {
                slots.replace(staged);
            }
        }
    }

    /// Drops a module's versions in that slot. The caller has made sure that no process runs them.
    pub(crate) fn forget(&self, module: &str, place: Place) {
        let mut modules = self.change();
        if let Some(slots) = modules.get_mut(module) {
            match place {
                Place::Current => slots.current = None,
                Place::Old => slots.old = None,
                Place::Staged => slots.staged = None,
                Place::Condemned => slots.condemned.clear(),
            }
        }
        modules.retain(|_, slots| !slots.is_empty());
    }

    /// Returns a module's versions in that slot.
    pub(crate) fn at(&self, module: &str, place: Place) -> Vec<Arc<Code>> {
        let modules = self.modules.read();
        let Some(slots) = modules.get(module) else { return Vec::new() };
        match place {
            Place::Current => slots.current.iter().cloned().collect(),
            Place::Old => slots.old.iter().cloned().collect(),
            Place::Staged => slots.staged.iter().flatten().cloned().collect(),
            Place::Condemned => slots.condemned.clone(),
        }
    }

    pub(crate) fn is_known(&self, module: &str) -> bool {
        self.modules.read().contains_key(module)
    }

    /// Returns all versions, by module, current first.
    pub(crate) fn list(&self) -> Vec<Version> {
        self.modules.read().values().flat_map(Slots::versions).collect()
    }
}

impl Slots {
    /// Returns the version that a new process runs.
    fn for_new(&self) -> Option<Arc<Code>> {
        let staged = || self.staged.clone().flatten();
        if self.at_once { staged() } else { None }.or_else(|| self.current.clone()).or_else(staged)
    }

    /// Returns the old code if it comes from this very image: returning to that image swaps the
    /// slots.
    fn known(&self, module: &Arc<dyn Module>) -> Option<Arc<Code>> {
        self.old.as_ref().filter(|old| Arc::ptr_eq(&old.module, module)).cloned()
    }

    fn replace(&mut self, new: Option<Arc<Code>>) {
        if let (Some(old), Some(new)) = (&self.old, &new)
            && Arc::ptr_eq(old, new)
        {
            new.stale.store(false, Ordering::Relaxed);
            self.old = None;
        }
        if let Some(pushed_out) = std::mem::replace(&mut self.old, self.current.take()) {
            self.condemned.push(pushed_out);
        }
        if let Some(old) = &self.old {
            old.stale.store(true, Ordering::Relaxed);
        }
        self.current = new;
    }

    fn is_empty(&self) -> bool {
        self.current.is_none() && self.old.is_none() && self.staged.is_none() && self.condemned.is_empty()
    }

    fn versions(&self) -> Vec<Version> {
        let place = |code: &Arc<Code>, place| Version {
            module: code.name().to_owned(),
            app: code.module.app().to_owned(),
            version: code.module.version().to_owned(),
            behaviour: code.behaviour(),
            place,
            exits: code.exits.read(),
        };
        let mut versions = Vec::new();
        versions.extend(self.current.iter().map(|code| place(code, Place::Current)));
        versions.extend(self.old.iter().map(|code| place(code, Place::Old)));
        versions.extend(self.staged.iter().flatten().map(|code| place(code, Place::Staged)));
        versions.extend(self.condemned.iter().map(|code| place(code, Place::Condemned)));
        versions
    }
}
