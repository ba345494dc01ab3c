//! Objects that cannot be read: whoever may edit one of a kind can make one, and it is nobody's trouble but its own.

use harbor_robot_world::eventually;
use serde_json::{Value, json};

use crate::scene::{SOON, Scene, Setting};

/// The API server stores this date, and no client in Rust holds it.
const NO_DATE: &str = "9999-12-31T23:59:59Z";

/// The operator's Lease.
const LEASE: &str = "harbor-robot-operator";

/// One object of a scene.
struct Place<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
}

impl Place<'_> {
    fn args<'a>(&'a self, verb: &'a str) -> Vec<&'a str> {
        let mut args = vec![verb, self.kind, self.name];
        args.extend(self.namespace.into_iter().flat_map(|namespace| ["--namespace", namespace]));
        args
    }
}

impl Scene {
    /// An object as it is, whatever is in it.
    fn raw(&self, place: &Place<'_>) -> Value {
        let mut args = place.args("get");
        args.extend(["--output=json", "--show-managed-fields"]);
        serde_json::from_str(&self.plane.kubectl(args).ok().unwrap()).unwrap()
    }

    fn patch_raw(&self, place: &Place<'_>, subresource: Option<&str>, patch: &Value) {
        let (patch, subresource) = (patch.to_string(), subresource.map(|name| format!("--subresource={name}")));
        let mut args = place.args("patch");
        args.extend(["--type=merge", "--patch", &patch]);
        args.extend(subresource.as_deref());
        self.plane.kubectl(args).ok().unwrap();
    }

    /// Writes a date into `managedFields` that no client in Rust reads. The API server keeps that of fields that are there and
    /// that the same request does not change.
    fn damage(&self, place: &Place<'_>) {
        let mut args = place.args("label");
        args.extend(["noted=yes", "--overwrite"]);
        self.plane.kubectl(args).ok().unwrap();
        let version = self.raw(place)["apiVersion"].clone();
        let entry = json!({
            "manager": "somebody", "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:noted": {}}}}, "time": NO_DATE,
        });
        self.patch_raw(place, None, &json!({"metadata": {"labels": {"damaged": "yes"}, "managedFields": [entry]}}));
        let after = self.raw(place)["metadata"]["managedFields"].to_string();
        assert!(after.contains(NO_DATE), "the API server did not store it in {} {}: {after}", place.kind, place.name);
    }

    /// Waits for a condition of any object; gives its message.
    async fn raw_reason_is(&self, place: &Place<'_>, kind: &str, status: &str, reason: &str) -> String {
        eventually(&format!("{} {kind}={status}/{reason}", place.name), SOON, || async {
            let object = self.raw(place);
            let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            let found =
                conditions.clone().find(|c| c["type"] == kind && c["status"] == status && c["reason"] == reason);
            found.map(|found| found["message"].to_string()).ok_or(format!("{}\n{}", object["status"], self.log()))
        })
        .await
    }

    /// Waits until a new account is settled: nothing holds it up.
    async fn serves_others(&self, name: &str) {
        self.account(name, json!({})).await;
        self.settled(name).await;
    }
}

/// A scene with an object of every watched kind, all in use.
async fn everything() -> Scene {
    let args = ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s", "--leader-elect"];
    let args = args.map(ToOwned::to_owned).to_vec();
    let scene = Scene::new(Setting { args, all_namespaces: true, ..Setting::default() }).await;
    let namespace = &scene.namespace;
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "own-login", "namespace": namespace, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": scene.login.name, "password": scene.login.secret},
    }));
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "own", "namespace": namespace, "labels": {"scene": scene.registry}},
        "spec": {"url": scene.harbor.url, "auth": {"secretRef": {"name": "own-login"}}, "pollInterval": "1s"},
    }));
    scene.account("ci", json!({"serviceAccounts": [{"name": "default"}]})).await;
    scene.account("own", json!({"registryRef": {"kind": "HarborRegistry", "name": "own"}, "name": "by-own"})).await;
    let spec = json!({
        "projects": {"all": {"permissions": ["PullArtifacts"]}}, "secret": {"name": "pull", "namespaces": [namespace]},
    });
    scene.system_account("puller", spec).await;
    scene.settled("ci").await;
    scene.settled("own").await;
    scene.system_settled("puller").await;
    scene
}

