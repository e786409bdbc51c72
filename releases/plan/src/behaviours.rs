//! The behaviours of modules, from their libraries or from the packer's `schema.json`.

use std::collections::BTreeMap;

use crate::diff::PackedRelease;
use crate::name::ModuleName;
use crate::schemas::Schemas;

/// OTP's name for the behaviour of each module, or `task` for a process without an OTP behaviour. A
/// module that is not in the map has an unknown behaviour and passes every check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behaviours(BTreeMap<ModuleName, String>);

impl Behaviours {
    /// Returns the behaviour of a module; `None` if it is unknown.
    pub fn of(&self, module: &ModuleName) -> Option<&str> {
        self.0.get(module).map(String::as_str)
    }

    /// Returns the behaviour of a module if it is known and differs from the wanted behaviour.
    pub(crate) fn unless(&self, module: &ModuleName, wanted: &str) -> Option<&str> {
        self.of(module).filter(|word| *word != wanted)
    }
}

/// Returns a word with its indefinite article.
pub(crate) fn with_article(word: &str) -> String {
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
    /// Returns the behaviours of the modules.
    pub fn behaviours(&self) -> Behaviours {
        let modules = self.modules.iter();
        modules.map(|(module, schema)| (module.clone(), schema.behaviour.clone())).collect()
    }
}

impl PackedRelease {
    /// Returns the behaviours of the modules of all apps.
    pub fn behaviours(&self) -> Behaviours {
        self.release.apps().iter().flat_map(|app| app.docs.schemas.behaviours()).collect()
    }
}
