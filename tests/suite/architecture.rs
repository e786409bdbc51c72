//! Permitted dependencies between crates. A new edge is a decision: record it in DECISIONS.md in
//! the same change.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every crate, with the workspace crates that it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("reld-abi", &[]),
    ("reld-wire", &[]),
    ("reld-sdk", &["reld-abi", "reld-wire"]),
    ("reld-runtime", &["reld-wire"]),
    ("reld-loader", &["reld-abi", "reld-runtime", "reld-wire"]),
    ("reld-error-codes", &[]),
    ("reld-plan", &["reld-error-codes"]),
    ("reld-trust", &["reld-plan"]),
    ("reld-store", &["reld-error-codes", "reld-plan", "reld-trust"]),
    ("reld-handler", &["reld-error-codes", "reld-plan", "reld-store", "reld-trust", "reld-wire"]),
    ("reld-source", &["reld-error-codes", "reld-store"]),
    ("reld-fleet", &["reld-plan"]),
    ("reld-etcd", &[]),
    ("reld-api", &["reld-error-codes"]),
    (
        "reld",
        &[
            "reld-api",
            "reld-etcd",
            "reld-fleet",
            "reld-handler",
            "reld-loader",
            "reld-plan",
            "reld-runtime",
            "reld-source",
            "reld-store",
            "reld-wire",
        ],
    ),
    ("quest-bot", &[]),
    (
        "relctl",
        &["quest-bot", "reld-api", "reld-fleet", "reld-plan", "reld-source", "reld-store", "reld-trust"],
    ),
    ("reld-tests", &["reld-api"]),
    ("reld-bench", &["quest-bot", "reld-api", "reld-etcd", "reld-fleet", "reld-plan", "reld-tests"]),
];

#[test]
fn every_crate_uses_exactly_the_crates_that_the_table_allows() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace");
    let ours: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let mut found = BTreeMap::new();
    for package in &metadata.packages {
        let edges: BTreeSet<&str> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            .map(|dependency| dependency.name.as_str())
            .filter(|name| ours.contains(name))
            .collect();
        found.insert(package.name.as_str(), edges);
    }
    for (name, allowed) in EDGES {
        assert_eq!(found.remove(name), Some(allowed.iter().copied().collect()), "edges of {name}");
    }
    // The remaining packages are apps. They depend on the SDK and on no other workspace crate.
    for (app, edges) in found {
        assert_eq!(edges, BTreeSet::from(["reld-sdk"]), "edges of the app {app}");
    }
}
