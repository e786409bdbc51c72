//! `relctl sign`, and `relctl verify` of a tarball. Both need no daemon.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use minisign::{SecretKey, SecretKeyBox};
use reld_api::{ErrorCode, ErrorReport};
use reld_store::{Head, head_of_tarball, reseal};
use reld_trust::{Key, KeyLine, Keys, Limits, PolicyError, PolicyFile, Ring, Seal, Verdict};
use serde_json::json;

use crate::args::{Sign, VerifyFile};
use crate::error::Failure;
use crate::shown::Shown;

/// The variable with the password of an encrypted key.
const PASSWORD: &str = "RELD_KEY_PASSWORD";

/// The sizes of a secret key, of a public one, and of the checksum at the end of a secret one, in
/// bytes. [`NUMBER`] is the place of the key's number in a secret key.
const SECRET_KEY: usize = 158;
const PUBLIC_KEY: usize = 42;
const CHECKSUM: usize = 32;
const NUMBER: usize = 54;

/// Adds a signature to a tarball. The files of the release keep their bytes.
pub(super) fn sign(args: &Sign) -> Result<Shown, Failure> {
    let head = head_of_tarball(&args.file)?;
    let secret = secret_key(&args.key)?;
    let claim = head.manifest.claim();
    let content = Cursor::new(head.text.as_bytes());
    let comment = "signature from relctl, over manifest.toml";
    let signed = minisign::sign(None, &secret, content, Some(&claim.to_string()), Some(comment))
        .map_err(|fault| unsigned(&args.key, fault))?;
    let new = Seal::parse(&signed.into_string()).expect("minisign writes signatures that can be read");
    let old = head.seal.as_deref().map(Seal::parse).transpose();
    let old = old.map_err(|bad| refused(&args.file, &bad.to_string()))?;
    let seal = old.map_or_else(|| new.clone(), |old| old.with(&new));
    reseal(&args.file, &seal)?;
    let by: Vec<String> = seal.signers().map(|id| id.to_string()).collect();
    let key = new.signers().next().map(|id| id.to_string()).unwrap_or_default();
    let answer = json!({
        "tarball": args.file, "name": claim.name, "version": claim.version, "serial": claim.serial,
        "identity": claim.identity, "key": key, "signatures": by,
    });
    let release = format!("{} {}", claim.name, claim.version);
    Ok(Shown::line(&answer, format_args!("signed {release} with key {key}")))
}

fn secret_key(path: &Path) -> Result<SecretKey, Failure> {
    let text = fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))?;
    let (text, is_encrypted) = with_checksum(&text).map_err(|fault| unsigned(path, fault))?;
    let boxed = SecretKeyBox::from_string(&text).map_err(|fault| unsigned(path, fault))?;
    if !is_encrypted {
        return boxed.into_unencrypted_secret_key().map_err(|fault| unsigned(path, fault));
    }
    let remedy = || format!("set the password of the key in {PASSWORD}");
    let password = match env::var(PASSWORD) {
        Ok(password) => password,
        Err(_) => rpassword::prompt_password("Password: ")
            .map_err(|_| unsigned(path, "it has a password, and there is no terminal").or_hint(remedy()))?,
    };
    boxed.into_secret_key(Some(password)).map_err(|fault| unsigned(path, fault).or_hint(remedy()))
}

/// Returns the text of a secret key, and whether it is encrypted. Debian's minisign writes a key
/// without a password with an empty checksum, which the library takes for damage: then the checksum
/// is set. The first line is a comment, the second has the key: the algorithms of signature,
/// encryption and checksum, the parameters of the encryption, the key's number, the key, the
/// checksum.
fn with_checksum(text: &str) -> Result<(String, bool), &'static str> {
    let mut lines = text.lines();
    let (comment, line) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut bytes = BASE64.decode(line.trim()).map_err(|_| "it is no secret key of minisign")?;
    match bytes.len() {
        SECRET_KEY => {}
        PUBLIC_KEY => return Err("it is a public key; sign with the secret key"),
        _ => return Err("it is no secret key of minisign"),
    }
    if bytes[2..4] != [0, 0] {
        return Ok((text.to_owned(), true));
    }
    let (key, checksum) = bytes.split_at_mut(SECRET_KEY - CHECKSUM);
    if checksum.iter().all(|byte| *byte == 0) {
        let digest = Blake2b::<U32>::new().chain_update(&key[..2]).chain_update(&key[NUMBER..]).finalize();
        checksum.copy_from_slice(&digest);
    }
    Ok((format!("{comment}\n{}\n", BASE64.encode(&bytes)), false))
}

