//! Alerts and dashboard: what the chart makes of them, and that each alert has its page. What they say of real samples is
//! tested by `cargo xtask monitoring`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use harbor_robot_world::workspace_root;
use serde_json::{Value, json};

use crate::helm::{chart, of_kind, rendered};

const RULE: [&str; 2] =
    ["metrics.prometheusRule.enabled=true", "--api-versions=monitoring.coreos.com/v1/PrometheusRule"];

fn file(name: &str) -> String {
    fs::read_to_string(PathBuf::from(chart()).join(name)).unwrap()
}

/// The alerts as the chart's file has them.
fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&file("files/alerts.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn names<'a>(alerts: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    alerts.into_iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect()
}

/// Those of the rendered PrometheusRule.
fn rendered_alerts(values: &[&str]) -> Vec<Value> {
    let objects = rendered(&[&RULE[..], values].concat());
    let rule = of_kind(&objects, "PrometheusRule")[0];
    rule["spec"]["groups"][0]["rules"].as_array().unwrap().clone()
}

#[test]
fn the_rule_holds_each_alert_with_a_link_to_its_page() {
    let written = alerts();
    let made = rendered_alerts(&[]);
    assert_eq!(made.len(), written.len());
    for (made, mut written) in made.into_iter().zip(written) {
        let page = written["annotations"]["runbook_url"].as_str().unwrap().to_owned();
        let url = format!("https://github.com/harbor-robots/harbor-robot-operator/blob/main/docs/runbooks/{page}");
        written["annotations"]["runbook_url"] = json!(url);
        if written["alert"] == "HarborRobotsAbsent" {
            // Another installation that is scraped says nothing of this one.
            written["expr"] = json!(r#"absent(harbor_robots_leading{namespace="harbor-robots"})"#);
        }
        assert_eq!(made, written);
    }
    assert!(of_kind(&rendered(&[]), "PrometheusRule").is_empty());
}

#[test]
fn alerts_are_left_out_labelled_and_weighed_as_the_values_say() {
    let values = [
        "metrics.prometheusRule.disabledAlerts={HarborRobotsOrphans,HarborRobotsPanics}",
        "metrics.prometheusRule.alertLabels.team=platform",
        "metrics.prometheusRule.severities.HarborRobotsNotReady=info",
        "metrics.prometheusRule.runbookURL=https://wiki.corp.example/harbor/",
    ];
    let made = rendered_alerts(&values);
    let missing: Vec<String> = names(&alerts()).difference(&names(&made)).cloned().collect();
    assert_eq!(missing, ["HarborRobotsOrphans", "HarborRobotsPanics"]);
    let labels = |name: &str| made.iter().find(|alert| alert["alert"] == name).unwrap()["labels"].clone();
    assert_eq!(labels("HarborRobotsNotReady"), json!({"severity": "info", "team": "platform"}));
    assert_eq!(labels("HarborRobotsAbsent"), json!({"severity": "critical", "team": "platform"}));
    let page = &made[0]["annotations"]["runbook_url"];
    assert_eq!(page, "https://wiki.corp.example/harbor/absent.md");
}

#[test]
fn each_alert_has_a_page_a_place_in_the_schema_and_cases_and_no_page_is_left_over() {
    let alerts = alerts();
    let mut pages = BTreeSet::new();
    for alert in &alerts {
        let (name, page) = (alert["alert"].as_str().unwrap(), alert["annotations"]["runbook_url"].as_str().unwrap());
        let path = workspace_root().join("docs/runbooks").join(page);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.starts_with(&format!("# {name}\n")), "{page}");
        pages.insert(page.to_owned());
    }
    let folder = fs::read_dir(workspace_root().join("docs/runbooks")).unwrap();
    let found: BTreeSet<String> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, pages);

    let schema: Value = serde_json::from_str(&file("values.schema.json")).unwrap();
    let known = schema["definitions"]["alert"]["enum"].as_array().unwrap();
    assert_eq!(known.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), names(&alerts));

    let cases = fs::read_to_string(workspace_root().join("tests/monitoring/alerts.yaml")).unwrap();
    let cases: Value = serde_saphyr::from_str(&cases).unwrap();
    let cases = cases["tests"].as_array().unwrap();
    let cases = cases.iter().flat_map(|case| case["alert_rule_test"].as_array().unwrap());
    let fires = |fires: bool| -> BTreeSet<String> {
        let cases = cases.clone().filter(|case| case["exp_alerts"].as_array().unwrap().is_empty() != fires);
        cases.map(|case| case["alertname"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(fires(true), names(&alerts), "a case in which it fires");
    assert_eq!(fires(false), names(&alerts), "a case in which it does not");
}

/// A dashboard that names one data source works in one place alone.
#[test]
fn the_dashboard_is_found_by_its_label_and_names_no_data_source() {
    let objects = rendered(&["metrics.dashboard.enabled=true", "metrics.dashboard.namespace=monitoring"]);
    let config = of_kind(&objects, "ConfigMap")[0];
    assert_eq!(config["metadata"]["namespace"], "monitoring");
    assert_eq!(config["metadata"]["labels"]["grafana_dashboard"], "1");
    let text = config["data"]["harbor-robots.json"].as_str().unwrap();
    assert_eq!(text, file("files/dashboard.json").trim_end());
    let dashboard: Value = serde_json::from_str(text).unwrap();
    assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource");
    let mut sources = Vec::new();
    collect(&dashboard, "datasource", &mut sources);
    assert!(sources.len() > 30, "{}", sources.len());
    assert!(sources.iter().all(|source| source["uid"] == "${datasource}"), "{sources:?}");
    assert!(of_kind(&rendered(&[]), "ConfigMap").is_empty());
}

/// All values of a key, however deep.
fn collect<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key));
            fields.values().for_each(|field| collect(field, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, found)),
        _ => {}
    }
}
