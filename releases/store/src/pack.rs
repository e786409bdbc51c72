//! Packs app folders into a tarball.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};

use reld_plan::{
    App, AppDocs, AppName, Appup, AppupFile, Behaviours, Config, ModuleName, Rel, RelApp, Release, Revision,
    Schemas, Vsn, misfits,
};
use reld_trust::{KEYS, KeyChange};

use crate::cargo::{self, Workspaces};
use crate::error::Error;
use crate::folders::{self, Folder};
use crate::manifest::{Abi, FileEntry, Manifest};
use crate::purpose::Purpose;
use crate::writing::{self, Source};
use crate::{assets, documents, layout, make};

/// The input and the output of a packing.
#[derive(Debug, Clone)]
pub struct Order {
    /// The `release.toml`; an existing `config.toml`, `relup.toml` and `keys.toml` beside it are
    /// packed too.
    pub release: PathBuf,
    /// The folder that contains the app folders, at a limited depth.
    pub apps: PathBuf,
    /// The tarball; by default `NAME-VSN.tar.gz` in the working folder.
    pub output: Option<PathBuf>,
    /// The cargo profile, such as `release`.
    pub profile: String,
    /// The folder in which the dependencies of all apps are built, unless the author has chosen one
    /// with cargo's settings.
    pub shared_build: Option<PathBuf>,
    /// The workspaces that are known from earlier packings.
    pub workspaces: Workspaces,
    /// The use of the tarball.
    pub purpose: Purpose,
    /// The apps to leave out. Only nodes that already have these apps accept the tarball.
    pub without: BTreeSet<AppName>,
    /// The minimum version of reld that may run the release.
    pub reld: Vsn,
}

/// The result of a packing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The tarball.
    pub tarball: PathBuf,
    /// The manifest of the tarball.
    pub manifest: Manifest,
    /// Warnings for the author.
    pub warnings: Vec<String>,
}

/// The description of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The app of the library.
    pub name: AppName,
    /// The app's version.
    pub version: Vsn,
    /// All its modules.
    pub modules: Vec<ModuleName>,
    /// Its application modules: `start` of an `app.toml` must name one of them.
    pub applications: Vec<ModuleName>,
    /// The schemas of its modules.
    pub schemas: Schemas,
    /// The ABI of the library.
    pub abi: Abi,
    /// The target triple that it was built for.
    pub target: String,
    /// The reason why the library will stay mapped after it is replaced, if one is known.
    pub stays: Option<String>,
}

/// Inspects libraries. Opening a library runs its code, so the caller inspects it in a separate OS
/// process. The store itself only reads and writes files.
pub trait Probe {
    /// Returns the description of the library in a file.
    ///
    /// # Errors
    /// The library cannot be inspected.
    fn probe(&self, library: &Path) -> Result<Probed, Box<dyn std::error::Error + Send + Sync>>;
}

/// Builds the apps of a release, each with cargo or, if it has a Makefile instead, with make, and
/// packs them. Equal sources make an equal tarball.
///
/// # Errors
/// An [`Error`] about documents, app folders, cargo, make or libraries. No tarball is written then.
pub fn pack(order: &Order, probe: &dyn Probe) -> Result<Packed, Error> {
    pack_as(order, None, probe)
}

/// Packs a release with a single app as a revision: with the version of the revision, and with its
/// appup in place of the author's.
///
/// # Errors
/// As for [`pack`].
pub fn pack_revision(order: &Order, revision: &Revision, probe: &dyn Probe) -> Result<Packed, Error> {
    pack_as(order, Some(revision), probe)
}

