//! `app.toml`.

use super::form::{Document, Key, Table};

pub(super) const DOCUMENT: Document = Document {
    name: "app.toml",
    purpose: "description of an app of a reld node",
    about: &[
        "Each version of an app has an app.toml beside its sources. relctl pack adds the list of modules from the library.",
        "An unknown key is an error that lists the allowed keys. OTP: the application resource file.",
    ],
    tables: &[&[APP, START_PHASE]],
    example: "name = \"till\"\nversion = \"0.2.0\"\nstart = \"till_app\"\n\n[env]\ncurrency = \"EUR\"\n",
    see_also: &[("appup.toml", "5"), ("config.toml", "5"), ("release.toml", "5"), ("relctl-pack", "1")],
};

pub(crate) const APP: Table = Table {
    head: "",
    meaning: "",
    keys: &[
        Key::required(
            "name",
            "name",
            "\"till\"",
            "The name of the app: a letter or an underscore, then letters, digits and _ - . characters.",
        ),
        Key::required(
            "version",
            "version",
            "\"0.2.0\"",
            "The version of the app and of all its modules, as in semantic versioning.",
        ),
        Key::optional(
            "modules",
            "list of names",
            "[]",
            "[\"till\", \"till_app\"]",
            "The modules of the library. relctl pack writes the list; a written one must be that of the library.",
        ),
        Key::optional(
            "start",
            "name",
            "none",
            "\"till_app\"",
            "The module with the application behaviour. An app without it is a library app, which has no processes.",
        ),
        Key::optional(
            "applications",
            "list of names",
            "[]",
            "[\"bank\"]",
            "Apps that must run before this one starts.",
        ),
        Key::optional(
            "optional_applications",
            "list of names",
            "[]",
            "[\"bank\"]",
            "Those of the applications that a release may lack.",
        ),
        Key::optional(
            "included_applications",
            "list of names",
            "[]",
            "[\"drawer\"]",
            "Apps that are loaded with this one and started by it, inside its tree.",
        ),
        Key::optional(
            "registered",
            "list of strings",
            "[]",
            "[\"till_sup\"]",
            "Names that processes of the app register. A name must be unique in a release.",
        ),
        Key::optional(
            "threads",
            "true or false",
            "false",
            "true",
            "Whether the library starts threads of its own and ends them when it is unloaded. Without it, the library is not replaced while such a thread runs.",
        ),
        Key::optional(
            "start_phases",
            "list of tables",
            "[]",
            "[{ name = \"open\" }]",
            "The phases of the start, in order. Each calls start_phase of the application after the tree has started.",
        ),
        Key::optional(
            "env",
            "table",
            "{}",
            "{ currency = \"EUR\" }",
            "The environment of the app: any keys with any values. config.toml(5) has the places that override it.",
        ),
    ],
};

pub(crate) const START_PHASE: Table = Table {
    head: "[[start_phases]]",
    meaning: "A phase of the start.",
    keys: &[
        Key::required("name", "string", "\"open\"", "The name of the phase."),
        Key::optional("arg", "any value", "null", "5", "The argument that start_phase gets."),
    ],
};
