//! Packs real packages with cargo. This is a test binary of its own: a child process briefly
//! inherits its parent's files, so tests of locks would fail at random beside it.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod builds;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reld_plan::{ModuleName, ModuleSchema, Schemas};
use reld_store::{
    Abi, Error, Order, Platform, Probe, Probed, Purpose, Store, Workspaces, docs_of_tarball, pack,
};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Returns a fixed description for any existing library.
struct FixedProbe(Probed);

impl Probe for FixedProbe {
    fn probe(&self, library: &Path) -> Result<Probed, Box<dyn std::error::Error + Send + Sync>> {
        fs::metadata(library)?;
        Ok(self.0.clone())
    }
}

fn schemas(name: &str) -> Schemas {
    let schema = ModuleSchema { behaviour: "gen_server".to_owned(), interface: None };
    Schemas { modules: [(name.parse().unwrap(), schema)].into() }
}

fn probe_of(name: &str, version: &str) -> FixedProbe {
    FixedProbe(Probed {
        name: name.parse().unwrap(),
        version: version.parse().unwrap(),
        modules: vec![format!("{name}_sup").parse().unwrap(), name.parse().unwrap()],
        applications: vec![],
        schemas: schemas(name),
        abi: Abi { major: 1, minor: 2 },
        stays: None,
        target: TARGET.to_owned(),
    })
}

/// The workspace of an author: one app and its release.
fn author(app: &str) -> (tempfile::TempDir, Order) {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: String| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let names = format!("name = \"{app}\"\nversion = \"0.1.0\"\n");
    let release = "name = \"shop\"\nversion = \"1.0.0\"\ndaemon = \"1.0.0\"\n";
    write("release/release.toml", format!("{release}[[app]]\n{names}"));
    write("release/config.toml", "[counter]\nlimit = 5\n".to_owned());
    write("apps/some/folder/app.toml", format!("{names}modules = []\n"));
    write("apps/some/folder/appup.toml", format!("app = \"{app}\"\nversion = \"0.1.0\"\n"));
    write("apps/some/folder/priv/www/index.html", "<p>hello".to_owned());
    let library = "[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n";
    write("apps/some/folder/Cargo.toml", format!("[package]\n{names}edition = \"2024\"\n{library}"));
    let source = "#[unsafe(no_mangle)]\npub extern \"C\" fn f(i: usize) -> u8 { [1, 2, 3][i] }\n";
    write("apps/some/folder/src/lib.rs", source.to_owned());
    let order = Order {
        release: folder.path().join("release/release.toml"),
        apps: folder.path().join("apps"),
        output: Some(folder.path().join("out.tar.gz")),
        profile: "dev".to_owned(),
        shared_build: None,
        workspaces: Workspaces::default(),
        purpose: Purpose::Keep,
        without: BTreeSet::new(),
        reld: "1.0.0".parse().unwrap(),
    };
    (folder, order)
}

#[track_caller]
fn check_refused(order: &Order, probe: &dyn Probe, expected: &str) {
    let error = pack(order, probe).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(!order.output.as_ref().unwrap().exists());
}

#[test]
fn a_packed_release_holds_the_library_and_the_modules_it_has_and_unpacks() {
    let (folder, order) = author("packed");
    let packed = pack(&order, &probe_of("packed", "0.1.0")).unwrap();
    let paths: Vec<&str> = packed.manifest.files.iter().map(|file| file.path.as_str()).collect();
    let expected = [
        "lib/packed-0.1.0/app.toml",
        "lib/packed-0.1.0/appup.toml",
        "lib/packed-0.1.0/packed.so",
        "lib/packed-0.1.0/priv/www/index.html",
        "lib/packed-0.1.0/schema.json",
        "releases/1.0.0/config.toml",
        "releases/1.0.0/release.toml",
    ];
    assert_eq!(paths, expected);

    let (manifest, documents) = docs_of_tarball(&packed.tarball).unwrap();
    assert_eq!(manifest, packed.manifest);
    let modules = &documents.release.apps()[0].docs.app.modules;
    assert_eq!(modules.iter().map(ModuleName::as_str).collect::<Vec<_>>(), ["packed_sup", "packed"]);

    assert_eq!(documents.release.apps()[0].docs.schemas, schemas("packed"));

    let node = Platform { target: TARGET.to_owned(), abi: manifest.abi, reld: manifest.reld.clone() };
    let mut store = Store::open(folder.path().join("root")).unwrap();
    store.unpack(&packed.tarball, &node).unwrap();
    assert_eq!(store.docs(&manifest.version).unwrap(), documents);
}

