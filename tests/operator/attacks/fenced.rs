//! What no grant covers: `NotPermitted`, no finalizer, no call. And what grants cover, in ways that might reach further.

use harbor_robot_world::eventually;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::stage::Stage;
use super::{Table, later};
use crate::scene::{LoginAs, SOON, Scene, Setting};

/// The grants of this stage. `$(namespace)` is the attacker's; `…-victim` the victim's namespace and project.
fn grants(stage: &Stage, number: &str) -> Value {
    let (attacker, victim) = (&stage.scene.namespace, &stage.victim);
    let own = [attacker.as_str(), number];
    json!([
        {
            "name": "own", "namespaces": [attacker], "projects": ["$(namespace)", "$(namespace).*", own[1]],
            "permissions": ["PullArtifacts"], "access": [{"resource": "*", "action": "list"}],
            "maxExpiresAfter": "90d",
        },
        {
            "name": "short", "namespaces": [attacker], "projects": ["$(namespace)"],
            "permissions": ["PushArtifacts"], "maxExpiresAfter": "1d",
        },
        {
            "name": "wide", "namespaces": [attacker], "projects": [stage.project("wide")],
            "access": [{"resource": "*", "action": "*"}], "maxExpiresAfter": "90d",
        },
        {
            "name": "robots", "namespaces": [attacker], "projects": [stage.project("robots")],
            "access": [{"resource": "robot", "action": "*"}, {"resource": "*", "action": "update"}],
        },
        {
            "name": "none", "namespaces": [attacker], "projects": [stage.project("none")],
            "access": [{"resource": "nothing", "action": "list"}],
        },
        {
            "name": "victims", "namespaces": [victim], "projects": ["*"],
            "permissions": ["PullArtifacts", "PushArtifacts"], "access": [{"resource": "*", "action": "*"}],
        },
        {
            "name": "labelled", "namespaceSelector": {"matchLabels": {"team": "trusted"}},
            "projects": [stage.project("labelled")], "permissions": ["PullArtifacts"], "retention": "Allowed",
        },
    ])
}

/// Sentence, what is merged over a modest account of the own project, what the message says.
type Case = (String, Value, String);

fn case(name: &str, spec: Value, says: &str) -> Case {
    (name.to_owned(), spec, says.to_owned())
}

fn outside(stage: &Stage) -> Vec<Case> {
    let pair = |pair: &str| {
        let (resource, action) = pair.split_once(':').unwrap();
        json!([{"resource": resource, "action": action}])
    };
    let no_grant = "no grant of the registry gives namespace";
    let project = |name: &str| json!({"project": stage.project(name)});
    let mut cases = vec![
        // Whoever names a namespace `team` would own every project of `team-victim`.
        case("a project whose name goes on with '-' after the own namespace", project("victim"), no_grant),
        case("a project that exists nowhere", project("nowhere"), no_grant),
        case("a project without a name of its own after the dot is another one", json!({"project": "x"}), no_grant),
        // Numbers are ids to some of Harbor's paths.
        case("a project by the number of another one", json!({"project": "1"}), no_grant),
        // A namespace from one entry, a project from another.
        case("a project that only another namespace's entry names", project("shared"), no_grant),
        case("a project by a label that the namespace does not have", project("labelled"), no_grant),
        case(
            "a pair of one project's entry in another project",
            json!({"access": pair("tag:delete")}),
            "tag:delete not granted",
        ),
        case(
            "push where pull is granted",
            json!({"permissions": ["PushArtifacts"], "expiresAfter": "30d"}),
            "repository:push not granted",
        ),
        case(
            "a pair of an entry that does not admit the lifetime",
            json!({"permissions": ["PullArtifacts", "PushArtifacts"], "expiresAfter": "2d"}),
            "repository:push not granted; grant own allows",
        ),
        // Left out means all ten.
        case(
            "nothing asked for, which is all ten, under a narrow grant",
            json!({"permissions": null}),
            "repository:push",
        ),
        case(
            "a pair that names other pairs by its Helm name",
            json!({"permissions": ["DeleteHelmChartVersions"]}),
            "artifact:delete not granted",
        ),
        case("what a grant does not name", project("none"), "not granted; grant none allows nothing:list"),
        case("to leave a robot behind", json!({"deletionPolicy": "Retain"}), "deletionPolicy: Retain not granted"),
        // A credential that outlives its grant.
        case("a longer life than granted", json!({"expiresAfter": "91d"}), "expiresAfter 91d is longer than the 90d"),
        case("a life for ever", json!({"expiresAfter": "Never"}), "expiresAfter Never is longer than the 90d"),
        case(
            "no lifetime asked for, with a default that is longer than granted",
            json!({"expiresAfter": null}),
            "expiresAfter 400d is longer than the 90d",
        ),
    ];
    // Each would let its holder make robots, let people in, or reach out of the project.
    for escalating in [
        "robot:create",
        "robot:read",
        "robot:delete",
        "member:create",
        "member:update",
        "metadata:update",
        "project:update",
        "project:delete",
        "notification-policy:create",
        "preheat-policy:create",
        "scanner:create",
    ] {
        let spec = json!({"project": stage.project("wide"), "permissions": null, "access": pair(escalating)});
        cases.push(case(
            &format!("the escalating pair {escalating} under a grant of *:*"),
            spec,
            &format!("{escalating} not granted; grant wide allows *:*"),
        ));
    }
    for (name, asked) in [
        ("robot:create under a grant of robot:*", "robot:create"),
        ("project:update under a grant of *:update", "project:update"),
    ] {
        let spec = json!({"project": stage.project("robots"), "permissions": null, "access": pair(asked)});
        cases.push(case(name, spec, &format!("{asked} not granted; grant robots allows")));
    }
    cases
}