fn pack_as(order: &Order, revision: Option<&Revision>, probe: &dyn Probe) -> Result<Packed, Error> {
    let mut text = documents::text_of(&order.release)?;
    let mut rel = Rel::parse(&order.release.to_string_lossy(), &text)?;
    check_without(order, &rel)?;
    check_daemon(order, &rel)?;
    let folders = folders::find(&order.apps)?;
    // Builds are slow, so errors in documents are reported before the first build.
    let mut chosen: Vec<Chosen> =
        rel.apps.iter().map(|app| choose(order, &folders, app)).collect::<Result<_, _>>()?;
    let finished = tempfile::tempdir().map_err(Error::io("create a folder below", &env::temp_dir()))?;
    let mut contents = Contents::default();
    let mut platform = None;
    let (mut apps, mut warnings) = (Vec::new(), Vec::new());
    let mut behaviours = Behaviours::default();
    for Chosen { folder, appup } in &mut chosen {
        let (file, library) = build_and_check(folder, order, finished.path(), probe)?;
        check_platform(folder, &library, &mut platform)?;
        let mut app = App { modules: library.modules.clone(), ..folder.app.clone() };
        if let Some(revision) = revision {
            app.version = revision.version.clone();
            *appup = Some(revision.appup(&app, &library.schemas.behaviours()).to_toml());
            text = revised(&mut rel, &app);
        }
        contents.add_app(order, folder, (&app, appup.as_ref()), file, &library.schemas)?;
        behaviours.extend(library.schemas.behaviours());
        let stays = |why| format!("app {} {} will stay mapped: {why}", library.name, library.version);
        warnings.extend(library.stays.map(stays));
        apps.push(app);
    }
    let relup = contents.add_release(order, &rel, text)?;
    check_instructions(&chosen, relup.as_ref(), &apps, &behaviours)?;
    check_release(&rel, apps, &behaviours)?;
    let (tarball, manifest) = write(order, rel, platform, contents)?;
    Ok(Packed { tarball, manifest, warnings })
}

/// Gives an app its revised version in a release, and returns the text of the release.
fn revised(rel: &mut Rel, app: &App) -> String {
    for listed in rel.apps.iter_mut().filter(|listed| listed.name == app.name) {
        listed.version = app.version.clone();
    }
    rel.to_toml()
}

fn check_without(order: &Order, rel: &Rel) -> Result<(), Error> {
    match order.without.iter().find(|name| rel.app(name).is_none()) {
        Some(name) => Err(Error::NotInRelease { name: name.clone() }),
        None => Ok(()),
    }
}

/// Refuses a release for another daemon version. Only the packer of that version knows the
/// requirements of that daemon.
fn check_daemon(order: &Order, rel: &Rel) -> Result<(), Error> {
    if rel.daemon == order.reld {
        return Ok(());
    }
    Err(Error::OtherDaemon {
        release: order.release.clone(),
        named: rel.daemon.clone(),
        packer: order.reld.clone(),
    })
}

/// Refuses instructions for modules that no app of the release has, or that have an unsuitable
/// behaviour.
fn check_instructions(
    chosen: &[Chosen],
    relup: Option<&(PathBuf, String)>,
    apps: &[App],
    behaviours: &Behaviours,
) -> Result<(), Error> {
    let is_known = |module: &ModuleName| apps.iter().any(|app| app.modules.contains(module));
    let appups = chosen
        .iter()
        .filter_map(|Chosen { folder, appup }| Some((folder.path.join("appup.toml"), appup.as_deref()?)));
    let relup = relup.map(|(path, text)| (path.clone(), text.as_str()));
    let mut places = Vec::new();
    for (path, text) in appups.chain(relup) {
        places.extend(misfits(&path.to_string_lossy(), text, is_known, behaviours)?);
    }
    if places.is_empty() { Ok(()) } else { Err(Error::Misfits { places }) }
}

/// Refuses apps that do not form a release, and a release that does not boot. A node would refuse
/// both, but the author should see the error earlier.
fn check_release(rel: &Rel, apps: Vec<App>, behaviours: &Behaviours) -> Result<(), Error> {
    let docs =
        apps.into_iter().map(|app| AppDocs { app, appup: AppupFile::Missing, schemas: Schemas::default() });
    let release = Release::new(rel.clone(), docs)?;
    release.boot_order(behaviours).map(drop).map_err(|errors| Error::NotBootable { errors })
}

/// The folder of an app of the release, and the text of its `appup.toml` if it has one.
struct Chosen {
    folder: Folder,
    appup: Option<String>,
}

fn choose(order: &Order, folders: &[Folder], wanted: &RelApp) -> Result<Chosen, Error> {
    let folder = folders::choose(&order.apps, folders, wanted)?;
    Ok(Chosen { appup: read_appup(&folder)?, folder })
}

fn read_appup(folder: &Folder) -> Result<Option<String>, Error> {
    let path = folder.path.join("appup.toml");
    let Some(text) = documents::text_of_file(&path, &path)? else { return Ok(None) };
    let appup = Appup::parse(&path.to_string_lossy(), &text)?;
    let expected = format!("{} {}", folder.app.name, folder.app.version);
    documents::expect(&path, &expected, &format!("{} {}", appup.app, appup.version))?;
    let mistakes: Vec<_> = appup.mistakes().cloned().collect();
    if mistakes.is_empty() { Ok(Some(text)) } else { Err(Error::Instructions { mistakes }) }
}

