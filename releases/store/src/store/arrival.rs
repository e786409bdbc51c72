//! Releases that come to the store: their signatures and serials are judged before anything is
//! written, and again before each install.

use std::path::Path;

use reld_plan::Vsn;
use reld_trust::{PolicyFile, Provenance, Require};

use super::Store;
use crate::error::Error;
use crate::fault::{Failure, Fault};
use crate::guard::{self, Accepted, Guard, Rules};
use crate::lifecycle::{Action, KnownRelease, next};
use crate::manifest::{Manifest, Platform};
use crate::package::{Head, Tarball};
use crate::unpack::{self, Unpacked};
use crate::verify;

/// The options of an unpack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnpackOptions {
    /// Lets a release with other content take the place of one of its version that does not run,
    /// never was permanent, and is not the way back of the running one.
    ///
    /// The old content is forgotten when the new one is checked and in staging. If a later step
    /// fails, the node has neither.
    pub replaces: bool,
    /// Accepts a release with a lower serial than the last committed one.
    pub ignores_floor: bool,
}

impl Store {
    /// Sets the file with the policy of signatures. It is read anew for each decision, so a change
    /// of the file or of a key takes effect at once.
    pub fn trust(&mut self, policy: PolicyFile) {
        self.guard = Guard { file: Some(policy) };
    }

    /// Unpacks a tarball that fits this node. If the release is already known with the same
    /// content, its status is kept, and files that are damaged on the node are repaired.
    ///
    /// # Errors
    /// [`Error::Tarball`] with the fault, those of [`docs`](crate::docs), and [`Error::Io`].
    pub fn unpack(&mut self, tarball: &Path, node: &Platform) -> Result<Unpacked, Error> {
        self.unpack_with(tarball, node, UnpackOptions::default())
    }

    /// As [`unpack`](Self::unpack), with options.
    ///
    /// # Errors
    /// Those of [`unpack`](Self::unpack).
    pub fn unpack_with(
        &mut self,
        tarball: &Path,
        node: &Platform,
        options: UnpackOptions,
    ) -> Result<Unpacked, Error> {
        let head = Tarball::open(tarball)?.head()?;
        let fault = |fault: Fault| Failure::of(tarball)(fault.into());
        let manifest = &head.manifest;
        let known = self.table.get(&manifest.version);
        let same = known.filter(|known| verify::is_of(manifest, known));
        let rules = match (self.guard.rules(&self.table), same) {
            (Err(unreadable), Some(known)) if known.was_permanent() => {
                // Its files can be repaired by any policy.
                let (known, warning) = (known.clone(), guard::distrusted(&unreadable));
                let repaired = self.unpack_known(tarball, &head, known, false)?;
                return Ok(Unpacked { warnings: vec![warning], ..repaired });
            }
            (rules, _) => rules?,
        };
        let accepted = rules.unpack(&self.table, &head, same, options.ignores_floor).map_err(fault)?;
        if let Some(known) = same.cloned() {
            let is_trusted = rules.policy().refuses(&accepted.verdict).is_none();
            let repaired = self.unpack_known(tarball, &head, known, is_trusted)?;
            let release = self.resign(&rules, &head, &accepted, repaired.release)?;
            return Ok(Unpacked { release, warnings: accepted.warnings, ..repaired });
        }
        if known.is_some() && !(options.replaces && self.table.is_replaceable(&manifest.version)) {
            return Err(fault(Fault::OtherContent(format!("release {}", manifest.version))));
        }
        manifest.check_platform(node).map_err(fault)?;
        self.root.sweep(&self.table)?;
        self.unpack_new(tarball, &head, accepted, &rules).inspect_err(|_| self.recover())
    }

    /// As [`verify`](Self::verify), before an install: decides also by the signatures and the
    /// serial of the release. Returns warnings, too.
    ///
    /// The manifest is read once, so the digests of the libraries are the signed ones.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify), [`Error::Untrusted`] and [`Error::Policy`].
    pub fn admit(&self, vsn: &Vsn) -> Result<(Manifest, Vec<String>), Error> {
        match self.release(vsn)?.was_permanent() {
            // Even an unreadable policy leaves the way back open.
            true => Ok((self.verify(vsn)?, Vec::new())),
            false => self.admit_as_new(vsn),
        }
    }

    /// As [`admit`](Self::admit), but a release that was permanent before is judged as any other
    /// one: the order is not that of a person who knows the node.
    ///
    /// # Errors
    /// Those of [`admit`](Self::admit).
    pub fn admit_as_new(&self, vsn: &Vsn) -> Result<(Manifest, Vec<String>), Error> {
        let release = self.release(vsn)?;
        let head = verify::verify(&self.root, release, &self.health)?;
        let untrusted = |fault| Error::Untrusted { vsn: vsn.clone(), fault: Box::new(fault) };
        let rules = self.guard.rules(&self.table)?;
        let warnings = rules.install(&self.table, release, &head).map_err(untrusted)?;
        Ok((head.manifest, warnings))
    }

