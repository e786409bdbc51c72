//! Malformed documents: each is read, or refused with its place, without another effect.

use proptest::prelude::*;
use reld_plan::{App, Appup, DocError, Rel, RelupFile};

const APP: &str = r#"
name = "shop"
version = "1.2.0-rc.1"
modules = ["shop_app", "till"]
start = "shop_app"
applications = ["log"]
registered = ["till"]
threads = true
[[start_phases]]
name = "open"
arg = { doors = [1, 2] }
[env]
limit = 5
rates = { vat = 0.2, "with space" = "x" }
"#;

const APPUP: &str = r#"
app = "shop"
version = "1.2.0"
[[up]]
from = ">=1.0, <1.2"
instructions = [
  { load_module = "fmt" },
  { update = "till", change = { advanced = { n = 1 } }, timeout = "5s", deps = ["fmt"], pre_purge = "soft" },
  { add_module = "desk" },
  { apply = "supervisor:restart_child", args = ["shop_sup", "desk"] },
]
[[down]]
to = "1.1.0"
instructions = [{ delete_module = "desk" }, { restart_application = "shop" }]
"#;

const RELEASE: &str = r#"
name = "shop"
version = "1.2.0"
daemon = "0.1.0"
[[app]]
name = "shop"
version = "1.2.0"
type = "transient"
included = ["log"]
"#;

const RELUP: &str = r#"
version = "1.2.0"
[[up]]
from = "1.1.0"
keep = ["fmt"]
instructions = [
  { load_object_code = ["till"], app = "shop", vsn = "1.2.0" },
  "point_of_no_return",
  { apply = "application:start", args = ["log", "permanent"] },
  { suspend = [{ module = "till", timeout = "2s" }] },
  { load = "till", pre_purge = "soft", post_purge = "soft" },
  { code_change = [{ module = "till", extra = 7 }] },
  { resume = ["till"] },
  { purge = ["fmt"] },
]
"#;

/// Words with a meaning in some place, which therefore get further than noise.
const WORDS: [&str; 14] = [
    "[[up]]\n",
    "[env]\n",
    "instructions",
    "{",
    "}",
    "[",
    "]",
    "=",
    "\"",
    "\n",
    "-1",
    "\"infinity\"",
    "advanced",
    "é",
];

/// A document with a few replaced stretches.
fn spoilt(document: &'static str) -> impl Strategy<Value = String> {
    let piece = prop_oneof![prop::sample::select(WORDS.as_slice()).prop_map(str::to_owned), ".{0,4}"];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, piece), 1..5);
    edits.prop_map(|edits| {
        edits.into_iter().fold(document.to_owned(), |text, (at, length, piece)| {
            let before: String = text.chars().take(at.index(text.chars().count() + 1)).collect();
            let after: String = text.chars().skip(before.chars().count() + length).collect();
            before + &piece + &after
        })
    })
}

/// A document that can be read can be printed and read again; a refusal has its place.
fn check<T>(read: impl Fn(&str) -> Result<T, DocError>, write: fn(&T) -> String, text: &str) {
    match read(text) {
        Ok(document) => {
            let written = write(&document);
            assert_eq!(read(&written).map(|again| write(&again)).as_ref(), Ok(&written));
        }
        Err(error) => assert!(error.to_string().contains("spoilt.toml"), "{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

    #[test]
    fn spoilt_documents_are_read_or_refused_with_their_place(
        app in spoilt(APP), appup in spoilt(APPUP), release in spoilt(RELEASE), relup in spoilt(RELUP),
    ) {
        check(|text| App::parse("spoilt.toml", text), App::to_toml, &app);
        check(|text| Appup::parse("spoilt.toml", text), Appup::to_toml, &appup);
        check(|text| Rel::parse("spoilt.toml", text), Rel::to_toml, &release);
        check(|text| RelupFile::parse("spoilt.toml", text), RelupFile::to_toml, &relup);
    }
}

#[test]
fn the_documents_are_sound_before_they_are_spoilt() {
    let app = App::parse("app.toml", APP).unwrap();
    assert_eq!(App::parse("app.toml", &app.to_toml()), Ok(app.clone()));
    assert_eq!(app.start_phases.len(), 1);
    Appup::parse("appup.toml", APPUP).unwrap();
    Rel::parse("release.toml", RELEASE).unwrap();
    RelupFile::parse("relup.toml", RELUP).unwrap();
}
