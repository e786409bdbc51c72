//! Mistakes in an instruction, under OTP's names.

use serde_json::Value;

use crate::doc_error::DocError;

/// A mistake in an instruction of an appup.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{class}: {at}", class = class.as_str())]
pub struct InstructionError {
    /// OTP's name for the mistake.
    pub class: Syntax,
    /// The wrong value.
    pub value: Value,
    /// The place of the mistake, with the allowed values.
    pub at: DocError,
}

macro_rules! syntax {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// OTP's names for mistakes in an instruction.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Syntax {
            $($(#[$doc])* $variant,)*
        }

        impl Syntax {
            /// Returns OTP's name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

syntax! {
    /// Not a module's name.
    BadModule = "bad_module",
    /// Neither soft, nor supervisor, nor advanced.
    BadChange = "bad_change",
    /// Neither dynamic nor static.
    BadModType = "bad_mod_type",
    /// Neither soft nor brutal.
    BadPurgeMethod = "bad_purge_method",
    /// Not a time above 0.
    BadTimeout = "bad_timeout",
    /// Not a list.
    BadList = "bad_list",
    /// Not a list of arguments.
    BadArgsList = "bad_args_list",
    /// Not a function.
    BadFunc = "bad_func",
    /// Not a node's name.
    BadNode = "bad_node",
    /// Not a library's name.
    BadLib = "bad_lib",
    /// Not a library's version.
    BadLibVsn = "bad_lib_vsn",
    /// Neither up nor down.
    BadMode = "bad_mode",
    /// Not a module with its extra data.
    BadCodeChange = "bad_code_change",
    /// Not an app's name.
    BadApplication = "bad_application",
    /// None of the start types.
    BadStartType = "bad_start_type",
    /// Unknown, or with too few or unknown keys.
    BadInstruction = "bad_instruction",
    /// `mnesia_backup`.
    NotYetImplemented = "not_yet_implemented",
    /// A placeholder of a draft that a person must replace. OTP has no drafts.
    Todo = "todo",
}
