//! Arguments about signatures.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct Sign {
    /// Tarball of a release, which gets the signature
    pub(crate) file: PathBuf,
    /// Secret key of minisign
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
}

/// The keys for a tarball.
#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyFile {
    /// Public key of minisign that has to sign the tarball, in place of the policy; may be
    /// repeated, and one of the keys is sufficient
    #[arg(long, value_name = "FILE", requires = "release")]
    pub(crate) key: Vec<PathBuf>,
    /// Policy with the keys
    #[arg(long, value_name = "FILE", default_value = "/etc/reld/trust.toml")]
    pub(crate) trust: PathBuf,
}

/// The reaction to a release that is older than the last committed one.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct Floor {
    /// Accept a release with a lower serial than the last committed one; only for root and the
    /// owner of the policy of signatures
    #[arg(long)]
    pub(crate) ignore_floor: bool,
}

/// The reaction to code by hand, which has no signature.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct ByHand {
    /// Accept code of a folder although the node requires signatures; only for root and the owner
    /// of the policy of signatures
    #[arg(long)]
    pub(crate) unsigned: bool,
}
