//! The membership that `fleet.toml` describes.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context, ensure};
use axum::http::Uri;
use reld_etcd::{Login, Settings, Tls};
use reld_fleet::ledger::Name;
use reld_handler::{Keys, Limits, PolicyFile, Require, check_owner};
use reld_plan::FleetFile;

/// The membership of the node.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    pub(super) fleet: Name,
    pub(super) node: Name,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) follows: bool,
    pub(super) probes: BTreeMap<String, String>,
    pub(super) etcd: Settings,
    /// The limits of upgrades.
    pub(crate) limits: Limits,
    allow_unsigned: bool,
    policy: PolicyFile,
}

impl Membership {
    /// Reads a `fleet.toml`, and the files that it names.
    ///
    /// # Errors
    /// A mistake in a file, a file that other users can write, a password or a private key that
    /// they can read, or a policy of signatures that accepts unsigned releases.
    pub(crate) fn read(file: &Path, policy: &PolicyFile) -> anyhow::Result<Self> {
        let shown = file.display().to_string();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        // Its probes are commands that the daemon runs.
        check_owner(file)?;
        let document = FleetFile::parse(&shown, &text)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let pem = |path: &String| {
            let path = folder.join(path);
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let authorities =
            document.ca.as_ref().map(pem).transpose()?.or_else(reld_source::machine_certificates);
        let [certificate, key] = match &document.certificate {
            Some([certificate, key]) => {
                [Some(pem(certificate)?), Some(secret(&folder.join(key), "key of the client")?.into_bytes())]
            }
            None => [None, None],
        };
        let login = |[user, file]: &[String; 2]| {
            password(&folder.join(file)).map(|password| Login { user: user.clone(), password })
        };
        let name = |text: String| Name::try_from(text).with_context(|| format!("cannot use {shown}"));
        let membership = Self {
            fleet: name(document.fleet)?,
            node: name(document.node.map_or_else(host_name, Ok)?)?,
            labels: document.labels,
            follows: document.follow,
            probes: document.probes,
            etcd: Settings {
                endpoints: document.endpoints,
                tls: Tls { authorities, certificate, key },
                login: document.login.as_ref().map(login).transpose()?,
            },
            limits: Limits {
                join: document.sync_timeout.unwrap_or(Limits::default().join),
                decide: document.sync_pause.unwrap_or(Limits::default().decide),
                ..Limits::default()
            },
            allow_unsigned: document.allow_unsigned,
            policy: policy.clone(),
        };
        membership.check_policy()?;
        membership.warn_of_plain_passwords();
        Ok(membership)
    }

    fn warn_of_plain_passwords(&self) {
        let plain = self.etcd.endpoints.iter().filter(|endpoint| is_plain(endpoint));
        for endpoint in plain.filter(|_| self.etcd.login.is_some()) {
            tracing::warn!(
                name: "fleet.plain", endpoint,
                "the password of etcd passes the network without encryption; write the endpoint with https://"
            );
        }
    }

    /// Checks that the policy of signatures lets no client of etcd run its own code on the node.
    /// The policy may have changed since the start of the daemon.
    pub(super) fn check_policy(&self) -> anyhow::Result<()> {
        let require = || self.policy.read(&Keys::default()).map(|policy| policy.require);
        ensure!(
            self.allow_unsigned || require()? == Require::Signed,
            "cannot join fleet {}: with it, each client of etcd could run any code on this node; write `require = \
             \"signed\"` into {}, or `allow_unsigned = true` into the fleet.toml",
            self.fleet,
            self.policy.path().display()
        );
        Ok(())
    }
}

/// Returns whether a request to an endpoint passes a network without encryption.
fn is_plain(endpoint: &str) -> bool {
    let Ok(url) = endpoint.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    url.scheme_str() == Some("http") && !is_here
}

/// Reads a file that other users must not read.
fn secret(file: &Path, what: &str) -> anyhow::Result<String> {
    let shown = file.display();
    let read = || -> std::io::Result<_> { Ok((fs::metadata(file)?.mode(), fs::read_to_string(file)?)) };
    let (mode, text) = read().with_context(|| format!("cannot read the {what} {shown}"))?;
    ensure!(
        mode & 0o077 == 0,
        "cannot use the {what} {shown}: other users can read it; run `chmod go-rwx {shown}`"
    );
    Ok(text)
}

/// Reads a password. The newline at its end is not part of it.
fn password(file: &Path) -> anyhow::Result<String> {
    let shown = file.display();
    let text = secret(file, "password file")?;
    let password = text.trim_end_matches(['\r', '\n']);
    ensure!(
        !password.is_empty(),
        "cannot use the password file {shown}: it is empty; write the password into it"
    );
    Ok(password.to_owned())
}

fn host_name() -> anyhow::Result<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").context("cannot read the host name")?;
    Ok(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LEAST: &str = "endpoints = ['http://e:2379']\nfleet = 'shop'\nnode = 'n1'\n";

    /// Reads a `fleet.toml` beside a policy of signatures.
    fn read(text: &str, policy: &str, prepare: impl FnOnce(&Path)) -> Result<Membership, String> {
        let folder = tempfile::tempdir().unwrap();
        let (file, trust) = (folder.path().join("fleet.toml"), folder.path().join("trust.toml"));
        fs::write(&file, text).unwrap();
        fs::write(&trust, policy).unwrap();
        prepare(folder.path());
        Membership::read(&file, &PolicyFile::Named(trust)).map_err(|error| format!("{error:#}"))
    }

    #[track_caller]
    fn check_refused(text: &str, policy: &str, prepare: impl FnOnce(&Path), expected: &str) {
        let error = read(text, policy, prepare).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_node_that_accepts_unsigned_releases_joins_only_if_that_is_written() {
        let (signed, nothing) = ("require = 'signed'", |_: &Path| ());
        assert_eq!(read(LEAST, signed, nothing).unwrap().node.as_str(), "n1");
        for policy in ["require = 'warn'", "require = 'off'"] {
            check_refused(LEAST, policy, nothing, "cannot join fleet shop: with it, each client of etcd");
        }
        let unsigned = format!("{LEAST}allow_unsigned = true\n");
        assert!(read(&unsigned, "require = 'off'", nothing).is_ok());
        let slash = LEAST.replace("'shop'", "'shop/x'");
        check_refused(&slash, signed, nothing, "\"shop/x\" is no name of a fleet or a node");
    }

    #[test]
    fn a_password_that_other_users_can_read_is_refused() {
        let text = format!("{LEAST}user = 'reld'\npassword_file = 'password'\n");
        let with = |content: &'static str, mode: u32| {
            move |folder: &Path| {
                fs::write(folder.join("password"), content).unwrap();
                fs::set_permissions(folder.join("password"), fs::Permissions::from_mode(mode)).unwrap();
            }
        };
        let signed = "require = 'signed'";
        let login = read(&text, signed, with("secret\n", 0o400)).unwrap().etcd.login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("reld", "secret"));
        check_refused(&text, signed, with("secret", 0o640), "other users can read it; run `chmod go-rwx ");
        check_refused(&text, signed, with("\n", 0o600), "it is empty");
        check_refused(&text, signed, |_| (), "cannot read the password file");
        let text = format!("{LEAST}cert = 'trust.toml'\nkey = 'password'\n");
        assert!(read(&text, signed, with("PEM", 0o400)).is_ok());
        check_refused(&text, signed, with("PEM", 0o644), "cannot use the key of the client");
    }

    #[test]
    fn a_fleet_file_that_other_users_can_write_is_refused() {
        let mode = |mode| {
            move |folder: &Path| {
                let file = folder.join("fleet.toml");
                fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
            }
        };
        assert!(read(LEAST, "require = 'signed'", mode(0o644)).is_ok());
        check_refused(LEAST, "require = 'signed'", mode(0o664), "other users can write it");
    }

    #[test]
    fn a_password_is_safe_without_encryption_only_on_the_machine_itself() {
        let plain = ["http://etcd:2379", "http://10.0.0.1:2379", "http://[fd00::1]:2379"];
        let safe =
            ["https://etcd:2379", "http://localhost:2379", "http://127.0.0.1:2379", "http://[::1]:2379"];
        assert!(plain.into_iter().all(is_plain) && !safe.into_iter().any(is_plain));
    }
}
