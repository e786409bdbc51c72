//! The codes are stable, and each has a page of the fixed form.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reld_error_codes::ErrorCode;

/// Every code that a version of reld has had. This list only grows: a word is never removed,
/// renamed or given to another kind of error.
const EVER: &str = include_str!("codes.txt");

/// Codes of the list that no error has any more.
const RETIRED: [&str; 0] = [];

/// The headings of a page, in their order. The meaning stands above the first.
const SECTIONS: [&str; 4] = ["Cause", "Remedy", "Example", "Source"];

fn words() -> BTreeSet<&'static str> {
    ErrorCode::ALL.iter().map(|code| code.as_str()).collect()
}

#[test]
fn a_code_is_never_removed_renamed_or_reused() {
    assert!(EVER.lines().is_sorted(), "codes.txt is sorted");
    let ever: BTreeSet<&str> = EVER.lines().collect();
    let retired = BTreeSet::from(RETIRED);
    assert_eq!(words().len(), ErrorCode::ALL.len(), "no two codes have one word");
    assert!(words().is_disjoint(&retired), "a retired code has come back");
    let known: BTreeSet<&str> = words().union(&retired).copied().collect();
    assert_eq!(known, ever, "add a new code to codes.txt, and a retired one to RETIRED");
}

#[test]
fn a_word_finds_its_code() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::of(code.as_str()), Some(*code));
    }
    assert_eq!(ErrorCode::of("none_of_them"), None);
}

#[test]
fn each_summary_is_one_short_sentence() {
    for code in ErrorCode::ALL {
        let summary = code.summary();
        let is_sentence = summary.ends_with('.') && !summary.trim_end_matches('.').contains(". ");
        assert!(is_sentence && summary.len() <= 90, "{code}: {summary}");
    }
}

#[test]
fn each_page_belongs_to_a_code_and_has_the_fixed_sections() {
    for code in ErrorCode::ALL {
        let page = code.page();
        let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, SECTIONS, "sections of {code}");
        let parts: Vec<_> = page.split("\n## ").collect();
        for part in &parts[1..] {
            assert!(part.lines().skip(1).any(|line| !line.is_empty()), "{code}: a section is empty");
        }
        assert!(!parts[0].trim().is_empty() && !parts[0].starts_with('#'), "{code} begins with its meaning");
        assert!(parts[3].contains("```console\n$ re"), "{code} has an example of a command");
        let lines = page.lines().count();
        assert!((10..=50).contains(&lines), "the page of {code} has {lines} lines");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let word = path.file_stem().and_then(|name| name.to_str()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(ErrorCode::of(word).map(ErrorCode::page), Some(&*text), "{} is unused", path.display());
    }
}

#[test]
fn a_page_of_several_codes_names_each_and_its_example_shows_one_of_them() {
    for code in ErrorCode::ALL {
        let page = code.page();
        let own = ErrorCode::ALL.iter().filter(|other| other.page() == page);
        let own: BTreeSet<String> = own.map(ToString::to_string).collect();
        if own.len() > 1 {
            assert!(page.contains(&format!("`{code}`")), "the page of {code} names it");
        }
        for shown in page.split("error[").skip(1).filter_map(|rest| rest.split(']').next()) {
            let is_rustc = shown.starts_with('E');
            let is_outcome = ["rolled_back", "taken_back"].contains(&shown);
            assert!(
                is_rustc || is_outcome || own.contains(shown),
                "the page of {code} shows an error {shown}"
            );
        }
    }
}

#[test]
fn a_page_refers_to_codes_and_documents_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let decisions = fs::read_to_string(root.join("DECISIONS.md")).unwrap();
    for code in ErrorCode::ALL {
        let page = code.page().replace('\n', " ");
        for word in page.split("relctl explain ").skip(1).filter_map(|rest| rest.split(['`', ' ']).next()) {
            assert!(ErrorCode::of(word).is_some(), "the page of {code} refers to {word}");
        }
        let source = page.rsplit("## Source").next().unwrap();
        for path in source.split('`').skip(1).step_by(2).filter(|text| text.contains('/') && is_path(text)) {
            assert!(root.join(path).exists(), "the page of {code} refers to {path}");
        }
        if let Some((_, rest)) = source.split_once("DECISIONS.md: \"") {
            let title = rest.split('"').next().unwrap();
            assert!(decisions.contains(&format!("### {title}")), "the page of {code} refers to {title:?}");
        }
    }
}

/// A function of OTP has a slash before its arity.
fn is_path(text: &str) -> bool {
    ["cli/", "daemon/", "releases/"].iter().any(|folder| text.starts_with(folder))
}
