//! `appup.toml` and `relup.toml`.

use super::form::{Document, Key, Table};
use super::instructions;

const KEEP: Key = Key::optional(
    "keep",
    "list of names",
    "[]",
    "[\"till_log\"]",
    "Modules that stay on the old library. All others of a replaced library move, with or without an instruction.",
);

pub(super) const DOCUMENT: Document = Document {
    name: "appup.toml",
    purpose: "the way of an app from one version to another",
    about: &[
        "An appup.toml belongs to the newer version of an app and serves both directions. An upgrade uses the first [[up]] \
         entry with a matching from, a downgrade the first [[down]] entry with a matching to. relctl diff drafts both; a \
         draft has the word TODO where its author must decide.",
        "A full version such as 1.2.0 matches only itself. A shorter one, or one with an operator (1.2; >=1, <3), is a \
         requirement as in Cargo.toml. OTP: the application upgrade file.",
    ],
    tables: &[
        &[APPUP, APPUP_UP, APPUP_DOWN],
        &instructions::INSTRUCTIONS,
        &[instructions::ADVANCED, instructions::SUSPENDED, instructions::CODE_CHANGED, instructions::UNDO],
    ],
    example: "app = \"till\"\nversion = \"0.2.0\"\n\n[[up]]\nfrom = \"0.1.0\"\ninstructions = [{ update = \"till\" }]\n\n\
              [[down]]\nto = \"0.1.0\"\ninstructions = [{ update = \"till\" }]\n",
    see_also: &[
        ("app.toml", "5"),
        ("relup.toml", "5"),
        ("relctl-diff", "1"),
        ("relctl-plan", "1"),
        ("relctl-upgrade", "1"),
    ],
};

pub(crate) const APPUP: Table = Table {
    head: "",
    meaning: "",
    keys: &[
        Key::required("app", "name", "\"till\"", "The app."),
        Key::required(
            "version",
            "version",
            "\"0.2.0\"",
            "The version of the app that the appup belongs to. Another version than that in app.toml is a warning.",
        ),
        Key::optional(
            "up",
            "list of tables",
            "[]",
            "[{ from = \"0.1.0\", instructions = [] }]",
            "The ways to this version.",
        ),
        Key::optional(
            "down",
            "list of tables",
            "[]",
            "[{ to = \"0.1.0\", instructions = [] }]",
            "The ways back from this version.",
        ),
    ],
};

const INSTRUCTIONS: Key = Key::required(
    "instructions",
    "list of instructions",
    "[{ update = \"till\" }]",
    "The instructions in their order. Each is a table with its own name as a key, or one of the words point_of_no_return, \
     restart_new_daemon and restart_daemon.",
);

pub(crate) const APPUP_UP: Table = Table {
    head: "[[up]]",
    meaning: "The way from some older versions.",
    keys: &[
        Key::required("from", "version or requirement", "\"0.1.0\"", "The older versions."),
        INSTRUCTIONS,
        KEEP,
    ],
};

pub(crate) const APPUP_DOWN: Table = Table {
    head: "[[down]]",
    meaning: "The way back to some older versions.",
    keys: &[
        Key::required("to", "version or requirement", "\"0.1.0\"", "The older versions."),
        INSTRUCTIONS,
        KEEP,
    ],
};

pub(super) const RELUP_DOCUMENT: Document = Document {
    name: "relup.toml",
    purpose: "a reviewed script from one release to another",
    about: &[
        "A relup.toml lies beside the release.toml of the newer release and is packed with it. For a pair of releases that it \
         lists, its script is carried out, and the appups are ignored. relctl plan --relup prints the script that the appups \
         lead to, as a beginning.",
        "The instructions are those of appup.toml(5) from load_object_code on, and the three words. point_of_no_return has to \
         stand between the loading of object code and the first change; restart_new_daemon may only be the first instruction, \
         restart_daemon only the last. OTP: the release upgrade file.",
    ],
    tables: &[&[RELUP, RELUP_UP, RELUP_DOWN]],
    example: "version = \"1.1.0\"\n\n[[up]]\nfrom = \"1.0.0\"\ninstructions = [\n  \
              { load_object_code = [\"till\"], app = \"till\", vsn = \"0.2.0\" },\n  \"point_of_no_return\",\n  \
              { suspend = [\"till\"] },\n  { load = \"till\" },\n  { code_change = [{ module = \"till\", extra = [] }] },\n  \
              { resume = [\"till\"] },\n]\n",
    see_also: &[("appup.toml", "5"), ("release.toml", "5"), ("relctl-plan", "1")],
};

pub(crate) const RELUP: Table = Table {
    head: "",
    meaning: "",
    keys: &[
        Key::required(
            "version",
            "version",
            "\"1.1.0\"",
            "The version of the release that the scripts belong to.",
        ),
        Key::optional(
            "up",
            "list of tables",
            "[]",
            "[{ from = \"1.0.0\", instructions = [] }]",
            "Scripts to this release.",
        ),
        Key::optional(
            "down",
            "list of tables",
            "[]",
            "[{ to = \"1.0.0\", instructions = [] }]",
            "Scripts back from this release.",
        ),
    ],
};

const STEPS: Key = Key::required(
    "instructions",
    "list of instructions",
    "[\"point_of_no_return\"]",
    "The low-level instructions, in order.",
);

pub(crate) const RELUP_UP: Table = Table {
    head: "[[up]]",
    meaning: "The script from an older release.",
    keys: &[Key::required("from", "version", "\"1.0.0\"", "The older release."), STEPS, KEEP],
};

pub(crate) const RELUP_DOWN: Table = Table {
    head: "[[down]]",
    meaning: "The script back to an older release.",
    keys: &[Key::required("to", "version", "\"1.0.0\"", "The older release."), STEPS, KEEP],
};
