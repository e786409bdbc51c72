//! Reads the memory and the threads of this OS process from files in `/proc`, so without unsafe
//! code.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Reads `length` bytes at an address of this OS process. Reading an unmapped address returns an
/// error instead of raising SIGSEGV.
pub(crate) fn read(address: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    Memory::open()?.0.read_exact_at(&mut bytes, address)?;
    Ok(bytes)
}

/// The memory of this OS process, read through `/proc/self/mem`. Reading an unmapped address
/// returns an error instead of raising SIGSEGV.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/self/mem").map(Self)
    }

    /// Reads a word.
    pub(crate) fn word(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; size_of::<u64>()];
        self.0.read_exact_at(&mut bytes, address)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Reads a text of up to `max` bytes. The text ends before the byte `end`, or before a 0.
    pub(crate) fn text(&self, address: u64, end: u8, max: usize) -> String {
        let bytes = (address..).take(max).map_while(|at| {
            let mut byte = [0];
            self.0.read_exact_at(&mut byte, at).ok().map(|()| byte[0])
        });
        let bytes: Vec<u8> = bytes.take_while(|byte| *byte != end && *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A snapshot of all mappings of the address space.
#[derive(Debug)]
pub(crate) struct Maps(Vec<u8>);

impl Maps {
    pub(crate) fn now() -> io::Result<Self> {
        fs::read("/proc/self/maps").map(Self)
    }

    /// Returns the mapped files, each with the address range from its first mapping to its last.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Range<u64>)> {
        let mut files: Vec<(PathBuf, Range<u64>)> = Vec::new();
        for (path, place) in self.0.split(|byte| *byte == b'\n').filter_map(file_in) {
            match files.last_mut() {
                Some((last, span)) if *last == path => span.end = place.end,
                _ => files.push((path, place)),
            }
        }
        files
    }

    /// Returns the number of bytes that are mapped from the file at `path`. The file may have been
    /// removed since.
    pub(crate) fn bytes(&self, path: &Path) -> u64 {
        self.0.split(|byte| *byte == b'\n').filter_map(|line| bytes_from(line, path)).sum()
    }
}

/// Returns the name of a thread of this OS process.
pub(crate) fn thread(number: i32) -> String {
    let name = fs::read_to_string(format!("/proc/self/task/{number}/comm"));
    name.map_or_else(|_| format!("thread {number}"), |name| format!("thread {}", name.trim_end()))
}

/// Parses a line of maps. Returns the file and its address range.
fn file_in(line: &[u8]) -> Option<(PathBuf, Range<u64>)> {
    let line = line.strip_suffix(b" (deleted)").unwrap_or(line);
    let path = &line[line.iter().position(|byte| *byte == b'/')?..];
    Some((PathBuf::from(OsStr::from_bytes(path)), range(line)?))
}

fn range(line: &[u8]) -> Option<Range<u64>> {
    let range = line.split(|byte| *byte == b' ').next()?;
    let (from, to) = str::from_utf8(range).ok()?.split_once('-')?;
    Some(u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?)
}

/// Parses a line of maps. Returns the size of the mapping if it is a mapping of this file.
///
/// ```text
/// 7f1c2a000000-7f1c2a021000 r-xp 00001000 fd:01 1234      /run/reld/000001-ab.loaded.so (deleted)
/// ```
fn bytes_from(line: &[u8], path: &Path) -> Option<u64> {
    let line = line.strip_suffix(b" (deleted)").unwrap_or(line);
    let rest = line.strip_suffix(path.as_os_str().as_bytes()).filter(|rest| rest.ends_with(b" "))?;
    let Range { start, end } = range(rest)?;
    end.checked_sub(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<u64>) {
        assert_eq!(bytes_from(line.as_bytes(), Path::new("/run/a.so")), expected);
    }

    #[test]
    fn only_mappings_of_the_file_count() {
        check("1000-3000 r-xp 00001000 fd:01 12                 /run/a.so", Some(0x2000));
        check("1000-3000 r-xp 00001000 fd:01 12                 /run/a.so (deleted)", Some(0x2000));
        check("1000-3000 r-xp 00001000 fd:01 12                 /run/b.so", None);
        check("1000-3000 r-xp 00001000 fd:01 12                 /other/run/a.so", None);
        check("1000-3000 rw-p 00000000 00:00 0", None);
        check("", None);
    }

    #[test]
    fn reading_an_unmapped_address_is_an_error() {
        assert!(read(1, 8).is_err());
    }

    #[test]
    fn reading_a_mapped_address_returns_its_bytes() {
        let known = *b"a build id";
        assert_eq!(read(known.as_ptr().addr() as u64, known.len()).unwrap(), known);
    }
}