async fn stage() -> Stage {
    let registry = json!({"pollInterval": "1h", "defaults": {"expiresAfter": "400d"}, "grants": []});
    // An account that is deleted waits for calls that may have been under way when the operator started.
    let args = vec!["--settle-after=1".to_owned()];
    let setting = Setting { registry, args, login: LoginAs::Person, all_namespaces: true, ..Setting::default() };
    let mut stage = Stage::new(Scene::without_operator(setting).await).await;
    let base = stage.scene.namespace.clone();
    let projects = ["victim", "shared", "wide", "robots", "none", "labelled"].map(|name| stage.project(name));
    stage.scene.harbor.seed_projects(&projects).await.unwrap();
    stage.scene.harbor.create_project(&format!("{base}.used")).await.unwrap();
    let number = stage.id_of(&stage.victim).await.to_string();
    stage.scene.edit_registry(json!({"grants": grants(&stage, &number)})).await;
    stage.uses(&format!("{base}.used")).await;
    stage.uses(&stage.victim.clone()).await;
    stage.scene.start();
    stage.scene.registry_is("Ready", "True").await;
    let victims = stage.account_in(&stage.victim, "ci", &json!({"project": stage.victim}));
    stage.scene.apply(victims);
    stage.says_in(&stage.victim, "ci", "Ready", "True", "Published").await;
    stage
}

/// Pairs that this Harbor does not know: a later one may, and a grant of `*:*` from today must not cover them then.
const UNKNOWN: [(&str, &str); 6] = [
    ("registry", "create"),
    ("replication-policy", "create"),
    ("user", "create"),
    ("ldap-user", "list"),
    ("warehouse", "open"),
    ("repository", "own"),
];

pub async fn cases() -> Table {
    let mut table = Table::default();
    let mut stage = stage().await;
    for (n, (name, spec, says)) in outside(&stage).into_iter().enumerate() {
        table.row(format!("not permitted: {name}"), is_not_permitted(&stage, &format!("a{n}"), &spec, &says)).await;
    }
    for (resource, action) in UNKNOWN {
        let name = format!("unknown: the pair {resource}:{action} under a grant of *:*");
        table.row(name, is_unknown(&stage, resource, action)).await;
    }
    table.row("not permitted: the label of another namespace on the account itself", labels_itself(&stage)).await;
    table.row("a status of one's own invention is not believed", forges_a_status(&stage)).await;
    table.row("a status may not be written", writes_a_status(&stage)).await;
    table.row("a forged finalizer changes nothing and tells nothing", forges_a_finalizer(&stage)).await;
    table.row("a project called like another one's id is another project", is_called_like_an_id(&mut stage)).await;
    later::cases(&mut table, &stage).await;
    // The last one, since it leaves another project in use.
    table.row("a namespace that is made again inherits no grant and no robot", namespace_made_again(&stage)).await;
    table
}

