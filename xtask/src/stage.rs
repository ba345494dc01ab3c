//! The world that `demo`, `up` and `bench` play in: a control plane with the CRDs, a Harbor, the operator.

use std::path::PathBuf;

use anyhow::Result;
use harbor_robot_world::{
    ControlPlane, Harbor, HarborClient, HarborOptions, Login, Operator, OperatorOptions, Profile, note, program, rig,
    scratch,
};
use serde_json::{Value, json};

/// Where the operator looks for logins.
pub(crate) const NAMESPACE: &str = "harbor-robots";

/// What to set up.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Folder for files and logs; a scratch one when not given.
    pub dir: Option<PathBuf>,
    /// A Harbor that is already there, in place of the stand-in.
    pub harbor: Option<HarborClient>,
    /// Whether operator and stand-in are release builds.
    pub release: bool,
}

/// Whose Harbor it is.
enum Side {
    Own(Harbor),
    Given(HarborClient),
}

/// Dropped in the order of its fields: who uses something ends before it.
pub(crate) struct Stage {
    harbor: Side,
    /// The control plane.
    pub plane: ControlPlane,
    dir: PathBuf,
    release: bool,
}

impl Stage {
    /// Starts control plane and Harbor, applies the CRDs and makes the operator's namespace.
    pub(crate) fn start(wanted: Wanted) -> Result<Self> {
        // What takes minutes comes first, and not while a control plane stands by.
        Operator::binary(None, profile(wanted.release))?;
        program("harbor-stand-in", profile(wanted.release))?;
        rig()?;
        let dir = wanted.dir.map_or_else(scratch, Ok)?;
        note(&format!("starting the control plane in {}", dir.display()));
        let plane = ControlPlane::start(&dir)?;
        note(&format!("control plane: {}, registry: {}", plane.server, plane.registry));
        let harbor = match wanted.harbor {
            Some(harbor) => Side::Given(harbor),
            None => Side::Own(Harbor::start(&HarborOptions {
                registry: Some(plane.registry.clone()),
                profile: profile(wanted.release),
                ..HarborOptions::default()
            })?),
        };
        let stage = Self { harbor, plane, dir, release: wanted.release };
        note(&format!("Harbor: {}", stage.harbor().url));
        stage.plane.apply_kinds()?;
        stage.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))?;
        note("CRDs applied");
        Ok(stage)
    }

    /// The Harbor of this stage.
    pub(crate) fn harbor(&self) -> &HarborClient {
        match &self.harbor {
            Side::Own(harbor) => harbor,
            Side::Given(harbor) => harbor,
        }
    }

    /// Runs the operator. Its log is kept in the stage's folder.
    pub(crate) fn operator(&self) -> Result<Operator> {
        self.operator_with(&[])
    }

    /// The same with further flags.
    pub(crate) fn operator_with(&self, flags: &[&str]) -> Result<Operator> {
        let mut args = vec!["--cluster-resource-namespace".to_owned(), NAMESPACE.to_owned()];
        args.extend(flags.iter().map(ToString::to_string));
        let operator = Operator::start(&OperatorOptions {
            kubeconfig: self.plane.kubeconfig.clone(),
            args,
            release: self.release,
            log_file: Some(self.dir.join("operator.log")),
            ..OperatorOptions::default()
        })?;
        Ok(operator)
    }

    /// Applies one object.
    pub(crate) fn apply(&self, object: &Value) -> Result<()> {
        self.plane.apply(&object.to_string())
    }

    /// The login Secret and the ClusterHarborRegistry `main`, the default one, which grants every namespace everything.
    /// `more` is merged into its spec.
    pub(crate) fn apply_registry(&self, login: &Login, more: &Value) -> Result<()> {
        self.apply(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "harbor-login", "namespace": NAMESPACE},
            "stringData": {"username": login.name, "password": login.secret},
        }))?;
        let mut registry = json!({
            "apiVersion": "harbor-robots.io/v1alpha1",
            "kind": "ClusterHarborRegistry",
            "metadata": {"name": "main", "annotations": {"harbor-robots.io/is-default": "true"}},
            "spec": {
                "url": self.harbor().url,
                "auth": {"secretRef": {"name": "harbor-login"}},
                "grants": [{
                    "name": "everything",
                    "namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]},
                    "projects": ["*"],
                    "access": [{"resource": "*", "action": "*"}],
                    "maxExpiresAfter": "Never",
                    "adoption": "Allowed",
                    "retention": "Allowed",
                }],
            },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            registry["spec"][key] = value.clone();
        }
        if let Some(ca) = &self.harbor().ca {
            registry["spec"]["tls"] = json!({"caCertificates": ca});
        }
        self.apply(&registry)
    }
}

fn profile(release: bool) -> Profile {
    if release { Profile::Release } else { Profile::Dev }
}
