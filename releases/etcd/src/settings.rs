//! The settings of a client.

use std::fmt;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::error::Error;

/// The settings of a client.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The URLs of the members, such as `https://etcd-1:2379`. They are tried in turn.
    pub endpoints: Vec<String>,
    /// The certificates.
    pub tls: Tls,
    /// The user, if etcd requires one. The gateway does not accept the common name of a client
    /// certificate as a user.
    pub login: Option<Login>,
}

/// The certificates, as PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// The authorities that sign the members' certificates; `None` for those of Mozilla.
    pub authorities: Option<Vec<u8>>,
    /// The certificate of the client.
    pub certificate: Option<Vec<u8>>,
    /// The private key of that certificate.
    pub key: Option<Vec<u8>>,
}

/// A user and the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Settings {
    /// The settings for one member without TLS and without users.
    pub fn of(endpoint: &str) -> Self {
        Self { endpoints: vec![endpoint.to_owned()], ..Self::default() }
    }

    /// Returns the endpoints without a slash at their ends.
    pub(crate) fn addresses(&self) -> Result<Vec<String>, Error> {
        let address = |endpoint: &String| {
            let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
            let host = rest.map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
            if host.is_empty() || host.contains(['/', '@', '?', '#']) {
                return Err(Error::Endpoint { endpoint: endpoint.clone() });
            }
            Ok(endpoint.trim_end_matches('/').to_owned())
        };
        if self.endpoints.is_empty() {
            return Err(Error::Endpoint { endpoint: String::new() });
        }
        self.endpoints.iter().map(address).collect()
    }
}

impl Tls {
    pub(crate) fn config(&self) -> Result<TlsConfig, Error> {
        let roots = match &self.authorities {
            None => RootCerts::WebPki,
            Some(text) => RootCerts::new_with_certs(&certificates(text, "authorities")?),
        };
        let client = match (&self.certificate, &self.key) {
            (None, None) => None,
            (Some(chain), Some(key)) => {
                Some(ClientCert::new_with_certs(&certificates(chain, "client certificate")?, private(key)?))
            }
            (None, Some(_)) => return Err(Error::Pem { what: "client certificate" }),
            (Some(_), None) => return Err(Error::Pem { what: "private key" }),
        };
        Ok(TlsConfig::builder().root_certs(roots).client_cert(client).build())
    }
}

fn certificates(text: &[u8], what: &'static str) -> Result<Vec<Certificate<'static>>, Error> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let all: Vec<_> = parse_pem(text).filter_map(certificate).collect();
    if all.is_empty() { Err(Error::Pem { what }) } else { Ok(all) }
}

fn private(text: &[u8]) -> Result<PrivateKey<'static>, Error> {
    PrivateKey::from_pem(text).map_err(|_| Error::Pem { what: "private key" })
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_of_a_server_and_nothing_else() {
        let addresses = |endpoint: &str| Settings::of(endpoint).addresses();
        assert_eq!(addresses("http://127.0.0.1:2379/").unwrap(), ["http://127.0.0.1:2379"]);
        assert_eq!(addresses("https://[::1]:2379").unwrap(), ["https://[::1]:2379"]);
        for wrong in ["127.0.0.1:2379", "http://", "ftp://h", "http://user:word@h", "http://h/v3", ""] {
            assert!(matches!(addresses(wrong), Err(Error::Endpoint { .. })), "{wrong}");
        }
        assert!(Settings::default().addresses().is_err());
    }

    #[test]
    fn debug_output_has_no_password() {
        let login = Some(Login { user: "reld".to_owned(), password: "secret".to_owned() });
        let text = format!("{:?}", Settings { login, ..Settings::of("http://h") });
        assert!(text.contains("reld") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let tls = Tls { certificate: Some(b"-".to_vec()), ..Tls::default() };
        assert_eq!(
            tls.config().unwrap_err().to_string(),
            "cannot use the private key: the PEM text has none"
        );
    }
}
