//! Damaged objects of every watched kind, each written through the API server, which takes them all.

use serde_json::{Value, json};

use crate::scene::Scene;

/// What is damaged. Each damage has a namespace of its own with one of each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Account,
    SystemAccount,
    Registry,
    ClusterRegistry,
    /// The Secret with the account's credential.
    Credential,
    /// The Secret with the registry's login.
    Login,
    /// One that has nothing to do with us.
    Stranger,
    ServiceAccount,
    Namespace,
    Lease,
}

/// A damage to one object.
pub struct Damage {
    pub name: &'static str,
    pub kind: Kind,
    /// A JSON merge patch.
    pub patch: Value,
    /// Written through the status subresource.
    pub of_status: bool,
}

/// The last moment that Kubernetes takes, and one that no program's type of times need hold.
const LATER: &str = "9999-12-31T23:59:59Z";
const LAST: &str = "9999-12-30T22:00:00Z";
const FIRST: &str = "0000-01-01T00:00:00Z";

/// The Secret's account in every row.
pub const NAME: &str = "ci";

/// Says that somebody wrote a field in the year 9999. The API server keeps that only of fields that are there and that the
/// same request does not change: one of these labels is on each kind of object, and a Lease has a holder.
fn managed(version: &str) -> Value {
    let labels = json!({"f:scene": {}, "f:kubernetes.io/metadata.name": {}, "f:app.kubernetes.io/managed-by": {}});
    let fields = if version.starts_with("coordination") {
        json!({"f:spec": {"f:holderIdentity": {}}})
    } else {
        json!({"f:metadata": {"f:labels": labels}})
    };
    json!({"metadata": {"labels": {"damaged": "yes"}, "managedFields": [{
        "manager": "x", "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields,
        "time": LATER,
    }]}})
}

fn annotations(pairs: Value) -> Value {
    json!({"metadata": {"annotations": pairs}})
}

fn conditions(time: &str) -> Value {
    json!({"status": {"conditions": [{
        "type": "Ready", "status": "Unknown", "reason": "Damaged", "message": "m", "lastTransitionTime": time,
    }]}})
}

fn robot(created: &str, id: i64) -> Value {
    json!({"status": {"robot": {"id": id, "name": "robot$x+y", "creationTime": created, "updateTime": LAST, "expirationTime": LAST}}})
}

