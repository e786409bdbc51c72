//! Opening a library: everything that can fail about it, in one go.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reld_abi as abi;
use reld_runtime::Module;
use sha2::{Digest as _, Sha256};

use crate::block::Block;
use crate::check::{self, Facts};
use crate::error::Refusal;
use crate::fence;
use crate::image::{Image, hex};
use crate::inbound;
use crate::ledger::Ledger;
use crate::outbound::ForeignModule;
use crate::private_copy::PrivateCopy;
use crate::residents::{Call, Residents};
use crate::routines;

/// A sha256.
pub type Digest = [u8; 32];

/// Which library is to be opened, and what it has to be.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// The file of the release. It is read once and never mapped.
    pub source: PathBuf,
    /// What the file's content has to be; `None` when nobody has recorded it.
    pub sha256: Option<Digest>,
    /// The app's name, which the library has to confirm.
    pub app: String,
    /// The app's version, which the library has to confirm.
    pub version: String,
}

/// A library that was opened and has received the daemon's table. Every module of it keeps its image reachable; dropping
/// the last `Library` says that it is meant to leave.
#[derive(Debug, Clone)]
pub struct Library {
    image: Arc<Image>,
    modules: Vec<Arc<dyn Module>>,
    _wanted: Arc<Wanted>,
}

/// Condemns a library when its last [`Library`] is dropped.
#[derive(Debug)]
struct Wanted {
    path: PathBuf,
    residents: Residents,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.residents.condemned(&self.path);
    }
}

impl Library {
    /// Returns the app's name.
    pub fn app(&self) -> &str {
        &self.image.app
    }

    /// Returns the app's version.
    pub fn version(&self) -> &str {
        &self.image.version
    }

    /// Returns the GNU build id, in hexadecimal digits, of the code in memory.
    pub fn build_id(&self) -> &str {
        &self.image.build_id
    }

    /// Returns the path that the library is mapped from.
    pub fn path(&self) -> PathBuf {
        self.image.path()
    }

    /// Returns the library's modules, in its own order.
    pub fn modules(&self) -> &[Arc<dyn Module>] {
        &self.modules
    }
}

/// Opens a library. `[the loader's thread]`
pub(crate) fn open(request: OpenRequest, run_dir: &Path, residents: &Residents) -> Result<Library, Refusal> {
    let mut bytes = fs::read(&request.source).map_err(Refusal::Read)?;
    let digest = verify(&bytes, request.sha256)?;
    let facts = check::check(&bytes)?;
    check::clear_nodelete(&mut bytes)?;
    routines::take_out(&mut bytes)?;
    let copy = PrivateCopy::write(run_dir, &digest, &bytes)?;
    // From here on a refusal drops the image, which unmaps it.
    let image = Arc::new(Image::new(request.app, request.version, &facts, copy, residents)?);
    let block = image.block()?;
    check_panics(&block, &facts)?;
    check_identity([&image.app, &image.version], [&block.name, &block.version])?;
    let ledger = check_ledger(&image, &block)?;
    load(&image, &block)?;
    image.loaded(block.unload, ledger);
    let (_, minor) = block.abi;
    let share = |table| ForeignModule::of(table, Arc::clone(&image), minor);
    let modules = block.modules.into_iter().map(share);
    let wanted = Wanted { path: image.path(), residents: residents.clone() };
    Ok(Library { modules: modules.collect(), image, _wanted: Arc::new(wanted) })
}

/// Compares the content with what was recorded, and returns its digest in hexadecimal digits.
fn verify(bytes: &[u8], expected: Option<Digest>) -> Result<String, Refusal> {
    let found: Digest = Sha256::digest(bytes).into();
    match expected {
        Some(expected) if expected != found => {
            Err(Refusal::Digest { expected: hex(&expected), found: hex(&found) })
        }
        _ => Ok(hex(&found)),
    }
}

/// A Rust library that was built to abort says so in its block; one whose block was made elsewhere shows it.
pub(crate) fn check_panics(block: &Block, facts: &Facts) -> Result<(), Refusal> {
    if block.built_by.starts_with("reld-sdk ") && !facts.raises { Err(Refusal::PanicAbort) } else { Ok(()) }
}

/// Compares name and version that were asked for with those that a library says.
pub(crate) fn check_identity(asked: [&str; 2], found: [&str; 2]) -> Result<(), Refusal> {
    let differs =
        ["name", "vsn"].into_iter().zip(asked).zip(found).find(|((_, asked), found)| asked != found);
    match differs {
        None => Ok(()),
        Some(((field, asked), found)) => {
            Err(Refusal::Identity { field, asked: asked.to_owned(), found: found.to_owned() })
        }
    }
}

/// What is read at any time must go with the library.
fn check_ledger(image: &Image, block: &Block) -> Result<Option<Ledger>, Refusal> {
    match block.ledger {
        Some(ledger) if !ledger.is_in(image.span()) => {
            Err(Refusal::Block { field: "usage", problem: "lies outside of the library".to_owned() })
        }
        ledger => Ok(ledger),
    }
}

/// Hands the daemon's table over.
fn load(image: &Image, block: &Block) -> Result<(), Refusal> {
    let _call = image.call(Call::Load);
    // SAFETY: the library's image is mapped, and the table lives as long as the process.
    let load = || unsafe { (block.load)(inbound::host()) };
    match fence::cross(image.span().start, "load", load) {
        abi::OK => Ok(()),
        status => Err(Refusal::LoadRefused { status }),
    }
}
