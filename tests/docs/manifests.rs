//! Every YAML block of the documentation, as the API server takes it, or Helm; parts of objects in the object that they are of.

use harbor_robot_world::{ControlPlane, objects, rig, run, scratch, workspace_root};
use serde_json::{Value, json};

use crate::commands::{kinds, namespace};
use crate::pages::pages;

/// Kinds of others, which this API server does not know: they are read, no more.
const OF_OTHERS: [&str; 3] =
    ["kustomize.toolkit.fluxcd.io/v1", "external-secrets.io/v1alpha1", "external-secrets.io/v1"];

fn is_taken(plane: &ControlPlane, object: &Value) -> Result<(), String> {
    if OF_OTHERS.iter().any(|version| object["apiVersion"] == *version) {
        return Ok(());
    }
    let wanted = &object["metadata"]["namespace"];
    for name in
        wanted.as_str().into_iter().chain(object["metadata"]["name"].as_str().filter(|_| object["kind"] == "Namespace"))
    {
        namespace(plane, name);
    }
    let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"];
    plane.kubectl_stdin(apply, &object.to_string()).ok().map(drop).map_err(|error| error.to_string())
}

/// Objects of ours that a part may be of.
fn wholes(part: &Value) -> Vec<Value> {
    let object = |kind: &str, namespace: Option<&str>, spec: Value| {
        let mut metadata = json!({"name": "of-the-docs"});
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        json!({"apiVersion": "harbor-robots.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    };
    let with = |mut spec: Value| {
        let part = part.get("spec").unwrap_or(part).as_object().cloned().unwrap_or_default();
        spec.as_object_mut().unwrap().extend(part);
        spec
    };
    let registry = json!({"url": "https://harbor.example.com", "auth": {"secretRef": {"name": "l"}}});
    let mut grant = with(json!({"name": "g", "projects": ["p"], "permissions": ["PullArtifacts"]}));
    if grant.get("namespaceSelector").is_none() {
        grant["namespaces"] = json!(["team-a"]);
    }
    let mut granting = registry.clone();
    granting["grants"] = json!([grant]);
    vec![
        object("RobotAccount", Some("team-a"), with(json!({"project": "team-a", "permissions": ["PullArtifacts"]}))),
        object("SystemRobotAccount", None, with(json!({"projects": {"all": {"permissions": ["PullArtifacts"]}}}))),
        object("SystemRobotAccount", None, with(json!({}))),
        object("ClusterHarborRegistry", None, with(registry)),
        object("ClusterHarborRegistry", None, granting),
    ]
}

/// A file with values for the chart.
fn renders(values: &str) -> Result<(), String> {
    let path = scratch().unwrap().join("values.yaml");
    std::fs::write(&path, values).unwrap();
    let mut helm = std::process::Command::new(rig().unwrap());
    helm.current_dir(workspace_root()).args(["helm", "template", "x", "charts/harbor-robot-operator", "-f"]).arg(&path);
    let kinds = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];
    helm.args(kinds.map(|kind| format!("--api-versions=monitoring.coreos.com/v1/{kind}")));
    run(helm, b"").ok().map(drop).map_err(|error| error.to_string())
}

fn is_right(plane: &ControlPlane, block: &str) -> Result<(), String> {
    let found = objects(block).map_err(|error| error.to_string())?;
    for object in found {
        if object.get("apiVersion").is_some() {
            is_taken(plane, &object)?;
        } else if object.get("status").is_some() && object.as_object().unwrap().len() == 1 {
            // What the operator writes, not what anybody applies.
        } else if object.get("registries").is_some() || object.get("image").is_some() || object.get("metrics").is_some()
        {
            renders(block)?;
        } else {
            let refused: Vec<String> = wholes(&object).iter().map_while(|whole| is_taken(plane, whole).err()).collect();
            if refused.len() == wholes(&object).len() {
                return Err(format!("is part of none of our objects:\n{}", refused.join("\n")));
            }
        }
    }
    Ok(())
}

#[test]
fn every_manifest_is_taken() {
    let plane = ControlPlane::shared();
    kinds(plane);
    namespace(plane, "team-a");
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        for (_, block) in page.blocks.iter().filter(|(language, _)| language == "yaml") {
            count += 1;
            if let Err(error) = is_right(plane, block) {
                wrong.push(format!("{}:\n{block}\n{error}", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 20, "{count}");
}
