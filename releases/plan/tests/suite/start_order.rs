//! The start order of apps, given by their declarations. The expected results were observed in OTP.

use reld_plan::{AppDocs, PlanError, Rel, Release};

/// Apps in the order of the release file, each `name: key = [...]; key = [...]`.
fn order(apps: &[&str]) -> Result<String, PlanError> {
    let apps: Vec<_> = apps.iter().map(|app| app.split_once(':').unwrap()).collect();
    let rel = apps.iter().map(|(name, _)| format!("[[app]]\nname = '{name}'\nversion = '1.0.0'\n"));
    let rel = "name = 'shop'\nversion = '1.0.0'\ndaemon = '1.0.0'\n".to_owned() + &rel.collect::<String>();
    let docs = apps.iter().map(|(name, keys)| {
        let text = format!("name = '{name}'\nversion = '1.0.0'\n{}", keys.replace(';', "\n"));
        AppDocs::parse(("app.toml", &text), None).unwrap()
    });
    let release = Release::new(Rel::parse("release.toml", &rel).unwrap(), docs)?;
    let names: Vec<_> = release.start_order().map(|app| app.name().to_string()).collect();
    Ok(names.join(" "))
}

#[track_caller]
fn check(apps: &[&str], expected: Result<&str, &str>) {
    assert_eq!(order(apps).as_deref().map_err(|error| error.code().as_str()), expected);
}

#[test]
fn an_app_starts_after_what_it_uses_and_includes() {
    check(&["a:", "b:", "c:"], Ok("a b c"));
    check(&["a:applications = ['c', 'b']", "b:", "c:"], Ok("b c a"));
    check(&["a:applications = ['c', 'b']", "b:applications = ['c']", "c:"], Ok("c b a"));
    check(&["a:included_applications = ['c']; applications = ['b']", "b:", "c:"], Ok("b c a"));
}

#[test]
fn an_included_app_stands_for_the_one_that_starts_it() {
    check(&["c:applications = ['b']", "a:included_applications = ['b']", "b:"], Ok("b a c"));
    check(&["a:included_applications = ['b']", "b:applications = ['a']"], Ok("b a"));
}

#[test]
fn an_included_app_forgets_the_sibling_that_it_names_before_the_includer() {
    let a = "a:included_applications = ['b', 'c']";
    check(&[a, "b:applications = ['a', 'c']", "c:"], Ok("c b a"));
    check(&[a, "b:applications = ['c', 'a']", "c:"], Ok("b c a"));
}

#[test]
fn an_app_included_twice_over_may_use_the_one_between_if_that_comes_first() {
    let (a, b, c) =
        ("a:applications = ['b']", "b:included_applications = ['a']", "c:included_applications = ['b']");
    check(&[c, b, a], Ok("a b c"));
    check(&[a, b, c], Err("undefined_applications"));
}

#[test]
fn apps_that_wait_for_each_other_cannot_start() {
    let (b, c) = ("b:applications = ['c']", "c:applications = ['a']");
    check(&["a:applications = ['b']", b, c], Err("circular_dependencies"));
    assert_eq!(
        order(&["x:applications = ['a']", "a:applications = ['b']", b, c]).unwrap_err().to_string(),
        "these apps depend on each other and cannot start: [a b c]"
    );
}

#[test]
fn each_optional_application_forgives_one_name() {
    check(&["a:applications = ['x']; optional_applications = ['x']"], Ok("a"));
    check(&["a:applications = ['x', 'x']; optional_applications = ['x']"], Err("undefined_applications"));
    check(&["a:applications = ['b', 'b']", "b:"], Err("undefined_applications"));
    check(&["a:applications = ['b', 'b']; optional_applications = ['b']", "b:"], Ok("b a"));
}
