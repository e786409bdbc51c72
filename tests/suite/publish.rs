//! The crates that an app author takes from a registry are ready to be published.

use std::fs;
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use reld_tests::{Run, assert_contains, folder};

use crate::tree;

/// The published crates, in the order in which they are published.
const PUBLISHED: [&str; 3] = ["reld-abi", "reld-wire", "reld-sdk"];

#[test]
fn published_crates_describe_themselves_and_depend_on_each_other_only() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace");
    let published = |package: &&Package| package.publish.as_ref().is_none_or(|names| !names.is_empty());
    let published: Vec<_> = metadata.packages.iter().filter(published).collect();
    assert_eq!(published.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), PUBLISHED);
    for package in &published {
        let name = &package.name;
        assert!(package.description.is_some() && package.documentation.is_some(), "{name}");
        assert!(package.license.is_some() && package.readme.is_some(), "{name}");
        assert!(!package.keywords.is_empty() && !package.categories.is_empty(), "{name}");
        // Cargo leaves out dependencies of tests that have only a path.
        let shipped = package.dependencies.iter().filter(|found| found.kind != DependencyKind::Development);
        for own in shipped.filter(|dependency| dependency.path.is_some()) {
            let it = published.iter().find(|package| package.name.as_str() == own.name);
            let it = it.unwrap_or_else(|| panic!("{name} needs {}, which is not published", own.name));
            assert!(
                own.req.to_string().ends_with(&it.version.to_string()),
                "{name} needs {} {}",
                own.name,
                own.req
            );
        }
    }
}

#[test]
fn a_published_crate_has_its_licences_and_links_to_nothing_outside() {
    for name in PUBLISHED {
        let home = folder("daemon").join(name.trim_start_matches("reld-"));
        let mut package = Command::new(env!("CARGO"));
        package.current_dir(folder("")).args(["package", "--list", "--allow-dirty", "--offline", "-p", name]);
        let listed = Run::of(&mut package).expect(0);
        assert_contains(
            &listed.stdout,
            &["LICENSE-APACHE\n", "LICENSE-MIT\n", "README.md\n", "src/lib.rs\n"],
        );
        assert!(!listed.stderr.contains("warning"), "{}", listed.stderr);
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let text = |path: &Path| fs::read(path).expect("the licence is there");
            assert!(text(&home.join(licence)) == text(&folder(licence)), "{name}: {licence}");
        }
        for (path, text) in tree::files(&home, &["rs", "md", "h"]) {
            let outside = ["](../", "](/", ".md)", ".rs)"].iter().find(|link| text.contains(**link));
            assert_eq!(outside, None, "{}", path.display());
        }
    }
}