#[test]
fn s52_modules_that_an_author_lists_are_those_of_the_library() {
    let (_folder, order) = author("listed");
    let document = order.apps.join("some/folder/app.toml");
    let empty = fs::read_to_string(&document).unwrap();
    let list = |modules: &str| fs::write(&document, empty.replace("[]", modules)).unwrap();
    list(r#"["listed", "ghost"]"#);
    let words = "modules lists ghost, which the library does not have, and does not list listed_sup; correct the list";
    check_refused(&order, &probe_of("listed", "0.1.0"), words);
    list(r#"["listed"]"#);
    check_refused(
        &order,
        &probe_of("listed", "0.1.0"),
        "some/folder/app.toml: modules does not list listed_sup;",
    );
    list(r#"["listed", "listed_sup"]"#);
    pack(&order, &probe_of("listed", "0.1.0")).unwrap();
}

#[test]
fn a_tarball_goes_where_it_is_wanted_and_a_folder_that_is_missing_is_named() {
    let (folder, mut order) = author("wanted");
    let output = |path: &str| Some(folder.path().join(path));
    order.output = output("missing/out.tar.gz");
    let error = pack(&order, &probe_of("wanted", "0.1.0")).unwrap_err();
    assert!(error.to_string().contains("missing/out.tar.gz"), "{error}");
    order.output = output("other.tar.gz");
    let packed = pack(&order, &probe_of("wanted", "0.1.0")).unwrap();
    assert_eq!(Some(&packed.tarball), order.output.as_ref());
    assert!(packed.tarball.is_file());
}

#[test]
fn two_authors_in_two_folders_make_the_same_bytes() {
    let tarballs = [(); 2].map(|()| {
        let (_folder, order) = author("reproducible");
        let packed = pack(&order, &probe_of("reproducible", "0.1.0")).unwrap();
        fs::read(packed.tarball).unwrap()
    });
    assert!(tarballs[0] == tarballs[1]);
}

#[test]
fn an_app_that_is_left_out_is_listed_and_not_carried() {
    let (_folder, mut order) = author("left_out");
    order.without.insert("left_out".parse().unwrap());
    let packed = pack(&order, &probe_of("left_out", "0.1.0")).unwrap();
    for file in &packed.manifest.files {
        assert_eq!(file.not_carried, file.path.starts_with("lib/"), "{}", file.path);
    }
    assert!(matches!(docs_of_tarball(&packed.tarball), Err(Error::NoDocument { .. })));
    order.without.insert("other".parse().unwrap());
    assert!(matches!(pack(&order, &probe_of("left_out", "0.1.0")), Err(Error::NotInRelease { .. })));
}

#[test]
fn a_library_of_another_app_than_its_app_toml_is_refused() {
    let (_folder, order) = author("honest");
    check_refused(&order, &probe_of("other", "0.1.0"), "is other 0.1.0, but its app.toml names honest 0.1.0");
    check_refused(
        &order,
        &probe_of("honest", "0.1.1"),
        "is honest 0.1.1, but its app.toml names honest 0.1.0",
    );
}

#[test]
fn a_start_without_an_application_module_and_a_missing_start_are_refused() {
    let (_folder, order) = author("start");
    let mut probed = probe_of("start", "0.1.0").0;
    probed.applications = vec!["start_app".parse().unwrap()];
    probed.modules.extend(probed.applications.clone());
    let probe = FixedProbe(probed);
    check_refused(
        &order,
        &probe,
        "app.toml: start is missing; the library has the application module start_app",
    );
    let path = order.apps.join("some/folder/app.toml");
    let document = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{document}start = \"start_sup\"\n")).unwrap();
    check_refused(
        &order,
        &probe,
        "start names start_sup, which is not an application module; the library has start_app",
    );
    fs::write(&path, format!("{document}start = \"start_app\"\n")).unwrap();
    pack(&order, &probe).unwrap();
}

#[test]
fn instructions_for_unknown_modules_are_reported_with_their_place() {
    let (_folder, order) = author("stranger");
    let path = order.apps.join("some/folder/appup.toml");
    let appup = fs::read_to_string(&path).unwrap();
    // Modules that only the older version has are unknown here.
    let up = "[[up]]\nfrom = \"0.0.1\"\ninstructions = [\n  { delete_module = \"old\" },\n  { update = \"strangre\" },\n]\n";
    let down = "[[down]]\nto = \"0.0.1\"\ninstructions = [{ add_module = \"old\" }, { load_module = \"stranger\" }]\n";
    fs::write(&path, format!("{appup}{up}{down}")).unwrap();
    check_refused(
        &order,
        &probe_of("stranger", "0.1.0"),
        "appup.toml:7:3: no app of the release has a module strangre",
    );
}

#[test]
fn start_phases_without_a_start_are_refused() {
    let (_folder, order) = author("phases");
    let path = order.apps.join("some/folder/app.toml");
    let document = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{document}start_phases = [{{ name = \"go\" }}]\n")).unwrap();
    check_refused(&order, &probe_of("phases", "0.1.0"), "app.toml: start_phases without `start`");
}

#[test]
fn a_release_that_would_not_boot_is_refused() {
    let (_folder, order) = author("needy");
    let path = order.apps.join("some/folder/app.toml");
    let document = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{document}applications = [\"needy\"]\n")).unwrap();
    check_refused(&order, &probe_of("needy", "0.1.0"), "needy cannot start: it needs itself");
}

#[test]
fn calls_of_modules_other_than_tasks_are_reported_with_their_place() {
    let (folder, order) = author("caller");
    let path = order.apps.join("some/folder/appup.toml");
    let appup = fs::read_to_string(&path).unwrap();
    let call = "instructions = [{ apply = \"caller:migrate\" }]\n";
    fs::write(&path, format!("{appup}[[down]]\nto = \"0.0.1\"\n{call}")).unwrap();
    let problem = "module caller is a gen_server, but apply needs a task";
    check_refused(&order, &probe_of("caller", "0.1.0"), &format!("appup.toml:5:17: {problem}"));
    fs::write(&path, appup).unwrap();
    let relup = format!("version = \"1.0.0\"\n[[up]]\nfrom = \"0.9.0\"\n{call}");
    fs::write(folder.path().join("release/relup.toml"), relup).unwrap();
    check_refused(&order, &probe_of("caller", "0.1.0"), &format!("relup.toml:4:17: {problem}"));
}

#[test]
fn a_release_for_another_daemon_version_than_the_packers_is_refused() {
    let (_folder, mut order) = author("daemon");
    order.reld = "1.1.0".parse().unwrap();
    check_refused(
        &order,
        &probe_of("daemon", "0.1.0"),
        "release.toml names daemon 1.0.0, but this is the packer of reld 1.1.0",
    );
}

#[test]
fn a_file_beside_the_release_that_makes_no_sense_is_not_packed() {
    let (folder, order) = author("beside");
    let probe = probe_of("beside", "0.1.0");
    let write = |file: &str, text: &str| fs::write(folder.path().join("release").join(file), text).unwrap();
    let config = fs::read_to_string(folder.path().join("release/config.toml")).unwrap();
    write("config.toml", "speed = ");
    check_refused(&order, &probe, "config.toml:1:9: ");
    write("config.toml", &config);
    write(
        "relup.toml",
        "version = '1.0.0'\n[[up]]\nfrom = '0.9.0'\ninstructions = [{ update = 'beside' }]\n",
    );
    check_refused(&order, &probe, "relup.toml:4:17: `update` is for an appup");
    write("relup.toml", "version = '1.1.0'\n");
    check_refused(&order, &probe, "release 1.1.0");
    write("relup.toml", "version = '1.0.0'\n");
    let packed = pack(&order, &probe).unwrap();
    assert!(packed.manifest.files.iter().any(|file| file.path == "releases/1.0.0/relup.toml"));
}

#[test]
fn a_package_that_does_not_compile_or_makes_no_library_is_refused() {
    let (_folder, order) = author("broken");
    fs::write(order.apps.join("some/folder/src/lib.rs"), "fn").unwrap();
    check_refused(&order, &probe_of("broken", "0.1.0"), "cargo could not build");
    let (_folder, order) = author("plain");
    let cargo_toml = order.apps.join("some/folder/Cargo.toml");
    let text = fs::read_to_string(&cargo_toml).unwrap();
    fs::write(&cargo_toml, text.replace("cdylib", "rlib")).unwrap();
    check_refused(&order, &probe_of("plain", "0.1.0"), "makes no shared library");
    fs::remove_file(&cargo_toml).unwrap();
    check_refused(&order, &probe_of("plain", "0.1.0"), "neither a Cargo.toml nor a Makefile");
}

#[test]
fn an_app_with_a_makefile_is_built_at_the_path_that_the_packer_passes() {
    let (_folder, order) = author("made");
    let home = order.apps.join("some/folder");
    fs::remove_file(home.join("Cargo.toml")).unwrap();
    let makefile = |rule: &str| fs::write(home.join("Makefile"), format!("$(LIBRARY):\n\t{rule}\n")).unwrap();
    makefile("false");
    check_refused(&order, &probe_of("made", "0.1.0"), "make could not build");
    makefile("true");
    check_refused(
        &order,
        &probe_of("made", "0.1.0"),
        "the first target of its Makefile must be `$(LIBRARY)`",
    );
    makefile("@echo made for $(PROFILE), $$SOURCE_DATE_EPOCH > $@");
    pack(&order, &probe_of("made", "0.1.0")).unwrap();
    let built = fs::read_to_string(home.join("target/dev/made.so")).unwrap();
    assert_eq!(built, "made for dev, 0\n");
}

#[test]
fn all_wrong_instructions_are_reported_before_anything_is_built() {
    let (_folder, order) = author("appup");
    fs::write(order.apps.join("some/folder/src/lib.rs"), "fn").unwrap();
    let path = order.apps.join("some/folder/appup.toml");
    let appup = fs::read_to_string(&path).unwrap();
    let wrong =
        "[[up]]\nfrom = \"0.0.1\"\ninstructions = [\n  { frobnicate = \"a\" },\n  { update = 7 },\n]\n";
    fs::write(&path, format!("{appup}{wrong}")).unwrap();
    let error = pack(&order, &probe_of("appup", "0.1.0")).unwrap_err();
    assert!(matches!(&error, Error::Instructions { mistakes } if mistakes.len() == 2), "{error}");
    check_refused(&order, &probe_of("appup", "0.1.0"), "appup.toml:6:");
    check_refused(&order, &probe_of("appup", "0.1.0"), "appup.toml:7:");
}

#[test]
fn linked_folders_are_packed_as_their_content_with_the_same_bytes_as_without_links() {
    let linked = |link: bool| {
        let (_folder, order) = author("linked");
        let app = order.apps.join("some/folder");
        if link {
            fs::create_dir(app.join("web")).unwrap();
            fs::rename(app.join("priv/www"), app.join("web/dist")).unwrap();
            std::os::unix::fs::symlink("../web/dist", app.join("priv/www")).unwrap();
        }
        fs::read(pack(&order, &probe_of("linked", "0.1.0")).unwrap().tarball).unwrap()
    };
    assert!(linked(true) == linked(false));
}

#[test]
fn pipes_devices_and_links_that_leave_the_app_are_refused_at_once() {
    let (folder, order) = author("pipes");
    let [app, release] = ["apps/some/folder", "release"].map(|path| folder.path().join(path));
    let make = |path: &Path, to: Option<&str>| match to {
        None => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR).unwrap(),
        Some(to) => std::os::unix::fs::symlink(to, path).unwrap(),
    };
    for (path, to, expected) in [
        (app.join("priv/pipe"), None, "cannot pack "),
        (app.join("priv/zero"), Some("/dev/zero"), "is a link to /dev/zero, outside of the app's folder"),
        (app.join("priv/zero"), Some("gone"), "is a link to gone, which does not exist"),
        (release.join("relup.toml"), None, "release/relup.toml: it is not a regular file"),
        (release.join("relup.toml"), Some("/dev/zero"), "release/relup.toml: it is not a regular file"),
        (release.join("relup.toml"), Some("gone"), "cannot read "),
    ] {
        make(&path, to);
        check_refused(&order, &probe_of("pipes", "0.1.0"), expected);
        fs::remove_file(path).unwrap();
    }
    for path in [app.join("appup.toml"), release.join("config.toml"), order.release.clone()] {
        fs::rename(&path, folder.path().join("kept")).unwrap();
        make(&path, None);
        check_refused(&order, &probe_of("pipes", "0.1.0"), "it is not a regular file");
        fs::rename(folder.path().join("kept"), path).unwrap();
    }
    pack(&order, &probe_of("pipes", "0.1.0")).unwrap();
}

#[test]
fn an_app_is_found_by_name_and_version_once() {
    let (_folder, order) = author("found");
    let document = order.apps.join("some/folder/app.toml");
    let copy = order.apps.join("other");
    fs::create_dir(&copy).unwrap();
    fs::copy(&document, copy.join("app.toml")).unwrap();
    check_refused(&order, &probe_of("found", "0.1.0"), "found 0.1.0 is both in");
    for path in [&document, &copy.join("app.toml")] {
        fs::write(path, "name = \"found\"\nversion = \"0.2.0\"\n").unwrap();
    }
    check_refused(&order, &probe_of("found", "0.1.0"), "; found versions: 0.2.0, 0.2.0");
}
