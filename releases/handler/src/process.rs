//! Processes as plain data.

use std::fmt;

use reld_plan::{AppName, ModuleName};
use serde::{Serialize, Serializer};

/// A pid, unique for the life of the node. Prints as `<slot.generation>`, also in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid {
    /// The index in the node's process table.
    pub slot: u32,
    /// Distinguishes the processes that use the slot one after another.
    pub generation: u32,
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}>", self.slot, self.generation)
    }
}

impl Serialize for Pid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A process, with the names by which an operator recognises it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Process {
    /// The pid.
    pub pid: Pid,
    /// The registered name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The module with its callbacks.
    pub module: ModuleName,
    /// The app of the module.
    pub app: AppName,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} {}", self.pid),
            None => self.pid.fmt(f),
        }?;
        write!(f, " ({}:{})", self.app, self.module)
    }
}

/// Prints processes in one line for error texts. A long list is cut.
pub(crate) struct Listed<'a>(pub(crate) &'a [Process]);

/// The maximum number of processes in an error text.
const LISTED_MAX: usize = 8;

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, process) in self.0.iter().take(LISTED_MAX).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{process}")?;
        }
        match self.0.len().saturating_sub(LISTED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(slot: u32, name: Option<&str>) -> Process {
        Process {
            pid: Pid { slot, generation: 1 },
            name: name.map(str::to_owned),
            module: "counter".parse().unwrap(),
            app: "shop".parse().unwrap(),
        }
    }

    #[track_caller]
    fn check(processes: &[Process], expected: &str) {
        assert_eq!(Listed(processes).to_string(), expected);
    }

    #[test]
    fn processes_are_listed_with_name_and_code_and_a_long_list_is_cut() {
        check(&[process(7, None)], "<7.1> (shop:counter)");
        check(
            &[process(7, Some("till")), process(8, None)],
            "till <7.1> (shop:counter), <8.1> (shop:counter)",
        );
        let many: Vec<Process> = (0..10).map(|slot| process(slot, None)).collect();
        assert!(Listed(&many).to_string().ends_with("<7.1> (shop:counter) and 2 more"));
    }

    #[test]
    fn a_process_prints_as_json_with_a_readable_pid() {
        let json = serde_json::to_string(&process(7, None)).unwrap();
        assert_eq!(json, r#"{"pid":"<7.1>","module":"counter","app":"shop"}"#);
    }
}
