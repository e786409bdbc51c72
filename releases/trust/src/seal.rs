//! `manifest.toml.minisig`: the signatures of a manifest.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::Signature;

use crate::key::KeyId;

/// The name of the file, in a tarball and in the folder of an unpacked release.
pub const SEAL: &str = "manifest.toml.minisig";

/// The maximum size of the file, in bytes.
pub const SEAL_SIZE_MAX: u64 = 64 << 10;

/// The number of lines of a signature: a comment, the signature, the trusted comment, and the
/// signature over both.
const LINES: usize = 4;

/// The signatures of a manifest, one below the other. minisign itself reads only the first.
#[derive(Clone)]
pub struct Seal {
    blocks: Vec<Block>,
    text: String,
}

/// One signature.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) by: KeyId,
    pub(crate) signature: Signature,
    lines: String,
}

/// The reason why a text has no signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("block {block} of its manifest.toml.minisig is no signature of minisign")]
pub struct BadSeal {
    /// The faulty block, counted from 1.
    pub block: usize,
}

impl Seal {
    /// Reads signatures.
    ///
    /// # Errors
    /// [`BadSeal`].
    pub fn parse(text: &str) -> Result<Self, BadSeal> {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let read = |(at, lines): (usize, &[&str])| block(lines).ok_or(BadSeal { block: at + 1 });
        let blocks = lines.chunks(LINES).enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        if blocks.is_empty() { Err(BadSeal { block: 1 }) } else { Ok(Self { blocks, text: text.to_owned() }) }
    }

    /// Returns the text as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds the signature of a key, or replaces an earlier one of the same key. The other
    /// signatures stay as they are.
    #[must_use]
    pub fn with(&self, newer: &Self) -> Self {
        let is_old = |old: &&Block| newer.blocks.iter().all(|new| new.by != old.by);
        let blocks: Vec<Block> = self.blocks.iter().filter(is_old).chain(&newer.blocks).cloned().collect();
        let text = blocks.iter().map(|block| block.lines.as_str()).collect();
        Self { blocks, text }
    }

    /// Returns the numbers of the signing keys.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.blocks.iter().map(|block| block.by)
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seal").field(&self.text).finish()
    }
}

fn block(lines: &[&str]) -> Option<Block> {
    let [_, encoded, _, _] = lines else { return None };
    let text = lines.join("\n") + "\n";
    let signature = Signature::decode(&text).ok()?;
    let by = KeyId::of_bytes(&BASE64_STANDARD.decode(encoded.trim()).ok()?)?;
    Some(Block { by, signature, lines: text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{Author, claim};

    #[test]
    fn signatures_stand_below_each_other_and_each_key_has_one() {
        let [one, two] = ["one", "two"].map(Author::new);
        let signed = |author: &Author| author.sign(b"m", &claim("1.0.0", 1).to_string());
        let both = signed(&one).with(&signed(&two));
        assert_eq!(both.signers().collect::<Vec<_>>(), [one.id(), two.id()]);
        let again = both.with(&signed(&one));
        assert_eq!(again.signers().collect::<Vec<_>>(), [two.id(), one.id()]);
        let read = Seal::parse(again.text()).unwrap();
        assert_eq!(read.signers().collect::<Vec<_>>(), [two.id(), one.id()]);
    }

    #[test]
    fn a_faulty_block_is_named_by_its_number() {
        let sound = Author::new("one").sign(b"m", "c");
        let refused = |text: &str| Seal::parse(text).err().map(|bad| bad.block);
        assert_eq!(refused(""), Some(1));
        assert_eq!(refused("one\ntwo\nthree\nfour\n"), Some(1));
        assert_eq!(refused(&format!("{}one\n", sound.text())), Some(2));
        assert_eq!(refused(&sound.text().replace("trusted comment: c", "c")), Some(1));
        assert_eq!(refused(&format!("\n{}\n\n", sound.text())), None);
    }
}