pub fn damages() -> Vec<Damage> {
    const OURS: &str = "harbor-robots.io/v1alpha1";
    let of = |kind, name, patch| Damage { name, kind, patch, of_status: false };
    let status = |kind, name, patch| Damage { name, kind, patch, of_status: true };
    let refs: Vec<Value> = (0..100).map(|n| json!({"namespace": format!("n{n}"), "name": "x"})).collect();
    let pull_secrets: Vec<Value> = (0..2_000).map(|n| json!({"name": format!("s{n}")})).collect();
    let labels: serde_json::Map<String, Value> = (0..1_000).map(|n| (format!("l{n}"), json!("x"))).collect();
    vec![
        of(Kind::Account, "an account changed in the year 9999", managed(OURS)),
        of(Kind::SystemAccount, "a system account changed in the year 9999", managed(OURS)),
        of(Kind::Registry, "a registry changed in the year 9999", managed(OURS)),
        of(Kind::ClusterRegistry, "a cluster's registry changed in the year 9999", managed(OURS)),
        of(Kind::Credential, "our Secret changed in the year 9999", managed("v1")),
        of(Kind::Login, "a login changed in the year 9999", managed("v1")),
        of(Kind::Stranger, "a Secret of somebody changed in the year 9999", managed("v1")),
        of(Kind::ServiceAccount, "a ServiceAccount changed in the year 9999", managed("v1")),
        of(Kind::Namespace, "a namespace changed in the year 9999", managed("v1")),
        of(Kind::Lease, "the Lease changed in the year 9999", managed("coordination.k8s.io/v1")),
        of(
            Kind::Lease,
            "the Lease renewed in the year 9999",
            json!({"spec": {"renewTime": "9999-12-31T23:59:59.999999Z"}}),
        ),
        of(
            Kind::Lease,
            "the Lease acquired in the year 0",
            json!({"spec": {"acquireTime": "0000-01-01T00:00:00.000000Z"}}),
        ),
        status(Kind::Account, "an account whose condition is of the year 9999", conditions(LATER)),
        status(Kind::Account, "an account whose condition is of the year 0", conditions(FIRST)),
        status(Kind::Account, "an account whose robot is of the last moment", robot(LAST, 7)),
        status(Kind::Account, "an account whose robot is of a later moment", robot(LATER, 7)),
        status(Kind::Account, "an account whose robot is of the year 0", robot(FIRST, i64::MIN)),
        status(
            Kind::Account,
            "an account that is renewed in the last moment",
            json!({"status": {"renewalTime": LAST, "lastRotationTime": LAST}}),
        ),
        status(
            Kind::Account,
            "an account that was renewed in the year 0",
            json!({"status": {"renewalTime": FIRST, "lastRotationTime": FIRST}}),
        ),
        status(
            Kind::Account,
            "an account whose previous robot stays for ever",
            json!({"status": {"previous": {"id": i64::MAX, "name": "robot$x", "creationTime": FIRST, "revocationTime": LAST}}}),
        ),
        status(
            Kind::Account,
            "an account of a lifetime that is none",
            json!({"status": {"expiresAfter": "999999999999999999999d"}}),
        ),
        status(
            Kind::Account,
            "an account with as many Secrets as there may be",
            json!({"status": {"secretRefs": refs}}),
        ),
        status(Kind::Account, "an account of another generation", json!({"status": {"observedGeneration": i64::MAX}})),
        status(
            Kind::Account,
            "an account whose tokens are as long as they may be",
            json!({"status": {"handledRefresh": "t".repeat(512), "handledRevoke": "t".repeat(512)}}),
        ),
        of(
            Kind::Account,
            "an account with annotations of 200 KB",
            annotations(json!({"harbor-robots.io/refresh": "r".repeat(100_000), "x": "y".repeat(100_000)})),
        ),
        of(
            Kind::Account,
            "an account with odd tokens",
            annotations(
                json!({"harbor-robots.io/refresh": "\u{1}\n,\u{202e}", "harbor-robots.io/revoke": ",/../\u{7f}"}),
            ),
        ),
        of(Kind::Account, "an account with a thousand labels", json!({"metadata": {"labels": labels}})),
        of(
            Kind::SystemAccount,
            "a system account with odd annotations",
            annotations(json!({"harbor-robots.io/refresh": "\n", "harbor-robots.io/account": "/"})),
        ),
        status(Kind::SystemAccount, "a system account whose robot is of a later moment", robot(LATER, 7)),
        status(Kind::SystemAccount, "a system account with rows of the year 9999", conditions(LATER)),
        status(Kind::Registry, "a registry whose condition is of the year 9999", conditions(LATER)),
        status(
            Kind::Registry,
            "a registry whose login expires in the year 9999",
            json!({"status": {"login": {"kind": "Robot", "name": "x", "expirationTime": LATER}}}),
        ),
        status(
            Kind::Registry,
            "a registry of another prefix",
            json!({"status": {"robotNamePrefix": "../\n+", "registryHost": "a b/c", "harborVersion": "v\u{0}"}}),
        ),
        status(Kind::ClusterRegistry, "a cluster's registry whose condition is of the year 9999", conditions(LATER)),
        status(
            Kind::ClusterRegistry,
            "a cluster's registry with more accounts than there are",
            json!({"status": {"accountCount": i32::MAX, "orphanCount": i32::MIN}}),
        ),
        of(
            Kind::Credential,
            "our Secret of a robot of the last moment",
            annotations(
                json!({"harbor-robots.io/robot-created": LAST, "harbor-robots.io/robot-id": "-9223372036854775808"}),
            ),
        ),
        of(
            Kind::Credential,
            "our Secret of a robot of a later moment",
            annotations(json!({"harbor-robots.io/robot-created": LATER, "harbor-robots.io/robot-id": "1e9"})),
        ),
        of(
            Kind::Credential,
            "our Secret with ServiceAccounts that lead elsewhere",
            annotations(json!({"harbor-robots.io/service-accounts": "a<,../../x,,%2e,b/c?d=e#f"})),
        ),
        of(
            Kind::Credential,
            "our Secret with records of 200 KB",
            annotations(
                json!({"harbor-robots.io/keys": ",k".repeat(50_000), "harbor-robots.io/labels": ",l".repeat(40_000)}),
            ),
        ),
        of(Kind::Credential, "our Secret whose configuration is none", json!({"data": {".dockerconfigjson": "e30K"}})),
        of(
            Kind::Stranger,
            "a Secret of somebody that says to be ours",
            json!({"metadata": {
                "labels": {"app.kubernetes.io/managed-by": "harbor-robot-operator", "harbor-robots.io/account-uid": "x"},
                "annotations": {"harbor-robots.io/account": "SystemRobotAccount//../", "harbor-robots.io/robot-created": LATER},
            }}),
        ),
        of(Kind::Stranger, "a Secret of somebody of a megabyte", json!({"stringData": {"x": "x".repeat(1_000_000)}})),
        of(
            Kind::ServiceAccount,
            "a ServiceAccount with two thousand Secrets",
            json!({"imagePullSecrets": pull_secrets}),
        ),
        of(Kind::Namespace, "a namespace with annotations of 200 KB", annotations(json!({"x": "y".repeat(200_000)}))),
    ]
}

