//! What was granted once: asked for more later, and kept alive after the grant is gone.

use harbor_robot_operator::api::Grant;
use harbor_robot_world::eventually;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::Table;
use super::fenced::works;
use super::stage::Stage;
use crate::hands::ids;
use crate::scene::{SOON, condition, pairs};

/// On the stage of the fenced: grants for the project `<namespace>.used`.
pub async fn cases(table: &mut Table, stage: &Stage) {
    table.row("asking for more later leaves the robot as it was", asks_for_more_later(stage)).await;
    table.row("asking for a longer life later leaves the robot as it was", asks_for_longer_later(stage)).await;
    table.row("emptied lists do not widen", empties_its_lists(stage)).await;
    table.row("within grantRevocationDelay nothing is renewed or widened", revoked(stage)).await;
    table.row("suspend does not keep what is not granted any more", suspends_itself(stage)).await;
    table.row("suspend does not keep what another wish would be granted", suspends_with_less(stage)).await;
    table.row("Retain does not keep what is not granted any more", retains(stage)).await;
    clear(stage).await;
}

/// Deletes the accounts that had robots. With the grants those of some came back more than once: the last time after a
/// wait, which would end in the middle of another case.
async fn clear(stage: &Stage) {
    for account in stage.scene.accounts().list(&ListParams::default()).await.unwrap() {
        if account.metadata.finalizers.is_some() {
            let name = account.metadata.name.unwrap();
            stage.edit(&name, json!({"spec": {"suspend": null}})).await;
            stage.scene.delete(&name).await;
            stage.scene.gone(&name).await;
        }
    }
}

async fn asks_for_more_later(stage: &Stage) {
    let robot = works(stage, "more").await;
    let before = stage.look().await;
    for (wish, says) in [
        (json!({"permissions": ["PullArtifacts", "PushArtifacts"]}), "repository:push not granted"),
        (json!({"access": [{"resource": "robot", "action": "create"}]}), "robot:create not granted"),
    ] {
        stage.edit("more", json!({"spec": wish})).await;
        let message = stage.says("more", "Ready", "False", "NotPermitted").await;
        assert!(message.contains(says), "{message}");
    }
    stage.nothing_happened(&before).await;
    let granted = json!({"permissions": ["PullArtifacts"], "access": null});
    stage.edit("more", json!({"spec": granted})).await;
    stage.scene.settled("more").await;
    assert_eq!(pairs(&stage.scene.robot(robot["id"].as_i64().unwrap()).await), ["repository:pull"]);
}

async fn asks_for_longer_later(stage: &Stage) {
    let robot = works(stage, "longer").await;
    let before = stage.look().await;
    for wish in [json!("91d"), json!("Never"), Value::Null] {
        stage.edit("longer", json!({"spec": {"expiresAfter": wish}})).await;
        let message = stage.says("longer", "Ready", "False", "NotPermitted").await;
        assert!(message.contains("is longer than the 90d"), "{message}");
    }
    stage.nothing_happened(&before).await;
    assert_eq!(stage.scene.robot(robot["id"].as_i64().unwrap()).await["expires_at"], robot["expires_at"]);
    stage.of_attacker().delete("longer", &DeleteParams::default()).await.unwrap();
    stage.scene.gone("longer").await;
}

/// With neither list an account gets all ten.
async fn empties_its_lists(stage: &Stage) {
    let robot = works(stage, "emptied").await;
    let before = stage.look().await;
    let base = stage.account("emptied", &json!({"project": format!("{}.used", stage.scene.namespace)}));
    for (permissions, says) in [(json!([]), "spec.permissions"), (Value::Null, "permissions or access must stay")] {
        let patch = Patch::Merge(json!({"spec": {"permissions": permissions}}));
        let answer = stage.of_attacker().patch("emptied", &PatchParams::default(), &patch).await;
        let text = answer.unwrap_err().to_string();
        assert!(text.contains(says), "{text}");
    }
    let mut dropped = base;
    dropped["spec"].as_object_mut().unwrap().remove("permissions");
    stage.is_refused(&dropped, "permissions or access must stay").await;
    stage.nothing_happened(&before).await;
    assert_eq!(pairs(&stage.scene.robot(robot["id"].as_i64().unwrap()).await), ["repository:pull"]);
}