async fn is_not_permitted(stage: &Stage, name: &str, spec: &Value, says: &str) {
    let before = stage.look().await;
    stage.attack(&stage.account(name, spec)).await;
    let message = stage.says(name, "Ready", "False", "NotPermitted").await;
    assert!(message.contains(says), "{message}");
    has_nothing(stage, name).await;
    stage.nothing_happened(&before).await;
}

async fn is_unknown(stage: &Stage, resource: &str, action: &str) {
    let before = stage.look().await;
    let name = format!("unknown-{resource}-{action}");
    let access = json!([{"resource": resource, "action": action}]);
    let spec = json!({"project": stage.project("wide"), "permissions": null, "access": access});
    stage.attack(&stage.account(&name, &spec)).await;
    let message = stage.says(&name, "Ready", "False", "PermissionUnknown").await;
    assert!(message.contains(&format!("does not know {resource}:{action}")), "{message}");
    has_nothing(stage, &name).await;
    stage.nothing_happened(&before).await;
}

async fn has_nothing(stage: &Stage, name: &str) {
    let account = stage.scene.get(name).await;
    assert!(account.metadata.finalizers.is_none(), "nothing is in Harbor");
    assert!(account.status.unwrap().robot.is_none());
    assert!(stage.scene.secret(name).await.is_none(), "no Secret is made");
}

async fn labels_itself(stage: &Stage) {
    let before = stage.look().await;
    let mut account = stage.account("labelled", &json!({"project": stage.project("labelled")}));
    account["metadata"]["labels"] = json!({"team": "trusted"});
    stage.attack(&account).await;
    stage.says("labelled", "Ready", "False", "NotPermitted").await;
    // The namespace's own labels are not the tenant's to change.
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": stage.scene.namespace, "labels": {"team": "trusted"}},
    });
    stage.is_refused(&namespace, "is forbidden").await;
    stage.nothing_happened(&before).await;
}

/// The victim's robot as a record of one's own would let the operator rotate, disable or delete it.
async fn record_of_the_victim(stage: &Stage) -> Value {
    let api: Api<harbor_robot_operator::api::RobotAccount> = Api::namespaced(stage.scene.client.clone(), &stage.victim);
    json!({"robot": api.get("ci").await.unwrap().status.unwrap().robot.unwrap()})
}

async fn forges_a_status(stage: &Stage) {
    let before = stage.look().await;
    let mut account = stage.account("invented", &json!({"project": stage.victim}));
    account["status"] = record_of_the_victim(stage).await;
    stage.attack(&account).await;
    stage.says("invented", "Ready", "False", "NotPermitted").await;
    has_nothing(stage, "invented").await;
    stage.nothing_happened(&before).await;
}

async fn writes_a_status(stage: &Stage) {
    let before = stage.look().await;
    stage.attack(&stage.account("written", &json!({"project": stage.victim}))).await;
    stage.says("written", "Ready", "False", "NotPermitted").await;
    let status = Patch::Merge(json!({"status": record_of_the_victim(stage).await}));
    let answer = stage.of_attacker().patch_status("written", &PatchParams::default(), &status).await;
    // RBAC's `*` is on the resource, not on its parts.
    assert!(answer.unwrap_err().to_string().contains("forbidden"));
    has_nothing(stage, "written").await;
    stage.nothing_happened(&before).await;
}

/// The finalizer says that a first check of the grants passed: past the delay the operator looks for robots to take away.
async fn forges_a_finalizer(stage: &Stage) {
    let before = stage.look().await;
    let mut told = Vec::new();
    for (name, project) in [("there", stage.victim.clone()), ("absent", stage.project("nowhere"))] {
        let mut account = stage.account(name, &json!({"project": project, "name": "ci"}));
        account["metadata"]["finalizers"] = json!(["harbor-robots.io/robot"]);
        stage.attack(&account).await;
        let message = stage.says(name, "Ready", "False", "NotPermitted").await;
        told.push(message.replace(&project, "…"));
    }
    assert_eq!(told[0], told[1], "whether a project exists is not told");
    stage.nothing_happened(&before).await;
    for name in ["there", "absent"] {
        stage.of_attacker().delete(name, &DeleteParams::default()).await.unwrap();
        stage.scene.gone(name).await;
    }
    stage.only_own_changed(&before, |_| false).await;
}

