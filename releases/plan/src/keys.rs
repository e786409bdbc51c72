//! The keys of all documents: their forms, defaults and meanings. The readers accept exactly these
//! keys, and the manual pages of section 5 list them.

mod app;
mod appup;
mod fleet;
mod form;
mod instructions;
mod release;
mod rollout;

pub(crate) use app::{APP, START_PHASE};
pub(crate) use appup::{APPUP, APPUP_DOWN, APPUP_UP, RELUP, RELUP_DOWN, RELUP_UP};
pub(crate) use fleet::FLEET;
pub use form::{Document, Key, Table};
pub(crate) use instructions::{ADVANCED, CODE_CHANGED, INSTRUCTIONS, SUSPENDED, UNDO};
pub(crate) use release::{REL, REL_APP};
pub(crate) use rollout::ROLLOUT;

/// All documents that a person writes.
pub const DOCUMENTS: [Document; 7] = [
    app::DOCUMENT,
    appup::DOCUMENT,
    release::DOCUMENT,
    appup::RELUP_DOCUMENT,
    release::CONFIG_DOCUMENT,
    rollout::DOCUMENT,
    fleet::DOCUMENT,
];

#[cfg(test)]
mod tests;