/// All of them; `puller` is the system account's name.
fn places<'a>(scene: &'a Scene, puller: &'a str) -> Vec<Place<'a>> {
    let namespace = Some(scene.namespace.as_str());
    let system = Some(scene.system.as_str());
    let here = |kind, name| Place { kind, namespace, name };
    vec![
        here("robotaccounts", "ci"),
        here("harborregistries", "own"),
        here("secrets", "ci"),
        here("secrets", "own-login"),
        here("secrets", "pull"),
        here("serviceaccounts", "default"),
        Place { kind: "secrets", namespace: system, name: "login" },
        Place { kind: "leases", namespace: system, name: LEASE },
        Place { kind: "clusterharborregistries", namespace: None, name: &scene.registry },
        Place { kind: "systemrobotaccounts", namespace: None, name: puller },
        Place { kind: "namespaces", namespace: None, name: &scene.namespace },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_noted_on_an_object_keeps_nobody_from_being_served() {
    {
        let mut scene = everything().await;
        let puller = scene.system_name("puller");
        for place in places(&scene, &puller) {
            scene.damage(&place);
        }
        scene.serves_others("live").await;
        scene.terminate();
        scene.start();
        scene.serves_others("after").await;
        // The objects themselves are served, too: nothing of what is wrong with them is of any use.
        scene.plane.kubectl(["delete", "secret", "ci", "--namespace", &scene.namespace]).ok().unwrap();
        eventually("the Secret is made again", SOON, || async {
            let secret = scene.plane.kubectl(["get", "secret", "ci", "--namespace", &scene.namespace]);
            if secret.success { Ok(()) } else { Err(scene.log()) }
        })
        .await;
        for (kind, name) in [("robotaccounts", "ci"), ("robotaccounts", "own")] {
            let account = Place { kind, namespace: Some(&scene.namespace), name };
            scene.patch_raw(&account, None, &json!({"spec": {"description": "edited"}}));
            eventually(&format!("{name} follows the edit"), SOON, || async {
                let account = scene.raw(&account);
                let (generation, status) = (&account["metadata"]["generation"], &account["status"]);
                let synced = status["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|c| c["type"] == "Synced" && c["status"] == "True");
                if synced && status["observedGeneration"] == *generation { Ok(()) } else { Err(status.to_string()) }
            })
            .await;
        }
    }
}

/// A metric's line.
async fn metric(scene: &Scene, line: &str) {
    eventually(line, SOON, || async {
        let metrics = scene.operator.as_ref().unwrap().metrics().await.map_err(|error| error.to_string())?;
        if metrics.lines().any(|found| found == line) { Ok(()) } else { Err("it is not there".to_owned()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_read_keeps_what_it_has_and_is_told_about() {
    let registry = json!({"orphanPolicy": "Delete"});
    let args = ["--orphan-after=1", "--settle-after=1"].map(ToOwned::to_owned).to_vec();
    let mut scene = Scene::new(Setting { registry, args, ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    let id = scene.settled("ci").await.status.unwrap().robot.unwrap().id;
    let login = scene.logs_in("ci").await;
    let namespace = scene.namespace.clone();
    let ci = Place { kind: "robotaccounts", namespace: Some(&namespace), name: "ci" };
    // As another schema could have let it in; see `scene::loosened`.
    let set_id =
        |scene: &Scene, id: Value| scene.patch_raw(&ci, Some("status"), &json!({"status": {"robot": {"id": id}}}));
    set_id(&scene, json!("many"));
    let message = scene.raw_reason_is(&ci, "Synced", "False", "Unreadable").await;
    assert!(message.contains("cannot be read at status.robot.id"), "{message}");
    scene.raw_reason_is(&ci, "Stalled", "True", "Unreadable").await;
    scene.raw_reason_is(&ci, "Ready", "True", "Published").await;
    metric(&scene, r#"harbor_robots_unreadable_objects{kind="RobotAccount"} 1"#).await;
    eventually("an event tells of it", SOON, || async {
        let told = scene.events("ci").await;
        if told.iter().any(|(_, reason, _)| reason == "Unreadable") { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    scene.serves_others("live").await;
    let version = scene.raw(&ci)["metadata"]["resourceVersion"].clone();
    scene.terminate();
    scene.start();
    scene.serves_others("after").await;
    // Long enough for an orphan to be one.
    scene.sweeps(4).await;
    assert!(scene.harbor.verify(&login.name, &login.secret).await.unwrap(), "{}", scene.log());
    assert_eq!(scene.raw(&ci)["metadata"]["resourceVersion"], version, "said once");
    // Nor is it let go while nobody knows what it has.
    scene.plane.kubectl(["delete", "robotaccount", "ci", "--namespace", &namespace, "--wait=false"]).ok().unwrap();
    scene.sweeps(2).await;
    assert!(scene.harbor.verify(&login.name, &login.secret).await.unwrap(), "{}", scene.log());
    set_id(&scene, json!(id));
    scene.gone("ci").await;
    assert!(!scene.harbor.verify(&login.name, &login.secret).await.unwrap());
    metric(&scene, r#"harbor_robots_unreadable_objects{kind="RobotAccount"} 0"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_can_be_read_again_is_served_at_once() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    let id = scene.settled("ci").await.status.unwrap().robot.unwrap().id;
    let namespace = scene.namespace.clone();
    let ci = Place { kind: "robotaccounts", namespace: Some(&namespace), name: "ci" };
    scene.patch_raw(&ci, Some("status"), &json!({"status": {"robot": {"id": "many"}}}));
    scene.raw_reason_is(&ci, "Synced", "False", "Unreadable").await;
    scene.patch_raw(&ci, None, &json!({"spec": {"permissions": ["PullArtifacts", "PushArtifacts"]}}));
    scene.patch_raw(&ci, Some("status"), &json!({"status": {"robot": {"id": id}}}));
    scene.settled("ci").await;
    let robot = scene.published("ci").await.unwrap();
    assert!(crate::scene::pairs(&robot).contains(&"repository:push".to_owned()), "{robot}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cannot_be_read_serves_as_it_was_and_is_not_taken_for_gone() {
    let mut scene = Scene::new(Setting { args: vec!["--settle-after=1".to_owned()], ..Setting::default() }).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let login = scene.logs_in("ci").await;
    let name = scene.registry.clone();
    let registry = Place { kind: "clusterharborregistries", namespace: None, name: &name };
    scene.patch_raw(&registry, Some("status"), &json!({"status": {"accountCount": "many"}}));
    let message = scene.raw_reason_is(&registry, "Ready", "False", "Unreadable").await;
    assert!(message.contains("status.accountCount"), "{message}");
    scene.serves_others("live").await;
    scene.terminate();
    scene.start();
    scene.account("after", json!({})).await;
    let message = scene.reason_is("after", "Synced", "False", "RegistryUnreadable").await;
    assert!(message.contains("cannot be read"), "{message}");
    scene.delete("ci").await;
    scene.reason_is("ci", "Synced", "False", "RegistryUnreadable").await;
    assert!(scene.harbor.verify(&login.name, &login.secret).await.unwrap());
    scene.patch_raw(&registry, Some("status"), &json!({"status": {"accountCount": 2}}));
    scene.settled("after").await;
    scene.gone("ci").await;
}
