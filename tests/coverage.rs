//! docs/coverage.md has a row for each thing that Harbor's page can do, and what the rows name is there: the samples, and
//! the tests, which run. The same holds for the tests that docs/threat-model.md names. The manifests of samples and pages are such as the kinds read.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harbor_robot_operator::api::{ClusterHarborRegistry, HarborRegistry, RobotAccount, SystemRobotAccount};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Rows of the table, from 1.
const ROWS: usize = 22;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// What stands in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// All that is wrong with a page.
fn faults(page: &str) -> Vec<String> {
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = page.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
    let mut faults = Vec::new();
    for number in 1..=ROWS {
        let found: Vec<&Vec<String>> = rows.iter().filter(|row| row[0] == number.to_string()).collect();
        match found[..] {
            [row] if row.len() == 5 && row.iter().all(|cell| !cell.is_empty()) => {
                let (samples, tests) = (quoted(&row[3]), quoted(&row[4]));
                if samples.is_empty() || tests.is_empty() {
                    faults.push(format!("row {number} names no sample or no test"));
                }
                let missing = samples.iter().filter(|path| !root().join("deploy/samples").join(path).is_file());
                faults.extend(missing.map(|path| format!("row {number}: no sample {path}")));
                faults.extend(tests.iter().filter_map(|test| Some(format!("row {number}: {}", test_fault(test)?))));
            }
            [_] => faults.push(format!("row {number} has not five cells with something in each")),
            [] => faults.push(format!("no row {number}")),
            _ => faults.push(format!("row {number} more than once")),
        }
    }
    faults
}

/// What is wrong with a named test: it has to be one, in a file that is compiled.
fn test_fault(named: &str) -> Option<String> {
    let Some((file, test)) = named.split_once("::") else { return Some(format!("{named} is not file::test")) };
    let tests = root().join("tests");
    let places = [tests.join("operator").join(file), tests.join(file), root().join(file)];
    let places = places.map(|path| path.with_extension("rs"));
    let Some((path, source)) = places.iter().find_map(|path| Some((path, read(path)?))) else {
        return Some(format!("{named}: no such file"));
    };
    let module = path.file_stem().unwrap().to_string_lossy();
    if path.starts_with(&tests)
        && let Some(main) = read(&path.with_file_name("main.rs"))
        && !main.lines().any(|line| line.trim() == format!("mod {module};"))
    {
        return Some(format!("{named}: main.rs beside it does not name the module"));
    }
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &&str| {
        let name = line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
        name == Some(test)
    };
    let Some(at) = lines.iter().position(is_it) else { return Some(format!("{named}: no such function")) };
    let attributes: Vec<&str> = lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).copied().collect();
    if attributes.iter().any(|line| line.starts_with("#[ignore")) {
        return Some(format!("{named} is ignored"));
    }
    let runs = attributes.iter().any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"));
    (!runs).then(|| format!("{named} is no test"))
}

#[test]
fn every_row_names_samples_and_tests_that_exist() {
    let faults = faults(&read(&root().join("docs/coverage.md")).unwrap());
    assert!(faults.is_empty(), "docs/coverage.md:\n{}", faults.join("\n"));
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let page = read(&root().join("docs/threat-model.md")).unwrap();
    let named: Vec<&str> = quoted(&page).into_iter().filter(|text| text.contains("::")).collect();
    let faults: Vec<String> = named.iter().filter_map(|named| test_fault(named)).collect();
    assert!(faults.is_empty(), "docs/threat-model.md:\n{}", faults.join("\n"));
    assert!(named.len() > 40, "{} tests", named.len());
}

