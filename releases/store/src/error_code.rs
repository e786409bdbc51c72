//! The codes of the store's errors.

use reld_error_codes::ErrorCode;
use reld_plan::BootError;

use crate::error::Error;
use crate::fault::Fault;
use crate::lifecycle::Refusal;

impl Error {
    /// Returns the code of the error. An error that lists several mistakes has the code of the
    /// first one.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { .. } => ErrorCode::Io,
            Self::NoRoom { .. } | Self::TooFull { .. } => ErrorCode::NoRoom,
            Self::Policy(_) => ErrorCode::BadPolicy,
            Self::Untrusted { fault, .. } => fault.code(),
            Self::ByHand => ErrorCode::Unsigned,
            Self::Locked { .. } => ErrorCode::RootInUse,
            Self::NotARoot { .. }
            | Self::NewerRoot { .. }
            | Self::BadMark { .. }
            | Self::NotAFolder { .. }
            | Self::NoStatusTable { .. }
            | Self::BadStatusTable { .. }
            | Self::ChangedStatusTable { .. } => ErrorCode::BadRoot,
            Self::Refused(refusal) => refusal.code(),
            Self::NodeConfig(_) => ErrorCode::BadConfig,
            Self::Tampered { .. } => ErrorCode::Damaged,
            Self::Leftover { .. } => ErrorCode::Leftover,
            Self::Tarball { source, .. } => source.code(),
            Self::NoDocument { .. } => ErrorCode::NoDocument,
            Self::Document(mistake) => mistake.code(),
            Self::Instructions { mistakes } => {
                mistakes.first().map_or(ErrorCode::BadInstruction, |mistake| mistake.code)
            }
            Self::Release(error) => error.code(),
            Self::NotText { .. } | Self::NotPlain { .. } | Self::TooLong { .. } => ErrorCode::ErrorReading,
            Self::NoApps { .. } => ErrorCode::IllegalApplications,
            Self::OtherDocument { .. } => ErrorCode::OtherDocument,
            Self::NoApp { .. } | Self::NotInRelease { .. } => ErrorCode::NoApp,
            Self::AppTwice { .. } => ErrorCode::AppTwice,
            Self::NotBuildable { .. } | Self::NoLibrary { .. } | Self::NoMadeLibrary { .. } => {
                ErrorCode::NotBuildable
            }
            Self::CargoFailed { .. } | Self::MakeFailed { .. } => ErrorCode::BuildFailed,
            Self::Probe { .. } => ErrorCode::Library,
            Self::OtherLibrary { .. }
            | Self::Start { .. }
            | Self::OtherModules { .. }
            | Self::PhasesWithoutStart { .. } => ErrorCode::LibraryMismatch,
            Self::NotBootable { errors } => errors.first().map_or(ErrorCode::NotStarted, BootError::code),
            Self::Misfits { .. } => ErrorCode::BadScript,
            Self::OtherDaemon { .. } => ErrorCode::OtherDaemon,
            Self::MixedPlatforms { .. } => ErrorCode::OtherTarget,
            Self::PathTooLong { .. } | Self::NotPackable { .. } | Self::Changed { .. } => {
                ErrorCode::NotPackable
            }
        }
    }
}

impl Fault {
    /// Returns the code of the fault.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::NotATarball(_)
            | Self::NoManifest
            | Self::BadManifest(_)
            | Self::TooMuch { .. }
            | Self::TooLarge { .. }
            | Self::UnsafePath(_)
            | Self::LongPath(_)
            | Self::Misplaced(_)
            | Self::Unsorted(_)
            | Self::NotAFile { .. }
            | Self::Unlisted(_)
            | Self::Twice(_)
            | Self::Missing(_)
            | Self::OtherSize { .. }
            | Self::OtherDigest(_)
            | Self::OtherName { .. }
            | Self::OtherSerial { .. }
            | Self::LeftOut(_)
            | Self::Trailing => ErrorCode::BadTarball,
            Self::OtherTarget { .. } => ErrorCode::OtherTarget,
            Self::OtherAbi { .. } => ErrorCode::OtherAbi,
            Self::NewerManifest { .. } | Self::NeedsReld { .. } => ErrorCode::NeedsReld,
            Self::OtherContent(_) => ErrorCode::OtherContent,
            Self::NotCarried(_) | Self::NotHere(_) => ErrorCode::LeftOut,
            Self::Stray(_) => ErrorCode::Damaged,
            Self::Untrusted(_) => ErrorCode::Untrusted,
            Self::OlderThanFloor { .. } => ErrorCode::OlderThanFloor,
        }
    }
}

impl Refusal {
    /// Returns the code of the refusal.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NoSuchRelease(_) => ErrorCode::NoSuchRelease,
            Self::ExistingRelease(_) => ErrorCode::ExistingRelease,
            Self::AlreadyInstalled(_) => ErrorCode::AlreadyInstalled,
            Self::BadStatus { .. } => ErrorCode::BadStatus,
            Self::Permanent(_) => ErrorCode::Permanent,
            Self::Current(_) => ErrorCode::Current,
        }
    }
}
