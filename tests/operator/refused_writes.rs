//! Rules of the cluster that do not let the operator write: nothing that works is given up for what cannot be published,
//! and nothing harmless is waited for.

use harbor_robot_world::eventually;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::rotation::{DELETE, PATCH, POST, PUT};
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, condition};

/// A rule that refuses an operation on one kind of the scene's namespace, until it is lifted.
struct Rule<'a> {
    scene: &'a Scene,
    resource: &'static str,
    operation: &'static str,
    name: String,
}

impl<'a> Rule<'a> {
    /// Puts it in force.
    async fn begin(scene: &'a Scene, resource: &'static str, operation: &'static str) -> Self {
        let name = scene.system_name(&format!("no-{}-{resource}", operation.to_lowercase()));
        let policy = json!({
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": [operation], "resources": [resource],
            }]},
            "validations": [{"expression": "false", "message": "frozen by the platform team"}],
        });
        let here = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}}});
        make_policy(scene, &name, &policy, &here);
        let rule = Self { scene, resource, operation, name };
        eventually("the rule is in force", SOON, || async {
            if rule.refuses().await { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await;
        rule
    }

    /// Tries the operation without effect.
    async fn refuses(&self) -> bool {
        let probe = Patch::Merge(json!({"metadata": {"labels": {"probe": "1"}}}));
        let dry = PatchParams { dry_run: true, ..PatchParams::default() };
        let secrets = self.scene.secrets();
        match (self.resource, self.operation) {
            ("serviceaccounts", _) => {
                let accounts: Api<ServiceAccount> = self.scene.service_accounts();
                accounts.patch("default", &dry, &probe).await.is_err()
            }
            (_, "UPDATE") => secrets.patch("ci", &dry, &probe).await.is_err(),
            _ => !matches!(create_again(&secrets, "probe").await, Ok(()) | Err(409)),
        }
    }

    async fn lift(self) {
        delete_policy(self.scene, &self.name);
        eventually("the rule is lifted", SOON, || async {
            if self.refuses().await { Err("not yet".to_owned()) } else { Ok(()) }
        })
        .await;
    }
}

/// Makes an admission policy that denies, for the objects that `resources` (`matchResources` of the binding) selects.
pub fn make_policy(scene: &Scene, name: &str, policy: &Value, resources: &Value) {
    scene.apply(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name}, "spec": policy,
    }));
    scene.apply(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": resources},
    }));
}

/// Deletes it again. It holds for a moment longer.
pub fn delete_policy(scene: &Scene, name: &str) {
    for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
        scene.plane.kubectl(["delete", kind, name]).ok().unwrap();
    }
}

/// Makes a Secret without effect; the status of a refusal.
async fn create_again(secrets: &Api<Secret>, name: &str) -> Result<(), u16> {
    let secret = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match secrets.create(&params, &secret).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.code),
        Err(error) => panic!("{error}"),
    }
}

fn in_place() -> Value {
    json!({"rotation": {"strategy": "InPlace"}})
}

/// Calls that change robots.
async fn changes(scene: &Scene) -> u64 {
    let calls = scene.harbor.calls().await.unwrap();
    [POST, PUT, PATCH, DELETE].iter().map(|operation| calls.count(operation)).sum()
}

