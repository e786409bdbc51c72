//! The store: the releases of one node, which are the status table and the files below the root.

use std::path::PathBuf;
use std::sync::Arc;

use reld_plan::{Config, Layers, Vsn};

use crate::boots::{Boots, GaveWay};
use crate::claim::RootLock;
use crate::disk::{Disk, RealDisk};
use crate::documents::{self, Documents};
use crate::error::Error;
use crate::guard::Guard;
use crate::health::Health;
use crate::history::History;
use crate::layout::Root;
use crate::lifecycle::{Action, KnownRelease, Refusal, StatusTable, next};
use crate::manifest::Manifest;
use crate::node_config::NodeConfig;
use crate::prune::{self, Removal};
use crate::{releases_file, room, verify};

/// The releases of one node. There is only one store per root, because it holds the root's lock.
///
/// Every change is atomic: on an error, the table and the files of every known release are
/// unchanged. After a crash at any point, [`Store::open`] finds one of these two states. The
/// exception is a replaced release, see
/// [`UnpackOptions::replaces`](arrival::UnpackOptions::replaces).
#[derive(Debug, Clone)]
pub struct Store {
    root: Root,
    table: StatusTable,
    /// The node's own configuration in force. The file may be newer.
    config: Config,
    /// The configuration on the daemon's command line.
    command_line: Config,
    guard: Guard,
    health: Health,
    _lock: Arc<RootLock>,
}

