//! The kinds as they were released last are a part of what they are now: whatever was accepted and read still is. The files
//! in `tests/released` are those of the last release; `UPDATE=1 cargo test --test api_compatibility` copies `crds/` there when
//! the next one is made, and not before: docs/api.md says what may break, and how.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A CustomResourceDefinition that is larger does not fit into the annotation of `kubectl apply`.
const LARGEST: u64 = 200_000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(name: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder(name)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn read(name: &str, file: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(folder(name).join(file)).unwrap()).unwrap()
}

fn strings(list: &Value) -> BTreeSet<String> {
    let texts = list.as_array().into_iter().flatten();
    texts.map(|text| text.as_str().map_or_else(|| text.to_string(), ToOwned::to_owned)).collect()
}

/// What a schema takes away of a former one: fields, values, and room.
fn schema_breaks(was: &Value, is: &Value, path: &str, found: &mut Vec<String>) {
    for word in
        ["type", "format", "pattern", "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-list-map-keys"]
    {
        // What was atomic may not become mergeable either: appliers own it another way.
        if was[word] != is[word] {
            found.push(format!("{path}: {word} was {} and is {}", was[word], is[word]));
        }
    }
    for word in ["maxLength", "maxItems", "maxProperties", "maximum"] {
        let (before, now) = (was[word].as_f64().unwrap_or(f64::MAX), is[word].as_f64().unwrap_or(f64::MAX));
        if now < before {
            found.push(format!("{path}: {word} was {} and is {}", was[word], is[word]));
        }
    }
    for word in ["minLength", "minItems", "minimum"] {
        let (before, now) = (was[word].as_f64().unwrap_or(f64::MIN), is[word].as_f64().unwrap_or(f64::MIN));
        if now > before {
            found.push(format!("{path}: {word} was {} and is {}", was[word], is[word]));
        }
    }
    if is["enum"].is_array() {
        let gone: Vec<String> = strings(&was["enum"]).difference(&strings(&is["enum"])).cloned().collect();
        if !was["enum"].is_array() || !gone.is_empty() {
            found.push(format!("{path}: no longer {gone:?}"));
        }
    }
    for field in strings(&is["required"]).difference(&strings(&was["required"])) {
        found.push(format!("{path}.{field}: required"));
    }
    let rules = |schema: &Value| -> BTreeSet<String> {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        rules.map(|rule| rule["rule"].as_str().unwrap_or_default().to_owned()).collect()
    };
    for rule in rules(is).difference(&rules(was)) {
        found.push(format!("{path}: a new rule, {rule}"));
    }
    for (name, before) in was["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match is["properties"].get(name) {
            None => found.push(format!("{path}: gone")),
            Some(now) => schema_breaks(before, now, &path, found),
        }
    }
    for inner in ["items", "additionalProperties"] {
        if was[inner].is_object() {
            schema_breaks(&was[inner], &is[inner], &format!("{path}[]"), found);
        }
    }
}

/// What a CustomResourceDefinition takes away of a former one.
fn breaks(was: &Value, is: &Value) -> Vec<String> {
    let (mut found, kind) = (Vec::new(), was["spec"]["names"]["kind"].as_str().unwrap_or_default());
    for word in ["group", "scope"] {
        if was["spec"][word] != is["spec"][word] {
            found.push(format!("{kind}: {word} was {} and is {}", was["spec"][word], is["spec"][word]));
        }
    }
    for word in ["shortNames", "categories"] {
        for name in strings(&was["spec"]["names"][word]).difference(&strings(&is["spec"]["names"][word])) {
            found.push(format!("{kind}: {word} without {name}"));
        }
    }
    for before in was["spec"]["versions"].as_array().into_iter().flatten() {
        let version = before["name"].as_str().unwrap_or_default();
        let versions = is["spec"]["versions"].as_array();
        let Some(now) =
            versions.into_iter().flatten().find(|now| now["name"] == before["name"] && now["served"] == true)
        else {
            found.push(format!("{kind} {version}: not served"));
            continue;
        };
        let path = format!("{kind} {version} ");
        let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
        schema_breaks(&schema(before), &schema(now), &path, &mut found);
        for (list, key) in [("additionalPrinterColumns", "name"), ("selectableFields", "jsonPath")] {
            let names = |version: &Value| -> BTreeSet<String> {
                version[list].as_array().into_iter().flatten().map(|item| item[key].to_string()).collect()
            };
            found.extend(names(before).difference(&names(now)).map(|name| format!("{path}{list} without {name}")));
        }
    }
    found
}