#[test]
fn a_page_with_a_hole_is_found_out() {
    let good = "| Look | Here | `3-account.yaml` | `life::a_new_account_gets_a_robot_and_a_secret_that_logs_in` |";
    let page = |row: &str| {
        let rows = (1..=ROWS).map(|number| format!("| {number} {}", if number == 7 { row } else { good }));
        rows.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(faults(&page(good)), [""; 0]);
    for (row, fault) in [
        ("| Look | Here | `3-account.yaml` | - |", "row 7 names no sample or no test"),
        ("| Look | Here | `3-account.yaml` |", "row 7 has not five cells with something in each"),
        ("| Look | Here | `9-none.yaml` | `life::a_new_account_gets_a_robot_and_a_secret_that_logs_in` |", "no sample"),
        ("| Look | Here | `3-account.yaml` | `life::a_new_account` |", "no such function"),
        ("| Look | Here | `3-account.yaml` | `none::a_new_account` |", "no such file"),
        ("| Look | Here | `3-account.yaml` | `life` |", "is not file::test"),
        ("| Look | Here | `3-account.yaml` | `update::days_left` |", "is no test"),
    ] {
        let found = faults(&page(row));
        assert!(found.len() == 1 && found[0].contains(fault), "{row}: {found:?}");
    }
    let twice = page(good) + &format!("\n| 7 {good}");
    assert_eq!(faults(&twice), ["row 7 more than once"]);
    assert_eq!(faults(""), (1..=ROWS).map(|number| format!("no row {number}")).collect::<Vec<_>>());
}

/// YAML files of a folder.
fn manifests(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files
}

#[test]
fn every_sample_is_named_on_the_page() {
    let page = read(&root().join("docs/coverage.md")).unwrap();
    let named: BTreeSet<&str> = quoted(&page).into_iter().collect();
    let forms = manifests("deploy/samples/forms");
    let name = |path: &PathBuf| format!("forms/{}", path.file_name().unwrap().to_string_lossy());
    let forgotten: Vec<_> = forms.iter().map(name).filter(|name| !named.contains(name.as_str())).collect();
    assert!(forms.len() > 10 && forgotten.is_empty(), "not in docs/coverage.md: {forgotten:?}");
}

/// A manifest that is read and written again without a change holds no field that its kind does not know.
fn check<K: DeserializeOwned + Serialize>(manifest: &Value) -> Result<(), String> {
    let object: K = serde_json::from_value(manifest.clone()).map_err(|error| error.to_string())?;
    let read = serde_json::to_value(object).unwrap();
    if read["spec"] == manifest["spec"] {
        Ok(())
    } else {
        Err(format!("{} is read as {}", manifest["spec"], read["spec"]))
    }
}

#[test]
fn manifests_of_samples_and_pages_are_such_as_the_kinds_read() {
    let mut texts = Vec::new();
    for path in ["deploy/samples", "deploy/samples/forms"].into_iter().flat_map(manifests) {
        texts.push((path.display().to_string(), read(&path).unwrap()));
    }
    for page in ["README.md", "docs/tenancy.md"] {
        let text = read(&root().join(page)).unwrap();
        let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        texts.extend(blocks.filter(|block| block.contains("apiVersion:")).map(|block| (page.into(), block.to_owned())));
    }
    let mut kinds = BTreeSet::new();
    for (place, text) in texts {
        for document in text.split("\n---\n") {
            let manifest: Value = serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{place}: {error}"));
            let kind = manifest["kind"].as_str().unwrap_or_else(|| panic!("{place}: no kind in {document}"));
            let checked = match kind {
                "RobotAccount" => check::<RobotAccount>(&manifest),
                "SystemRobotAccount" => check::<SystemRobotAccount>(&manifest),
                "HarborRegistry" => check::<HarborRegistry>(&manifest),
                "ClusterHarborRegistry" => check::<ClusterHarborRegistry>(&manifest),
                _ => Ok(()),
            };
            checked.unwrap_or_else(|error| panic!("{place}: {kind} {}: {error}", manifest["metadata"]["name"]));
            kinds.insert(kind.to_owned());
        }
    }
    for kind in ["RobotAccount", "SystemRobotAccount", "HarborRegistry", "ClusterHarborRegistry"] {
        assert!(kinds.contains(kind), "{kind} is shown");
    }
}