/// Whoever may read the Secret keeps what is in it: but nothing new comes, whatever is asked for.
async fn revoked(stage: &Stage) {
    let robot = works(stage, "revoked").await;
    stage.scene.harbor.advance(61).await.unwrap();
    let (all, of_others) = grants(stage).await;
    stage.scene.edit_registry(json!({"grants": of_others, "grantRevocationDelay": "1h"})).await;
    stage.says("revoked", "Ready", "False", "NotPermitted").await;
    let before = stage.look().await;
    for token in ["harbor-robots.io/refresh", "harbor-robots.io/revoke"] {
        stage.edit("revoked", json!({"metadata": {"annotations": {token: "now"}}})).await;
    }
    stage.edit("revoked", json!({"spec": {"description": "again", "rotation": {"strategy": "InPlace"}}})).await;
    stage.says("revoked", "Ready", "False", "NotPermitted").await;
    stage.scene.delete_secret("revoked").await;
    stage.edit("revoked", json!({"spec": {"description": "and again"}})).await;
    stage.says("revoked", "Ready", "False", "NotPermitted").await;
    assert!(stage.scene.secret("revoked").await.is_none(), "a lost credential does not come back");
    stage.nothing_happened(&before).await;
    // What is left after the delay is switched off, and the grant given again makes a new one.
    stage.scene.edit_registry(json!({"grantRevocationDelay": "1s"})).await;
    is_disabled(stage, &robot).await;
    stage.scene.edit_registry(json!({"grants": all})).await;
    stage.scene.settled("revoked").await;
    stage.scene.logs_in("revoked").await;
    let robots = stage.scene.harbor.robots(&format!("{}.used", stage.scene.namespace)).await.unwrap();
    assert!(ids(&robots).len() <= 6 && condition(&stage.scene.get("revoked").await, "Stalled").is_none());
    stage.tells_nothing(&stage.all_that_is_told().await);
}

/// All grants of the registry, and those that give the attacker nothing.
async fn grants(stage: &Stage) -> (Vec<Grant>, Vec<Grant>) {
    let all = stage.scene.registries().get(&stage.scene.registry).await.unwrap().spec.grants.unwrap();
    let of_others =
        all.iter().filter(|grant| !grant.namespaces.iter().flatten().any(|name| *name == stage.scene.namespace));
    let of_others = of_others.cloned().collect();
    (all, of_others)
}

/// Takes all grants away from the attacker, and gives them back at the end.
async fn without_grants(stage: &Stage, attack: impl Future<Output = ()>) {
    let (all, of_others) = grants(stage).await;
    stage.scene.edit_registry(json!({"grants": of_others, "grantRevocationDelay": "1s"})).await;
    attack.await;
    stage.scene.edit_registry(json!({"grants": all})).await;
}

async fn is_disabled(stage: &Stage, robot: &Value) {
    let id = robot["id"].as_i64().unwrap();
    eventually("the robot is disabled", SOON, || async {
        let now = stage.scene.robot(id).await;
        if now["disable"] == true { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
}

/// `suspend` stops the operator for an account, and the account is the tenant's to write.
async fn suspends_itself(stage: &Stage) {
    let robot = works(stage, "suspended").await;
    stage.edit("suspended", json!({"spec": {"suspend": true}})).await;
    stage.says("suspended", "Synced", "False", "Suspended").await;
    without_grants(stage, async {
        stage.says("suspended", "Ready", "False", "NotPermitted").await;
        is_disabled(stage, &robot).await;
        stage.scene.no_secret_in(&stage.scene.namespace, "suspended").await;
    })
    .await;
}

/// A wish that is granted, suspended before it is served, would let the robot keep what it has.
async fn suspends_with_less(stage: &Stage) {
    let project = format!("{}.used", stage.scene.namespace);
    let listing = json!([{"resource": "tag", "action": "list"}]);
    stage.attack(&stage.account("less", &json!({"project": project, "access": listing}))).await;
    stage.scene.settled("less").await;
    let login = stage.scene.logs_in("less").await;
    stage.edit("less", json!({"spec": {"suspend": true, "access": null}})).await;
    stage.says("less", "Synced", "False", "Suspended").await;
    let (all, _) = grants(stage).await;
    let mut fewer = all.clone();
    fewer[0].access = None;
    stage.scene.edit_registry(json!({"grants": fewer})).await;
    eventually("the robot has what is granted", SOON, || async {
        let robots = stage.scene.harbor.robots(&project).await.map_err(|error| error.to_string())?;
        let robot = robots.into_iter().find(|robot| robot["name"] == login.name.as_str()).ok_or("it is gone")?;
        if pairs(&robot) == ["repository:pull"] { Ok(()) } else { Err(format!("{:?}", pairs(&robot))) }
    })
    .await;
    stage.scene.edit_registry(json!({"grants": all})).await;
}

/// With `Retain` robot and Secret outlive their account, and nobody is left to take them away.
async fn retains(stage: &Stage) {
    let robot = works(stage, "retained").await;
    let project = format!("{}.used", stage.scene.namespace);
    without_grants(stage, async {
        stage.says("retained", "Ready", "False", "NotPermitted").await;
        stage.edit("retained", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        stage.of_attacker().delete("retained", &DeleteParams::default()).await.unwrap();
        stage.scene.gone("retained").await;
        let robots = stage.scene.harbor.robots(&project).await.unwrap();
        assert!(!robots.iter().any(|left| left["id"] == robot["id"]), "the robot stays");
        stage.scene.no_secret_in(&stage.scene.namespace, "retained").await;
    })
    .await;
}
