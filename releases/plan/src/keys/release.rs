//! `release.toml` and `config.toml`.

use super::form::{Document, Key, Table};

pub(super) const DOCUMENT: Document = Document {
    name: "release.toml",
    purpose: "the apps of a release of a reld node",
    about: &[
        "A release is a set of app versions, made for one version of the daemon. relctl pack reads release.toml, finds the \
         apps and makes a tarball. A config.toml and a relup.toml beside it are packed too.",
        "An unknown key is an error that lists the allowed keys. OTP: the release resource file.",
    ],
    tables: &[&[REL, REL_APP]],
    example: "name = \"corner\"\nversion = \"1.1.0\"\ndaemon = \"0.1.0\"\n\n[[app]]\nname = \"till\"\nversion = \"0.2.0\"\n\
              type = \"permanent\"\n",
    see_also: &[
        ("app.toml", "5"),
        ("config.toml", "5"),
        ("relup.toml", "5"),
        ("relctl-pack", "1"),
        ("relctl-upgrade", "1"),
    ],
};

pub(crate) const REL: Table = Table {
    head: "",
    meaning: "",
    keys: &[
        Key::required(
            "name",
            "name",
            "\"corner\"",
            "The name of the release. An upgrade to a release with another name needs --rename.",
        ),
        Key::required(
            "version",
            "version",
            "\"1.1.0\"",
            "The version of the release. It identifies the release on a node.",
        ),
        Key::required(
            "daemon",
            "version",
            "\"0.1.0\"",
            "The version of the daemon. If it differs from that of the running release, the upgrade restarts the daemon.",
        ),
        Key::optional(
            "serial",
            "number that is not negative",
            "0",
            "47",
            "Orders the releases of a name. A node refuses a release with a lower serial than the last committed one.",
        ),
        Key::optional(
            "app",
            "list of tables",
            "[]",
            "[{ name = \"till\", version = \"0.2.0\" }]",
            "The apps. They start in this order, except where dependencies require another one.",
        ),
    ],
};

pub(crate) const REL_APP: Table = Table {
    head: "[[app]]",
    meaning: "An app of the release.",
    keys: &[
        Key::required("name", "name", "\"till\"", "The name in the app's app.toml."),
        Key::required("version", "version", "\"0.2.0\"", "The version in the app's app.toml."),
        Key::optional(
            "type",
            "\"permanent\", \"transient\", \"temporary\", \"load\" or \"none\"",
            "\"permanent\"",
            "\"temporary\"",
            "The start of the app, and the effect of its end. The end of a permanent app ends the node; that of a transient \
             app only if it failed; that of a temporary app is only reported. load loads the app without starting it, none \
             loads only its code.",
        ),
        Key::optional(
            "included",
            "list of names",
            "the app's included_applications",
            "[]",
            "Overrides the app's own list; a subset of it.",
        ),
    ],
};

pub(super) const CONFIG_DOCUMENT: Document = Document {
    name: "config.toml",
    purpose: "the configuration of the apps of a reld node",
    about: &[
        "A config.toml has one table for each app, with any keys and any values: the environment of the app. It has two \
         places. Beside a release.toml it belongs to the release and is packed with it. Below the root of a node \
         (ROOT/config.toml) it belongs to this node, and no release changes it.",
        "The environment of an app is merged key by key from, in ascending precedence: [env] of its app.toml; the \
         config.toml of the release; the config.toml of the node; --env of the daemon. A table is one value: it replaces the \
         table of an earlier place as a whole. relctl env shows each value with its place. OTP has the same order, with \
         sys.config in place of the release's file, and no file of the node.",
        "relctl env set APP.KEY=VALUE and relctl env unset APP.KEY change the file of the node and the running apps at once: \
         config_change of each app with another environment is called. If an app refuses (accept_config), the file and the environments are \
         as before. The file may be edited by hand too. An edit takes effect with relctl env reload, the next relctl env set, \
         the next upgrade or the next start of the daemon.",
        "A file with a mistake is refused with its line: by relctl env, by the check before an upgrade, and by the daemon, \
         which does not start. The file of the node has the mode 0640, because it may hold secrets. Every user of the \
         socket sees the values with relctl env; the log has only the keys.",
        "The table of an app that is not in the release has no effect; the check warns of it.",
    ],
    tables: &[],
    example: "[till]\ncurrency = \"CHF\"\ndrawers = 2\n\n[bank]\nhosts = [\"10.0.0.1\", \"10.0.0.2\"]\n",
    see_also: &[("app.toml", "5"), ("release.toml", "5"), ("relctl-env", "1"), ("reld", "8")],
};
