//! Releases on disk: packs and unpacks them, and records which releases are known, booted and
//! running.
//!
//! A root is consistent whenever the machine stops: the status table names only releases with all
//! their files present, and the next start deletes files that no known release uses. The crate
//! knows nothing about processes, and interprets documents only to check that they fit together.
//!
//! ```no_run
//! # fn example(node: &reld_store::Platform) -> Result<(), reld_store::Error> {
//! let mut store = reld_store::Store::open("/var/lib/reld")?;
//! let vsn = store.unpack("shop-1.1.0.tar.gz".as_ref(), node)?.release.version;
//! store.verify(&vsn)?;
//! let documents = store.docs(&vsn)?; // for the planner; then the node is upgraded, and:
//! store.install(&vsn)?; // a restart still boots the permanent release
//! store.make_permanent(&vsn)?; // a restart boots this one
//! # Ok(())
//! # }
//! ```

mod assets;
mod boots;
mod cargo;
mod claim;
mod config_error;
mod digest;
mod disk;
mod documents;
mod error;
mod error_code;
mod fault;
#[cfg(test)]
mod fixture;
mod folders;
mod guard;
mod health;
mod history;
mod layout;
mod lifecycle;
mod make;
mod manifest;
mod node_config;
mod pack;
mod package;
#[cfg(test)]
mod power_test;
mod prune;
mod purpose;
mod releases_file;
#[cfg(test)]
mod repair_test;
mod room;
mod store;
mod unpack;
mod upload;
mod verify;
mod writing;

pub use boots::{ATTEMPTS_MAX, Boots, GaveWay, NextBoot};
pub use cargo::Workspaces;
pub use claim::RootLock;
pub use config_error::ConfigError;
pub use digest::{Digest, NotADigest};
pub use disk::make_folder;
pub use documents::{Documents, docs, docs_of_tarball, texts_of_tarball};
pub use error::Error;
pub use fault::Fault;
pub use folders::app_folders;
pub use health::{Finding, Health};
pub use history::History;
pub use layout::Root;
pub use lifecycle::{Action, KnownApp, KnownRelease, Refusal, Status, StatusTable, next};
pub use manifest::{Abi, FileEntry, MANIFEST, Manifest, Platform};
pub use node_config::NodeConfig;
pub use pack::{Order, Packed, Probe, Probed, pack, pack_revision};
pub use package::{Head, head_of_stream, head_of_tarball};
pub use prune::{Removal, removals};
pub use purpose::Purpose;
pub use store::Store;
pub use store::arrival::UnpackOptions;
pub use unpack::Unpacked;
pub use upload::Upload;
pub use verify::{Damage, Harm, Verified, read_file, survey};
pub use writing::reseal;
