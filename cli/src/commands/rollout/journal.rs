//! The journal of the rollouts over a list of hosts: each start, halt and way back with its user
//! and its time, and the hosts that were left out. It is a file with one JSON document on each
//! line.
//!
//! The running driver holds a lock on the file. The kernel releases the lock when the driver ends,
//! however it ends, so a killed driver does not block the next one.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{User, getuid};
use reld_api::{ErrorCode, ErrorReport};
use serde::{Deserialize, Serialize};

use super::sight::Direction;
use crate::error::Failure;

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// The time, in RFC 3339 format, in UTC.
    pub(super) at: String,
    /// The user and the machine.
    pub(super) by: String,
    /// The id of the driver's OS process.
    pub(super) pid: u32,
    #[serde(flatten)]
    pub(super) entry: Entry,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Entry {
    /// A driver has begun a rollout, or goes on with it.
    Start { rollout: String, skip: Vec<String> },
    /// A driver has begun to take a rollout back, by order or because of a failure.
    TakeBack { rollout: String, skip: Vec<String> },
    /// An operator wants no further upgrade to begin.
    Halt,
    /// The driver has ended.
    End { rollout: String, outcome: String },
}

impl Line {
    fn now(entry: Entry) -> Self {
        Self { at: now(), by: user(), pid: std::process::id(), entry }
    }
}

/// Returns the present time, in RFC 3339 format.
pub(super) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Returns the user and the machine.
pub(super) fn user() -> String {
    let uid = getuid();
    let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", machine.trim())
}

/// The journal of a running driver.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Flock<File>,
    /// The position behind the last line that was read or written.
    read: u64,
}

impl Journal {
    /// Locks the journal and writes the first line of a driver.
    pub(super) fn begin(path: &Path, entry: Entry) -> Result<Self, Failure> {
        let file = File::options().create(true).append(true).read(true).open(path);
        let file = file.map_err(|fault| unwritable(path, &fault))?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => held(path, &entry),
            errno => unwritable(path, &errno.into()),
        })?;
        let mut journal = Self { path: path.to_owned(), file, read: 0 };
        journal.write(entry)?;
        journal.read = journal.size()?;
        Ok(journal)
    }

    /// Appends a line.
    pub(super) fn write(&mut self, entry: Entry) -> Result<(), Failure> {
        append(&mut self.file, entry).map_err(|fault| unwritable(&self.path, &fault))
    }

    /// Reports whether an operator has halted the rollout since the last call.
    pub(super) fn is_halted(&mut self) -> Result<bool, Failure> {
        let size = self.size()?;
        if size <= self.read {
            return Ok(false);
        }
        let mut text = String::new();
        let read = self.file.seek(SeekFrom::Start(self.read));
        read.and_then(|_| self.file.read_to_string(&mut text))
            .map_err(|fault| unwritable(&self.path, &fault))?;
        self.read = size;
        Ok(lines(&text).any(|line| line.entry == Entry::Halt))
    }

    fn size(&self) -> Result<u64, Failure> {
        self.file.metadata().map(|facts| facts.len()).map_err(|fault| unwritable(&self.path, &fault))
    }
}

/// The state of a journal, for commands other than a driver.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// The line with which the last driver took its present direction.
    pub(super) driver: Option<Line>,
    /// Whether this driver runs.
    pub(super) is_running: bool,
}

impl Last {
    /// Reads a journal. One that does not exist has no lines.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let mut file = match File::open(path) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened.map_err(|fault| Failure::io("read", path.display(), &fault))?,
        };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|fault| Failure::io("read", path.display(), &fault))?;
        let is_running = Flock::lock(file, FlockArg::LockSharedNonblock).is_err();
        let mut last = Self { is_running, ..Self::default() };
        for line in lines(&text) {
            match line.entry {
                Entry::Start { .. } | Entry::TakeBack { .. } => last.driver = Some(line),
                Entry::End { .. } | Entry::Halt => {}
            }
        }
        Ok(last)
    }
}

impl Last {
    /// Returns the rollout of the last driver.
    pub(super) fn rollout(&self) -> Option<&str> {
        match &self.driver.as_ref()?.entry {
            Entry::Start { rollout, .. } | Entry::TakeBack { rollout, .. } => Some(rollout),
            Entry::Halt | Entry::End { .. } => None,
        }
    }

