//! Mistakes in documents: each is shown with its place and the allowed words.

use reld_plan::{App, Appup, Rel, RelupFile};

#[track_caller]
fn check(shown: Option<String>, expected: &str) {
    assert_eq!(shown.expect("a mistake").trim_end(), expected.trim_matches('\n'));
}

fn app(text: &str) -> Option<String> {
    App::parse("app.toml", text).err().map(|error| error.to_string())
}

fn rel(text: &str) -> Option<String> {
    Rel::parse("release.toml", text).err().map(|error| error.to_string())
}

fn appup(text: &str) -> Option<String> {
    Appup::parse("appup.toml", text).err().map(|error| error.to_string())
}

/// Returns the mistake of a relup; the instruction is on its fourth line.
fn relup(text: &str) -> Option<String> {
    let text = format!("version = '2.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = [{text}]\n");
    RelupFile::parse("relup.toml", &text).err().map(|error| error.to_string())
}

/// Returns the first mistake of an appup; the instruction is on its seventh line.
fn instruction(text: &str) -> Option<String> {
    let text =
        format!("app = 'a'\nversion = '2.0.0'\n\n[[up]]\nfrom = '1.0.0'\ninstructions = [\n  {text},\n]\n");
    let appup = Appup::parse("appup.toml", &text).unwrap();
    appup.mistakes().next().map(ToString::to_string)
}

#[test]
fn an_unknown_key_is_shown_with_the_allowed_ones() {
    check(
        app("name = 'a'\nversion = '1.0.0'\nmodule = ['m']\n"),
        "
app.toml:3:1: unknown key `module`; allowed: `name`, `version`, `modules`, `start`, `applications`, `optional_applications`, `included_applications`, `registered`, `threads`, `start_phases`, `env`
  3 | module = ['m']
    | ^^^^^^
",
    );
}

#[test]
fn a_wrong_type_is_shown_with_the_right_one() {
    check(
        app("name = 'a'\nversion = 1\n"),
        "
app.toml:2:11: expected a string, found an integer
  2 | version = 1
    |           ^
",
    );
}

#[test]
fn a_wrong_version_is_shown_with_an_example() {
    check(
        app("name = 'a'\nversion = '1.0'\n"),
        r#"
app.toml:2:11: "1.0" is not a version such as "1.2.3": unexpected end of input while parsing minor version number
  2 | version = '1.0'
    |           ^^^^^
"#,
    );
}

#[test]
fn broken_toml_is_shown_in_its_line() {
    check(
        app("name = 'a'\nversion = '1.0.0\n"),
        "
app.toml:2:17: invalid literal string, expected `'`
  2 | version = '1.0.0
    |                 ^
",
    );
}

#[test]
fn a_missing_key_is_named() {
    check(
        rel("name = 'shop'\nversion = '1.0.0'\n"),
        "
release.toml:1:1: key `daemon` is missing
  1 | name = 'shop'
    | ^
",
    );
}

#[test]
fn a_misspelt_start_type_is_shown_with_the_words() {
    check(
        rel(
            "name = 'shop'\nversion = '1.0.0'\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\nversion = '1.0.0'\ntype = 'permanet'\n",
        ),
        r#"
release.toml:7:8: unknown word "permanet"; allowed: "permanent", "transient", "temporary", "load", "none"
  7 | type = 'permanet'
    |        ^^^^^^^^^^
"#,
    );
}

#[test]
fn an_app_named_twice_is_refused() {
    let app = "[[app]]\nname = 'a'\nversion = '1.0.0'\n";
    let text = format!("name = 'shop'\nversion = '1.0.0'\ndaemon = '1.0.0'\n{app}{app}");
    check(
        rel(&text),
        "
release.toml:7:1: app `a` is named twice
  7 | [[app]]
    | ^^^^^^^
",
    );
}

#[test]
fn a_wrong_requirement_is_shown() {
    check(
        appup("app = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = 'old'\ninstructions = []\n"),
        r#"
appup.toml:4:8: "old" is not a version such as "1.2.3": unexpected character 'o' while parsing major version number
  4 | from = 'old'
    |        ^^^^^
"#,
    );
}

#[test]
fn a_misspelt_change_is_shown_with_the_words() {
    check(
        instruction(r#"{ update = "m", change = "sof" }"#),
        r#"
appup.toml:7:28: unknown word "sof"; allowed: "soft", "supervisor" or { advanced = DATA }
  7 |   { update = "m", change = "sof" },
    |                            ^^^^^
"#,
    );
}

#[test]
fn a_misspelt_key_of_an_instruction_is_shown_with_the_allowed_ones() {
    check(
        instruction(r#"{ load_module = "m", dep = ["m2"] }"#),
        "
appup.toml:7:24: unknown key `dep`; allowed: `load_module`, `pre_purge`, `post_purge`, `deps`
  7 |   { load_module = \"m\", dep = [\"m2\"] },
    |                        ^^^
",
    );
}

#[test]
fn a_misspelt_word_is_shown_with_the_words() {
    check(
        instruction("'point_of_return'"),
        "
appup.toml:7:3: unknown instruction \"point_of_return\"; allowed: `point_of_no_return`, `restart_new_daemon`, `restart_daemon`
  7 |   'point_of_return',
    |   ^^^^^^^^^^^^^^^^^
",
    );
}

#[test]
fn a_timeout_of_zero_is_shown_with_the_forms() {
    check(
        instruction(r#"{ suspend = ["m1", { module = "m2", timeout = 0 }] }"#),
        r#"
appup.toml:7:49: a time-out is milliseconds above 0, "100ms", "5s", "infinity" or "default"
  7 |   { suspend = ["m1", { module = "m2", timeout = 0 }] },
    |                                                 ^
"#,
    );
}

#[test]
fn a_relup_has_low_level_instructions_for_exact_versions_only() {
    check(
        relup("{ update = 'm' }"),
        "
relup.toml:4:17: `update` is for an appup; a relup needs its translation, as printed by `relctl plan --relup`
  4 | instructions = [{ update = 'm' }]
    |                 ^^^^^^^^^^^^^^^^
",
    );
    check(
        relup("{ suspend = 'm' }"),
        "
relup.toml:4:29: expected an array, found a string
  4 | instructions = [{ suspend = 'm' }]
    |                             ^^^
",
    );
    check(
        relup("'point_of_no_return', 'restart_new_daemon'"),
        "
relup.toml:4:16: `restart_new_daemon` can only be the first instruction of a relup
  4 | instructions = ['point_of_no_return', 'restart_new_daemon']
    |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
",
    );
    check(
        relup("'restart_daemon', 'point_of_no_return'"),
        "
relup.toml:4:16: `restart_daemon` can only be the last instruction of a relup
  4 | instructions = ['restart_daemon', 'point_of_no_return']
    |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
",
    );
    let range =
        RelupFile::parse("relup.toml", "version = '2.0.0'\n[[up]]\nfrom = '>=1.0.0'\ninstructions = []\n");
    assert!(range.unwrap_err().to_string().contains("is not a version"));
}
