//! `plan`: what it says is what the operator does when the manifests are applied, and nothing before.

use std::process::Command;

use harbor_robot_world::{Output, Profile, program, run};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{allow, json_of};
use crate::rotation::MINUTE;
use crate::scene::{LoginAs, Scene, Setting, merge, pairs};

/// The plugin, with manifests on its standard input.
fn plan(scene: &Scene, args: &[&str], manifests: &[Value]) -> Output {
    let mut command = Command::new(program("kubectl-robots", Profile::Dev).unwrap());
    command.args([
        "plan",
        "--allow-http",
        "--cluster-resource-namespace",
        &scene.system,
        "--namespace",
        &scene.namespace,
    ]);
    command.args(args).args(if manifests.is_empty() { &[][..] } else { &["-f", "-"] });
    command.env("KUBECONFIG", &scene.plane.kubeconfig).env_remove("NO_COLOR");
    let text: Vec<String> = manifests.iter().map(Value::to_string).collect();
    run(command, text.join("\n---\n").as_bytes())
}

/// The manifest of an account as [`Scene::account`] makes it.
fn manifest(scene: &Scene, name: &str, spec: &Value) -> Value {
    let mut whole = json!({
        "registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry},
        "project": scene.namespace, "permissions": ["PullArtifacts"],
    });
    merge(&mut whole, spec);
    json!({"apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount", "metadata": {"name": name}, "spec": whole})
}

/// `object: what becomes of it`, of each object that it looked at; what stands in the way comes first.
fn told(output: Output) -> Vec<Vec<String>> {
    let of_one = |outlook: &Value| {
        let hindrance =
            outlook["reason"].as_str().map(|reason| format!("{reason}: {}", outlook["message"].as_str().unwrap()));
        let changes = outlook["changes"].as_array().unwrap().iter();
        let changes = changes
            .map(|change| format!("{}: {}", change["object"].as_str().unwrap(), change["says"].as_str().unwrap()));
        hindrance.into_iter().chain(changes).collect()
    };
    json_of(output).as_array().unwrap().iter().map(of_one).collect()
}

