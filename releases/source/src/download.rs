//! One download, with as many attempts as it needs.

use std::io::{self, Read as _};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use reld_store::{Platform, Upload};
use tempfile::NamedTempFile;

use crate::body::NotOpened;
use crate::error::Error;
use crate::place::Place;
use crate::source::Source;

/// The number of attempts without a new byte.
const ATTEMPTS_MAX: u32 = 5;

/// The pause before an attempt, doubled with each attempt without a new byte.
const PAUSE: Duration = Duration::from_millis(100);

const CHUNK: usize = 64 * 1024;

/// The end of an attempt that did not reach the end of the tarball.
enum Failed {
    /// A later attempt may go on.
    Cut(io::Error),
    /// The source gives no body. The part is kept, for a URL with a new signature.
    Unavailable(Error),
    /// The tarball is refused, and the part is deleted.
    Refused(Error),
    /// The caller gives the download up.
    GivenUp,
}

/// Fetches a tarball into a folder. The store checks each chunk as it arrives, and the caller's
/// unpack the whole. The file is deleted when the returned value is dropped. `is_given_up` can end
/// the download after each chunk.
///
/// # Errors
/// See [`Error`]. After [`Error::Cut`], [`Error::Status`] and [`Error::GivenUp`] the arrived part
/// is kept, and the next download of this URL goes on with it.
pub fn download(
    source: &Source,
    folder: &Path,
    platform: Platform,
    identity: Option<&str>,
    is_given_up: &dyn Fn() -> bool,
) -> Result<NamedTempFile, Error> {
    let place = Place::take(source, folder)?;
    let mut upload = Upload::resume(place.part(), platform)?;
    let mut idle = 0;
    loop {
        let before = upload.size();
        match attempt(source, &place, &mut upload, identity, is_given_up) {
            Ok(()) => break,
            Err(Failed::Refused(error)) => {
                place.forget_tag()?;
                return Err(error);
            }
            Err(Failed::Unavailable(error)) => {
                upload.keep()?;
                return Err(error);
            }
            Err(Failed::GivenUp) => {
                upload.keep()?;
                return Err(Error::GivenUp { url: source.to_string() });
            }
            Err(Failed::Cut(fault)) => {
                idle = if upload.size() > before { 0 } else { idle + 1 };
                if idle == ATTEMPTS_MAX {
                    let held = upload.size();
                    upload.keep()?;
                    return Err(Error::Cut { url: source.to_string(), held, source: fault });
                }
                sleep(PAUSE * 2_u32.pow(idle));
            }
        }
    }
    place.forget_tag()?;
    Ok(upload.finish()?)
}

/// Reads the source from the end of the part to its end.
fn attempt(
    source: &Source,
    place: &Place,
    upload: &mut Upload,
    identity: Option<&str>,
    is_given_up: &dyn Fn() -> bool,
) -> Result<(), Failed> {
    if is_given_up() {
        return Err(Failed::GivenUp);
    }
    let mut body = source.open(upload.size(), place.tag().as_deref()).map_err(|error| match error {
        NotOpened::Passing(fault) => Failed::Cut(fault),
        NotOpened::Refused(error) => Failed::Unavailable(error),
    })?;
    if body.from == 0 {
        upload.restart().map_err(|error| Failed::Refused(error.into()))?;
        place.set_tag(body.tag.as_deref()).map_err(Failed::Refused)?;
    }
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match body.content.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
            Err(fault) => return Err(Failed::Cut(fault)),
        };
        upload.take(&chunk[..length]).map_err(|error| Failed::Refused(error.into()))?;
        check(source, upload, identity).map_err(Failed::Refused)?;
        if is_given_up() {
            return Err(Failed::GivenUp);
        }
    }
}

/// Compares the identity as soon as the manifest has arrived.
fn check(source: &Source, upload: &Upload, identity: Option<&str>) -> Result<(), Error> {
    let (Some(expected), Some(found)) = (identity, upload.identity()) else { return Ok(()) };
    let found = found.to_string();
    if found == expected {
        return Ok(());
    }
    Err(Error::OtherIdentity { url: source.to_string(), found, expected: expected.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use reld_store::Abi;

    use super::*;

    #[test]
    fn a_download_that_is_given_up_ends_before_the_next_chunk() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tar.gz");
        // The head of a gzip file, of which the store expects more.
        fs::write(&file, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]).unwrap();
        let source = Source::parse(&format!("file://{}", file.display())).unwrap();
        let (target, abi) = ("none".to_owned(), Abi { major: 1, minor: 0 });
        let platform = Platform { target, abi, reld: "0.1.0".parse().unwrap() };
        let asked = Cell::new(0);
        let second = || asked.replace(asked.get() + 1) == 1;
        let downloads = folder.path().join("downloads");
        fs::create_dir(&downloads).unwrap();
        let given_up = download(&source, &downloads, platform, None, &second).unwrap_err();
        assert!(matches!(given_up, Error::GivenUp { .. }), "{given_up}");
        assert_eq!(asked.get(), 2, "once before the first chunk, and once after it");
    }
}
