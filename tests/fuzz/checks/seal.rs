//! Signatures are refused with a sentence, or they belong to this manifest and this claim.

use reld_trust::{Claim, KeyLine, Keys, Limits, Ring, Seal, Signed, judge};

/// The public key of the sound signatures.
const KEY: &str = "RWSOpCA9SMLEb/sZctknYpahs+Al6uNVtoSDPbKl27k3cwKMe2FvVHmc";

const MANIFEST: &str = "name = \"shop\"\nversion = \"1.1.0\"\n";

/// Checks one input and returns whether it was accepted.
pub(crate) fn check(bytes: &[u8]) -> bool {
    // As the store reads the file.
    let text = String::from_utf8_lossy(bytes);
    let claim = Claim {
        name: "shop".parse().expect("a name"),
        version: "1.1.0".parse().expect("a version"),
        serial: 47,
        identity: "0123".to_owned(),
    };
    let key = KeyLine::parse(KEY).expect("a key").with("ci", Limits::default());
    let signed = Signed { manifest: MANIFEST.as_bytes(), claim: &claim, seal: Some(&text) };
    let verdict = judge(&Ring::new(vec![key], &Keys::default()), 1, signed);
    if let Ok(seal) = Seal::parse(&text) {
        let again = Seal::parse(seal.with(&seal).text()).expect("a written signature can be read");
        assert!(again.signers().count() <= seal.signers().count());
    }
    match verdict.fault {
        None => {
            assert_eq!(verdict.signed_by, ["ci"]);
            let comment = format!("trusted comment: {claim}");
            assert!(text.lines().any(|line| line == comment), "{text}");
            true
        }
        Some(fault) => {
            assert!(!fault.to_string().is_empty());
            false
        }
    }
}
