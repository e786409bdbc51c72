//! One release with all its documents, validated for the planner.
//!
//! OTP: systools, reading of a release. The checks and their order are the same; the mandatory apps
//! kernel, stdlib and sasl have no counterpart here.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::App;
use crate::appup::Appup;
use crate::doc_error::DocError;
use crate::error::PlanError;
use crate::instr::Mode;
use crate::name::{AppName, ModuleName};
use crate::rel::{Rel, RelApp, StartType};
use crate::relup_file::{RelupEntry, RelupFile};
use crate::schemas::{ModuleSchema, Schemas};
use crate::start_order::start_order;
use crate::version::Vsn;

/// The documents of one app version.
#[derive(Debug, Clone, PartialEq)]
pub struct AppDocs {
    /// Its `app.toml`.
    pub app: App,
    /// Its `appup.toml`.
    pub appup: AppupFile,
    /// Its `schema.json`; empty if the packer wrote none.
    pub schemas: Schemas,
}

/// The result of reading an appup. A missing or broken appup is an error only for an upgrade that
/// needs it.
#[derive(Debug, Clone, PartialEq)]
pub enum AppupFile {
    /// No file.
    Missing,
    /// A file that cannot be parsed.
    Broken(DocError),
    /// An appup.
    Found(Appup),
}

impl AppDocs {
    /// Returns the documents of an app from their texts, each with the path to show in errors.
    ///
    /// # Errors
    /// The `app.toml` cannot be parsed. A broken appup is returned as [`AppupFile::Broken`].
    pub fn parse(app: (&str, &str), appup: Option<(&str, &str)>) -> Result<Self, DocError> {
        let appup = match appup.map(|(path, text)| Appup::parse(path, text)) {
            None => AppupFile::Missing,
            Some(Err(error)) => AppupFile::Broken(error),
            Some(Ok(appup)) => AppupFile::Found(appup),
        };
        Ok(Self { app: App::parse(app.0, app.1)?, appup, schemas: Schemas::default() })
    }

    /// Returns the documents with the schemas that the packer recorded.
    pub fn with_schemas(self, schemas: Schemas) -> Self {
        Self { schemas, ..self }
    }
}

/// A release with consistent documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    rel: Rel,
    apps: Vec<ReleaseApp>,
    /// The index in `apps` of each app; below it, the index of the owner of each module.
    positions: BTreeMap<AppName, usize>,
    owners: BTreeMap<ModuleName, usize>,
    start_order: Vec<AppName>,
    relup: Option<RelupFile>,
}

/// One app of a release.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseApp {
    /// Its documents.
    pub docs: AppDocs,
    /// How it is started.
    pub start_type: StartType,
    /// The apps it includes: the release's list if it has one, otherwise the app's own.
    pub included: Vec<AppName>,
}

impl Release {
    /// Returns the release, if the documents are consistent. Documents of apps or versions that the
    /// release does not name are ignored.
    ///
    /// # Errors
    /// In this order: `error_reading` (no app.toml, none of the right version, or an included app
    /// that the app's own list lacks), `undefined_applications`, `duplicate_register`,
    /// `duplicate_include`, `duplicate_modules`, `circular_dependencies`.
    pub fn new(rel: Rel, docs: impl IntoIterator<Item = AppDocs>) -> Result<Self, PlanError> {
        let docs: Vec<_> = docs.into_iter().collect();
        let apps = rel.apps.iter().map(|app| resolve(app, &docs)).collect::<Result<Vec<_>, _>>()?;
        defined(&apps)?;
        unique(
            &apps,
            |app| &app.docs.app.registered,
            |name, apps| PlanError::DuplicateRegister { name, apps },
        )?;
        unique(&apps, |app| &app.included, |app, apps| PlanError::DuplicateInclude { app, apps })?;
        unique(
            &apps,
            |app| &app.docs.app.modules,
            |module, apps| PlanError::DuplicateModules { module, apps },
        )?;
        let start_order = start_order(&apps)?;
        let positions = apps.iter().enumerate().map(|(at, app)| (app.name().clone(), at)).collect();
        let owners = apps.iter().enumerate();
        let owners =
            owners.flat_map(|(at, app)| app.modules().iter().map(move |module| (module.clone(), at)));
        let owners = owners.collect();
        Ok(Self { rel, apps, positions, owners, start_order, relup: None })
    }

    /// Returns the release with hand-written scripts, which replace generated plans for the
    /// releases that they name.
    pub fn with_relup(self, relup: RelupFile) -> Self {
        Self { relup: Some(relup), ..self }
    }

    /// Returns the hand-written script for an upgrade from another release or a downgrade to it.
    pub fn relup(&self, mode: Mode, other: &Vsn) -> Option<&RelupEntry> {
        self.relup.as_ref()?.entry(mode, other)
    }

