//! Revisions of an app under development: their versions and their appups.
//!
//! An app is built again and again under the version of its `app.toml`. Build number 3 of version
//! 0.1.0 is the revision `0.1.0+dev.3`. The library keeps the version 0.1.0; only the documents of
//! a revision have the longer one, and the loader knows it.

use std::collections::BTreeSet;

use crate::app::App;
use crate::appup::{Appup, Entry};
use crate::behaviours::Behaviours;
use crate::instr::{Change, HighLevel, Instruction, LowLevel, PurgeWords, Timeout};
use crate::name::ModuleName;
use crate::version::{Vsn, VsnError, VsnMatch};

/// A revision, and the way to it from the version that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The version of the revision; see [`Vsn::revision`].
    pub version: Vsn,
    /// The version that runs.
    pub from: Vsn,
    /// The modules of the version that runs.
    pub modules: Vec<ModuleName>,
    /// The processes that start anew.
    pub anew: Anew,
}

/// The processes of an app that lose their states with a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anew {
    /// The processes of these modules. All others keep their states.
    Modules(BTreeSet<ModuleName>),
    /// All processes, because the app restarts.
    App,
}

impl Revision {
    /// Returns the appup from the version that runs to `to`, the app of the revision, and back.
    pub fn appup(&self, to: &App, behaviours: &Behaviours) -> Appup {
        let entry = |left: &[ModuleName], next: &[ModuleName]| Entry {
            versions: VsnMatch::Exact(self.from.clone()),
            instructions: self.instructions(to, left, next, behaviours).into_iter().map(Into::into).collect(),
            keep: Vec::new(),
        };
        Appup {
            app: to.name.clone(),
            version: to.version.clone(),
            up: vec![entry(&self.modules, &to.modules)],
            down: vec![entry(&to.modules, &self.modules)],
        }
    }

    /// Returns the instructions for one direction. They keep every process, except those that start
    /// anew.
    fn instructions(
        &self,
        app: &App,
        left: &[ModuleName],
        next: &[ModuleName],
        behaviours: &Behaviours,
    ) -> Vec<Instruction> {
        let Anew::Modules(anew) = &self.anew else {
            return vec![HighLevel::RestartApplication { app: app.name.clone() }.into()];
        };
        let added = next.iter().filter(|module| !left.contains(module));
        let removed = left.iter().filter(|module| !next.contains(module));
        let (stopped, kept): (Vec<_>, Vec<_>) =
            next.iter().filter(|module| left.contains(module)).partition(|module| anew.contains(*module));
        let stopped: Vec<ModuleName> = stopped.into_iter().cloned().collect();
        let (stop, start) =
            (LowLevel::Stop { modules: stopped.clone() }, LowLevel::Start { modules: stopped.clone() });
        let around = |instruction: LowLevel| (!stopped.is_empty()).then(|| instruction.into());
        let add = |module: &ModuleName| HighLevel::AddModule { module: module.clone(), deps: Vec::new() };
        let delete =
            |module: &ModuleName| HighLevel::DeleteModule { module: module.clone(), deps: Vec::new() };
        let added = added.map(|module| add(module).into());
        let updates = kept.into_iter().filter_map(|module| update(module, behaviours));
        let removed = removed.map(|module| delete(module).into());
        added.chain(around(stop)).chain(updates).chain(around(start)).chain(removed).collect()
    }
}

/// Returns the update of a module. A task has no state that could be converted, so its module is
/// only replaced with its library.
fn update(module: &ModuleName, behaviours: &Behaviours) -> Option<Instruction> {
    let change = match behaviours.of(module) {
        Some("supervisor") => Change::Supervisor,
        Some("task") => return None,
        _ => Change::Soft,
    };
    let update = HighLevel::Update {
        module: module.clone(),
        change,
        mod_type: None,
        timeout: Timeout::Default,
        purge: PurgeWords::default(),
        deps: Vec::new(),
    };
    Some(update.into())
}

impl Vsn {
    /// Returns the version of a revision, made of the version in an `app.toml` and the number of
    /// the build.
    ///
    /// # Errors
    /// The version would be too long.
    pub fn revision(&self, number: u64) -> Result<Self, VsnError> {
        let begin = if self.as_semver().build.is_empty() { '+' } else { '.' };
        format!("{self}{begin}dev.{number}").parse()
    }
}

impl From<HighLevel> for Instruction {
    fn from(instruction: HighLevel) -> Self {
        Self::High(instruction)
    }
}

impl From<LowLevel> for Instruction {
    fn from(instruction: LowLevel) -> Self {
        Self::Low(instruction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(names: &[&str]) -> Vec<ModuleName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn revision(anew: Anew) -> Revision {
        let modules = modules(&["till", "till_sup", "loop", "gone"]);
        let [from, version] = ["0.1.0+dev.3", "0.1.0+dev.4"].map(|version| version.parse().unwrap());
        Revision { version, from, modules, anew }
    }

    /// Compares the instructions of the appup, as an `appup.toml` has them.
    #[track_caller]
    fn check(anew: Anew, expected: &[&str]) {
        let document =
            "name = 'till'\nversion = '0.1.0+dev.4'\nmodules = ['till', 'till_sup', 'loop', 'fresh']";
        let to = App::parse("app.toml", document).unwrap();
        let words = [("till", "gen_server"), ("till_sup", "supervisor"), ("loop", "task"), ("fresh", "task")];
        let behaviours = words.map(|(module, word)| (module.parse().unwrap(), word.to_owned()));
        let appup = revision(anew).appup(&to, &behaviours.into_iter().collect());
        let text = appup.to_toml();
        assert_eq!(Appup::parse("appup.toml", &text).unwrap(), appup);
        let up = text.split("[[down]]").next().unwrap();
        let lines: Vec<_> = up.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert_eq!(lines, expected);
        assert!(text.contains("from = \"0.1.0+dev.3\"") && text.contains("to = \"0.1.0+dev.3\""), "{text}");
    }

    #[test]
    fn every_module_is_updated_and_only_stopped_ones_start_anew() {
        let update = ["{ update = \"till\" },", "{ update = \"till_sup\", change = \"supervisor\" },"];
        let (add, delete) = ("{ add_module = \"fresh\" },", "{ delete_module = \"gone\" },");
        check(Anew::Modules([].into()), &[add, update[0], update[1], delete]);
        let till = modules(&["till"]).into_iter().collect();
        let stop = ["{ stop = [\"till\"] },", "{ start = [\"till\"] },"];
        check(Anew::Modules(till), &[add, stop[0], update[1], stop[1], delete]);
        check(Anew::App, &["{ restart_application = \"till\" },"]);
    }

    #[test]
    fn the_number_becomes_build_metadata_of_the_version() {
        for (written, expected) in [("0.1.0", "0.1.0+dev.4"), ("1.0.0-rc.1+ab", "1.0.0-rc.1+ab.dev.4")] {
            let written: Vsn = written.parse().unwrap();
            assert_eq!(written.revision(4).unwrap().to_string(), expected);
        }
    }
}
