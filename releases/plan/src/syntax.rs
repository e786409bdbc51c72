//! Mistakes in an instruction, under OTP's names.

use reld_error_codes::ErrorCode;
use serde_json::Value;

use crate::doc_error::DocError;

/// A mistake in an instruction of an appup.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{at}")]
pub struct InstructionError {
    /// OTP's name for the mistake.
    pub code: ErrorCode,
    /// The wrong value.
    pub value: Value,
    /// The place of the mistake, with the allowed values.
    pub at: DocError,
}