fn check_platform(folder: &Folder, library: &Probed, platform: &mut Option<Probed>) -> Result<(), Error> {
    let first = platform.get_or_insert_with(|| library.clone());
    if first.target != library.target || first.abi.major != library.abi.major {
        let print = |probed: &Probed| format!("{} with ABI {}", probed.target, probed.abi);
        return Err(Error::MixedPlatforms {
            folder: folder.path.clone(),
            found: print(library),
            expected: print(first),
        });
    }
    first.abi.minor = first.abi.minor.max(library.abi.minor);
    Ok(())
}

/// The files of a release, by their path below the root.
#[derive(Debug, Default)]
struct Contents {
    sources: BTreeMap<String, Source>,
    // The entries for the manifest. They have the same keys as the sources, and the map sorts them.
    entries: BTreeMap<String, FileEntry>,
}

impl Contents {
    /// Adds an app: its library under its final name, `app.toml` with the library's modules,
    /// `schema.json` with their schemas, `appup.toml` and `priv/`. An app that the tarball leaves
    /// out is built too, because the manifest needs the digests of its files.
    fn add_app(
        &mut self,
        order: &Order,
        folder: &Folder,
        (app, appup): (&App, Option<&String>),
        library: PathBuf,
        schemas: &Schemas,
    ) -> Result<(), Error> {
        let below = layout::app_dir(&app.name, &app.version);
        let not_carried = order.without.contains(&app.name);
        self.add(layout::library(&app.name, &app.version), Source::File(library), not_carried)?;
        self.add(format!("{below}/app.toml"), Source::Text(app.to_toml()), not_carried)?;
        let schemas = Source::Text(schemas.to_json());
        self.add(layout::schemas(&app.name, &app.version), schemas, not_carried)?;
        if let Some(appup) = appup {
            self.add(format!("{below}/appup.toml"), Source::Text(appup.clone()), not_carried)?;
        }
        self.add_priv(folder, &below, not_carried)
    }

    fn add_priv(&mut self, folder: &Folder, below: &str, not_carried: bool) -> Result<(), Error> {
        for (path, file) in assets::files(&folder.path)? {
            self.add(format!("{below}/{path}"), Source::File(file), not_carried)?;
        }
        Ok(())
    }

    /// Adds the documents of the release; returns the `relup.toml` if there is one.
    fn add_release(
        &mut self,
        order: &Order,
        rel: &Rel,
        text: String,
    ) -> Result<Option<(PathBuf, String)>, Error> {
        let below = layout::release_dir(&rel.version);
        self.add(format!("{below}/release.toml"), Source::Text(text), false)?;
        let beside = |name| {
            let path = order.release.with_file_name(name);
            Ok::<_, Error>(documents::text_of_file(&path, &path)?.map(|text| (path, text)))
        };
        if let Some((path, text)) = beside("config.toml")? {
            Config::parse(&path.to_string_lossy(), &text)?;
            self.add(format!("{below}/config.toml"), Source::Text(text), false)?;
        }
        if let Some((path, text)) = beside(KEYS)? {
            KeyChange::parse(&path.to_string_lossy(), &text)?;
            self.add(format!("{below}/{KEYS}"), Source::Text(text), false)?;
        }
        let relup = beside("relup.toml")?;
        if let Some((path, text)) = &relup {
            documents::parse_relup(path, text, &rel.version)?;
            self.add(format!("{below}/relup.toml"), Source::Text(text.clone()), false)?;
        }
        Ok(relup)
    }

    fn add(&mut self, path: String, source: Source, not_carried: bool) -> Result<(), Error> {
        self.entries.insert(path.clone(), source.entry(&path, not_carried)?);
        self.sources.insert(path, source);
        Ok(())
    }
}

/// Builds the app in a folder. Returns the file of its library and the library's description, which
/// fits the app's documents. The folder `finished` is for libraries of this packing.
fn build_and_check(
    folder: &Folder,
    order: &Order,
    finished: &Path,
    probe: &dyn Probe,
) -> Result<(PathBuf, Probed), Error> {
    let built = build(folder, order, finished)?;
    let library = probe.probe(&built).map_err(|source| Error::Probe { library: built.clone(), source })?;
    check_library(folder, &library)?;
    check_start(folder, &library)?;
    check_modules(folder, &library)?;
    Ok((built, library))
}

