//! The loaded libraries, and the libraries that were probed for future upgrades.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use reld_handler::{AppName, Image, Interrupt, Library, ModuleName, NodeError, Resident, Tried, Vsn};
use reld_loader::{Digest, Loader, OpenRequest};
use reld_runtime::{self as runtime, Module, Runtime};

use super::words::{app, chain, left, vsn};
use crate::probe::{self, other_modules};

/// The loaded libraries.
#[derive(Debug)]
pub(super) struct Libraries {
    loader: Arc<Loader>,
    images: BTreeMap<Image, Mapped>,
    next: u64,
}

/// A loaded library. It is reused as long as the code server has one of its modules.
#[derive(Debug)]
struct Mapped {
    library: reld_loader::Library,
    sha256: String,
    /// Whether the library is loaded but not staged yet.
    is_awaited: bool,
}

impl Libraries {
    pub(super) fn new(loader: Arc<Loader>) -> Self {
        Self { loader, images: BTreeMap::new(), next: 1 }
    }

    pub(super) fn loader(&self) -> &Arc<Loader> {
        &self.loader
    }

    pub(super) fn load(
        &mut self,
        library: &Library,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Image, NodeError> {
        let same = |mapped: &Mapped| {
            mapped.sha256 == library.sha256
                && mapped.library.app() == library.app.as_str()
                && mapped.library.version() == library.vsn.to_string()
        };
        if let Some((image, mapped)) = self.images.iter_mut().find(|(_, mapped)| same(mapped)) {
            mapped.is_awaited = true;
            return Ok(*image);
        }
        let opened = self.open(library, deadline, interrupt)?;
        tracing::info!(name: "code.loaded", app = %library.app, version = %library.vsn, "library loaded");
        let image = Image(self.next);
        self.next += 1;
        self.images
            .insert(image, Mapped { library: opened, sha256: library.sha256.clone(), is_awaited: true });
        Ok(image)
    }

    fn open(
        &self,
        library: &Library,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<reld_loader::Library, NodeError> {
        let refuse = |reason: String| refusal(library, reason);
        let request = OpenRequest {
            source: library.file.clone(),
            sha256: Some(
                digest(&library.sha256).ok_or_else(|| refuse("its digest is not a SHA-256".to_owned()))?,
            ),
            app: library.app.to_string(),
            version: library.vsn.to_string(),
        };
        let given_up = || interrupt.wish().map(|wish| wish.to_string());
        let opened = self.loader.open_unless(request, left(deadline), given_up);
        let opened = opened.map_err(|error| refuse(chain(&error)))?;
        let has: Vec<&str> = opened.modules().iter().map(|module| module.name()).collect();
        let listed: Vec<&str> = library.modules.iter().map(ModuleName::as_str).collect();
        other_modules(&listed, &has).map_or(Ok(opened), |differs| Err(refuse(differs)))
    }

    /// Returns the modules of a loaded library.
    pub(super) fn modules(&self, image: Image) -> &[Arc<dyn Module>] {
        self.images.get(&image).map_or(&[], |mapped| mapped.library.modules())
    }

    /// Records that no loaded library waits to be staged any more.
    pub(super) fn nothing_awaited(&mut self) {
        self.images.values_mut().for_each(|mapped| mapped.is_awaited = false);
    }

    /// Drops the libraries without a module in the code server. Waits until those without other
    /// references are unmapped.
    pub(super) fn drop_unused(&mut self, runtime: &Runtime) {
        let code = runtime.code();
        self.images.retain(|_, Mapped { library, is_awaited, .. }| {
            let is_of =
                |code: &runtime::Version| code.app == library.app() && code.version == library.version();
            *is_awaited || code.iter().any(is_of)
        });
        self.loader.settle();
    }

    /// Returns the number of running threads that the library of an app has started.
    pub(super) fn threads(&self, app: &AppName, vsn: &Vsn) -> usize {
        let version = vsn.to_string();
        let libraries = self.loader.residents().into_iter().filter(|library| library.condemned.is_none());
        libraries
            .filter(|library| library.app == app.as_str() && library.version == version)
            .map(|library| library.threads)
            .sum()
    }

    pub(super) fn residents(&self) -> Vec<Resident> {
        let purged = self.loader.residents().into_iter().filter(|resident| resident.condemned.is_some());
        let resident = |resident: reld_loader::Resident| Resident {
            app: app(&resident.app),
            vsn: vsn(&resident.version),
            reason: resident.reason,
        };
        purged.map(resident).collect()
    }
}

/// The results of libraries that were loaded without a fault in a throw-away process. The key is
/// the library's digest and its modules.
#[derive(Debug, Default)]
pub(super) struct Harmless(Mutex<HashMap<(String, Vec<ModuleName>), Tried>>);

impl Harmless {
    pub(super) fn probe(
        &self,
        library: &Library,
        scratch: &Path,
        is_left: &dyn Fn() -> bool,
    ) -> Result<Tried, NodeError> {
        let known = (library.sha256.clone(), library.modules.clone());
        if let Some(tried) = self.0.lock().get(&known) {
            return Ok(tried.clone());
        }
        let refuse = |reason: String| refusal(library, reason);
        let behaviours = probe::library(library, scratch, is_left).map_err(refuse)?;
        let bytes = fs::read(&library.file).map_err(|error| refuse(error.to_string()))?;
        let stays = reld_loader::stays_mapped(&bytes).map_err(|error| refuse(error.to_string()))?;
        let tried = Tried { behaviours, stays };
        self.0.lock().insert(known, tried.clone());
        Ok(tried)
    }
}

fn refusal(library: &Library, reason: String) -> NodeError {
    NodeError::Load { app: library.app.clone(), vsn: library.vsn.clone(), reason }
}

fn digest(hex: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    (hex.len() == 64).then_some(digest)
}
