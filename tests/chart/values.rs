//! Values that are refused: never a half-installed operator, and each time a sentence that says what to write.

use crate::helm::template;

#[test]
fn what_cannot_work_is_refused_with_what_to_write() {
    let cases: &[(&[&str], &str)] = &[
        // The schema.
        (&["replica=2"], "additional properties 'replica' not allowed"),
        (&["secrets.wach=false"], "'wach' not allowed"),
        (&["replicas=two"], "replicas"),
        (&["replicas=-1"], "replicas"),
        (&["image.digest=latest"], "does not match pattern"),
        (&["image.pullPolicy=Sometimes"], "value must be one of 'Always', 'IfNotPresent', 'Never'"),
        (&["log.level=loud"], "value must be one of"),
        (&["leaderElection.leaseDuration=15"], "leaseDuration"),
        (&["leaderElection.leaseDuration=1m30s"], "leaseDuration"),
        (&["namespaces={Team}"], "does not match pattern"),
        (&["clusterName=a b"], "does not match pattern"),
        (&["deniedCIDRs={nodes}"], "does not match pattern"),
        (&["concurrency=0"], "concurrency"),
        (&["ports.probes=0"], "ports"),
        (&["registries.main.url=https://harbor.example.com"], "'url' not allowed"),
        (&["registries.main.spec.url=https://harbor.example.com"], "missing property 'auth'"),
        (&["policies.operators={me}"], "does not match pattern"),
        (&["commonLabels.app\\.kubernetes\\.io/name=x"], "invalid propertyName 'app.kubernetes.io/name'"),
        (&["serviceAccount.name=a'b"], "does not match pattern"),
        // A mode without what it needs.
        (&["namespaces={a}"], "choose a name that no other cluster"),
        (
            &[
                "namespaces={a}",
                "clusterName=c",
                "registries.main.spec.url=u",
                "registries.main.spec.auth.secretRef.name=l",
            ],
            "only served with clusterRegistries=true",
        ),
        (
            &["clusterRegistries=false", "registries.main.spec.url=u", "registries.main.spec.auth.secretRef.name=l"],
            "only served with clusterRegistries=true",
        ),
        (&["leaderElection.enabled=false"], "only a leader may act"),
        (&["serviceAccount.create=false"], "name the ServiceAccount that is there"),
        (&["metrics.authentication=true"], "set metrics.enabled=true, too"),
        (&["metrics.serviceMonitor.enabled=true"], "metrics.serviceMonitor.enabled: set metrics.enabled=true, too"),
        (&["metrics.enabled=true", "metrics.serviceMonitor.enabled=true"], "this cluster has no kind ServiceMonitor"),
        (&["metrics.enabled=true", "metrics.podMonitor.enabled=true"], "this cluster has no kind PodMonitor"),
        (&["metrics.prometheusRule.enabled=true"], "this cluster has no kind PrometheusRule"),
        (&["metrics.prometheusRule.disabledAlerts={Orphans}"], "value must be one of 'HarborRobotsAbsent'"),
        (&["metrics.prometheusRule.alertLabels.severity=info"], "invalid propertyName 'severity'"),
        (&["metrics.prometheusRule.severities.Orphans=info"], "value must be one of 'HarborRobotsAbsent'"),
        (
            &[
                "metrics.enabled=true",
                "metrics.authentication=true",
                "metrics.podMonitor.enabled=true",
                "--api-versions=monitoring.coreos.com/v1/PodMonitor",
            ],
            "use metrics.serviceMonitor",
        ),
        (
            &[
                "registries.a.default=true",
                "registries.a.spec.url=u",
                "registries.a.spec.auth.secretRef.name=l",
                "registries.b.default=true",
                "registries.b.spec.url=u",
                "registries.b.spec.auth.secretRef.name=l",
            ],
            "a, b are all the default",
        ),
        (&["--kube-version=1.32.9"], "requires kubeVersion: >=1.33.0-0"),
    ];
    for (values, says) in cases {
        match template(values) {
            Ok(_) => panic!("{values:?} is not refused"),
            Err(error) => assert!(error.contains(says), "{values:?}: {error}"),
        }
    }
}

#[test]
fn a_managed_clusters_version_is_new_enough() {
    template(&["--kube-version=v1.33.1-eks-1234567"]).unwrap();
}
