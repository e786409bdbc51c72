//! The releases of one node: the status table and the files below its root, changed together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reld_plan::{Config, Vsn};

use crate::boots::{Boots, GaveWay};
use crate::claim::RootLock;
use crate::disk::{Disk, RealDisk};
use crate::documents::{self, Documents};
use crate::error::{Error, Failure};
use crate::fault::Fault;
use crate::health::Health;
use crate::history::History;
use crate::layout::Root;
use crate::lifecycle::{Action, KnownRelease, Refusal, StatusTable, next};
use crate::manifest::{Manifest, Platform};
use crate::package::Tarball;
use crate::prune::{self, Removal};
use crate::unpack::{self, Unpacked};
use crate::{releases_file, room, verify};

/// The releases of one node. There is one of it per root: it holds the root's lock.
///
/// Every method that changes something either does all of it or, on an error, leaves the table and the files of every
/// known release as they were; after a crash at any point [`Store::open`] finds one of the two.
#[derive(Debug, Clone)]
pub struct Store {
    root: Root,
    table: StatusTable,
    /// Goes before what each release says.
    overrides: Config,
    health: Health,
    _lock: Arc<RootLock>,
}

impl Store {
    /// Opens a root: makes what is missing, takes the lock, reads the status table and deletes what a crash left.
    ///
    /// No release is current afterwards.
    ///
    /// # Errors
    /// Those of [`Root::claim`], those about a damaged status table, and [`Error::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open_on(path, Arc::new(RealDisk))
    }

    pub(crate) fn open_on(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let root = Root::on(path, disk);
        let lock = root.claim()?;
        let table = match releases_file::read(&root)? {
            Some(table) => table,
            None => create_table(&root)?,
        };
        root.sweep(&table)?;
        root.clear_run()?;
        let (health, lock) = (Health::default(), Arc::new(lock));
        Ok(Self { root, table, overrides: Config::default(), health, _lock: lock })
    }

    /// Puts a configuration before that of each release. OTP: what stands on the command line of `erl`.
    pub fn override_config(&mut self, overrides: Config) {
        self.overrides = overrides;
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

    /// Unpacks a tarball that fits this node. Its release is unpacked afterwards; one that is known already, with the
    /// same content, stays what it is, but that files which are damaged on the node are repaired.
    ///
    /// # Errors
    /// [`Error::Tarball`] with what is wrong with it, those of [`docs`](documents::docs), and [`Error::Io`].
    pub fn unpack(&mut self, tarball: &Path, node: &Platform) -> Result<Unpacked, Error> {
        let manifest = Tarball::open(tarball)?.manifest()?;
        if let Some(known) = self.table.get(&manifest.version) {
            check_same(known, &manifest).map_err(Failure::of(tarball))?;
            return self.unpack_known(tarball, &manifest, known.clone());
        }
        manifest.check_platform(node).map_err(Failure::from).map_err(Failure::of(tarball))?;
        self.root.sweep(&self.table)?;
        self.unpack_new(tarball, &manifest).inspect_err(|_| self.recover())
    }

    /// Notes that the node runs another release now. Nothing is written: a restart goes back to the permanent one.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn install(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.table = next(&self.table, &Action::Install(vsn.clone()))?;
        Ok(())
    }

    /// Makes the current release the one that the node boots.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Io`].
    pub fn make_permanent(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.change(&Action::MakePermanent(vsn.clone()))
    }

    /// Makes an old release the one that the node boots; the caller restarts the node.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Io`].
    pub fn reboot_old(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.change(&Action::RebootOld(vsn.clone()))
    }

    /// Makes a release that may never have run the one that the node boots; the caller restarts the node.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Io`].
    pub fn reboot_into(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.change(&Action::RebootInto(vsn.clone()))
    }

    /// Returns the records of what happened to the releases.
    pub fn history(&self) -> History {
        History::new(self.root.clone())
    }

    /// Returns what is known about the last boots.
    pub fn boots(&self) -> Boots {
        Boots::read(&self.root)
    }

    /// Notes something about the boots.
    ///
    /// # Errors
    /// [`Error::Io`]; what was noted before stands.
    pub fn note_boots(&self, boots: &Boots) -> Result<(), Error> {
        boots.write(&self.root)
    }

    /// Makes another release permanent in the place of one that failed to boot too often. Returns what is known about the
    /// boots then, which is still to be noted.
    ///
    /// The reason is noted first: whenever the node stops, it does not boot the other release without one.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Io`].
    pub fn give_way(&mut self, gave_way: GaveWay) -> Result<Boots, Error> {
        let to = gave_way.to.clone();
        let boots = self.boots().gives_way(gave_way);
        // A full disk must not keep a node from booting.
        let _ = self.note_boots(&boots);
        self.reboot_into(&to)?;
        Ok(boots)
    }

    /// Forgets a release and deletes its files, but for the apps that other known releases use.
    ///
    /// The table is written first: a crash leaves files without a release, never a release without files.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Io`], and [`Error::Leftover`] where the release is gone and some file is not.
    pub fn remove(&mut self, vsn: &Vsn) -> Result<(), Error> {
        self.remove_all(std::slice::from_ref(vsn))
    }

    /// Removes all [old releases](StatusTable::prunable) but for the `keep` newest, at once: after a failure or a
    /// crash either none or all of them are gone.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
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

    /// Notes that the node restarts into the permanent release.
    pub fn restart(&mut self) {
        self.table = self.table.without_current();
    }

    /// Reads the documents of a known release; its configuration is that in force on this node.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRelease`] and those of [`docs`](documents::docs).
    pub fn docs(&self, vsn: &Vsn) -> Result<Documents, Error> {
        self.release(vsn)?;
        let mut documents = documents::docs(&self.root, vsn)?;
        documents.config.override_with(&self.overrides);
        Ok(documents)
    }

    /// Returns the manifest of a known release, with the digest of every library.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRelease`], [`Error::Io`], and [`Error::Tampered`] where it is not the one that was unpacked.
    pub fn manifest(&self, vsn: &Vsn) -> Result<Manifest, Error> {
        verify::manifest(&self.root, self.release(vsn)?)
    }

    /// Compares every file of a known release with its manifest. To be called before the release is booted or
    /// installed; it reads all files of the release.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRelease`], [`Error::Io`], and [`Error::Tampered`] with the first file that differs.
    pub fn verify(&self, vsn: &Vsn) -> Result<Manifest, Error> {
        verify::verify(&self.root, self.release(vsn)?, &self.health)
    }

    /// Returns what is known of the files of each release.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Checks that the disk takes what a boot of a known release writes.
    ///
    /// # Errors
    /// [`Error::NoRoom`]; [`Error::Io`] where nothing can be written.
    pub fn has_room_to_boot(&self, vsn: &Vsn) -> Result<(), Error> {
        room::check_boot(&self.root, self.manifest(vsn).ok().as_ref())
    }

    fn unpack_new(&mut self, tarball: &Path, manifest: &Manifest) -> Result<Unpacked, Error> {
        let unpacked = unpack::unpack(&self.root, &self.table, tarball, manifest)?;
        self.change(&Action::Unpack(unpacked.release.clone()))?;
        self.look_again(&unpacked.repaired);
        // The folder of the staged release is empty now; failing to delete it is no failure of the unpack.
        let _ = self.root.sweep(&self.table);
        Ok(unpacked)
    }

    fn unpack_known(
        &self,
        tarball: &Path,
        manifest: &Manifest,
        release: KnownRelease,
    ) -> Result<Unpacked, Error> {
        Tarball::open(tarball)?.verify(manifest)?;
        let damage = verify::damage_by(&self.root, &release, manifest)?;
        let mut repaired = Vec::new();
        if !damage.is_empty() {
            self.root.sweep(&self.table)?;
            let done = unpack::repair(&self.root, tarball, manifest, damage);
            self.recover();
            repaired = done?;
        }
        self.health.note(&release.version, &[]);
        self.look_again(&repaired);
        Ok(Unpacked { release, is_new: false, repaired })
    }

    /// Looks at the other releases that were damaged: what was repaired may be theirs too.
    fn look_again(&self, repaired: &[PathBuf]) {
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

    /// Where only the last step of writing failed, the new table is what a restart would read, so it is the one to
    /// go by: sweeping by the other would delete files of a release that the disk knows.
    fn is_on_disk(&self, table: &StatusTable) -> bool {
        releases_file::read(&self.root).is_ok_and(|read| read == Some(table.without_current()))
    }

    /// Deletes what an unpack left in staging; what can not be deleted now is deleted by the next sweep.
    fn recover(&self) {
        let _ = self.root.sweep(&self.table);
    }
}

fn create_table(root: &Root) -> Result<StatusTable, Error> {
    let table = StatusTable::default();
    releases_file::write(root, &table)?;
    Ok(table)
}

fn check_same(known: &KnownRelease, manifest: &Manifest) -> Result<(), Failure> {
    if known.identity == manifest.identity() {
        return Ok(());
    }
    Err(Fault::OtherContent(format!("release {}", known.version)).into())
}

#[cfg(test)]
mod tests;
