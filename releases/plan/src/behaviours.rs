//! What modules are. Their libraries say it; so does the `schema.json` that a packer wrote from these.

use std::collections::BTreeMap;

use crate::diff::PackedRelease;
use crate::name::ModuleName;
use crate::schemas::Schemas;

/// OTP's word for the behaviour of each module, `task` for a home-brewed process. Of a module that is missing here nothing
/// is known, and so nothing is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behaviours(BTreeMap<ModuleName, String>);

impl Behaviours {
    /// Returns the word for a module; `None` where it is not known.
    pub fn of(&self, module: &ModuleName) -> Option<&str> {
        self.0.get(module).map(String::as_str)
    }

    /// Returns the word for a module that is known not to be what is wanted.
    pub(crate) fn unless(&self, module: &ModuleName, wanted: &str) -> Option<&str> {
        self.of(module).filter(|word| *word != wanted)
    }
}

/// Returns a word with its article.
pub(crate) fn a(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

impl FromIterator<(ModuleName, String)> for Behaviours {
    fn from_iter<I: IntoIterator<Item = (ModuleName, String)>>(modules: I) -> Self {
        Self(modules.into_iter().collect())
    }
}

impl Extend<(ModuleName, String)> for Behaviours {
    fn extend<I: IntoIterator<Item = (ModuleName, String)>>(&mut self, modules: I) {
        self.0.extend(modules);
    }
}

impl IntoIterator for Behaviours {
    type Item = (ModuleName, String);
    type IntoIter = std::collections::btree_map::IntoIter<ModuleName, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Schemas {
    /// Returns what the modules are.
    pub fn behaviours(&self) -> Behaviours {
        let modules = self.modules.iter();
        modules.map(|(module, schema)| (module.clone(), schema.behaviour.clone())).collect()
    }
}

impl PackedRelease {
    /// Returns what the modules of all apps are.
    pub fn behaviours(&self) -> Behaviours {
        self.release.apps().iter().flat_map(|app| app.docs.schemas.behaviours()).collect()
    }
}
