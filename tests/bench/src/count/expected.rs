//! The expected counts: a table in the tree, by compiler and profile. Other compilers generate
//! different code, so builds without an entry are not judged.

use std::collections::BTreeMap;
use std::fs;

use reld_tests::folder;

const FILE: &str = "tests/bench/counts.toml";

const HEADER: &str = "\
# Expected counts of `reld-bench count`, by version of rustc and profile of cargo.
# `reld-bench count --bless` writes this file, `reld-bench count --check` compares with it.
";

/// Permitted difference of a figure, in per cent.
const BOUND: f64 = 3.0;

/// Counts by their names.
pub(crate) type Figures = BTreeMap<String, u64>;

/// Figures by compiler, then by profile.
type Table = BTreeMap<String, BTreeMap<String, Figures>>;

/// The properties of a build that determine the generated code.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) compiler: String,
    pub(crate) profile: String,
}

/// Returns the figures that differ from the table in the tree.
pub(crate) fn check(build: &Build, measured: &Figures) -> Vec<String> {
    compare(&read(), build, measured).unwrap_or_else(|| {
        let Build { compiler, profile } = build;
        eprintln!("not compared: {FILE} has nothing for rustc {compiler}, profile {profile}");
        Vec::new()
    })
}

/// Writes figures into the table in the tree.
pub(crate) fn bless(build: &Build, measured: Figures) {
    let mut table = read();
    table.entry(build.compiler.clone()).or_default().insert(build.profile.clone(), measured);
    fs::write(folder(FILE), print(&table)).expect("the tree can be written");
}

fn read() -> Table {
    let text = fs::read_to_string(folder(FILE)).expect("the tree has the table");
    toml::from_str(&text).expect("the table can be read")
}

fn print(table: &Table) -> String {
    format!("{HEADER}\n{}", toml::to_string(table).expect("a table is TOML"))
}

/// Returns the figures that differ, or `None` for a build without an entry.
fn compare(table: &Table, build: &Build, measured: &Figures) -> Option<Vec<String>> {
    let expected = table.get(&build.compiler)?.get(&build.profile)?;
    let names = expected.keys().chain(measured.keys().filter(|name| !expected.contains_key(*name)));
    let faults =
        names.filter_map(|name| fault(expected.get(name), measured.get(name)).map(|fault| (name, fault)));
    let remedy = format!(
        "if that is deliberate, run `cargo run --profile {} -p reld-bench -- count --bless` and read the diff",
        build.profile
    );
    Some(faults.map(|(name, fault)| format!("count of {name}: {fault}; {remedy}")).collect())
}

fn fault(expected: Option<&u64>, measured: Option<&u64>) -> Option<String> {
    let (expected, measured) = match (expected, measured) {
        (Some(expected), Some(measured)) => (*expected as f64, *measured as f64),
        (Some(_), None) => return Some("expected, and not measured".to_owned()),
        (None, measured) => {
            return measured.map(|measured| format!("{measured} measured, and none expected"));
        }
    };
    let per_cent = (measured - expected) * 100.0 / expected;
    (per_cent.abs() > BOUND)
        .then(|| format!("{expected} expected, {measured} measured ({per_cent:+.1} %, {BOUND} % allowed)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "[\"1.95.0\".count]\ncall = 6000\ncast = 2000\n";

    #[track_caller]
    fn check(compiler: &str, profile: &str, measured: &[(&str, u64)], faults: Option<&[&str]>) {
        let table = toml::from_str(TABLE).expect("this is a table");
        let build = Build { compiler: compiler.to_owned(), profile: profile.to_owned() };
        let measured = measured.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let found = compare(&table, &build, &measured);
        let found = found.as_ref().map(|found| found.iter().map(|fault| fault.split(';').next().unwrap()));
        assert_eq!(found.map(Iterator::collect), faults.map(<[&str]>::to_vec));
    }

    #[test]
    fn a_figure_may_differ_by_three_per_cent() {
        check("1.95.0", "count", &[("call", 6_000), ("cast", 2_000)], Some(&[]));
        check("1.95.0", "count", &[("call", 6_180), ("cast", 1_940)], Some(&[]));
    }

    #[test]
    fn a_figure_that_differs_by_more_is_named_with_both_counts() {
        let faults = [
            "count of call: 6000 expected, 6300 measured (+5.0 %, 3 % allowed)",
            "count of cast: 2000 expected, 1900 measured (-5.0 %, 3 % allowed)",
        ];
        check("1.95.0", "count", &[("call", 6_300), ("cast", 1_900)], Some(&faults));
    }

    #[test]
    fn a_figure_that_only_one_side_has_is_a_fault() {
        let faults =
            ["count of cast: expected, and not measured", "count of restart: 9 measured, and none expected"];
        check("1.95.0", "count", &[("call", 6_000), ("restart", 9)], Some(&faults));
    }

    #[test]
    fn another_compiler_and_another_profile_are_not_judged() {
        check("1.96.0", "count", &[("call", 1)], None);
        check("1.95.0", "release", &[("call", 1)], None);
    }

    #[test]
    fn a_fault_names_the_command_that_blesses() {
        let table = toml::from_str(TABLE).unwrap();
        let build = Build { compiler: "1.95.0".to_owned(), profile: "count".to_owned() };
        let faults = compare(&table, &build, &Figures::new()).unwrap();
        assert!(
            faults[0].contains("`cargo run --profile count -p reld-bench -- count --bless`"),
            "{faults:?}"
        );
    }

    #[test]
    fn the_table_in_the_tree_is_as_bless_writes_it() {
        assert_eq!(print(&read()), fs::read_to_string(folder(FILE)).unwrap());
    }
}