#[test]
fn what_was_released_is_a_part_of_what_is() {
    if std::env::var_os("UPDATE").is_some() {
        for file in files("crds") {
            std::fs::copy(folder("crds").join(&file), folder("tests/released").join(&file)).unwrap();
        }
    }
    let released = files("tests/released");
    assert!(released.len() >= 4, "{released:?}");
    let mut found = Vec::new();
    for file in &released {
        assert!(files("crds").contains(file), "{file} is no longer installed");
        found.extend(breaks(&read("tests/released", file), &read("crds", file)));
    }
    assert_eq!(found, Vec::<String>::new(), "see docs/api.md on what may break");
}

#[test]
fn each_kind_fits_where_it_is_stored() {
    for file in files("crds") {
        let size = std::fs::metadata(folder("crds").join(&file)).unwrap().len();
        assert!(size < LARGEST, "{file} has {size} bytes");
    }
}

#[test]
fn every_way_to_break_a_kind_is_found() {
    let file = "systemrobotaccounts.harbor-robots.io.yaml";
    let is = read("crds", file);
    assert_eq!(breaks(&is, &is), Vec::<String>::new());
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
    let spec = format!("{schema}/spec/properties");
    let changes: [(String, Value, &str); 17] = [
        ("/spec/scope".into(), json!("Namespaced"), "scope was"),
        ("/spec/names/shortNames".into(), json!(["other"]), "shortNames without sra"),
        ("/spec/versions/0/served".into(), json!(false), "v1alpha1: not served"),
        ("/spec/versions/0/name".into(), json!("v1"), "v1alpha1: not served"),
        ("/spec/versions/0/additionalPrinterColumns".into(), json!([]), "additionalPrinterColumns without \"LOGIN\""),
        ("/spec/versions/0/selectableFields".into(), json!([]), "selectableFields without"),
        (format!("{spec}/disabled"), Value::Null, ".spec.disabled"),
        (format!("{spec}/disabled/type"), json!("string"), ".spec.disabled: type was"),
        (format!("{spec}/description/maxLength"), json!(10), ".spec.description: maxLength was"),
        (format!("{spec}/name/minLength"), json!(2), ".spec.name: minLength was"),
        (format!("{spec}/deletionPolicy/enum"), json!(["Delete"]), ".spec.deletionPolicy: no longer [\"Retain\"]"),
        (format!("{spec}/secret/required"), json!(["name"]), ".spec.secret.name: required"),
        (format!("{spec}/serviceAccounts/x-kubernetes-list-type"), json!("atomic"), "x-kubernetes-list-type was"),
        (format!("{spec}/serviceAccounts/maxItems"), json!(3), ".spec.serviceAccounts: maxItems was"),
        (
            format!("{spec}/serviceAccounts/items/properties/use/enum"),
            json!(["Both"]),
            ".spec.serviceAccounts[].use: no longer",
        ),
        (format!("{spec}/secret/x-kubernetes-validations"), json!([{"rule": "false"}]), "a new rule, false"),
        (format!("{schema}/status/properties/robot/properties/id/type"), json!("string"), ".status.robot.id: type was"),
    ];
    for (at, value, told) in changes {
        let mut changed = is.clone();
        let (parent, field) = at.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap_or_else(|| panic!("{at}"))[field] = value;
        let found = breaks(&is, &changed);
        assert!(found.iter().any(|text| text.contains(told)), "{at}: {found:?}");
    }
    // What is only added breaks nobody.
    let mut more = is.clone();
    more.pointer_mut(&spec).unwrap()["further"] = json!({"type": "string"});
    more.pointer_mut(&format!("{spec}/deletionPolicy/enum")).unwrap().as_array_mut().unwrap().push(json!("Third"));
    more.pointer_mut(&format!("{spec}/description")).unwrap()["maxLength"] = json!(10_000);
    assert_eq!(breaks(&is, &more), Vec::<String>::new());
}
