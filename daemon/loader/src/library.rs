//! Opens a library. This file has all checks and steps, in their order.

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

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The library to open, and the identity that it must have.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// The file in the release. It is read once, and never mapped.
    pub source: PathBuf,
    /// The expected digest of the file, or `None` if none was recorded.
    pub sha256: Option<Digest>,
    /// The expected name of the app.
    pub app: String,
    /// The expected version of the app.
    pub version: String,
}

/// A library that was opened and has received the daemon's table. Each of its modules keeps the
/// image mapped. When the last `Library` is dropped, the library is condemned: it is unmapped as
/// soon as possible.
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

    /// Returns the GNU build id of the mapped code, in hexadecimal digits.
    pub fn build_id(&self) -> &str {
        &self.image.build_id
    }

    /// Returns the path from which the library is mapped.
    pub fn path(&self) -> PathBuf {
        self.image.path()
    }

    /// Returns the library's modules, in the order of its table.
    pub fn modules(&self) -> &[Arc<dyn Module>] {
        &self.modules
    }
}

/// Opens a library. `[loader thread]`
pub(crate) fn open(request: OpenRequest, run_dir: &Path, residents: &Residents) -> Result<Library, Refusal> {
    let mut bytes = fs::read(&request.source).map_err(Refusal::Read)?;
    let digest = verify(&bytes, request.sha256)?;
    let facts = check::check(&bytes)?;
    check::clear_nodelete(&mut bytes)?;
    routines::take_out(&mut bytes)?;
    let copy = PrivateCopy::write(run_dir, &digest, &bytes)?;
    // From here on, a refusal drops the image, which unmaps the library.
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

/// Compares the content with the expected digest. Returns the content's digest in hexadecimal
/// digits.
fn verify(bytes: &[u8], expected: Option<Digest>) -> Result<String, Refusal> {
    let found: Digest = Sha256::digest(bytes).into();
    match expected {
        Some(expected) if expected != found => {
            Err(Refusal::Digest { expected: hex(&expected), found: hex(&found) })
        }
        _ => Ok(hex(&found)),
    }
}

/// Detects a Rust library that was built with panic=abort although its block claims to unwind.
pub(crate) fn check_panics(block: &Block, facts: &Facts) -> Result<(), Refusal> {
    if block.built_by.starts_with("reld-sdk ") && !facts.raises { Err(Refusal::PanicAbort) } else { Ok(()) }
}

/// Compares the expected name and version with those in the library. The library of a revision
/// (`0.1.0+dev.3`) has the version that was revised.
pub(crate) fn check_identity(asked: [&str; 2], found: [&str; 2]) -> Result<(), Refusal> {
    let differs =
        ["name", "vsn"].into_iter().zip(asked).zip(found).find(|((field, asked), found)| {
            asked != found && !(*field == "vsn" && is_revision(asked, found))
        });
    match differs {
        None => Ok(()),
        Some(((field, asked), found)) => {
            Err(Refusal::Identity { field, asked: asked.to_owned(), found: found.to_owned() })
        }
    }
}

/// Returns whether `version` is a revision of `revised`: the number of a build was added to its
/// build metadata.
fn is_revision(version: &str, revised: &str) -> bool {
    let begin = if revised.contains('+') { ".dev." } else { "+dev." };
    let number = version.strip_prefix(revised).and_then(|rest| rest.strip_prefix(begin));
    number.is_some_and(|number| number.parse::<u64>().is_ok())
}

/// Checks that the counters lie in the library, so that they are mapped exactly as long as the
/// library is.
fn check_ledger(image: &Image, block: &Block) -> Result<Option<Ledger>, Refusal> {
    match block.ledger {
        Some(ledger) if !ledger.is_in(image.span()) => {
            Err(Refusal::Block { field: "usage", problem: "lies outside the library".to_owned() })
        }
        ledger => Ok(ledger),
    }
}

/// Passes the daemon's table to the library's load function.
fn load(image: &Image, block: &Block) -> Result<(), Refusal> {
    let _call = image.call(Call::Load);
    // SAFETY: the library's image is mapped, and the table lives as long as the process.
    let load = || unsafe { (block.load)(inbound::host()) };
    match fence::cross(image.span().start, "load", load) {
        abi::OK => Ok(()),
        status => Err(Refusal::LoadRefused { status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &str, found: &str, fits: bool) {
        assert_eq!(check_identity(["till", asked], ["till", found]).is_ok(), fits, "{asked} {found}");
    }

    #[test]
    fn a_library_is_taken_for_its_own_version_and_for_revisions_of_it() {
        for (asked, found) in [("0.1.0", "0.1.0"), ("0.1.0+dev.3", "0.1.0"), ("1.0.0+a.dev.12", "1.0.0+a")] {
            check(asked, found, true);
            check(found, asked, asked == found);
        }
        for asked in
            ["0.1.1+dev.3", "0.1.0+dev", "0.1.0+dev.x", "0.1.0+other.3", "0.1.0.dev.3", "0.1.00+dev.3"]
        {
            check(asked, "0.1.0", false);
        }
        assert!(check_identity(["till+dev.1", "0.1.0"], ["till", "0.1.0"]).is_err());
    }
}
