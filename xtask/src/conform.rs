//! `cargo xtask conform`: every manifest and every object of the chart against the schemas of its kind, by kubeconform. A command
//! of its own, since it downloads the Prometheus operator's definitions.
//!
//! The schemas are those that an API server publishes which has our definitions and the Prometheus operator's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harbor_robot_world::{ControlPlane, poll, run, scratch, workspace_root};
use serde_json::{Map, Value, json};

use crate::generate::render;
use crate::tools;

/// The release whose kinds the chart makes objects of.
const PROMETHEUS_OPERATOR: &str = "github.com/prometheus-operator/prometheus-operator@v0.92.0";
const ITS_KINDS: [&str; 3] = ["servicemonitors", "podmonitors", "prometheusrules"];

/// One mistake in a kind of each source. Were they taken, the schemas would say nothing.
const WRONG: [&str; 3] = [
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, dat: {}}",
    "{apiVersion: harbor-robots.io/v1alpha1, kind: RobotAccount, metadata: {name: a}, spec: {project: a, permissions: [No]}}",
    "{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, metadata: {name: a}, spec: {selector: {}, endpoints: [{prt: a}]}}",
];

const SOON: Duration = Duration::from_mins(1);

/// Each set of values that makes other objects.
const RELEASES: [&[&str]; 4] = [
    &[],
    &["secrets.watch=false", "metrics.enabled=true", "metrics.podMonitor.enabled=true"],
    &["namespaces={default}", "clusterName=c", "clusterRegistries=true"],
    &[
        "metrics.enabled=true",
        "metrics.authentication=true",
        "metrics.serviceMonitor.enabled=true",
        "metrics.prometheusRule.enabled=true",
        "metrics.dashboard.enabled=true",
        "networkPolicy.enabled=true",
        "registries.main.spec.url=https://harbor.example.com",
        "registries.main.spec.auth.secretRef.name=harbor-login",
    ],
];

pub(crate) async fn check() -> Result<()> {
    let kubeconform = tools::go("tests/conform", "github.com/yannh/kubeconform/cmd/kubeconform", "kubeconform", &[])?;
    let scratch = scratch()?;
    let plane = ControlPlane::start(&scratch)?;
    plane.apply_kinds()?;
    let definitions = module(PROMETHEUS_OPERATOR)?.join("example/prometheus-operator-crd");
    for kind in ITS_KINDS {
        let file = definitions.join(format!("monitoring.coreos.com_{kind}.yaml"));
        plane.kubectl(["apply", "--server-side", "-f", &file.to_string_lossy()]).ok()?;
    }
    published(&plane).await?;
    let schemas = scratch.join("schemas");
    fs::create_dir_all(&schemas)?;
    write(&plane, &schemas)?;
    for wrong in WRONG {
        let said = verdict(&kubeconform, &schemas, &["-"], wrong).err().map(|error| format!("{error:#}"));
        ensure!(said.as_ref().is_some_and(|said| said.contains("is invalid")), "{wrong}: {said:?}");
    }
    println!("manifests: {}", verdict(&kubeconform, &schemas, &["crds", "deploy"], "")?.trim());
    for values in RELEASES {
        let said = verdict(&kubeconform, &schemas, &["-"], &release(values)?)?;
        println!("chart with [{}]: {}", values.join(" "), said.trim());
    }
    Ok(())
}

fn verdict(kubeconform: &Path, schemas: &Path, what: &[&str], stdin: &str) -> Result<String> {
    let mut command = Command::new(kubeconform);
    command.current_dir(workspace_root()).args(["-strict", "-summary", "-schema-location"]);
    command.arg(format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", schemas.display()));
    // The values of another chart, which are no manifest.
    command.args(["-ignore-filename-pattern", "-values.yaml$"]).args(what);
    run(command, stdin.as_bytes()).ok()
}

fn release(values: &[&str]) -> Result<String> {
    let kinds = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];
    let kinds = kinds.map(|kind| format!("--api-versions=monitoring.coreos.com/v1/{kind}"));
    let values = values.iter().flat_map(|value| ["--set", value]);
    render(&kinds.iter().map(String::as_str).chain(values).collect::<Vec<_>>())
}

/// The folder of a Go module, fetched if need be.
fn module(version: &str) -> Result<PathBuf> {
    let mut command = Command::new("go");
    command.args(["mod", "download", "-json", version]);
    let answer: Value = serde_json::from_str(&run(command, b"").ok()?)?;
    Ok(answer["Dir"].as_str().with_context(|| format!("{version} has no folder"))?.into())
}

fn read(plane: &ControlPlane, path: &str) -> Result<Value> {
    Ok(serde_json::from_str(&plane.kubectl(["get", "--raw", path]).ok()?)?)
}

/// Waits until the API server publishes the schemas of all definitions.
async fn published(plane: &ControlPlane) -> Result<()> {
    for (group, kinds) in [("harbor-robots.io/v1alpha1", 4), ("monitoring.coreos.com/v1", ITS_KINDS.len())] {
        poll(&format!("schemas of {group}"), SOON, || async {
            let place = read(plane, "/openapi/v3")?["paths"][format!("apis/{group}")]["serverRelativeURL"].clone();
            let known = read(plane, place.as_str().context("none yet")?)?;
            let known = known["components"]["schemas"].as_object().context("no schemas")?.keys();
            // Each kind and its list; the rest is Kubernetes' own.
            let found = known.filter(|name| !name.starts_with("io.k8s.")).count();
            ensure!(found >= 2 * kinds, "{found} of {} schemas", 2 * kinds);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Writes the schemas of the kinds that an API server has.
fn write(plane: &ControlPlane, schemas: &Path) -> Result<()> {
    let paths = read(plane, "/openapi/v3")?;
    for (index, place) in paths["paths"].as_object().context("the API server lists its schemas")?.values().enumerate() {
        let mut document = read(plane, place["serverRelativeURL"].as_str().unwrap_or_default())?;
        let components = &mut document["components"]["schemas"];
        close(components);
        let shared = schemas.join(format!("{index}.json"));
        for (name, schema) in components.as_object().into_iter().flatten() {
            let refer = json!({"$ref": format!("file://{}#/components/schemas/{name}", shared.display())}).to_string();
            for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                let text = |field: &str| kind[field].as_str().unwrap_or_default();
                let group = text("group").split('.').next().filter(|group| !group.is_empty());
                let parts = [Some(text("kind")), group, Some(text("version"))];
                let file = parts.into_iter().flatten().collect::<Vec<_>>().join("-").to_lowercase();
                fs::write(schemas.join(format!("{file}.json")), &refer)?;
            }
        }
        fs::write(shared, document.to_string())?;
    }
    Ok(())
}

/// Of OpenAPI schemas, JSON schemas that know no field but those they name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            tighten(fields);
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn tighten(fields: &mut Map<String, Value>) {
    let open = fields.contains_key("additionalProperties")
        || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if fields.get("properties").is_some_and(Value::is_object) && fields.get("type") == Some(&json!("object")) && !open {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    // Formats of Go, which JSON schema knows nothing of.
    if fields.get("format").and_then(Value::as_str).is_some_and(|format| format != "date-time") {
        fields.remove("format");
    }
}
