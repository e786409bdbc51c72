//! Registered names. OTP: `register/2`, `whereis/1`.

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
}

impl Registry {
    /// Gives a process a name. If the name is taken, `Err` holds its owner.
    pub(crate) fn register(&self, name: &str, pid: Pid) -> Result<(), Pid> {
        let mut names = self.names.write();
        if let Some(owner) = names.by_name.get(name) {
            return Err(*owner);
        }
        names.by_name.insert(name.to_owned(), pid);
        names.by_pid.entry(pid).or_default().insert(name.to_owned());
        Ok(())
    }

    /// Frees a name if it belongs to that process.
    pub(crate) fn unregister(&self, name: &str, pid: Pid) -> bool {
        let mut names = self.names.write();
        if names.by_name.get(name) != Some(&pid) {
            return false;
        }
        names.by_name.remove(name);
        if let Some(own) = names.by_pid.get_mut(&pid) {
            own.remove(name);
        }
        true
    }

    /// Frees all names of a process that ended.
    pub(crate) fn forget(&self, pid: Pid) {
        // Most processes have no name; they must not contend for the write lock.
        if !self.names.read().by_pid.contains_key(&pid) {
            return;
        }
        let mut names = self.names.write();
        for name in names.by_pid.remove(&pid).unwrap_or_default() {
            names.by_name.remove(&name);
        }
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        self.names.read().by_name.get(name).copied()
    }

    /// Returns the names of a process in order.
    pub(crate) fn names(&self, pid: Pid) -> Vec<String> {
        self.names.read().by_pid.get(&pid).map(|names| names.iter().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_one_process_until_it_ends() {
        let registry = Registry::default();
        let [one, two] = [1, 2].map(|slot| Pid { slot, generation: 1 });
        assert_eq!(registry.register("a", one), Ok(()));
        assert_eq!(registry.register("a", two), Err(one));
        assert!(!registry.unregister("a", two));
        assert_eq!(registry.names(one), ["a"]);
        registry.forget(one);
        assert_eq!(registry.whereis("a"), None);
        assert_eq!(registry.register("a", two), Ok(()));
        assert!(registry.unregister("a", two));
        assert_eq!(registry.whereis("a"), None);
    }
}
