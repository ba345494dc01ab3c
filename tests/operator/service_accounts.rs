//! Our entries in the `imagePullSecrets` and `secrets` of ServiceAccounts.

use harbor_robot_world::eventually;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::hands::changes;
use crate::scene::{BOTH_LOGINS, SOON, Scene, Setting, condition};

/// The lists, as `use` says them and as a ServiceAccount has them.
const LISTS: [&str; 2] = ["imagePullSecrets", "secrets"];

/// `spec.serviceAccounts` for entries in one list.
fn in_list(names: &[&str], list: &str) -> Value {
    let wanted = if list == "secrets" { json!("Secrets") } else { json!("ImagePullSecrets") };
    names.iter().map(|name| json!({"name": name, "use": wanted})).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_entry_comes_last_and_goes_with_the_spec_and_the_account() {
    for list in LISTS {
        let scene = Scene::new(Setting::default()).await;
        scene.service_account_with("builder", list, &["z", "a"]).await;
        scene.service_account_with("deployer", list, &[]).await;
        scene.account("ci", json!({"serviceAccounts": in_list(&["builder", "deployer"], list)})).await;
        scene.settled("ci").await;
        assert_eq!(scene.listed("builder", list).await, ["z", "a", "ci"]);
        assert_eq!(scene.listed("deployer", list).await, ["ci"]);

        scene.set_listed("builder", list, &["z", "ci", "a", "m"]).await;
        scene.edit("ci", json!({"serviceAccounts": in_list(&["builder"], list)})).await;
        scene.listed_are("deployer", list, &[]).await;
        scene.settled("ci").await;
        assert_eq!(scene.listed("builder", list).await, ["z", "ci", "a", "m"]);

        scene.edit("ci", json!({"serviceAccounts": null})).await;
        scene.listed_are("builder", list, &["z", "a", "m"]).await;

        scene.edit("ci", json!({"serviceAccounts": in_list(&["deployer"], list)})).await;
        scene.listed_are("deployer", list, &["ci"]).await;
        scene.delete("ci").await;
        scene.gone("ci").await;
        assert!(scene.listed("deployer", list).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_somebody_else_made_stays_when_the_spec_does_not_ask_for_it_any_more() {
    for list in LISTS {
        let scene = Scene::new(Setting::default()).await;
        scene.service_account_with("before", list, &["z", "ci"]).await;
        scene.service_account_with("ours", list, &["z"]).await;
        scene.account("ci", json!({"serviceAccounts": in_list(&["before", "ours", "later"], list)})).await;
        scene.settled("ci").await;
        assert_eq!(scene.listed("ours", list).await, ["z", "ci"]);
        // One that names the Secret as it comes.
        scene.service_account_with("later", list, &["ci"]).await;
        scene
            .account_is("nothing is missing", "ci", |account| {
                condition(account, "Synced").is_some_and(|(_, _, message)| !message.contains("later"))
            })
            .await;
        scene.edit("ci", json!({"serviceAccounts": null})).await;
        scene.listed_are("ours", list, &["z"]).await;
        scene.settled("ci").await;
        assert_eq!(scene.listed("before", list).await, ["z", "ci"]);
        assert_eq!(scene.listed("later", list).await, ["ci"]);

        // Taken out by its owner while the account asks for it, it comes back as ours.
        scene.edit("ci", json!({"serviceAccounts": in_list(&["before"], list)})).await;
        scene.settled("ci").await;
        scene.set_listed("before", list, &["z"]).await;
        scene.listed_are("before", list, &["z", "ci"]).await;
        scene.edit("ci", json!({"serviceAccounts": null})).await;
        scene.listed_are("before", list, &["z"]).await;
        // A lost Secret takes the record along: then what was asked for counts as ours.
        scene.edit("ci", json!({"serviceAccounts": in_list(&["ours"], list)})).await;
        scene.listed_are("ours", list, &["z", "ci"]).await;
        scene.settled("ci").await;
        scene.delete_secret("ci").await;
        scene.logs_in("ci").await;
        scene.settled("ci").await;
        scene.edit("ci", json!({"serviceAccounts": null})).await;
        scene.listed_are("ours", list, &["z"]).await;
        // With the account goes what is ours, and nothing else.
        scene.edit("ci", json!({"serviceAccounts": in_list(&["ours", "later"], list)})).await;
        scene.listed_are("ours", list, &["z", "ci"]).await;
        scene.settled("ci").await;
        scene.delete("ci").await;
        scene.gone("ci").await;
        assert_eq!(scene.listed("ours", list).await, ["z"]);
        assert_eq!(scene.listed("later", list).await, ["ci"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_deleted_together_with_its_secret_takes_its_entry_along() {
    let scene = Scene::new(Setting::default()).await;
    scene.service_account("builder", &["z"]).await;
    scene.account("ci", json!({"serviceAccounts": [{"name": "builder"}]})).await;
    scene.settled("ci").await;
    let operator = scene.operator.as_ref().unwrap();
    operator.pause().unwrap();
    scene.delete("ci").await;
    scene.delete_secret("ci").await;
    operator.resume().unwrap();
    scene.gone("ci").await;
    assert_eq!(scene.pull_secrets("builder").await, ["z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_service_account_is_waited_for() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({"serviceAccounts": [{"name": "later"}]})).await;
    let account = scene.settled("ci").await;
    let message = condition(&account, "Synced").unwrap().2;
    assert!(message.contains("ServiceAccount later does not exist yet"), "{message}");
    scene.service_account("later", &["other"]).await;
    scene.pull_secrets_are("later", &["other", "ci"]).await;
    scene
        .account_is("nothing is missing", "ci", |account| {
            condition(account, "Synced").is_some_and(|(_, _, message)| !message.contains("later"))
        })
        .await;

    scene.service_accounts().delete("later", &DeleteParams::default()).await.unwrap();
    scene
        .account_is("it is missing again", "ci", |account| {
            condition(account, "Synced").is_some_and(|(_, _, message)| message.contains("later"))
        })
        .await;
    scene.service_account("later", &[]).await;
    scene.pull_secrets_are("later", &["ci"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_that_comes_while_harbor_is_away_names_the_secret() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.account("ci", json!({"serviceAccounts": [{"name": "later"}, {"name": "last"}]})).await;
        scene.settled("ci").await;
        // Harbor says for how long it wants to be left alone: nothing happens by itself in that time.
        scene.faults(json!([{"status": 503, "headers": {"Retry-After": "600"}, "count": 0}])).await;
        scene.registry_reason_is("RateLimited").await;
        scene.service_account("later", &["other"]).await;
        scene.pull_secrets_are("later", &["other", "ci"]).await;
        scene.service_accounts().delete("later", &DeleteParams::default()).await.unwrap();
        scene.service_account("later", &[]).await;
        scene.pull_secrets_are("later", &["ci"]).await;
        // The same before the operator has seen a Harbor.
        scene.terminate();
        scene.start();
        scene.service_account("last", &[]).await;
        scene.pull_secrets_are("last", &["ci"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_several_accounts_taken_out_at_once_all_come_back() {
    let mut scene = Scene::new(Setting::default()).await;
    scene.service_account("builder", &["z"]).await;
    let names = ["one", "two", "three"];
    for name in names {
        scene.account(name, json!({"serviceAccounts": [{"name": "builder"}]})).await;
    }
    for name in names {
        scene.settled(name).await;
    }
    let all_there = async |scene: &Scene| {
        eventually("all entries are there", SOON, || async {
            let mut found = scene.pull_secrets("builder").await;
            found.sort();
            if found == ["one", "three", "two", "z"] { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    };
    all_there(&scene).await;
    scene.set_pull_secrets("builder", &["z"]).await;
    all_there(&scene).await;
    assert!(scene.terminate().success());
    scene.set_pull_secrets("builder", &["z"]).await;
    scene.start();
    all_there(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_taken_out_by_hand_is_put_back_twice_and_then_left_until_the_account_is_edited() {
    for list in LISTS {
        let scene = Scene::new(Setting::default()).await;
        scene.service_account_with("builder", list, &["z"]).await;
        scene.account("ci", json!({"serviceAccounts": in_list(&["builder"], list)})).await;
        scene.settled("ci").await;
        for _ in 1..=2 {
            scene.set_listed("builder", list, &["z"]).await;
            scene.listed_are("builder", list, &["z", "ci"]).await;
        }
        scene.set_listed("builder", list, &["z"]).await;
        let message = scene.reason_is("ci", "Synced", "False", "ServiceAccountContested").await;
        assert!(message.contains(&format!("{list} of ServiceAccount builder")), "{message}");
        // The API server names a writer that does not say who it is after its user agent.
        assert!(message.contains("last by ") && !message.contains("by somebody"), "{message}");
        let account = scene.get("ci").await;
        assert_eq!(condition(&account, "Ready").unwrap().0, "True");
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0, "{:?}", calls.by);
        assert_eq!(scene.listed("builder", list).await, ["z"]);
        assert_eq!(scene.get("ci").await.metadata.resource_version, account.metadata.resource_version);

        scene.edit("ci", json!({"description": "settled with the other tool"})).await;
        scene.listed_are("builder", list, &["z", "ci"]).await;
        scene.settled("ci").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_asks_harbor_nothing_for_accounts_whose_entries_are_there() {
    let mut scene = Scene::new(Setting::default()).await;
    scene.service_account("builder", &["z"]).await;
    for n in 0..4 {
        scene.account(&format!("ci-{n}"), json!({"serviceAccounts": [{"name": "builder"}, {"name": "default"}]})).await;
    }
    for n in 0..4 {
        scene.settled(&format!("ci-{n}")).await;
    }
    assert!(scene.terminate().success());
    // One entry was taken out meanwhile: that account, and no other, has something to do.
    let mut entries = scene.pull_secrets("builder").await;
    entries.retain(|name| name != "ci-2");
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    scene.set_pull_secrets("builder", &entries).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.start();
    scene.sweeps(2).await;
    let with_it = [entries.as_slice(), &["ci-2"]].concat();
    scene.pull_secrets_are("builder", &with_it).await;
    let calls = scene.harbor.calls().await.unwrap();
    let by_name = calls.calls.iter().filter(|call| call.path == "/api/v2.0/robots" && call.query.contains("name"));
    assert!(by_name.count() <= 1, "only that account asks for its robots: {:?}", calls.by);
    assert_eq!(changes(&calls), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_of_one_service_account_are_two_entries_each_of_which_comes_and_goes_by_itself() {
    let mut scene = Scene::new(Setting::default()).await;
    scene.service_account_with("builder", "secrets", &["dockercfg", "token"]).await;
    // Somebody's own entry of the same name is not ours, in this list.
    scene.service_account_with("theirs", "secrets", &["ci"]).await;
    let both = json!([{"name": "builder", "use": "Both"}, {"name": "theirs", "use": "Both"}]);
    scene.account("ci", json!({"serviceAccounts": both})).await;
    scene.settled("ci").await;
    assert_eq!(scene.listed("builder", "secrets").await, ["dockercfg", "token", "ci"]);
    assert_eq!(scene.pull_secrets("builder").await, ["ci"]);
    assert_eq!(scene.pull_secrets("theirs").await, ["ci"]);
    assert_eq!(scene.listed("theirs", "secrets").await, ["ci"]);
    // A start finds all in place, and one list taken out meanwhile is put right alone.
    assert!(scene.terminate().success());
    scene.set_listed("builder", "secrets", &["token"]).await;
    scene.start();
    scene.listed_are("builder", "secrets", &["token", "ci"]).await;
    assert_eq!(scene.pull_secrets("builder").await, ["ci"]);
    scene.settled("ci").await;

    scene.edit("ci", json!({"serviceAccounts": [{"name": "builder", "use": "Secrets"}]})).await;
    scene.pull_secrets_are("builder", &[]).await;
    scene.pull_secrets_are("theirs", &[]).await;
    scene.settled("ci").await;
    assert_eq!(scene.listed("builder", "secrets").await, ["token", "ci"]);
    assert_eq!(scene.listed("theirs", "secrets").await, ["ci"]);
    scene.edit("ci", json!({"serviceAccounts": [{"name": "builder"}]})).await;
    scene.listed_are("builder", "secrets", &["token"]).await;
    scene.pull_secrets_are("builder", &["ci"]).await;
    scene.delete("ci").await;
    scene.gone("ci").await;
    assert!(scene.pull_secrets("builder").await.is_empty());
    assert_eq!(scene.listed("theirs", "secrets").await, ["ci"]);
}
