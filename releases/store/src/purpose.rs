//! The use of a tarball, which decides what may be saved in making it.

use flate2::Compression;

/// The use of a tarball.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is kept. It is small, and on the medium before its name is.
    Keep,
    /// A node on the same machine tries it at once. It is neither compressed nor synced, and Rust
    /// libraries have no debug information, which is most of a debug build.
    Try,
}

impl Purpose {
    pub(crate) const fn is_kept(self) -> bool {
        matches!(self, Self::Keep)
    }

    pub(crate) fn compression(self) -> Compression {
        match self {
            Self::Keep => Compression::default(),
            Self::Try => Compression::none(),
        }
    }

    /// Returns the compiler flags of an app's own crate. Its dependencies have no flags of their
    /// own, so that all uses share them.
    pub(crate) const fn rustc_flags(self) -> &'static [&'static str] {
        match self {
            Self::Keep => &[],
            Self::Try => &["-Cdebuginfo=0", "-Cstrip=debuginfo"],
        }
    }
}
