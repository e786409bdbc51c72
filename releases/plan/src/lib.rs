//! Release documents and the planner: pure code from appups to a script

mod app;
mod appup;
mod doc_error;
mod error;
mod instr;
mod instr_print;
mod instr_read;
mod name;
mod print;
mod read;
mod rel;
mod version;

pub use app::App;
pub use appup::{Appup, Entry, Written, WrongInstruction};
pub use doc_error::DocError;
pub use error::{InstructionError, Syntax};
pub use instr::{
    Apply, Change, CodeChange, HighLevel, Instruction, LowLevel, ModType, Mode, PurgeMethod, PurgeWords,
    Suspend, SyncWith, Timeout,
};
pub use name::{AppName, ModuleName, NameError};
pub use rel::{Rel, RelApp, StartType};
pub use version::{Vsn, VsnError, VsnMatch};