fn build(Folder { path, app }: &Folder, order: &Order, finished: &Path) -> Result<PathBuf, Error> {
    if path.join("Cargo.toml").is_file() {
        let build = cargo::Build {
            profile: &order.profile,
            workspaces: &order.workspaces,
            shared: order.shared_build.as_deref(),
            output: &finished.join(app.name.as_str()),
            purpose: order.purpose,
        };
        return cargo::build(path, &build);
    }
    if path.join("Makefile").is_file() {
        return make::build(path, &app.name, &order.profile);
    }
    Err(Error::NotBuildable { folder: path.clone() })
}

fn check_library(folder: &Folder, library: &Probed) -> Result<(), Error> {
    let in_library = format!("{} {}", library.name, library.version);
    let written = format!("{} {}", folder.app.name, folder.app.version);
    if in_library == written {
        return Ok(());
    }
    Err(Error::OtherLibrary { folder: folder.path.clone(), library: in_library, document: written })
}

/// Checks the list of modules in an `app.toml`. The list is optional, but a wrong list is refused,
/// because the author expects other modules than the packed ones.
fn check_modules(Folder { path, app }: &Folder, library: &Probed) -> Result<(), Error> {
    let without = |list: &[ModuleName], other: &[ModuleName]| -> Vec<ModuleName> {
        list.iter().filter(|module| !other.contains(module)).cloned().collect()
    };
    let (strangers, unlisted) =
        (without(&app.modules, &library.modules), without(&library.modules, &app.modules));
    if app.modules.is_empty() || strangers.is_empty() && unlisted.is_empty() {
        return Ok(());
    }
    Err(Error::OtherModules { document: path.join("app.toml"), strangers, unlisted })
}

/// Checks `start`, because a mistake in it would otherwise be found only on the node. An app with
/// an application module must name it, and only an app with an application module can have start
/// phases.
fn check_start(folder: &Folder, library: &Probed) -> Result<(), Error> {
    if folder.app.start.is_none() && !folder.app.start_phases.is_empty() {
        return Err(Error::PhasesWithoutStart { document: folder.path.join("app.toml") });
    }
    let fits = match &folder.app.start {
        Some(start) => library.applications.contains(start),
        None => library.applications.is_empty(),
    };
    if fits {
        return Ok(());
    }
    Err(Error::Start {
        document: folder.path.join("app.toml"),
        named: folder.app.start.clone(),
        applications: library.applications.clone(),
    })
}

fn write(
    order: &Order,
    rel: Rel,
    platform: Option<Probed>,
    contents: Contents,
) -> Result<(PathBuf, Manifest), Error> {
    let platform = platform.ok_or_else(|| Error::NoApps { path: order.release.clone() })?;
    let default = || PathBuf::from(format!("{}-{}.tar.gz", rel.name, rel.version));
    let tarball = order.output.clone().unwrap_or_else(default);
    let manifest = Manifest {
        name: rel.name.clone(),
        version: rel.version.clone(),
        target: platform.target,
        reld: order.reld.clone(),
        abi: platform.abi,
        serial: rel.serial,
        files: contents.entries.into_values().collect(),
    };
    manifest.check().map_err(|source| Error::Tarball { path: tarball.clone(), source })?;
    writing::write(&tarball, &manifest, &contents.sources, order.purpose)?;
    Ok((tarball, manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_for_different_machines_are_not_mixed() {
        let folder = Folder {
            path: "app".into(),
            app: App::parse("app.toml", "name = \"a\"\nversion = \"1.0.0\"").unwrap(),
        };
        let mut platform = None;
        let mut library = Probed {
            name: folder.app.name.clone(),
            version: folder.app.version.clone(),
            modules: vec![],
            applications: vec![],
            schemas: Schemas::default(),
            abi: Abi { major: 1, minor: 2 },
            stays: None,
            target: "x86_64-unknown-linux-gnu".to_owned(),
        };
        check_platform(&folder, &library, &mut platform).unwrap();
        library.abi.minor = 7;
        check_platform(&folder, &library, &mut platform).unwrap();
        assert_eq!(platform.as_ref().map(|first| first.abi), Some(Abi { major: 1, minor: 7 }));
        library.abi.major = 2;
        assert!(check_platform(&folder, &library, &mut platform).is_err());
    }
}
