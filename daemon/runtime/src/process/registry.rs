//! Registered names. OTP: `register/2`, `whereis/1`.
//!
//! A process registers names itself; a supervisor also has the name of its spec. An upgrade
//! reserves the names of new specs, and they replace the old ones at the switch:
//!
//! | the new spec has     | before the switch         | after the switch                  |
//! |----------------------|---------------------------|-----------------------------------|
//! | no name              |                           | the old name is free              |
//! | the old name         |                           | nothing has changed               |
//! | a free name          | the name is reserved      | it has replaced the old one       |
//! | a name that the      |                           | the old name is free; that of the |
//! | supervisor has taken |                           | supervisor does not depend on its |
//! | itself               |                           | spec                              |
//! | a name of another    | the conversion is refused |                                   |
//! | process              |                           |                                   |

use std::collections::{BTreeSet, HashMap};

use parking_lot::RwLock;

use crate::words::pid::Pid;

/// The registered names and their processes.
#[derive(Default)]
pub(crate) struct Registry {
    names: RwLock<Names>,
}

#[derive(Default)]
struct Names {
    by_name: HashMap<String, Pid>,
    by_pid: HashMap<Pid, BTreeSet<String>>,
    /// The names that supervisors have from their specs.
    of_specs: HashMap<Pid, String>,
    /// The names of new specs, for the switch of an upgrade.
    reserved: HashMap<Pid, Option<String>>,
}

impl Names {
    /// Returns the process that has a name or will have it after the switch.
    fn owner(&self, name: &str) -> Option<Pid> {
        let reserves = |(pid, new): (&Pid, &Option<String>)| (new.as_deref() == Some(name)).then_some(*pid);
        self.by_name.get(name).copied().or_else(|| self.reserved.iter().find_map(reserves))
    }

    fn is_of_spec(&self, pid: Pid, name: Option<&str>) -> bool {
        self.of_specs.get(&pid).map(String::as_str) == name
    }

    /// Returns the other process that has a name.
    fn other_owner(&self, pid: Pid, name: Option<&str>) -> Option<Pid> {
        name.and_then(|name| self.owner(name)).filter(|owner| *owner != pid)
    }

    fn add(&mut self, name: &str, pid: Pid) {
        self.by_name.insert(name.to_owned(), pid);
        self.by_pid.entry(pid).or_default().insert(name.to_owned());
    }

    fn remove(&mut self, name: &str, pid: Pid) -> bool {
        if self.by_name.get(name) != Some(&pid) {
            return false;
        }
        self.by_name.remove(name);
        if let Some(own) = self.by_pid.get_mut(&pid) {
            own.remove(name);
        }
        true
    }

    /// Replaces the name of a supervisor's old spec by that of its new one.
    fn rename(&mut self, pid: Pid, new: Option<&str>) {
        if self.is_of_spec(pid, new) {
            return;
        }
        if let Some(old) = self.of_specs.remove(&pid) {
            self.remove(&old, pid);
        }
        if let Some(new) = new.filter(|new| !self.by_name.contains_key(*new)) {
            self.add(new, pid);
            self.of_specs.insert(pid, new.to_owned());
        }
    }
}

impl Registry {
    /// Gives a process a name. If the name is taken, `Err` holds its owner.
    pub(crate) fn register(&self, name: &str, pid: Pid) -> Result<(), Pid> {
        let mut names = self.names.write();
        if let Some(owner) = names.owner(name) {
            return Err(owner);
        }
        names.add(name, pid);
        Ok(())
    }

    /// Gives a supervisor the name of its spec, at once; `Err` holds another owner.
    pub(crate) fn rename(&self, pid: Pid, new: Option<&str>) -> Result<(), Pid> {
        if self.has_no_name_of_spec(pid, new) {
            return Ok(());
        }
        let mut names = self.names.write();
        names.other_owner(pid, new).map_or(Ok(()), Err)?;
        names.rename(pid, new);
        Ok(())
    }

    /// Gives a supervisor the name of its new spec, at the switch; `Err` holds another owner. Does
    /// nothing if the upgrade is over.
    pub(crate) fn reserve(
        &self,
        pid: Pid,
        new: Option<&str>,
        is_open: impl FnOnce() -> bool,
    ) -> Result<(), Pid> {
        if self.has_no_name_of_spec(pid, new) {
            return Ok(());
        }
        let mut names = self.names.write();
        names.other_owner(pid, new).map_or(Ok(()), Err)?;
        // Asked under the lock: `drop_reserved` comes after the end of the upgrade.
        if is_open() {
            names.reserved.insert(pid, new.map(str::to_owned));
        }
        Ok(())
    }