/// How often the operator asked whether a Secret can be written, and heard no.
async fn refusals(scene: &Scene) -> u64 {
    let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
    let of_rehearsals =
        metrics.lines().filter(|line| line.contains("RehearseSecret") && line.contains("KubernetesRefused"));
    of_rehearsals.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

/// A second refusal: each retry ends like the first.
async fn refused_twice(scene: &Scene) {
    eventually("it was refused again", SOON, || async {
        let refusals = refusals(scene).await;
        if refusals >= 2 { Ok(()) } else { Err(format!("{refusals}\n{}", scene.log())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubernetes_says_of_a_name_that_is_taken_comes_after_its_rules() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let secrets = scene.secrets();
    assert_eq!(create_again(&secrets, "ci").await, Err(409));
    let rule = Rule::begin(&scene, "secrets", "CREATE").await;
    assert_eq!(create_again(&secrets, "ci").await, Err(422), "what a rule says comes first");
    rule.lift().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_may_not_be_updated_costs_no_credential() {
    for (login, spec) in [(LoginAs::Person, in_place()), (LoginAs::Person, json!({})), (LoginAs::Robot, json!({}))] {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", spec.clone()).await;
        scene.settled("ci").await;
        let former = scene.logs_in("ci").await;
        scene.harbor.advance(61).await.unwrap();
        let rule = Rule::begin(&scene, "secrets", "UPDATE").await;
        scene.harbor.reset_calls().await.unwrap();
        scene.annotate("ci", "refresh", Some("1")).await;
        let message = scene.reason_is("ci", "Synced", "False", "KubernetesRefused").await;
        assert!(message.contains("frozen by the platform team") && message.contains("Secret ci"), "{message}");
        refused_twice(&scene).await;
        assert_eq!(changes(&scene).await, 0, "{login:?} {spec}");
        assert_eq!(condition(&scene.get("ci").await, "Ready").unwrap().0, "True");
        assert!(scene.works(&former).await);
        rule.lift().await;
        scene.replaced("ci", &former).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_secret_stays_until_it_is_known_that_there_may_be_another() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let former = scene.logs_in("ci").await;
        scene.harbor.advance(61).await.unwrap();
        let rule = Rule::begin(&scene, "secrets", "CREATE").await;
        let uid = scene.edit_secret("ci", json!({"immutable": true})).await.metadata.uid;
        let message = scene.reason_is("ci", "Synced", "False", "KubernetesRefused").await;
        assert!(message.contains("frozen by the platform team"), "{message}");
        scene.annotate("ci", "refresh", Some("1")).await;
        refused_twice(&scene).await;
        assert_eq!(scene.secret("ci").await.expect("it is there").metadata.uid, uid, "{login:?}");
        assert!(scene.works(&former).await);
        rule.lift().await;
        scene.replaced("ci", &former).await;
        assert_ne!(scene.secret("ci").await.unwrap().metadata.uid, uid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_secret_that_is_refused_leaves_one_robot_and_makes_no_more() {
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let rule = Rule::begin(&scene, "secrets", "CREATE").await;
    scene.account("ci", json!({})).await;
    scene.reason_is("ci", "Synced", "False", "KubernetesRefused").await;
    refused_twice(&scene).await;
    assert_eq!((scene.robots().await.len(), scene.calls(DELETE).await), (1, 0));
    rule.lift().await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
    assert_eq!(scene.robots().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_that_may_not_be_changed_holds_nobody() {
    let scene = Scene::new(Setting { args: vec!["--settle-after=1".to_owned()], ..Setting::default() }).await;
    scene.service_account("builder", &["z"]).await;
    scene.account("ci", json!({"serviceAccounts": [{"name": "builder"}]})).await;
    scene.settled("ci").await;
    let rule = Rule::begin(&scene, "serviceaccounts", "UPDATE").await;
    // One that is to get an entry says so; the rest goes on.
    scene
        .edit("ci", json!({"serviceAccounts": [{"name": "default"}, {"name": "builder"}], "permissions": ["PullArtifacts", "CreateTags"]}))
        .await;
    let message = scene.reason_is("ci", "Synced", "False", "KubernetesRefused").await;
    assert!(message.contains("ServiceAccount default") && message.contains("frozen by the platform team"), "{message}");
    assert_eq!(condition(&scene.get("ci").await, "Ready").unwrap().0, "True");
    // One that is to lose it stays on record.
    scene.edit("ci", json!({"serviceAccounts": null})).await;
    scene
        .account_is("the entry that is left is told", "ci", |account| {
            condition(account, "Synced").is_some_and(|synced| synced.2.contains("ServiceAccount builder"))
        })
        .await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    assert!(scene.robots().await.is_empty());
    assert_eq!(scene.pull_secrets("builder").await, ["z", "ci"]);
    eventually("it is told", SOON, || async {
        let events = scene.events("ci").await;
        let told = events.iter().any(|(kind, reason, note)| {
            kind == "Warning" && reason == "KubernetesRefused" && note.contains("builder") && note.contains("by hand")
        });
        if told { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    rule.lift().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_could_not_be_taken_out_goes_when_the_rule_does() {
    let scene = Scene::new(Setting::default()).await;
    scene.service_account("builder", &["z"]).await;
    scene.account("ci", json!({"serviceAccounts": [{"name": "builder"}]})).await;
    scene.settled("ci").await;
    let rule = Rule::begin(&scene, "serviceaccounts", "UPDATE").await;
    scene.edit("ci", json!({"serviceAccounts": null})).await;
    scene.reason_is("ci", "Synced", "False", "KubernetesRefused").await;
    rule.lift().await;
    scene.pull_secrets_are("builder", &["z"]).await;
    scene.settled("ci").await;
    scene.secrets().delete("ci", &DeleteParams::default()).await.unwrap();
    scene.logs_in("ci").await;
}
