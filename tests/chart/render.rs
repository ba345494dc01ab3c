//! What the chart renders.

use std::collections::BTreeSet;
use std::process::Command;

use harbor_robot_world::{Operator, Profile, objects, run};
use serde_json::Value;

use crate::helm::{NAMESPACE, RELEASE, args, chart, helm, of_kind, plane, rendered, template};

/// Everything on.
const ALL: &[&str] = &[
    "clusterName=prod-1",
    "registrySelector=tier=a",
    "secrets.watch=false",
    "allowHTTP=true",
    "privateRegistryHosts={harbor.corp.example,*.svc.cluster.local:443}",
    "deniedCIDRs={52.10.0.0/16,2600:1f14::/36}",
    "tenants.pollInterval=2m,tenants.requestsPerSecond=5,tenants.maxInFlight=4,tenants.registries=3",
    "concurrency=16",
    "leaderElection.leaseDuration=30s,leaderElection.renewDeadline=20s,leaderElection.retryPeriod=3s",
    "log.format=text,log.level=debug",
    "ports.probes=9090,ports.metrics=9091",
    "metrics.enabled=true,metrics.authentication=true,metrics.serviceMonitor.enabled=true",
    "metrics.serviceMonitor.interval=30s,metrics.serviceMonitor.labels.release=prometheus",
    "metrics.service.annotations.a=b",
    "metrics.prometheusRule.enabled=true,metrics.prometheusRule.alertLabels.team=platform",
    "metrics.dashboard.enabled=true,metrics.dashboard.annotations.grafana_folder=Platform",
    "networkPolicy.enabled=true,networkPolicy.apiServer.cidrs={10.0.0.1/32},networkPolicy.registries.cidrs={10.1.0.0/16}",
    "commonLabels.team=platform,commonAnnotations.owner=platform",
    "serviceAccount.annotations.role=x",
    "podLabels.a=b,podAnnotations.c=d,priorityClassName=system-cluster-critical,terminationGracePeriodSeconds=30",
    "nodeSelector.disk=ssd,tolerations[0].key=infra,tolerations[0].operator=Exists",
    "hostAliases[0].ip=10.0.0.9,hostAliases[0].hostnames={harbor.corp.example}",
    "dnsPolicy=None,dnsConfig.nameservers={10.0.0.10}",
    "extraArgs={--settle-after=46}",
    "extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy.corp.example:3128",
    "extraVolumes[0].name=tmp,extraVolumes[0].emptyDir.sizeLimit=1Mi,extraVolumeMounts[0].name=tmp",
    "extraVolumeMounts[0].mountPath=/tmp",
    "imagePullSecrets[0].name=pull,global.imageRegistry=mirror.corp.example",
    "--api-versions=monitoring.coreos.com/v1/ServiceMonitor",
    "--api-versions=monitoring.coreos.com/v1/PrometheusRule",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ALL.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn every_flag_of_the_operator_is_a_value() {
    let binary = Operator::binary(None, Profile::Dev).unwrap();
    let help = Command::new(binary).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
        .map(|flag| flag.trim_end_matches(',').split(['=', '[']).next().unwrap())
        .filter(|flag| flag.len() > 2 && help.contains(&format!("      {flag}")) && *flag != "--help")
        .collect();
    assert!(flags.len() > 20, "{flags:?}");
    let rendered =
        [with(&[]), with(&["namespaces={a}", "clusterRegistries=false"])].map(|values| args(&rendered(&values)));
    let given: BTreeSet<&str> = rendered.iter().flatten().filter_map(|arg| arg.split('=').next()).collect();
    let missing: Vec<_> = flags.difference(&given).collect();
    assert!(missing.is_empty(), "no value sets {missing:?}");
}

#[test]
fn the_operator_takes_the_arguments_that_are_rendered() {
    let binary = Operator::binary(None, Profile::Dev).unwrap();
    for values in [vec![], with(&[]), with(&["namespaces={a,b}"])] {
        let args = args(&rendered(&values));
        // --help is answered only after everything before it was understood.
        let output = Command::new(&binary).args(&args).arg("--no-such-flag").output().unwrap();
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(says.contains("unexpected argument '--no-such-flag'"), "{args:?}: {says}");
    }
}

/// Each object's name, and each label's value, ends at 63 characters.
#[test]
fn the_longest_names_fit() {
    let long = "x".repeat(63);
    let name = format!("fullnameOverride={long}");
    for values in [with(&[&name]), with(&[&name, "namespaces={a}", "clusterRegistries=true"])] {
        for object in rendered(&values) {
            let name = object["metadata"]["name"].as_str().unwrap();
            assert!(name.len() <= 63 && !name.ends_with('-'), "{} {name}", object["kind"]);
            for (key, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
                assert!(value.as_str().unwrap().len() <= 63, "{key}: {value}");
            }
        }
    }
}

#[test]
fn no_two_objects_have_one_name() {
    for values in [
        vec![],
        with(&[]),
        with(&["namespaces={a,harbor-robots,default}", "clusterRegistries=true"]),
        vec!["namespaces={default}", "clusterRegistries=true", "namespaceOverride=default"],
    ] {
        let mut seen = BTreeSet::new();
        for object in rendered(&values) {
            let meta = &object["metadata"];
            let key = format!("{} {} {}", object["kind"], meta["namespace"], meta["name"]);
            assert!(seen.insert(key.clone()), "{key} twice with {values:?}");
        }
    }
}

#[test]
fn definitions_stay_unless_they_are_told_to_go() {
    let annotations = |values: &[&str]| -> Vec<Value> {
        let all = rendered(values);
        of_kind(&all, "CustomResourceDefinition").iter().map(|crd| crd["metadata"]["annotations"].clone()).collect()
    };
    let kept = annotations(&[]);
    assert_eq!(kept.len(), 4);
    for annotations in &kept {
        assert_eq!(annotations["helm.sh/resource-policy"], "keep");
        assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false");
    }
    assert!(annotations(&["crds.keep=false"]).iter().all(Value::is_null));
    assert_eq!(annotations(&["crds.annotations.a=b"])[0]["a"], "b");
    assert!(annotations(&["crds.install=false"]).is_empty());
}

#[test]
fn a_registry_follows_its_definition_and_stays_when_the_release_goes() {
    let values = [
        "registries.main.default=true",
        "registries.main.spec.url=https://harbor.example.com",
        "registries.main.spec.auth.secretRef.name=harbor-login",
    ];
    let first = rendered(&values);
    let registry = of_kind(&first, "ClusterHarborRegistry")[0];
    let annotations = &registry["metadata"]["annotations"];
    assert_eq!(annotations["helm.sh/hook"], "post-install,post-upgrade");
    assert_eq!(
        annotations["helm.sh/hook-delete-policy"], "hook-failed",
        "by default Helm deletes it before it makes it"
    );
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
    assert_eq!(annotations["harbor-robots.io/is-default"], "true");
    assert_eq!(annotations["meta.helm.sh/release-name"], RELEASE);
    let known = "--api-versions=harbor-robots.io/v1alpha1/ClusterHarborRegistry";
    let later = rendered(&[values[0], values[1], values[2], known]);
    let annotations = &of_kind(&later, "ClusterHarborRegistry")[0]["metadata"]["annotations"];
    assert!(annotations["helm.sh/hook"].is_null(), "{annotations}");
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
}

#[test]
fn people_get_the_namespaced_kinds_and_nobody_the_others_or_a_status() {
    let all = rendered(&[]);
    let roles = of_kind(&all, "ClusterRole");
    let aggregated = |to: &str| -> Vec<&Value> {
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{to}");
        roles.iter().filter(|role| role["metadata"]["labels"][&label] == "true").map(|role| &role["rules"]).collect()
    };
    for (to, verb) in [("admin", "create"), ("edit", "create"), ("view", "watch")] {
        let rules = serde_json::to_string(&aggregated(to)).unwrap();
        assert!(rules.contains("robotaccounts") && rules.contains(verb), "{to}: {rules}");
        assert!(!rules.contains("systemrobotaccounts") && !rules.contains("clusterharborregistries"), "{to}: {rules}");
    }
    for to in ["admin", "edit"] {
        assert!(!serde_json::to_string(&aggregated(to)).unwrap().contains("/status"), "{to}");
    }
    let off = rendered(&["rbac.aggregateToAdmin=false,rbac.aggregateToEdit=false,rbac.aggregateToView=false"]);
    assert_eq!(of_kind(&off, "ClusterRole").len(), 1);
}

/// With every mode: the API server takes each object as it is, without a warning of its own or of Pod Security's.
#[test]
fn the_api_server_takes_every_object_without_a_warning() {
    let plane = plane();
    let registry = [
        "registries.main.spec.url=https://harbor.example.com",
        "registries.main.spec.auth.secretRef.name=l",
        "--api-versions=harbor-robots.io/v1alpha1/ClusterHarborRegistry",
    ];
    for values in [
        vec![],
        vec!["secrets.watch=false"],
        vec!["namespaces={default}", "clusterName=c"],
        registry.to_vec(),
        with(&registry),
        with(&["namespaces={default}", "clusterRegistries=true"]),
    ] {
        let manifest = template(&values).unwrap();
        // Kinds of the Prometheus operator are not here.
        let objects: Vec<Value> = objects(&manifest)
            .unwrap()
            .into_iter()
            .filter(|object| {
                object["apiVersion"] != "monitoring.coreos.com/v1" && object["kind"] != "CustomResourceDefinition"
            })
            .collect();
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"];
        let output = plane.kubectl_stdin(apply, &list);
        assert!(output.success && !output.stderr.contains("Warning"), "{values:?}: {}", output.stderr);
    }
}

/// What is printed after an install: each object in it is taken as it stands.
#[test]
fn the_objects_of_the_next_commands_are_accepted() {
    let plane = plane();
    plane
        .kubectl_stdin(["apply", "-f", "-"], "{apiVersion: v1, kind: Namespace, metadata: {name: team-a}}")
        .ok()
        .unwrap();
    let other = "registries.main.spec.url=https://harbor.example.com,registries.main.spec.auth.secretRef.name=l";
    let default = format!("registries.main.default=true,{other}");
    for (values, count) in [
        (vec![], 2),
        (vec![other], 1),
        (vec![default.as_str()], 1),
        (vec!["namespaces={team-a}", "clusterName=c"], 2),
        (vec!["namespaces={team-a}", "clusterRegistries=true"], 2),
    ] {
        let chart = chart();
        let mut args =
            vec!["install", RELEASE, &chart, "--namespace", NAMESPACE, "--dry-run=client", "--take-ownership"];
        args.extend(values.iter().flat_map(|value| ["--set", value]));
        let mut command = helm();
        command.args(args).env("KUBECONFIG", &plane.kubeconfig);
        let said = run(command, b"").ok().unwrap();
        let notes = said.split("\nNOTES:\n").nth(1).unwrap();
        let objects: Vec<&str> =
            notes.split("<<YAML\n").skip(1).map(|rest| rest.split("\n  YAML").next().unwrap()).collect();
        assert_eq!(objects.len(), count, "{values:?}: {notes}");
        for object in objects {
            // As the shell makes it.
            let object = object.replace("\\$", "$");
            let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", "team-a", "-f", "-"];
            plane.kubectl_stdin(apply, &object).ok().expect(&object);
        }
        assert!(!notes.contains("<no value>"), "{notes}");
    }
}
