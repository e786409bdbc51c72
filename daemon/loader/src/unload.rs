//! What is mapped, and why it stays.
//!
//! *Purged* is a logical word: nothing of the daemon refers to a library any more. That is known here (the image's
//! count has come to nothing); whether its pages are gone is asked of the kernel and not of `dlclose`, whose answer
//! says nothing about it.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::address_space;
use crate::image::Image;

const IN_USE: &str = "in use";
const NOT_BUILT: &str =
    "purged; unmapping needs interposition of thread-local destructors, which is not built";

/// A library in the address space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// The app's name, as it was asked for.
    pub app: String,
    /// The app's version, as it was asked for.
    pub version: String,
    /// The path that it was mapped from; the file is gone once the library is purged.
    pub path: PathBuf,
    /// Bytes of address space mapped from that file; `None` where the kernel does not say.
    pub bytes: Option<u64>,
    /// Whether a module, state or callback of it is still referred to.
    pub in_use: bool,
    /// Why it is still mapped, for people.
    pub reason: &'static str,
}

/// The libraries that were ever mapped and have not left.
#[derive(Debug, Clone, Default)]
pub(crate) struct Residents {
    mapped: Arc<Mutex<Vec<Record>>>,
}

#[derive(Debug)]
struct Record {
    app: String,
    version: String,
    path: PathBuf,
    image: Weak<Image>,
}

impl Residents {
    pub(crate) fn add(&self, image: &Arc<Image>) {
        self.mapped.lock().push(Record {
            app: image.app.clone(),
            version: image.version.clone(),
            path: image.path(),
            image: Arc::downgrade(image),
        });
    }

    /// Lists what the kernel still has mapped, oldest first.
    pub(crate) fn list(&self) -> Vec<Resident> {
        let mapped = self.mapped.lock();
        mapped.iter().map(resident).filter(|resident| resident.bytes != Some(0)).collect()
    }
}

fn resident(record: &Record) -> Resident {
    let in_use = record.image.strong_count() > 0;
    Resident {
        app: record.app.clone(),
        version: record.version.clone(),
        path: record.path.clone(),
        bytes: address_space::mapped_bytes(&record.path).ok(),
        in_use,
        reason: if in_use { IN_USE } else { NOT_BUILT },
    }
}