    /// Returns the release with another version of one app. The result has no hand-written scripts,
    /// because those belong to the unchanged release.
    ///
    /// # Errors
    /// `no_such_application`, and the errors of [`new`](Self::new).
    pub fn with_app(&self, docs: AppDocs) -> Result<Self, PlanError> {
        let name = docs.app.name.clone();
        let mut rel = self.rel.clone();
        let Some(app) = rel.apps.iter_mut().find(|app| app.name == name) else {
            return Err(PlanError::NoSuchApplication { app: name });
        };
        app.version = docs.app.version.clone();
        let others = self.apps.iter().map(|app| &app.docs).filter(|docs| docs.app.name != name);
        Self::new(rel, others.cloned().chain([docs]))
    }

    /// Returns the release resource file.
    pub const fn rel(&self) -> &Rel {
        &self.rel
    }

    /// Returns the release's version.
    pub const fn version(&self) -> &Vsn {
        &self.rel.version
    }

    /// Returns the apps in the order of the release file.
    pub fn apps(&self) -> &[ReleaseApp] {
        &self.apps
    }

    /// Returns an app of the release.
    pub fn app(&self, name: &AppName) -> Option<&ReleaseApp> {
        self.positions.get(name).map(|at| &self.apps[*at])
    }

    /// Returns the apps in start order. Each app comes after the apps that it uses or includes;
    /// otherwise the order is that of the release file.
    pub fn start_order(&self) -> impl Iterator<Item = &ReleaseApp> {
        self.start_order.iter().filter_map(|name| self.app(name))
    }

    /// Returns the app with the module.
    pub fn owner(&self, module: &ModuleName) -> Option<&ReleaseApp> {
        self.owners.get(module).map(|at| &self.apps[*at])
    }

    /// Returns whether another app of the release includes this one and therefore starts it.
    pub fn is_included(&self, name: &AppName) -> bool {
        self.apps.iter().any(|app| app.included.contains(name))
    }
}

impl ReleaseApp {
    /// Returns the app's name.
    pub const fn name(&self) -> &AppName {
        &self.docs.app.name
    }

    /// Returns the app's version.
    pub const fn version(&self) -> &Vsn {
        &self.docs.app.version
    }

    /// Returns the app's modules.
    pub fn modules(&self) -> &[ModuleName] {
        &self.docs.app.modules
    }

    /// Returns the schema of a module.
    pub fn schema(&self, module: &ModuleName) -> Option<&ModuleSchema> {
        self.docs.schemas.modules.get(module)
    }
}

/// Finds the documents of an app that a release names.
fn resolve(wanted: &RelApp, docs: &[AppDocs]) -> Result<ReleaseApp, PlanError> {
    let named = docs.iter().filter(|docs| docs.app.name == wanted.name);
    let Some(docs) = named.clone().find(|docs| docs.app.version == wanted.version) else {
        let found = named.map(|docs| docs.app.version.clone()).collect();
        return Err(PlanError::NoValidVersion {
            app: wanted.name.clone(),
            vsn: wanted.version.clone(),
            found,
        });
    };
    let own = &docs.app.included_applications;
    let included = wanted.included.clone().unwrap_or_else(|| own.clone());
    if let Some(extra) = included.iter().find(|app| !own.contains(app)) {
        return Err(PlanError::OverrideInclude { app: wanted.name.clone(), included: extra.clone() });
    }
    Ok(ReleaseApp { docs: docs.clone(), start_type: wanted.start_type, included })
}

/// Checks that the release has every used or included app, except optional ones.
fn defined(apps: &[ReleaseApp]) -> Result<(), PlanError> {
    let known: BTreeSet<_> = apps.iter().map(ReleaseApp::name).collect();
    let missing = |app: &ReleaseApp| {
        let optional = &app.docs.app.optional_applications;
        let used = without(app.docs.app.applications.iter().collect(), optional);
        used.into_iter()
            .chain(&app.included)
            .filter(|name| !known.contains(name))
            .cloned()
            .collect::<Vec<_>>()
    };
    let missing: Vec<_> =
        apps.iter().flat_map(|app| missing(app).into_iter().map(|name| (app.name().clone(), name))).collect();
    if missing.is_empty() { Ok(()) } else { Err(PlanError::UndefinedApplications { missing }) }
}

/// Returns the names without one occurrence of each name in `less`.
pub(crate) fn without<'a>(
    mut names: Vec<&'a AppName>,
    less: impl IntoIterator<Item = &'a AppName>,
) -> Vec<&'a AppName> {
    for name in less {
        if let Some(at) = names.iter().position(|other| *other == name) {
            names.remove(at);
        }
    }
    names
}

/// Checks that no two apps claim the same value.
fn unique<'a, T: Ord + Clone + 'a>(
    apps: &'a [ReleaseApp],
    claims: impl Fn(&'a ReleaseApp) -> &'a Vec<T>,
    error: impl FnOnce(T, [AppName; 2]) -> PlanError,
) -> Result<(), PlanError> {
    let mut owners: BTreeMap<&T, &AppName> = BTreeMap::new();
    for app in apps {
        for claim in claims(app) {
            if let Some(owner) = owners.insert(claim, app.name()) {
                return Err(error(claim.clone(), [owner.clone(), app.name().clone()]));
            }
        }
    }
    Ok(())
}