fn unsigned(key: &Path, fault: impl fmt::Display) -> Failure {
    let message = format!("cannot sign with the key {}", key.display());
    ErrorReport::refused(ErrorCode::BadKey, message).caused_by(fault.to_string()).into()
}

/// Verifies a tarball and its signatures, as a node with these keys would.
pub(super) fn verify(file: &Path, args: &VerifyFile) -> Result<Shown, Failure> {
    let head = head_of_tarball(file)?;
    let (ring, threshold) = keys(args)?;
    let verdict = head.judge(&ring, threshold);
    let claim = head.manifest.claim();
    let answer = json!({
        "tarball": file, "name": claim.name, "version": claim.version, "serial": claim.serial,
        "identity": claim.identity, "signed_by": verdict.signed_by,
    });
    match &verdict.fault {
        Some(fault) => Err(refused(file, &fault.to_string())),
        None => Ok(Shown::line(&answer, verified(&head, &verdict))),
    }
}

fn verified(head: &Head, verdict: &Verdict) -> String {
    let claim = head.manifest.claim();
    let serial = if claim.serial > 0 { format!(" with serial {}", claim.serial) } else { String::new() };
    let files = head.manifest.files.len();
    let by = verdict.signed_by.join(", ");
    format!("{} {}{serial}: {files} files are sound, signed by {by}", claim.name, claim.version)
}

/// Returns the keys of the command line or, without any, those of the policy.
fn keys(args: &VerifyFile) -> Result<(Ring, usize), Failure> {
    if args.key.is_empty() {
        let policy = PolicyFile::Named(args.trust.clone())
            .read(&Keys::default())
            .map_err(|fault| unknown_keys(&fault))?;
        return Ok((Ring::new(policy.keys, &Keys::default()), policy.threshold));
    }
    let keys = args.key.iter().map(key).collect::<Result<Vec<Key>, Failure>>()?;
    Ok((Ring::new(keys, &Keys::default()), 1))
}

fn unknown_keys(fault: &PolicyError) -> Failure {
    let refused = Failure::from(ErrorReport::refused(ErrorCode::BadPolicy, fault.to_string()));
    match fault {
        PolicyError::Missing { .. } => {
            refused.or_hint("name the public key that has to sign with --key, or a policy with --trust")
        }
        _ => refused,
    }
}

fn key(path: &PathBuf) -> Result<Key, Failure> {
    let text = fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))?;
    let line = KeyLine::parse(&text).map_err(|fault| {
        let message = format!("cannot use the key {}", path.display());
        Failure::from(ErrorReport::refused(ErrorCode::BadKey, message).caused_by(fault.to_string()))
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(line.with(&name, Limits::default()))
}

fn refused(file: &Path, cause: &str) -> Failure {
    let message = format!("cannot trust {}", file.display());
    ErrorReport::refused(ErrorCode::Untrusted, message).caused_by(cause).into()
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;

    use super::*;

    #[test]
    fn a_key_without_a_password_signs_even_without_a_checksum() {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let whole = pair.sk.to_box(None).unwrap().into_string();
        assert_eq!(with_checksum(&whole), Ok((whole.clone(), false)));
        let change = |at: usize, value: u8| {
            let (comment, line) = whole.trim_end().split_once('\n').unwrap();
            let mut bytes = BASE64.decode(line).unwrap();
            bytes[at..].fill(value);
            format!("{comment}\n{}\n", BASE64.encode(bytes))
        };
        assert_eq!(with_checksum(&change(SECRET_KEY - CHECKSUM, 0)), Ok((whole.clone(), false)));
        let damaged = change(SECRET_KEY - 1, 7);
        assert_eq!(with_checksum(&damaged), Ok((damaged.clone(), false)));
        assert!(SecretKeyBox::from_string(&damaged).unwrap().into_unencrypted_secret_key().is_err());
    }

    #[test]
    fn a_public_key_or_other_text_is_no_secret_key() {
        let public = KeyPair::generate_unencrypted_keypair().unwrap().pk.to_box().unwrap().into_string();
        assert!(with_checksum(&public).unwrap_err().contains("public key"));
        for text in ["", "one line", "comment\nnot base64!", "comment\nAAAA"] {
            assert_eq!(with_checksum(text), Err("it is no secret key of minisign"), "{text}");
        }
    }
}