impl Store {
    /// Opens a root: creates missing folders, takes the lock, reads the status table and the node's
    /// configuration, and deletes the remains of a crash.
    ///
    /// No release is current afterwards.
    ///
    /// # Errors
    /// Those of [`Root::claim`], those about a damaged status table, those of
    /// [`NodeConfig::read`], and [`Error::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open_on(path, Arc::new(RealDisk::Durable))
    }

    /// Opens a root with files that need not outlive the daemon: a power cut may damage them.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_fleeting(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open_on(path, Arc::new(RealDisk::Fleeting))
    }

    pub(crate) fn open_on(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let root = Root::on(path, disk);
        let lock = root.claim()?;
        let table = match releases_file::read(&root)? {
            Some(table) => table,
            None => create_table(&root)?,
        };
        let config = NodeConfig::read(&root)?.config;
        root.sweep(&table)?;
        root.clear_run()?;
        let (guard, health, lock) = (Guard::default(), Health::default(), Arc::new(lock));
        Ok(Self { root, table, config, command_line: Config::default(), guard, health, _lock: lock })
    }

    /// Overrides the configuration of each release and of the node. OTP: configuration on the
    /// command line of `erl`.
    pub fn override_config(&mut self, command_line: Config) {
        self.command_line = command_line;
    }

    /// Returns the node's own configuration in force.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Puts a configuration of the node in force. Writes nothing.
    pub fn adopt_config(&mut self, config: Config) {
        self.config = config;
    }

    /// Reads the node's own configuration anew, without putting it in force.
    ///
    /// # Errors
    /// Those of [`NodeConfig::read`].
    pub fn read_config(&self) -> Result<NodeConfig, Error> {
        NodeConfig::read(&self.root)
    }

    /// Writes the node's own configuration, and puts it in force.
    ///
    /// # Errors
    /// [`Error::NodeConfig`] if the file is a link or was changed meanwhile, and [`Error::Io`]. The
    /// old file is kept or, if only the last step failed, the new file is in place and in force.
    pub fn write_config(&mut self, old: &NodeConfig, new: NodeConfig) -> Result<(), Error> {
        let written = new.write(&self.root, old);
        if written.is_ok() || self.read_config().is_ok_and(|read| read == new) {
            self.config = new.config;
        }
        written
    }

    /// Returns the layers of configuration that a release has on this node.
    ///
    /// # Errors
    /// [`Error::Document`] and [`Error::Io`].
    pub fn layers(&self, vsn: &Vsn) -> Result<Layers, Error> {
        Ok(self.on_node(documents::config(&self.root, vsn)?))
    }

    fn on_node(&self, release: Config) -> Layers {
        Layers { release, node: self.config.clone(), command_line: self.command_line.clone() }
    }

    /// Returns the paths below the root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Returns the status table, with the current release in it.
    pub fn releases(&self) -> &StatusTable {
        &self.table
    }

    /// Returns a known release.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRelease`].
    pub fn release(&self, vsn: &Vsn) -> Result<&KnownRelease, Error> {
        self.table.get(vsn).ok_or_else(|| Refusal::NoSuchRelease(vsn.clone()).into())
    }

    /// Records that the node runs another release now. Nothing is written, so a restart goes back
    /// to the permanent release.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn install(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.table = next(&self.table, &Action::Install(vsn.clone()))?;
        Ok(())
    }

    /// Makes the current release permanent, and takes its serial and its keys over. Returns a
    /// warning if the node does not take the keys over.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Io`].
    pub fn make_permanent(&mut self, vsn: &Vsn) -> Result<Option<String>, Error> {
        let mut table = next(&self.table, &Action::MakePermanent(vsn.clone()))?;
        let warning = self.take_over(&mut table, vsn);
        self.write(table).map(|()| warning)
    }

    /// Takes over the serial and the keys of the permanent release after its boot, if that has not
    /// happened. Returns a warning as [`make_permanent`](Self::make_permanent) does.
    ///
    /// # Errors
    /// [`Error::Io`]; the next boot takes them over.
    pub fn confirm(&mut self, vsn: &Vsn) -> Result<Option<String>, Error> {
        let mut table = self.table.clone();
        table.confirm(vsn);
        let warning = self.take_over(&mut table, vsn);
        if table != self.table {
            self.write(table)?;
        }
        Ok(warning)
    }

    /// Makes an old release permanent; the caller restarts the node.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Io`].
    pub fn reboot_old(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.change(&Action::RebootOld(vsn.clone()))
    }

    /// Makes any known release permanent, even one that never ran; the caller restarts the node.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Io`].
    pub fn reboot_into(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.change(&Action::RebootInto(vsn.clone()))
    }

    /// Returns the history of the releases.
    pub fn history(&self) -> History {
        History::new(self.root.clone())
    }

    /// Returns the record of the last boots.
    pub fn boots(&self) -> Boots {
        Boots::read(&self.root)
    }

    /// Writes the record of the last boots.
    ///
    /// # Errors
    /// [`Error::Io`]; the old record is kept.
    pub fn note_boots(&self, boots: &Boots) -> Result<(), Error> {
        boots.write(&self.root)
    }

    /// Makes another release permanent in place of one that failed to boot too often. Returns the
    /// new record of the boots, which the caller must still write.
    ///
    /// The reason is written first, so that the node never boots the other release without a reason
    /// on disk.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Io`].
    pub fn give_way(&mut self, gave_way: GaveWay) -> Result<Boots, Error> {
        let to = gave_way.to.clone();
        let boots = self.boots().gives_way(gave_way);
        // A failed write is ignored, because a full disk must not keep a node from booting.
        let _ = self.note_boots(&boots);
        self.reboot_into(&to)?;
        Ok(boots)
    }

    /// Removes a release and deletes its files, except the apps that other known releases use.
    ///
    /// The table is written first: a crash may leave files without a release, but never a release
    /// without files.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Io`], and [`Error::Leftover`] if the release is removed but
    /// some of its files are not.
    pub fn remove(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.remove_all(std::slice::from_ref(vsn))
    }

    /// Removes all [old releases](StatusTable::prunable) except the `keep` newest, in one step:
    /// after a failure or a crash, either none or all of them are removed.
    ///
    /// # Errors
    /// Those of [`remove`](Self::remove).
    pub fn prune(&mut self, keep: usize) -> Result<Vec<Removal>, Error> {
        let removals = prune::removals(&self.root, &self.table, keep)?;
        let versions: Vec<Vsn> = removals.iter().map(|removal| removal.version.clone()).collect();
        if !versions.is_empty() {
            self.remove_all(&versions)?;
        }
        Ok(removals)
    }

    fn remove_all(&mut self, versions: &[Vsn]) -> Result<(), Error> {
        let mut table = self.table.clone();
        for vsn in versions {
            table = next(&table, &Action::Remove(vsn.clone()))?;
        }
        self.write(table)?;
        let leftover = |source| Error::Leftover { releases: versions.to_vec(), source: Box::new(source) };
        self.root.sweep(&self.table).map_err(leftover)
    }

    /// Records that the node restarts into the permanent release.
    pub fn restart(&mut self) {
        self.table = self.table.without_current();
    }

    /// Reads the documents of a known release, with the effective configuration on this node.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRelease`] and those of [`docs`](documents::docs).
    pub fn docs(&self, vsn: &Vsn) -> Result<Documents, Error> {
        self.release(vsn)?;
        let mut documents = documents::docs(&self.root, vsn)?;
        documents.config = self.on_node(documents.config.release);
        Ok(documents)
    }

    /// Returns the manifest of a known release, with the digest of every library.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRelease`], [`Error::Io`], and [`Error::Tampered`] if the manifest is not
    /// the one of the unpacked release.
    pub fn manifest(&self, vsn: &Vsn) -> Result<Manifest, Error> {
        verify::manifest(&self.root, self.release(vsn)?)
    }

    /// Compares every file of a known release with its manifest. Must be called before the release
    /// is booted or installed. Reads all files of the release.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRelease`], [`Error::Io`], and [`Error::Tampered`] with the first file that
    /// differs.
    pub fn verify(&self, vsn: &Vsn) -> Result<Manifest, Error> {
        verify::verify(&self.root, self.release(vsn)?, &self.health).map(|head| head.manifest)
    }

    /// Returns the known damage of each release's files.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Checks that the disk has enough space for a boot of a known release.
    ///
    /// # Errors
    /// [`Error::NoRoom`]; [`Error::Io`] if nothing can be written.
    pub fn has_room_to_boot(&self, vsn: &Vsn) -> Result<(), Error> {
        room::check_boot(&self.root, self.manifest(vsn).ok().as_ref())
    }

    /// Checks the other damaged releases again, because they may share the repaired files.
    fn recheck_damaged(&self, repaired: &[PathBuf]) {
        let damaged = if repaired.is_empty() { Vec::new() } else { self.health.damaged(&self.table) };
        for release in damaged.iter().filter_map(|finding| self.table.get(&finding.version)) {
            if let Ok(found) = verify::survey(&self.root, release) {
                self.health.note(&release.version, &found.damage);
            }
        }
    }

    fn change(&mut self, action: &Action) -> Result<(), Error> {
        self.write(next(&self.table, action)?)
    }

    fn write(&mut self, table: StatusTable) -> Result<(), Error> {
        let written = releases_file::write(&self.root, &table);
        if written.is_ok() || self.is_on_disk(&table) {
            self.table = table;
        }
        written
    }

    /// Returns whether a table is on disk. If only the last step of a write failed, a restart would
    /// read the new table, so the store must use the new table too. A sweep with the old table
    /// would delete files of a release that the table on disk lists.
    fn is_on_disk(&self, table: &StatusTable) -> bool {
        releases_file::read(&self.root).is_ok_and(|read| read == Some(table.without_current()))
    }

    /// Deletes the remains of an unpack in staging; the next sweep retries failed deletions.
    fn recover(&self) {
        let _ = self.root.sweep(&self.table);
    }
}

fn create_table(root: &Root) -> Result<StatusTable, Error> {
    let table = StatusTable::default();
    releases_file::write(root, &table)?;
    Ok(table)
}

pub(crate) mod arrival;
mod keys;

#[cfg(test)]
mod tests;
