//! The resources of each mapped library, counted on request from the daemon's tables. Only
//! allocations are counted all the time, by the library itself.
//!
//! Wakers are not counted, because the node holds no wakers of libraries: it wakes processes and
//! not futures.

use std::collections::{BTreeMap, HashMap};

use reld_api::response as r;
use reld_runtime::{Census, Place, Version};

use super::api::Api;

/// The app and the version of a library.
type Key = (String, String);

/// The resources that the processes of a library use.
#[derive(Debug, Default)]
struct Share {
    processes: u64,
    waiting: u64,
    ports: u64,
    timers: u64,
    blocking: u64,
    exits: BTreeMap<String, u64>,
}

/// Returns a row for each library in the address space, purged libraries last. A version is mapped
/// twice if it was purged and loaded again. The resources of its processes are then in the row of
/// the library that is not purged.
pub(super) fn libraries(api: &Api, census: &Census) -> Vec<r::Library> {
    let mut shares = shares(api, census);
    let mut mapped = api.loader.residents();
    mapped.sort_by_key(|library| library.condemned.is_some());
    let row = |library: reld_loader::Resident| {
        let share = shares.remove(&(library.app.clone(), library.version.clone())).unwrap_or_default();
        r::Library {
            app: library.app,
            version: library.version,
            is_leaving: library.condemned.is_some(),
            bytes: library.bytes.unwrap_or_default(),
            heap: library.heap.map(|heap| r::Heap { blocks: heap.blocks, bytes: heap.bytes }),
            threads: library.threads as u64,
            processes: share.processes,
            waiting: share.waiting,
            ports: share.ports,
            timers: share.timers,
            blocking: share.blocking,
            exits: share.exits,
        }
    };
    mapped.into_iter().map(row).collect()
}

fn shares(api: &Api, census: &Census) -> HashMap<Key, Share> {
    let mut shares: HashMap<Key, Share> = HashMap::new();
    for counted in &census.code {
        let share = shares.entry((counted.app.clone(), counted.version.clone())).or_default();
        share.processes += counted.processes;
        share.waiting += counted.waiting;
        share.ports += counted.ports;
        share.timers += counted.timers;
    }
    let code = api.runtime.code();
    let apps: HashMap<(&str, &str), &Version> =
        code.iter().map(|version| ((&*version.module, &*version.version), version)).collect();
    let key = |module: &str, version: &str| {
        apps.get(&(module, version)).map(|version| (version.app.clone(), version.version.clone()))
    };
    for work in api.runtime.blocking() {
        if let Some(key) = key(&work.module, &work.version) {
            shares.entry(key).or_default().blocking += 1;
        }
    }
    // Staged code is skipped: it has no processes yet, or it is in the table a second time, as
    // current or old code.
    for version in code.iter().filter(|version| version.place != Place::Staged) {
        let share = shares.entry((version.app.clone(), version.version.clone())).or_default();
        for (kind, number) in &version.exits {
            *share.exits.entry((*kind).to_owned()).or_default() += number;
        }
    }
    shares
}