    /// Decides whether code that is not part of a signed release may be loaded. Returns a warning.
    ///
    /// # Errors
    /// [`Error::ByHand`] if the node requires signatures and the operator has not waived them, and
    /// [`Error::Policy`].
    pub fn admit_by_hand(&self, unsigned: bool) -> Result<Option<String>, Error> {
        let require = self.guard.rules(&self.table)?.policy().require;
        match require {
            Require::Off => Ok(None),
            Require::Signed if !unsigned => Err(Error::ByHand),
            Require::Signed | Require::Warn => Ok(Some("the code has no signature".to_owned())),
        }
    }

    /// Returns the reason why the policy would not let the permanent release come to this node now.
    /// The node boots it nevertheless.
    pub fn distrust(&self, vsn: &Vsn) -> Option<String> {
        let look = || {
            let rules = self.guard.rules(&self.table)?;
            if rules.policy().require == Require::Off {
                return Ok(None);
            }
            let verdict = rules.judge(&verify::head(&self.root, self.release(vsn)?)?);
            let fault = rules.policy().refuses(&verdict).or_else(|| rules.policy().warns(&verdict));
            Ok::<_, Error>(fault.map(ToString::to_string))
        };
        look().unwrap_or_else(|error| Some(error.to_string()))
    }

    fn unpack_new(
        &mut self,
        tarball: &Path,
        head: &Head,
        mut accepted: Accepted,
        rules: &Rules,
    ) -> Result<Unpacked, Error> {
        let vsn = &head.manifest.version;
        let replaced = self.table.get(vsn).is_some();
        let others = match replaced {
            true => next(&self.table, &Action::Remove(vsn.clone()))?,
            false => self.table.clone(),
        };
        let mut prepared = unpack::prepare(&self.root, &others, tarball, head)?;
        let keys = prepared.keys.clone();
        if !keys.is_empty()
            && let Err(why) = rules.change_keys(&self.table, head)
        {
            accepted.warnings.push(guard::ignored(vsn, &why));
        }
        let Accepted { verdict, waived_floor, warnings } = accepted;
        let (serial, signed_by) = (head.manifest.serial, verdict.signed_by);
        prepared.release.provenance = Provenance { serial, signed_by, waived_floor, keys };
        if replaced {
            // Before its files: a crash may leave files without a release, but never a release
            // without files.
            self.write(others)?;
            self.health.note(vsn, &[]);
        }
        let unpacked = unpack::finish(&self.root, tarball, prepared)?;
        let unpacked = Unpacked { replaced, warnings, ..unpacked };
        self.change(&Action::Unpack(Box::new(unpacked.release.clone())))?;
        self.recheck_damaged(&unpacked.repaired);
        // Only the empty folder of the staged release is left. The next sweep retries a failed
        // deletion.
        let _ = self.root.sweep(&self.table);
        Ok(unpacked)
    }

    /// Repairs the files of a known release. The manifest of a tarball that is not trusted counts
    /// only if the one on the node is damaged: it may ask for other access modes.
    fn unpack_known(
        &mut self,
        tarball: &Path,
        head: &Head,
        release: KnownRelease,
        is_trusted: bool,
    ) -> Result<Unpacked, Error> {
        Tarball::open(tarball)?.verify(&head.manifest)?;
        let own = (!is_trusted).then(|| verify::manifest(&self.root, &release).ok()).flatten();
        let own = own.as_ref().unwrap_or(&head.manifest);
        let damage = verify::damage_by(&self.root, &release, own)?;
        let mut repaired = Vec::new();
        if !damage.is_empty() {
            self.root.sweep(&self.table)?;
            let done = unpack::repair(&self.root, tarball, head, damage);
            self.recover();
            repaired = done?;
        }
        self.health.note(&release.version, &[]);
        self.recheck_damaged(&repaired);
        Ok(Unpacked { release, is_new: false, replaced: false, repaired, warnings: Vec::new() })
    }

    /// Takes over the signatures of a tarball with the same content as a known release, unless they
    /// would be worse than those that the node has, and the waiver of the floor.
    fn resign(
        &mut self,
        rules: &Rules,
        head: &Head,
        accepted: &Accepted,
        release: KnownRelease,
    ) -> Result<KnownRelease, Error> {
        let known = verify::head(&self.root, &release)?;
        let Accepted { verdict, waived_floor, .. } = accepted;
        let mut provenance = release.provenance.clone();
        provenance.waived_floor = provenance.waived_floor.max(*waived_floor);
        let is_better = verdict.fault.is_none() || rules.judge(&known).fault.is_some();
        // The signatures may belong to another manifest, which lists the same files as the node's.
        if let Some(seal) = head.seal.as_ref().filter(|_| known.text == head.text && is_better) {
            if known.seal.as_ref() != Some(seal) {
                self.root.sweep(&self.table)?;
                let replaced = unpack::replace_seal(&self.root, &release.version, seal);
                self.recover();
                replaced?;
            }
            provenance.signed_by.clone_from(&verdict.signed_by);
        }
        if provenance == release.provenance {
            return Ok(release);
        }
        let mut table = self.table.clone();
        for known in table.releases.iter_mut().filter(|known| known.version == release.version) {
            known.provenance.clone_from(&provenance);
        }
        self.write(table)?;
        Ok(KnownRelease { provenance, ..release })
    }
}