    /// Returns whether a spec names nothing and never did. Most supervisors have no name; they must
    /// not queue for the write lock.
    fn has_no_name_of_spec(&self, pid: Pid, new: Option<&str>) -> bool {
        let names = self.names.read();
        new.is_none() && names.is_of_spec(pid, None) && !names.reserved.contains_key(&pid)
    }

    /// Makes the reserved names current, except those of processes that stay in old code.
    pub(crate) fn switch(&self, staying: &[Pid]) {
        let mut names = self.names.write();
        for (pid, new) in std::mem::take(&mut names.reserved) {
            if !staying.contains(&pid) {
                names.rename(pid, new.as_deref());
            }
        }
    }

    /// Frees the reserved names.
    pub(crate) fn drop_reserved(&self) {
        self.names.write().reserved.clear();
    }

    /// Frees a name if it belongs to that process.
    pub(crate) fn unregister(&self, name: &str, pid: Pid) -> bool {
        self.names.write().remove(name, pid)
    }

    /// Frees all names of a process that ended.
    pub(crate) fn forget(&self, pid: Pid) {
        // Most processes have no name; they must not contend for the write lock.
        let has_none = |names: &Names| !names.by_pid.contains_key(&pid) && !names.reserved.contains_key(&pid);
        if has_none(&self.names.read()) {
            return;
        }
        let mut names = self.names.write();
        names.of_specs.remove(&pid);
        names.reserved.remove(&pid);
        for name in names.by_pid.remove(&pid).unwrap_or_default() {
            names.by_name.remove(&name);
        }
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        self.names.read().by_name.get(name).copied()
    }

    /// Returns up to `max` registered names.
    pub(crate) fn all_names(&self, max: usize) -> Vec<String> {
        self.names.read().by_name.keys().take(max).cloned().collect()
    }

    /// Returns the names of a process in order.
    pub(crate) fn names(&self, pid: Pid) -> Vec<String> {
        self.names.read().by_pid.get(&pid).map(|names| names.iter().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Pid = Pid { slot: 1, generation: 1 };
    const TWO: Pid = Pid { slot: 2, generation: 1 };

    #[test]
    fn a_name_belongs_to_one_process_until_it_ends() {
        let registry = Registry::default();
        assert_eq!(registry.register("a", ONE), Ok(()));
        assert_eq!(registry.register("a", TWO), Err(ONE));
        assert!(!registry.unregister("a", TWO));
        assert_eq!(registry.names(ONE), ["a"]);
        registry.forget(ONE);
        assert_eq!(registry.whereis("a"), None);
        assert_eq!(registry.register("a", TWO), Ok(()));
        assert!(registry.unregister("a", TWO));
        assert_eq!(registry.whereis("a"), None);
    }

    #[test]
    fn a_reserved_name_is_refused_to_others_and_replaces_the_old_one_at_the_switch() {
        let registry = Registry::default();
        assert_eq!(registry.rename(ONE, Some("old")), Ok(()));
        assert_eq!(
            registry.reserve(TWO, Some("old"), || true),
            Err(ONE),
            "the name is taken until the switch"
        );
        assert_eq!(registry.reserve(ONE, Some("new"), || true), Ok(()));
        assert_eq!(registry.register("new", TWO), Err(ONE));
        assert_eq!(registry.names(ONE), ["old"]);
        registry.switch(&[]);
        assert_eq!(registry.names(ONE), ["new"]);
        assert_eq!(registry.reserve(ONE, None, || true), Ok(()));
        registry.switch(&[ONE]);
        assert_eq!(registry.names(ONE), ["new"], "it stays in old code");
        assert_eq!(registry.reserve(ONE, None, || true), Ok(()));
        registry.switch(&[]);
        assert_eq!(registry.names(ONE), Vec::<String>::new());
    }

    #[test]
    fn reserved_names_are_free_after_the_upgrade_or_the_process_has_ended() {
        let registry = Registry::default();
        assert_eq!(registry.reserve(ONE, Some("a"), || true), Ok(()));
        registry.drop_reserved();
        assert_eq!(registry.reserve(ONE, Some("b"), || true), Ok(()));
        registry.forget(ONE);
        assert_eq!(registry.reserve(ONE, Some("c"), || false), Ok(()));
        registry.switch(&[]);
        assert_eq!(["a", "b", "c"].map(|name| registry.whereis(name)), [None; 3]);
        assert_eq!(["a", "b", "c"].map(|name| registry.register(name, TWO)), [Ok(()); 3]);
    }

    #[test]
    fn a_name_that_the_supervisor_registered_itself_stays_its_own() {
        let registry = Registry::default();
        assert_eq!(registry.register("a", ONE), Ok(()));
        for new in [Some("a"), None] {
            assert_eq!(registry.reserve(ONE, new, || true), Ok(()));
            registry.switch(&[]);
            assert_eq!(registry.whereis("a"), Some(ONE));
        }
    }
}
