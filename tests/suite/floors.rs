//! The floors of each crate: its top-level modules in layers, the lowest first. A module imports
//! from its own layer and lower ones. The numbers here may only fall.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tree;

/// The limits of a crate.
struct Limits {
    /// Folder of the crate's source.
    source: &'static str,
    /// Top-level modules in layers, the lowest first. Empty for a crate with unordered modules.
    floors: &'static [&'static [&'static str]],
    /// Number of imports from a layer above the module's own.
    upward: usize,
    /// Number of files that import each other, directly or through others.
    in_circles: usize,
}

const CRATES: &[Limits] = &[
    Limits { source: "daemon/abi/src", floors: &[], upward: 0, in_circles: 0 },
    Limits { source: "daemon/wire/src", floors: &[], upward: 0, in_circles: 0 },
    Limits { source: "daemon/sdk/src", floors: &[], upward: 0, in_circles: 6 },
    Limits { source: "daemon/runtime/src", floors: RUNTIME, upward: 0, in_circles: 8 },
    Limits { source: "daemon/loader/src", floors: &[], upward: 0, in_circles: 19 },
    Limits { source: "daemon/api/src", floors: &[], upward: 0, in_circles: 3 },
    Limits { source: "daemon/reld/src", floors: &[], upward: 0, in_circles: 0 },
    Limits { source: "daemon/error-codes/src", floors: &[], upward: 0, in_circles: 0 },
    Limits { source: "releases/plan/src", floors: &[], upward: 0, in_circles: 16 },
    Limits { source: "releases/trust/src", floors: &[], upward: 0, in_circles: 0 },
    Limits { source: "releases/store/src", floors: &[], upward: 0, in_circles: 13 },
    Limits { source: "releases/handler/src", floors: &[], upward: 0, in_circles: 4 },
    Limits { source: "releases/source/src", floors: &[], upward: 0, in_circles: 0 },
    Limits { source: "releases/fleet/src", floors: &[], upward: 0, in_circles: 0 },
    Limits { source: "releases/etcd/src", floors: &[], upward: 0, in_circles: 0 },
    Limits { source: "cli/src", floors: &[], upward: 0, in_circles: 11 },
];

/// The front file of each top-level module states its permitted dependencies.
const RUNTIME: &[&[&str]] = &[
    &["words"],
    &["process"],
    &["pool"],
    &["io"],
    &["world"],
    &["tree"],
    &["upgrade"],
    &["look"],
    &["runtime"],
];

#[test]
fn no_crate_has_more_upward_imports_and_circles_than_its_limits() {
    let mut failures = Vec::new();
    for limits in CRATES {
        let source = Source::read(limits.source);
        let upward = source.upward(limits.floors);
        let circles = source.circles();
        let found =
            [("upward imports", limits.upward, upward), ("files in circles", limits.in_circles, circles)];
        for (what, limit, found) in found {
            let (source, number) = (limits.source, found.len());
            if number > limit {
                failures.push(format!("{source}: {number} {what}, limit {limit}:\n  {}", found.join("\n  ")));
            } else if number < limit {
                failures.push(format!("{source}: {number} {what}: lower the limit of {limit}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_module_of_a_crate_with_floors_is_on_one() {
    for limits in CRATES.iter().filter(|limits| !limits.floors.is_empty()) {
        let source = Source::read(limits.source);
        let on_floors: BTreeSet<&str> =
            limits.floors.iter().flat_map(|floor| floor.iter().copied()).collect();
        let modules: BTreeSet<&str> = source.files.keys().filter_map(|path| wing(path)).collect();
        assert_eq!(modules, on_floors, "modules of {}", limits.source);
    }
}

/// The path of a module inside its crate. The root's path is empty.
type Module = Vec<String>;

/// The source of one crate.
struct Source {
    /// The imports of each file, without files of tests.
    files: BTreeMap<Module, BTreeSet<Module>>,
}

impl Source {
    fn read(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        let texts = tree::files(&root, &["rs"]);
        let mut files: BTreeMap<Module, String> =
            texts.into_iter().map(|(path, text)| (module(&root, &path), text)).collect();
        assert!(!files.is_empty(), "{folder} has source files");
        let tests: Vec<Module> =
            files.iter().flat_map(|(path, text)| test_modules(text).map(|name| child(path, &name))).collect();
        files.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        let modules: BTreeSet<Module> = files.keys().cloned().collect();
        let imports = |(path, text): (Module, String)| {
            let code = code(&text);
            let targets = paths(&code).filter_map(|named| target(&modules, &path, &named));
            let imports = targets.filter(|target| *target != path && !target.is_empty()).collect();
            (path, imports)
        };
        Self { files: files.into_iter().map(imports).collect() }
    }

    /// Returns the imports that lead from a floor to a higher one.
    fn upward(&self, floors: &[&[&str]]) -> Vec<String> {
        let floor = |path: &Module| {
            let wing = wing(path)?;
            floors.iter().position(|floor| floor.contains(&wing))
        };
        let arrows = self.files.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
        let runs_up = arrows
            .filter(|(from, to)| matches!((floor(from), floor(to)), (Some(from), Some(to)) if from < to));
        runs_up.map(|(from, to)| format!("{} -> {}", from.join("::"), to.join("::"))).collect()
    }

    /// Returns the files that import themselves through others.
    fn circles(&self) -> Vec<String> {
        let leads_back = |start: &Module| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(imports) = open.pop().and_then(|path| self.files.get(path)) {
                for import in imports {
                    if import == start {
                        return true;
                    }
                    if seen.insert(import) {
                        open.push(import);
                    }
                }
            }
            false
        };
        self.files.keys().filter(|path| leads_back(path)).map(|path| path.join("::")).collect()
    }
}

/// Returns the top-level module that contains a module, or `None` for the root.
fn wing(path: &Module) -> Option<&str> {
    path.first().map(String::as_str)
}

fn child(path: &Module, name: &str) -> Module {
    path.iter().map(String::as_str).chain([name]).map(str::to_owned).collect()
}

fn module(root: &Path, file: &Path) -> Module {
    let path: PathBuf = file.strip_prefix(root).expect("the file is below the root").with_extension("");
    let mut module: Module = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

/// Returns the names of test modules that are files of their own.
fn test_modules(text: &str) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_test = |line: &str| line.starts_with("#[cfg(") && line.contains("test");
    let declared = |line: &str| line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned);
    let after_test = lines.windows(2).filter(move |pair| is_test(pair[0])).map(|pair| pair[1]);
    after_test.filter_map(declared).collect::<Vec<_>>().into_iter()
}

/// Returns the code of a file without comments and without the tests at its end.
fn code(text: &str) -> String {
    let mut lines = text.lines().peekable();
    let mut code = String::new();
    while let Some(line) = lines.next() {
        let is_test = line.starts_with("#[cfg(") && line.contains("test");
        if is_test && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{')) {
            lines.by_ref().take_while(|line| *line != "}").for_each(drop);
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// Returns every path in the code, as segments. Braces of a `use` are resolved. The path of a
/// visibility, such as `pub(in crate::a)`, imports nothing.
fn paths(code: &str) -> impl Iterator<Item = Vec<String>> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = tokens.get(at + 1) == Some(&"::") && is_name(tokens[at]);
        let continues = tokens[..at].ends_with(&["::"]);
        let is_visibility = tokens[..at].ends_with(&["pub", "(", "in"]);
        if begins && !continues && !is_visibility {
            at = path(&tokens, at, &[], &mut paths);
        } else {
            at += 1;
        }
    }
    paths.into_iter()
}

/// Reads a path or a tree of paths after a prefix. Returns the position of the next token.
fn path(tokens: &[&str], mut at: usize, prefix: &[&str], paths: &mut Vec<Vec<String>>) -> usize {
    let mut segments = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = if is_name(tokens[at]) { path(tokens, at, &segments, paths) } else { at + 1 };
                }
                return at + 1;
            }
            Some(token) if is_name(token) => segments.push(token),
            _ => break,
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    paths.push(segments.iter().map(|segment| (*segment).to_owned()).collect());
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits code into names, `::` and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_part(first) {
            rest.find(|c| !is_part(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if !token.trim().is_empty() {
            tokens.push(token);
        }
        rest = after;
    }
    tokens
}

/// Returns the module of this crate that a path leads to, as seen from `from`.
fn target(modules: &BTreeSet<Module>, from: &Module, named: &[String]) -> Option<Module> {
    let mut base = from.clone();
    let mut rest = named;
    match named.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &named[1..];
        }
        "self" => rest = &named[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        // A name that is no submodule of this file is a crate or an import.
        first if !modules.contains(&child(from, first)) => return None,
        _ => {}
    }
    let mut found = base;
    for segment in rest {
        let below = child(&found, segment);
        if !modules.contains(&below) {
            break;
        }
        found = below;
    }
    Some(found)
}

#[test]
fn the_paths_of_imports_are_resolved_to_modules() {
    let modules: BTreeSet<Module> = ["", "a", "a::b", "c", "c::d"]
        .map(|path| path.split("::").filter(|s| !s.is_empty()).map(str::to_owned).collect())
        .into();
    let from = vec!["a".to_owned()];
    let text = "use std::sync::Arc;\nuse crate::{c::{self, d::E}, F};\n// use crate::c;\nuse b::G;\npub(in crate::c) fn f() { super::c::g() }\n\
                #[cfg(test)]\nmod tests {\n    use crate::x;\n}\n";
    let found: Vec<_> = paths(&code(text))
        .filter_map(|named| target(&modules, &from, &named))
        .map(|m| m.join("::"))
        .collect();
    assert_eq!(found, ["c", "c::d", "", "a::b", "c"]);
}
