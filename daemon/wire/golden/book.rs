//! The golden bytes that each side of the boundary has written since an ABI minor version.
//!
//! `abi-MAJOR.MINOR.txt` has the entries of that version. An entry is three lines: the side and the
//! name, the value in readable form, the bytes. Entries never change, because released libraries
//! and daemons write them. A new member adds new entries, in the file of its version.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// The bytes of one side, by name.
#[derive(Debug)]
pub(crate) struct Book {
    side: &'static str,
    entries: BTreeMap<String, Vec<u8>>,
    met: BTreeSet<String>,
    new: String,
}

impl Book {
    /// Opens the entries of a side: `library` or `daemon`.
    ///
    /// # Panics
    /// When a file cannot be read, or none has entries of that side.
    pub(crate) fn of(side: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/golden");
        let files = std::fs::read_dir(&folder).expect("the golden bytes lie in the tree");
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
        let mut entries = BTreeMap::new();
        for text in paths.iter().map(|path| std::fs::read_to_string(path).expect("it can be read")) {
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            for entry in lines.chunks(3) {
                let [title, _, bytes] = entry else { panic!("not three lines: {entry:?}") };
                if let Some(name) = title.strip_prefix(side) {
                    let before = entries.insert(name.trim().to_owned(), read_hex(bytes.trim()));
                    assert_eq!(before, None, "{title} stands there twice");
                }
            }
        }
        assert!(!entries.is_empty(), "no entries of the {side}");
        Self { side, entries, met: BTreeSet::new(), new: String::new() }
    }

    /// Compares the bytes that are written today with the entry of this name.
    ///
    /// # Panics
    /// When they differ. A missing entry is reported by [`Book::close`].
    #[track_caller]
    pub(crate) fn check(&mut self, name: &str, bytes: &[u8]) {
        let entry = format!("{} {name}\n  {}\n  {}\n", self.side, shown(bytes), hex(bytes));
        match self.entries.get(name) {
            Some(golden) => assert_eq!(hex(bytes), hex(golden), "now it is\n{entry}"),
            None => self.new.push_str(&entry),
        }
        self.met.insert(name.to_owned());
    }

    /// Returns the names of all entries.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns the bytes of an entry.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        self.entries.get(name).unwrap_or_else(|| panic!("no entry {} {name}", self.side))
    }

    /// Checks that all entries were compared.
    ///
    /// # Panics
    /// When an entry was not compared, or a compared value has no entry yet.
    pub(crate) fn close(self) {
        assert!(self.new.is_empty(), "entries to add:\n{}", self.new);
        let left: Vec<_> = self.names().filter(|name| !self.met.contains(*name)).collect();
        assert!(left.is_empty(), "entries of the {} that this test does not know: {left:?}", self.side);
    }
}

fn shown(mut bytes: &[u8]) -> String {
    rmpv::decode::read_value(&mut bytes).expect("it is MessagePack").to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

fn read_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).expect("ASCII"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("two digits")).collect()
}
