//! The shape of the text: the width of comments and Markdown, the length of files, no banners.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tree::{self, FOLDERS, has_extension};

/// The width of comments and of Markdown prose, in characters.
const COLUMNS: usize = 100;

/// A longer source file holds more than one concept.
const LINES: usize = 500;

#[test]
fn comments_and_markdown_are_at_most_100_columns_wide() {
    let mut wide = Vec::new();
    for (path, text) in files() {
        let prose = if has_extension(&path, "md") { markdown(&text) } else { comments(&text) };
        let lines =
            prose.into_iter().filter(|(_, line)| line.chars().count() > COLUMNS && !is_one_piece(line));
        wide.extend(lines.map(|(number, line)| format!("{}:{number}: {line}", path.display())));
    }
    assert!(wide.is_empty(), "wider than {COLUMNS} columns:\n{}", wide.join("\n"));
}

#[test]
fn source_files_are_at_most_500_lines_long_and_have_no_banners() {
    let mut faults = Vec::new();
    for (path, text) in files().into_iter().filter(|(path, _)| is_source(path)) {
        let lines = text.lines().count();
        if lines > LINES {
            faults.push(format!("{} has {lines} lines, of at most {LINES}", path.display()));
        }
        let banners = comments(&text).into_iter().filter(|(_, line)| line.trim_start().starts_with("// ---"));
        faults.extend(banners.map(|(number, _)| format!("{}:{number} is a banner", path.display())));
    }
    assert!(faults.is_empty(), "split these files by concept:\n{}", faults.join("\n"));
}

/// Returns the sources and documents of the tree with their texts.
fn files() -> Vec<(PathBuf, String)> {
    let root = reld_tests::folder("");
    let below = FOLDERS.iter().flat_map(|folder| tree::files(&root.join(folder), &["rs", "c", "h", "md"]));
    let entries = fs::read_dir(&root).expect("the tree can be read");
    let front = entries.map(|entry| entry.expect("an entry can be read").path());
    let front = front.filter(|path| has_extension(path, "md")).map(|path| {
        let text = fs::read_to_string(&path).expect("a document is text");
        (path, text)
    });
    let relative = |(path, text): (PathBuf, String)| {
        (path.strip_prefix(&root).expect("it is in the tree").to_owned(), text)
    };
    below.chain(front).map(relative).collect()
}

fn is_source(path: &Path) -> bool {
    has_extension(path, "rs") && path.iter().any(|part| part == "src")
}

/// Returns the lines of comments, each with its number, without code blocks.
fn comments(text: &str) -> Vec<(usize, &str)> {
    let is_comment = |line: &str| ["//", "/*", "* "].iter().any(|begin| line.starts_with(begin));
    outside_of_code((1..).zip(text.lines()).filter(|(_, line)| is_comment(line.trim_start())))
}

/// Returns the lines of prose, each with its number, without code blocks.
fn markdown(text: &str) -> Vec<(usize, &str)> {
    outside_of_code((1..).zip(text.lines()))
}

fn outside_of_code<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<(usize, &'a str)> {
    let mut is_code = false;
    let mut is_prose = |line: &str| {
        let is_fence = bare(line).starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    lines.filter(|(_, line)| is_prose(line)).collect()
}

/// Returns a line without the marks of a comment.
fn bare(line: &str) -> &str {
    line.trim_start().trim_start_matches(['/', '!', '*']).trim()
}

/// A row of a table cannot be wrapped, nor can an address.
fn is_one_piece(line: &str) -> bool {
    bare(line).starts_with('|') || !bare(line).contains(' ')
}

#[test]
fn prose_is_distinguished_from_code() {
    let found = comments("/// Adds.\n/// ```\n/// a\n/// ```\nlet a = 1; // one\n    // Two.\n");
    assert_eq!(found, [(1, "/// Adds."), (6, "    // Two.")]);
    let found = markdown("a\n```\nb\n```\n| c |\nd\n");
    assert_eq!(found, [(1, "a"), (5, "| c |"), (6, "d")]);
    assert!(is_one_piece("//! | a | b |") && !is_one_piece("/// a b"));
}
