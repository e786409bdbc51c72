//! Stack traces of a running thread, for users who investigate a callback that does not return.
//!
//! The thread itself copies its registers and part of its stack, in a signal handler
//! (`frames/sample.rs`). The caller does the rest, which reads files and allocates memory.
//!
//! A thread that waits in the kernel is not interrupted, because some system calls of C code would
//! return early. Its trace shows the number of the system call instead. The daemon's own frames are
//! left out.

mod registers;
mod sample;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use framehop::{ExplicitModuleSectionInfo, Module};
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SymbolKind};

use self::sample::Sample;
use crate::address_space::Maps;

type File<'data> = ElfFile64<'data, LittleEndian>;

/// The maximum number of frames, counted from the innermost.
const FRAMES_MAX: usize = 24;

/// Returns the functions on the stack of a thread, innermost first. `thread` is the system's thread
/// id. The list is empty if the functions cannot be determined. The thread is stopped for some
/// microseconds at most, and the caller may wait for a tenth of a second.
pub fn frames(thread: i32) -> Vec<String> {
    match state(thread) {
        Some('R') => sample::take(thread).and_then(|sample| names(&sample)).unwrap_or_default(),
        Some(_) => system_call(thread).map(|number| format!("system call {number}")).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Returns the kernel's state of a thread. `R` means that the thread computes.
fn state(thread: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // The name of the thread precedes the state, and may contain any characters.
    stat.rsplit_once(") ")?.1.chars().next()
}

fn system_call(thread: i32) -> Option<u32> {
    let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
    call.split(' ').next()?.parse().ok()
}

fn names(sample: &Sample) -> Option<Vec<String>> {
    let program = fs::read_link("/proc/self/exe").ok()?;
    let maps = Maps::now().ok()?;
    let touched = maps.files().into_iter().filter(|(path, span)| *path != program && sample.touches(span));
    let (mut modules, mut functions) = (Vec::new(), Vec::new());
    for (path, span) in touched {
        // If the file cannot be read, its functions have no names.
        let Some((module, known)) = fs::read(&path).ok().and_then(|bytes| read(&bytes, &path, &span)) else {
            continue;
        };
        modules.push(module);
        functions.push(known);
    }
    let name = |address| functions.iter().find_map(|functions| functions.name(address));
    let calls = registers::calls(modules, sample.registers, |address| sample.word(address), FRAMES_MAX);
    Some(calls.into_iter().map_while(name).collect())
}

/// The functions of a mapped file.
struct Functions {
    file: PathBuf,
    span: Range<u64>,
    /// The address range and the name of each function in the file.
    known: Vec<(Range<u64>, String)>,
}

impl Functions {
    /// Returns the name of the function at an address, if the address is in this file.
    fn name(&self, address: u64) -> Option<String> {
        if !self.span.contains(&address) {
            return None;
        }
        let address = address - self.span.start;
        let found = self.known.iter().find(|(place, _)| place.contains(&address));
        Some(match found {
            Some((_, name)) => format!("{:#}", rustc_demangle::demangle(name)),
            None => format!("{}+{address:#x}", self.file.file_name().unwrap_or_default().to_string_lossy()),
        })
    }
}

/// Reads the unwind tables and the function names of a file.
fn read(bytes: &[u8], path: &Path, span: &Range<u64>) -> Option<(Module<Vec<u8>>, Functions)> {
    let file = File::parse(bytes).ok()?;
    let place = |name: &str| {
        let section = file.section_by_name(name)?;
        Some(section.address()..section.address().checked_add(section.size())?)
    };
    let data = |name: &str| Some(file.section_by_name(name)?.data().ok()?.to_vec());
    let sections = ExplicitModuleSectionInfo {
        text_svma: place(".text"),
        text: data(".text"),
        got_svma: place(".got"),
        eh_frame_svma: place(".eh_frame"),
        eh_frame: data(".eh_frame"),
        eh_frame_hdr_svma: place(".eh_frame_hdr"),
        eh_frame_hdr: data(".eh_frame_hdr"),
        ..ExplicitModuleSectionInfo::default()
    };
    let module = Module::new(path.to_string_lossy().into_owned(), span.clone(), span.start, sections);
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let known = symbols
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
        .filter_map(|symbol| {
            let end = symbol.address().checked_add(symbol.size())?;
            Some((symbol.address()..end, symbol.name().ok()?.to_owned()))
        })
        .collect();
    Some((module, Functions { file: path.to_owned(), span: span.clone(), known }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_that_waits_is_not_interrupted_and_its_system_call_is_shown() {
        let (send_id, id) = mpsc::channel();
        let (_keep, wait) = mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || {
            // SAFETY: the function has no preconditions.
            send_id.send(unsafe { libc::gettid() }).unwrap();
            wait.recv()
        });
        let thread = id.recv().unwrap();
        while state(thread) == Some('R') {
            std::thread::yield_now();
        }
        let expected = format!("system call {}", libc::SYS_futex);
        assert_eq!(frames(thread), [expected]);
        drop(_keep);
        assert!(waiting.join().unwrap().is_err());
    }

    #[test]
    fn a_thread_that_computes_hands_out_its_stack_and_goes_on() {
        static ROUNDS: AtomicU64 = AtomicU64::new(0);
        static DONE: AtomicBool = AtomicBool::new(false);
        let (send_id, id) = mpsc::channel();
        let computing = std::thread::spawn(move || {
            // SAFETY: the function has no preconditions.
            send_id.send(unsafe { libc::gettid() }).unwrap();
            while !DONE.load(Ordering::Relaxed) {
                ROUNDS.fetch_add(1, Ordering::Relaxed);
            }
        });
        let thread = id.recv().unwrap();
        let turns = || {
            let before = ROUNDS.load(Ordering::Relaxed);
            while ROUNDS.load(Ordering::Relaxed) == before {
                std::thread::yield_now();
            }
        };
        turns();
        let sample = sample::take(thread).expect("it computes");
        let [_, stack_pointer, ..] = sample.registers;
        assert!(sample.word(stack_pointer).is_some() && sample.word(stack_pointer - 8).is_none());
        // All frames here belong to the program itself, so they are left out.
        assert_eq!(names(&sample), Some(vec![]));
        turns();
        DONE.store(true, Ordering::Relaxed);
        computing.join().unwrap();
        assert!(sample::take(thread).is_none(), "it has ended");
    }
}
