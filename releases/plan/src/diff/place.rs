//! The address of a supervisor, as far as the schemas of its app show it.

use serde_json::Value;

use crate::name::ModuleName;
use crate::schemas::{ChildSpec, ModuleSchema, SupervisorSpec};

/// The modules of an app, each with its schema, if it is known.
#[derive(Debug)]
pub(super) struct Modules<'a> {
    pub(super) app: &'a str,
    pub(super) registered: &'a [String],
    pub(super) modules: Vec<(&'a ModuleName, Option<&'a ModuleSchema>)>,
}

impl<'a> Modules<'a> {
    /// Returns the registered name of a supervisor, or its path in the tree of the app: the name of
    /// the app for the root, and the ids of children from there. Returns `None` if the app has
    /// several supervisors of the module, or may have.
    pub(super) fn address(&self, supervisor: &ModuleName) -> Option<String> {
        let name = self.spec(supervisor).and_then(|spec| spec.name.clone());
        let is_declared = || self.registered.iter().any(|name| name == supervisor.as_str());
        let declared = || is_declared().then(|| supervisor.to_string());
        name.or_else(declared).or_else(|| self.path(supervisor, self.modules.len()))
    }

    /// Returns the path of a supervisor with at most `parts` parts.
    fn path(&self, supervisor: &ModuleName, parts: usize) -> Option<String> {
        let parts = parts.checked_sub(1)?;
        let mut parents = self.parents(supervisor);
        match (parents.next(), parents.next()) {
            (None, _) => self.is_root(supervisor).then(|| self.app.to_owned()),
            // The children of a simple_one_for_one have no ids.
            (Some((parent, spec, child)), None) if spec.strategy != "simple_one_for_one" => {
                Some(format!("{}/{}", self.path(parent, parts)?, part(&child.id)?))
            }
            (Some(_), _) => None,
        }
    }

    /// Returns the child specs with a module, each with the supervisor that has it, and its spec.
    fn parents(
        &self,
        module: &ModuleName,
    ) -> impl Iterator<Item = (&'a ModuleName, &'a SupervisorSpec, &'a ChildSpec)> {
        let specs = self.supervisors().filter_map(|(parent, spec)| Some((parent, spec?)));
        let children =
            specs.flat_map(|(parent, spec)| spec.children.iter().map(move |child| (parent, spec, child)));
        children.filter(move |(_, _, child)| child.module == module.as_str())
    }

    /// Returns whether a supervisor that has no parent must be the root, since no other one can be.
    fn is_root(&self, supervisor: &ModuleName) -> bool {
        let mut roots = self.supervisors().filter(|(module, _)| self.parents(module).next().is_none());
        let is_only = (roots.next().map(|(module, _)| module), roots.next()) == (Some(supervisor), None);
        is_only && self.supervisors().all(|(_, spec)| spec.is_some())
    }

    fn supervisors(&self) -> impl Iterator<Item = (&'a ModuleName, Option<&'a SupervisorSpec>)> {
        let known = self.modules.iter().filter_map(|(module, schema)| Some((*module, (*schema)?)));
        let supervisors = known.filter(|(_, schema)| schema.behaviour == "supervisor");
        supervisors.map(|(module, schema)| {
            (module, schema.interface.as_ref().and_then(|interface| interface.supervisor.as_ref()))
        })
    }

    fn spec(&self, module: &ModuleName) -> Option<&'a SupervisorSpec> {
        self.supervisors().find(|(known, _)| *known == module)?.1
    }
}

/// Returns the part of a path that means an id, if it needs no quotes there.
fn part(id: &Value) -> Option<String> {
    match id {
        Value::String(text) => {
            let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
            let is_other = text.is_empty() || serde_json::from_str::<Value>(text).is_ok();
            (is_plain && !is_other).then(|| text.clone())
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