    pub(super) fn direction(&self) -> Direction {
        match self.driver.as_ref().map(|line| &line.entry) {
            Some(Entry::TakeBack { .. }) => Direction::Back,
            _ => Direction::Forward,
        }
    }

    /// Returns the hosts that the last driver left out.
    pub(super) fn skipped(&self) -> &[String] {
        match self.driver.as_ref().map(|line| &line.entry) {
            Some(Entry::Start { skip, .. } | Entry::TakeBack { skip, .. }) => skip,
            _ => &[],
        }
    }
}

/// Writes a halt, which the running driver reads.
pub(super) fn halt(path: &Path) -> Result<(), Failure> {
    let file = File::options().append(true).open(path);
    file.and_then(|mut file| append(&mut file, Entry::Halt)).map_err(|fault| unwritable(path, &fault))
}

fn append(file: &mut File, entry: Entry) -> io::Result<()> {
    let line = serde_json::to_string(&Line::now(entry))?;
    // One write, so that the lines of two commands do not mix.
    file.write_all(format!("{line}\n").as_bytes())
}

/// Returns the readable lines. A line that was cut off by a full disk is skipped.
fn lines(text: &str) -> impl Iterator<Item = Line> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn unwritable(path: &Path, fault: &io::Error) -> Failure {
    Failure::io("write", format_args!("the journal {}", path.display()), fault)
        .or_hint("name another file with --journal, the same one for each rollout over these hosts")
}

/// The error of a second driver, which wants to begin with this entry.
fn held(path: &Path, wanted: &Entry) -> Failure {
    let driver = Last::read(path).ok().and_then(|last| last.driver);
    let driver = driver.map_or_else(
        || "another one runs".to_owned(),
        |Line { at, by, pid, entry }| match entry {
            Entry::TakeBack { rollout, .. } => {
                format!("{rollout} is being taken back by {by} since {at}, process {pid}")
            }
            Entry::Start { rollout, .. } => format!("{rollout} runs, started by {by} at {at}, process {pid}"),
            Entry::Halt | Entry::End { .. } => "another one runs".to_owned(),
        },
    );
    let what = match wanted {
        Entry::TakeBack { rollout, .. } => format!("take rollout {rollout} back"),
        _ => "begin a rollout over these hosts".to_owned(),
    };
    ErrorReport::refused(ErrorCode::RollingOut, format!("cannot {what}: {driver}"))
        .with_hint("`relctl rollout status` shows it, `relctl rollout halt` ends it")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(rollout: &str) -> Entry {
        Entry::Start { rollout: rollout.to_owned(), skip: vec!["n3".to_owned()] }
    }

    #[test]
    fn a_second_driver_is_refused_by_name_until_the_first_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts.txt.rollout");
        assert!(Last::read(&path).unwrap().driver.is_none());
        let journal = Journal::begin(&path, start("shop-1.1.0")).unwrap();
        let refused = Journal::begin(&path, start("shop-1.2.0")).unwrap_err();
        let message = &refused.report().message;
        assert!(message.contains("shop-1.1.0 runs, started by ") && message.contains(" at 2"), "{message}");
        let back = Entry::TakeBack { rollout: "shop-1.2.0".to_owned(), skip: Vec::new() };
        let refused = Journal::begin(&path, back).unwrap_err();
        let message = &refused.report().message;
        assert!(message.starts_with("cannot take rollout shop-1.2.0 back: shop-1.1.0 runs"), "{message}");
        let last = Last::read(&path).unwrap();
        assert!(last.is_running);
        assert_eq!(last.driver.unwrap().entry, start("shop-1.1.0"));
        drop(journal);
        let last = Last::read(&path).unwrap();
        assert!(!last.is_running, "a killed driver leaves no lock");
        Journal::begin(&path, start("shop-1.2.0")).unwrap();
    }

    #[test]
    fn a_halt_reaches_the_running_driver_once_and_none_that_begins_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::begin(&path, start("a")).unwrap();
        assert!(!journal.is_halted().unwrap());
        halt(&path).unwrap();
        assert!(journal.is_halted().unwrap());
        assert!(!journal.is_halted().unwrap());
        journal.write(Entry::End { rollout: "a".to_owned(), outcome: "halted".to_owned() }).unwrap();
        drop(journal);
        assert!(!Journal::begin(&path, start("b")).unwrap().is_halted().unwrap());
    }
}