/// An account of the attacker's that works.
pub(super) async fn works(stage: &Stage, name: &str) -> Value {
    let project = format!("{}.used", stage.scene.namespace);
    stage.attack(&stage.account(name, &json!({"project": project}))).await;
    stage.scene.settled(name).await;
    let login = stage.scene.logs_in(name).await;
    let robots = stage.scene.harbor.robots(&project).await.unwrap();
    robots.into_iter().find(|robot| robot["name"] == login.name.as_str()).unwrap()
}

/// Harbor takes a number in a path for an id unless it is told otherwise.
async fn is_called_like_an_id(stage: &mut Stage) {
    let number = stage.id_of(&stage.victim).await.to_string();
    let before = stage.look().await;
    stage.attack(&stage.account("number", &json!({"project": number, "name": "ci"}))).await;
    stage.says("number", "Ready", "False", "ProjectNotFound").await;
    stage.only_own_changed(&before, |_| false).await;
    // Once there is such a project, its robots are there and nowhere else.
    stage.scene.harbor.create_project(&number).await.unwrap();
    stage.may_be_listed(&number).await;
    stage.scene.edit_registry(json!({"pollInterval": "59m"})).await;
    stage.scene.settled("number").await;
    assert_eq!(stage.scene.harbor.robots(&number).await.unwrap().len(), 1);
    let login = stage.scene.logs_in("number").await;
    assert!(login.name.contains(&format!("{number}+ci")), "{login:?}");
    stage.of_attacker().delete("number", &DeleteParams::default()).await.unwrap();
    stage.scene.gone("number").await;
    stage.only_own_changed(&before, |_| false).await;
    assert!(stage.scene.harbor.robots(&number).await.unwrap().is_empty());
}

/// A namespace's name says nothing of whose it is now: grants by label go with the labels, and a robot is its account's.
async fn namespace_made_again(stage: &Stage) {
    let project = stage.project("labelled");
    let labels = json!({"team": "trusted"});
    let namespace = stage.scene.namespace_with("again", &labels);
    let kept = json!({"project": project, "name": "kept", "deletionPolicy": "Retain"});
    stage.scene.apply(stage.account_in(&namespace, "first", &kept));
    stage.says_in(&namespace, "first", "Ready", "True", "Published").await;
    let namespaces: Api<Namespace> = Api::all(stage.scene.client.clone());
    let uid = namespaces.get(&namespace).await.unwrap().metadata.uid;
    namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace is gone", SOON, || async {
        if namespaces.get_opt(&namespace).await.unwrap().is_none() { Ok(()) } else { Err("it terminates") }
    })
    .await;
    let retained = stage.scene.harbor.robots(&project).await.unwrap();
    assert_eq!(retained.len(), 1, "the robot stays");

    // Whoever gets the name next has no label, and so no grant: the very same manifest makes no call.
    stage.scene.namespace_with("again", &json!({}));
    assert_ne!(namespaces.get(&namespace).await.unwrap().metadata.uid, uid);
    let before = stage.look().await;
    stage.scene.apply(stage.account_in(&namespace, "first", &kept));
    stage.says_in(&namespace, "first", "Ready", "False", "NotPermitted").await;
    let mut other = kept.clone();
    other["adoptionPolicy"] = json!("IfUnowned");
    stage.scene.apply(stage.account_in(&namespace, "second", &other));
    stage.says_in(&namespace, "second", "Ready", "False", "NotPermitted").await;
    assert!(stage.scene.secret_in(&namespace, "first").await.is_none(), "no credential came back");
    stage.nothing_happened(&before).await;

    // With the label, too, another account does not get the robot that is marked for the first.
    stage.scene.namespace_with("again", &labels);
    stage.says_in(&namespace, "second", "Ready", "False", "NameTaken").await;
    assert!(stage.scene.secret_in(&namespace, "second").await.is_none());
}