impl Damage {
    /// One of each kind, in a namespace of its own.
    pub fn objects(&self, scene: &Scene, namespace: &str) -> Vec<Value> {
        let labels = json!({"scene": scene.registry});
        let metadata = |name: &str| json!({"name": name, "namespace": namespace, "labels": labels});
        let ours = |kind: &str, metadata: Value, spec: Value| json!({"apiVersion": "harbor-robots.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        let core = |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": metadata(name)});
        let cluster = json!({"name": namespace, "labels": labels});
        let mut login = core("Secret", "login");
        login["metadata"]["labels"]["harbor-robots.io/use"] = json!("login");
        login["stringData"] = json!({"username": scene.login.name, "password": scene.login.secret});
        let url = &scene.harbor.url;
        let registry = json!({"url": url, "auth": {"secretRef": {"name": "login"}}, "pollInterval": "3s"});
        let mut objects = vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
            login,
            core("ServiceAccount", "builder"),
            core("Secret", "stranger"),
            ours("HarborRegistry", metadata("own"), registry.clone()),
            ours(
                "RobotAccount",
                metadata(NAME),
                json!({
                    "registryRef": {"kind": "HarborRegistry", "name": "own"}, "project": namespace,
                    "permissions": ["PullArtifacts"], "serviceAccounts": [{"name": "builder"}],
                }),
            ),
        ];
        match self.kind {
            Kind::ClusterRegistry => objects.push(ours("ClusterHarborRegistry", cluster, registry)),
            Kind::SystemAccount => objects.push(ours(
                "SystemRobotAccount",
                cluster,
                json!({
                    "registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry}, "name": namespace,
                    "projects": {"all": {"permissions": ["PullArtifacts"]}}, "secret": {"name": namespace},
                }),
            )),
            _ => {}
        }
        objects
    }

    /// Does the damage.
    pub async fn strike(&self, scene: &Scene, namespace: &str, round: usize) -> Result<(), String> {
        let mut patch = self.patch.clone();
        if let Some(label) = patch.pointer_mut("/metadata/labels/damaged") {
            *label = json!(format!("for-the-{round}-time"));
        }
        let stored = self.apply(scene, namespace, &patch).await?;
        let is_kept = stored.contains(LATER) || !self.patch.to_string().contains(LATER);
        if is_kept { Ok(()) } else { Err("it is not stored".to_owned()) }
    }

    /// Takes away what an edit can.
    pub async fn mend(&self, scene: &Scene, namespace: &str) -> Result<(), String> {
        let patch = if self.of_status {
            json!({"status": null})
        } else {
            json!({"metadata": {"managedFields": [{}], "labels": {"damaged": null}}})
        };
        self.apply(scene, namespace, &patch).await.map(drop)
    }

    async fn apply(&self, scene: &Scene, namespace: &str, patch: &Value) -> Result<String, String> {
        let path = self.kind.path(scene, namespace) + if self.of_status { "/status" } else { "" };
        let request = http::Request::patch(path).header("Content-Type", "application/merge-patch+json");
        let request = request.body(patch.to_string().into_bytes()).expect("a request");
        // What comes back may be damaged in a way that no type holds.
        scene.client.request_text(request).await.map_err(|error| error.to_string())
    }
}

impl Kind {
    /// Where the object is at the API server.
    pub fn path(self, scene: &Scene, namespace: &str) -> String {
        let ours = "/apis/harbor-robots.io/v1alpha1";
        match self {
            Self::Account => format!("{ours}/namespaces/{namespace}/robotaccounts/{NAME}"),
            Self::SystemAccount => format!("{ours}/systemrobotaccounts/{namespace}"),
            Self::Registry => format!("{ours}/namespaces/{namespace}/harborregistries/own"),
            Self::ClusterRegistry => format!("{ours}/clusterharborregistries/{namespace}"),
            Self::Credential => format!("/api/v1/namespaces/{namespace}/secrets/{NAME}"),
            Self::Login => format!("/api/v1/namespaces/{namespace}/secrets/login"),
            Self::Stranger => format!("/api/v1/namespaces/{namespace}/secrets/stranger"),
            Self::ServiceAccount => format!("/api/v1/namespaces/{namespace}/serviceaccounts/builder"),
            Self::Namespace => format!("/api/v1/namespaces/{namespace}"),
            Self::Lease => {
                format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/harbor-robot-operator", scene.system)
            }
        }
    }
}

/// An object as it is stored, whatever is in it.
pub async fn read(scene: &Scene, path: &str) -> Result<Value, String> {
    let request = http::Request::get(path).body(Vec::new()).expect("a request");
    scene.client.request(request).await.map_err(|error| error.to_string())
}