/// All that a plan must leave alone.
async fn picture(scene: &Scene) -> (Vec<Value>, Vec<Option<String>>, u64) {
    let accounts = scene.accounts().list(&ListParams::default()).await.unwrap().items;
    let secrets = scene.secrets().list(&ListParams::default()).await.unwrap().items;
    let accounts = accounts.into_iter().map(|account| account.metadata.resource_version);
    let secrets = secrets.into_iter().map(|secret| secret.metadata.resource_version);
    let calls = scene.harbor.call_counts().await.unwrap().by;
    let changes = calls
        .iter()
        .filter(|(call, _)| call.contains("/robots") && !call.starts_with("GET "))
        .map(|(_, count)| count)
        .sum();
    (scene.robots().await, accounts.chain(secrets).collect(), changes)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_manifests_would_do_is_told_and_then_done_as_it_was_told() {
    let scene = Scene::new(Setting::default()).await;
    let ns = &scene.namespace;
    scene
        .account(
            "ci",
            json!({"permissions": ["PushArtifacts", "PullArtifacts"], "serviceAccounts": [{"name": "default"}]}),
        )
        .await;
    scene.settled("ci").await;
    let before = picture(&scene).await;

    let edited = manifest(
        &scene,
        "ci",
        &json!({"permissions": ["PullArtifacts", "CreateTags"], "serviceAccounts": [{"name": "builder"}]}),
    );
    let new = manifest(&scene, "new", &json!({"expiresAfter": "90d"}));
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}});
    let found = plan(&scene, &["-o", "json"], &[edited.clone(), other, new.clone()]);
    assert_eq!(found.code, Some(0), "{found:?}");
    assert!(found.stderr.contains("left out: ConfigMap other, which is none of harbor-robots.io\n"), "{found:?}");
    assert!(found.stderr.contains("2 objects: 2 would change, 1 of them with something that ends; "), "{found:?}");
    let robot = format!("robot robot${ns}+ci: gains tag:create; loses repository:push");
    let made = format!("robot robot${ns}+new: made; expires 90 days from then; may repository:pull in {ns}");
    let expected = json!([
        [
            robot,
            format!("Secret {ns}/ci: written anew around the credential that it holds"),
            "ServiceAccount builder: names the Secret in imagePullSecrets",
            "ServiceAccount default: does not name the Secret in imagePullSecrets any more",
        ],
        [made, format!("Secret {ns}/new: made")],
    ]);
    assert_eq!(json!(told(found)), expected);
    assert_eq!(picture(&scene).await, before, "nothing was done");
    let tree = plan(&scene, &[], std::slice::from_ref(&edited)).stdout;
    let first = format!("RobotAccount {ns}/ci  registry {}\n├─ {robot}\n", scene.registry);
    assert!(tree.starts_with(&first), "{tree}");

    scene.account("new", new["spec"].clone()).await;
    scene.edit("ci", edited["spec"].clone()).await;
    scene.settled("new").await;
    scene.account_is("edited", "ci", |account| account.metadata.generation == Some(2)).await;
    scene.settled("ci").await;
    let robots = scene.robots().await;
    let named = |name: &str| robots.iter().find(|robot| robot["name"] == format!("robot${ns}+{name}")).unwrap();
    assert_eq!(pairs(named("ci")), ["repository:pull", "tag:create"]);
    assert_eq!(named("new")["duration"], 90);
    assert_eq!(robots.len(), 2);
    let again = plan(&scene, &["ci", "new"], &[]);
    assert_eq!(again.stdout.matches("└─ nothing: it is as asked for").count(), 2, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_and_an_end_are_foreseen_with_who_is_refused_when() {
    // A login that may not update: another robot takes the place of one that changes.
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    let ns = &scene.namespace;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.harbor.advance(2 * MINUTE).await.unwrap();
    scene.two_sweeps().await;
    let (first, second) = (format!("robot robot${ns}+ci"), format!("robot robot${ns}+ci.b"));
    let secret = format!("Secret {ns}/ci: holds the new credential");

    let mut refreshed = manifest(&scene, "ci", &json!({}));
    refreshed["metadata"]["annotations"] = json!({"harbor-robots.io/refresh": "1"});
    let found = told(plan(&scene, &["-o", "json"], &[refreshed]));
    assert!(found[0][0].starts_with(&format!("{second}: made; expires 30 days from then; ")), "{found:?}");
    assert_eq!(found[0][1], secret);
    assert!(found[0][2].starts_with(&format!("{first}: works on until ")), "{found:?}");
    assert!(found[0][2].contains("(in 24h) (rotation.overlap), and is deleted then"), "{found:?}");
    let mut revoked = manifest(&scene, "ci", &json!({}));
    revoked["metadata"]["annotations"] = json!({"harbor-robots.io/revoke": "1"});
    let found = told(plan(&scene, &["-o", "json"], &[revoked]));
    assert_eq!(found[0][2], format!("{first}: deleted as soon as the new credential is published"));

    let deleted = json!([[
        format!("{first}: deleted, since the account is deleted"),
        format!("Secret {ns}/ci: deleted with the account")
    ]]);
    assert_eq!(json!(told(plan(&scene, &["ci", "--delete", "-o", "json"], &[]))), deleted);
    let missing = plan(&scene, &["--delete", "-o", "json"], &[manifest(&scene, "none", &json!({}))]);
    assert_eq!(missing.code, Some(3));
    assert_eq!(told(missing), [["ObjectNotFound: there is none"]]);
    let suspended =
        plan(&scene, &["-o", "json"], &[manifest(&scene, "ci", &json!({"suspend": true, "disabled": true}))]);
    assert_eq!(suspended.code, Some(0));
    let note = "nothing is done while it, or its registry, is suspended";
    assert_eq!(json_of(suspended)[0]["notes"], json!([note]));
    // Whether a robot's login may update robots is found out by trying.
    let disabled = plan(&scene, &["-o", "json"], &[manifest(&scene, "ci", &json!({"disabled": true}))]);
    assert_eq!(told(disabled), [[format!("{first}: disabled: whoever logs in with it is refused")]]);

    // What it says of the refresh is what comes.
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"harbor-robots.io/refresh": "1"}}}));
    scene.accounts().patch("ci", &PatchParams::default(), &patch).await.unwrap();
    let names = |robots: &[Value]| {
        robots.iter().map(|robot| format!("robot {}", robot["name"].as_str().unwrap())).collect::<Vec<_>>()
    };
    scene.robots_are("two robots", |robots| names(robots) == [first.clone(), second.clone()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_registry_names_those_who_lose_something_and_passes_over_all_others() {
    let scene = Scene::new(Setting::default()).await;
    let ns = &scene.namespace;
    scene.account("pulls", json!({})).await;
    scene.account("pushes", json!({"permissions": ["PushArtifacts", "PullArtifacts"]})).await;
    for name in ["pulls", "pushes"] {
        scene.settled(name).await;
    }
    let before = picture(&scene).await;
    let mut registry = serde_json::to_value(scene.registries().get(&scene.registry).await.unwrap()).unwrap();
    registry["metadata"] = json!({"name": scene.registry});
    registry.as_object_mut().unwrap().remove("status");
    let mut narrower = registry.clone();
    narrower["spec"]["grants"] =
        json!([{"name": "pull", "namespaces": [ns], "projects": [ns], "permissions": ["PullArtifacts"]}]);
    narrower["spec"]["grantRevocationDelay"] = json!("7m");
    let found = plan(&scene, &["-o", "json"], &[narrower.clone()]);
    assert_eq!(found.code, Some(3), "{found:?}");
    assert!(
        found.stderr.contains(
            "2 objects: 1 would change, 1 of them with something that ends; 1 not as written; 1 as they are."
        ),
        "{found:?}"
    );
    let lines = told(found);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0][0].starts_with(&format!("NotPermitted: registry {}: ", scene.registry)), "{lines:?}");
    assert_eq!(
        lines[0][1..],
        [
            format!("robot robot${ns}+pushes: disabled: whoever logs in with it is refused from then on"),
            format!("Secret {ns}/pushes: deleted"),
            "when: 7m after the grant went (grantRevocationDelay)".to_owned(),
        ]
    );
    // In the same file, an account that fits it again.
    let fits = manifest(&scene, "pushes", &json!({}));
    let found = told(plan(&scene, &["-o", "json"], &[narrower, fits]));
    assert_eq!(found, [[format!("robot robot${ns}+pushes: loses repository:push")]]);

    // Another host of images concerns every Secret.
    registry["spec"]["additionalHosts"] = json!(["mirror.example.com"]);
    let found = told(plan(&scene, &["-o", "json"], &[registry]));
    let written = |name: &str| vec![format!("Secret {ns}/{name}: written anew around the credential that it holds")];
    assert_eq!(found, [written("pulls"), written("pushes")]);
    assert_eq!(picture(&scene).await, before, "nothing was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_as_it_is_written_is_told_in_the_words_of_whoever_refuses_it() {
    let scene = Scene::new(Setting::default()).await;
    let ns = &scene.namespace;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let bad = [
        manifest(&scene, "typo", &json!({"permisions": ["PullArtifacts"]})),
        manifest(&scene, "short", &json!({"expiresAfter": "5"})),
        manifest(&scene, "lost", &json!({"project": "there-is-none"})),
        manifest(&scene, "ci", &json!({"project": "another"})),
    ];
    let found = plan(&scene, &["-o", "json"], &bad);
    assert_eq!(found.code, Some(3), "{found:?}");
    let by_name: Vec<(String, String)> = json_of(found)
        .as_array()
        .unwrap()
        .iter()
        .map(|outlook| {
            let text = |key: &str| outlook[key].as_str().unwrap().to_owned();
            (text("name"), format!("{}: {}", text("reason"), text("message")))
        })
        .collect();
    let of = |name: &str| &by_name.iter().find(|(named, _)| *named == format!("{ns}/{name}")).unwrap().1;
    assert!(
        of("typo").contains("InvalidSpec: ") && of("typo").contains("unknown field \"spec.permisions\""),
        "{by_name:?}"
    );
    assert!(of("short").starts_with("InvalidSpec: ") && of("short").contains("spec.expiresAfter"), "{by_name:?}");
    assert!(of("lost").starts_with("ProjectNotFound: ") && of("lost").contains("there-is-none"), "{by_name:?}");
    assert!(of("ci").starts_with("InvalidSpec: ") && of("ci").contains("spec.project"), "{by_name:?}");

    for (text, says) in [
        ("kind: [", "error: -: "),
        (
            "{apiVersion: harbor-robots.io/v1alpha1, kind: Robot, metadata: {name: a}}",
            "error: -: harbor-robots.io has no kind \"Robot\"\n",
        ),
        (
            "{apiVersion: harbor-robots.io/v1alpha1, kind: RobotAccount, metadata: {name: A}}",
            "error: -: RobotAccount: metadata.name \"A\" is ",
        ),
    ] {
        let mut command = Command::new(program("kubectl-robots", Profile::Dev).unwrap());
        command.args(["plan", "-f", "-"]).env("KUBECONFIG", &scene.plane.kubeconfig);
        let refused = run(command, text.as_bytes());
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.starts_with(says), "{refused:?}");
    }
    let no_file = plan(&scene, &["-f", "/there/is/none"], &[]);
    assert!(no_file.stderr.starts_with("error: /there/is/none: "), "{no_file:?}");

    // Somebody who sees accounts, and neither their Secrets nor the registry's login.
    let user = format!("{ns}-reader");
    allow(&scene, &user, "get,list");
    let reader = plan(&scene, &["ci", "--as", &user], &[]);
    assert_eq!(reader.code, Some(1), "{reader:?}");
    assert!(reader.stderr.contains("Kubernetes refuses this: "), "{reader:?}");
    // Harbor is away: nothing can be said, which is said.
    scene.faults(json!([{"status": 503, "count": 0}])).await;
    let away = plan(&scene, &["ci"], &[]);
    assert_eq!(away.code, Some(3), "{away:?}");
    assert!(away.stdout.contains(&format!("registry {}: ", scene.registry)), "{away:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_the_system_and_registries_of_namespaces_are_foreseen_too() {
    let scene = Scene::new(Setting::default()).await;
    let (ns, system) = (&scene.namespace, &scene.system);
    let of_the_system = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "SystemRobotAccount", "metadata": {"name": ns},
        "spec": {
            "registryRef": {"kind": "ClusterHarborRegistry", "name": scene.registry},
            "projects": {"matching": [{"pattern": format!("{ns}*"), "permissions": ["PullArtifacts"]}]},
            "secret": {"name": "pull", "namespaces": [ns, "not-there-yet"]},
        },
    });
    let found = plan(&scene, &["-o", "json"], &[of_the_system]);
    let expected = json!([[
        format!("robot robot${ns}: made; expires 30 days from then; may repository:pull in {ns}"),
        format!("Secret {system}/pull: made"),
        "Secret not-there-yet/pull: made once the namespace is there",
        format!("Secret {ns}/pull: made"),
    ]]);
    assert_eq!(json!(told(found)), expected);

    // A registry that is not there yet, with a login that is.
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "own-login", "namespace": ns, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": scene.harbor.admin.name, "password": scene.harbor.admin.secret},
    }));
    let registry = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry", "metadata": {"name": "own"},
        "spec": {"url": scene.harbor.url, "auth": {"secretRef": {"name": "own-login"}}},
    });
    let uses_it = manifest(&scene, "ci", &json!({"registryRef": {"kind": "HarborRegistry", "name": "own"}}));
    // Whoever wrote the manifest must not get the login by that.
    let calls = scene.harbor.call_counts().await.unwrap().total;
    let distrusted = plan(&scene, &["-o", "json"], &[uses_it.clone(), registry.clone()]);
    assert_eq!(distrusted.code, Some(3), "{distrusted:?}");
    assert!(
        told(distrusted)[0][0]
            .starts_with(&format!("NotAsked: registry {ns}/own of the manifest is not there yet, or"))
    );
    assert_eq!(scene.harbor.call_counts().await.unwrap().total, calls, "nobody was asked");
    let found = plan(
        &scene,
        &["-o", "json", "--trust-urls", "--private-registry-hosts", "127.*,localhost"],
        &[uses_it.clone(), registry],
    );
    assert_eq!(found.code, Some(0), "{found:?}");
    let made = format!("robot robot${ns}+ci: made; expires 30 days from then; may repository:pull in {ns}");
    assert_eq!(told(found), [[made, format!("Secret {ns}/ci: made")]]);
    let without = told(plan(&scene, &["-o", "json"], &[uses_it]));
    assert_eq!(without, [["RegistryNotFound: HarborRegistry own does not exist in this namespace"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_claims_to_be_another_object_or_has_another_login_is_not_believed() {
    let scene = Scene::new(Setting::default()).await;
    let ns = &scene.namespace;
    scene.account("ci", json!({})).await;
    let victim = scene.settled("ci").await;
    scene.stranger("taken", "made in the page").await;
    // With its UID and its status, for its Secret.
    let mut evil = manifest(&scene, "evil", &json!({"secret": {"name": "ci"}}));
    evil["metadata"]["uid"] = json!(victim.metadata.uid);
    evil["metadata"]["finalizers"] = json!(["harbor-robots.io/robot"]);
    evil["status"] = serde_json::to_value(&victim.status).unwrap();
    let found = told(plan(&scene, &["-o", "json"], &[evil]));
    assert!(found[0][0].starts_with("SecretNotOwned: "), "{found:?}");

    // What is in Harbor already, of whom nobody knows.
    let taken = manifest(&scene, "taken", &json!({}));
    let found = plan(&scene, &["-o", "json"], &[taken]);
    assert_eq!(found.code, Some(3), "{found:?}");
    assert!(told(found)[0][0].starts_with("NameTaken: "));
    let adopted = manifest(&scene, "taken", &json!({"adoptionPolicy": "IfUnowned"}));
    let found = told(plan(&scene, &["-o", "json"], &[adopted]));
    let robot = format!("robot robot${ns}+taken");
    assert!(found[0].iter().any(|line| line.starts_with(&format!("{robot}: taken over"))), "{found:?}");
    let refreshed =
        format!("{robot}: gets another secret; whoever logs in with the one that it has is refused from then on");
    assert!(found[0].contains(&refreshed), "{found:?}");

    // Another Secret of the operator's namespace, which may be another Harbor's login.
    let mut registry = serde_json::to_value(scene.registries().get(&scene.registry).await.unwrap()).unwrap();
    registry["metadata"] = json!({"name": scene.registry});
    registry["spec"]["auth"]["secretRef"]["name"] = json!("another");
    let found = told(plan(&scene, &["-o", "json"], &[registry]));
    assert!(found[0][0].starts_with(&format!("NotAsked: registry {} of the manifest", scene.registry)), "{found:?}");
}
