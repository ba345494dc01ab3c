//! The kind `RobotAccount`: a robot account of one Harbor project, for one namespace.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use serde_with_macros::skip_serializing_none;

use super::account::{
    AdoptionPolicy, DeletionPolicy, RegistryRef, Rotation, SecretKeyRef, SecretOutput, ServiceAccountRef,
};
use super::account_status::AccountStatus;
use super::duration::ExpiresAfter;
use super::permissions::{AccessRule, Permission};
use super::rules;

/// What the robot account should be.
#[skip_serializing_none]
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "harbor-robots.io",
    version = "v1alpha1",
    kind = "RobotAccount",
    plural = "robotaccounts",
    singular = "robotaccount",
    shortname = "ra",
    category = "harbor-robots",
    namespaced,
    status = "AccountStatus",
    derive = "PartialEq",
    doc = "A robot account of one Harbor project. The operator makes it, keeps its credential in a Secret of type kubernetes.io/dockerconfigjson in the same namespace, and replaces that credential before it expires.",
    selectable = ".spec.project",
    selectable = ".status.registry.name",
    validation = rules::robot_name(),
    validation = rules::robot_name_length(),
    validation = rules::robot_name_stays(),
    validation = rules::secret_name_stays(),
    validation = rules::registry_stays(),
    validation = rules::password_elsewhere()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::stays_narrowed())]
#[x_kube(validation = rules::renewal_within_lifetime())]
pub struct RobotAccountSpec {
    /// The registry object that says where Harbor is. Left out: the ClusterHarborRegistry with the annotation
    /// `harbor-robots.io/is-default: "true"`; `status.registry` shows which one that was, and it is kept. Cannot be
    /// changed later.
    pub registry_ref: Option<RegistryRef>,
    /// Name of the Harbor project the robot belongs to. The project must exist. Cannot be changed later.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = rules::project_name(), validation = rules::immutable("project"))]
    pub project: String,
    /// Name of the robot in Harbor, without Harbor's prefix and the project. Left out: the name of this object. Cannot
    /// be changed later. Must not end in `.b`, which is the name of the second robot during a rotation.
    #[schemars(length(min = 1, max = 252))]
    pub name: Option<String>,
    /// Text for people, shown in Harbor. The operator adds a mark that says which account owns the robot.
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::no_mark())]
    pub description: Option<String>,
    /// `true` switches the robot off: nobody can log in with it. `false` or left out: it works.
    pub disabled: Option<bool>,
    /// What the robot may do, by the names of Harbor's web page. With neither `permissions` nor `access`: all ten.
    /// With `access` only: just that. Once either was given, one of them must stay.
    #[schemars(length(min = 1, max = 10), extend("x-kubernetes-list-type" = "set"))]
    pub permissions: Option<Vec<Permission>>,
    /// Further things the robot may do, as resource and action of Harbor's permission catalogue.
    #[schemars(length(min = 1, max = 140))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource", "action"]))]
    #[x_kube(validation = rules::pairs())]
    pub access: Option<Vec<AccessRule>>,
    /// Lifetime of a credential in whole days, like `30d`, or `Never`. Left out: the registry's default. The operator
    /// renews before that; see `rotation`.
    pub expires_after: Option<ExpiresAfter>,
    /// When and how the credential is replaced. What is left out comes from the registry's defaults.
    pub rotation: Option<Rotation>,
    /// A Secret in this namespace (type Opaque or kubernetes.io/basic-auth) with a password of your own choice: 8 to
    /// 128 bytes with an upper-case letter, a lower-case letter and a digit; a line end at its end is left out. A changed
    /// one is applied within the registry's `pollInterval`. Left out: Harbor makes one. Needs a registry login that Harbor
    /// lets update robots, and the label `harbor-robots.io/use: password` on the Secret.
    pub password_secret_ref: Option<SecretKeyRef>,
    /// The Secret that the operator writes.
    pub secret: Option<SecretOutput>,
    /// ServiceAccounts of this namespace that get the Secret in their `imagePullSecrets`, or where `use` says. One that does
    /// not exist yet gets it when it appears.
    #[schemars(length(max = 50))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub service_accounts: Option<Vec<ServiceAccountRef>>,
    /// `Delete`: deleting this object deletes the robot and the Secret. `Retain`: both stay, unless they are more than is
    /// granted, and an account of the same namespace and name takes both back. Left out: `Delete`.
    pub deletion_policy: Option<DeletionPolicy>,
    /// `Never`: a robot of that name that somebody else made is an error. `IfUnowned`: it is taken over if it carries
    /// no operator's mark, the grant allows adoption, and the registry login may update robots. Left out: `Never`.
    pub adoption_policy: Option<AdoptionPolicy>,
    /// `true` stops the operator for this account: no change in Harbor or to the Secret, no renewal. Deletion still
    /// works, and what is not granted any more is taken away all the same.
    pub suspend: Option<bool>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_wrote_is_not_written() {
        let object = json!({"metadata": {"name": "ci"}, "spec": {"project": "team-a"}});
        let account: RobotAccount = serde_json::from_value(object.clone()).unwrap();
        let written = serde_json::to_value(&account).unwrap();
        assert_eq!(written["spec"], object["spec"]);
        assert_eq!(serde_json::to_value(AccountStatus::default()).unwrap(), json!({}));
    }
}
