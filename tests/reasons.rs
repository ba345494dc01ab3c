//! docs/reasons.md lists every reason that the operator can give, and no other.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where reasons are written down.
const SOURCES: [&str; 5] =
    ["src/controllers", "src/registry/error.rs", "src/cluster/mod.rs", "src/domain/report.rs", "src/domain/report"];
/// Words of the same shape in those files that are no reasons: condition states, an event's action, a metric label, kinds.
const OTHER_WORDS: [&str; 12] = [
    "True",
    "False",
    "Unknown",
    "Reconcile",
    "NotLeading",
    "RobotAccount",
    "SystemRobotAccount",
    "HarborRegistry",
    "ClusterHarborRegistry",
    "Secret",
    "ServiceAccount",
    "Namespace",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(path: PathBuf, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            sources(entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
        found.push(path);
    }
}

fn is_reason(word: &str) -> bool {
    word.len() > 3
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.contains(|letter: char| letter.is_ascii_lowercase())
        && word.chars().all(|letter| letter.is_ascii_alphabetic())
        && !OTHER_WORDS.contains(&word)
}

fn in_code() -> BTreeSet<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        sources(root().join(source), &mut files);
    }
    let mut words = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        words.extend(
            lines.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|word| is_reason(word)).map(Into::into),
        );
    }
    words
}

fn in_docs() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("docs/reasons.md")).unwrap();
    let first_cells = text.lines().filter_map(|line| line.strip_prefix("| `"));
    first_cells.map(|cell| cell.split('`').next().unwrap().to_owned()).collect()
}

#[test]
fn the_page_of_reasons_lists_what_the_code_says() {
    let (code, docs) = (in_code(), in_docs());
    let missing: Vec<_> = code.difference(&docs).collect();
    let stale: Vec<_> = docs.difference(&code).collect();
    assert!(missing.is_empty() && stale.is_empty(), "not in docs/reasons.md: {missing:?}; not in the code: {stale:?}");
    assert!(code.len() > 40, "the scan finds the reasons: {code:?}");
}

#[test]
fn the_reasons_that_metrics_may_name_are_those_of_accounts() {
    let text = std::fs::read_to_string(root().join("docs/reasons.md")).unwrap();
    let conditions = text.split("## Events").next().unwrap();
    let rows = conditions.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let of_accounts = rows.filter(|(_, rest)| rest.split(" | ").next().unwrap().contains("account"));
    let of_accounts: BTreeSet<&str> = of_accounts.map(|(reason, _)| reason).collect();
    assert_eq!(BTreeSet::from(harbor_robot_operator::domain::reasons::OF_ACCOUNTS), of_accounts);
}
