//! `relctl sign`, and `relctl verify` of a tarball. Both need no daemon.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::{env, fs};

use minisign::{SecretKey, SecretKeyBox};
use reld_api::{ErrorCode, ErrorReport};
use reld_store::{Head, head_of_tarball, reseal};
use reld_trust::{Key, KeyLine, Keys, Limits, PolicyFile, Ring, Seal, Verdict};
use serde_json::json;

use crate::args::{Sign, VerifyFile};
use crate::error::Failure;
use crate::shown::Shown;

/// The variable with the password of an encrypted key.
const PASSWORD: &str = "RELD_KEY_PASSWORD";

/// Adds a signature to a tarball. The files of the release keep their bytes.
pub(super) fn sign(args: &Sign) -> Result<Shown, Failure> {
    let head = head_of_tarball(&args.file)?;
    let secret = secret_key(&args.key)?;
    let claim = head.manifest.claim();
    let content = Cursor::new(head.text.as_bytes());
    let comment = "signature from relctl, over manifest.toml";
    let signed = minisign::sign(None, &secret, content, Some(&claim.to_string()), Some(comment))
        .map_err(|fault| unsigned(&args.key, &fault))?;
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
    let boxed = || SecretKeyBox::from_string(&text).map_err(|fault| unsigned(path, &fault));
    if let Ok(plain) = boxed()?.into_unencrypted_secret_key() {
        return Ok(plain);
    }
    // Without the variable, minisign asks on the terminal.
    boxed()?
        .into_secret_key(env::var(PASSWORD).ok())
        .map_err(|fault| unsigned(path, &fault).or_hint(format!("set the password of the key in {PASSWORD}")))
}

fn unsigned(key: &Path, fault: &minisign::PError) -> Failure {
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
            .map_err(|fault| Failure::from(ErrorReport::refused(ErrorCode::BadPolicy, fault.to_string())))?;
        return Ok((Ring::new(policy.keys, &Keys::default()), policy.threshold));
    }
    let keys = args.key.iter().map(key).collect::<Result<Vec<Key>, Failure>>()?;
    Ok((Ring::new(keys, &Keys::default()), 1))
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
