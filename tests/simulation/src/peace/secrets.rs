//! Secrets as accounts ask for them, and Secrets that are somebody else's.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{SOON, not_settled};
use crate::check::{Violation, condition};
use crate::kubernetes::{Id, kind};
use crate::world::World;

/// In so long an account is gone that made nothing.
const GONE: Duration = Duration::from_secs(30);
/// The certificate of an authority; nobody has its key.
const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUSzAY1nuAAo6VgZfzDIC6ycdPyRAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJc2ltdWxhdGVkMCAXDTI2MTEzMDE1MTIyNFoYDzIxMjYxMTA2
MTUxMjI0WjAUMRIwEAYDVQQDDAlzaW11bGF0ZWQwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATYC6khHdOG910WIjIt7oOu2PtSEre5EziW2MsCFXhQmO0duiuipvqR
4w4n60UoPd2AqA5T/174bR0dUH8bW7OMo1MwUTAdBgNVHQ4EFgQUd8MHUnRjWQnk
1AtVPpszkCWJIS0wHwYDVR0jBBgwFoAUd8MHUnRjWQnk1AtVPpszkCWJIS0wDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBER4Fgwoh4UF8Rd4+FiZdr
LxYewYTb1NuFRz0k6UYhhgIgO1V7PUUAbjxeQUsyeH+xwuSb2UYL86UwwoEk4Rv2
Elc=
-----END CERTIFICATE-----
";
/// The account that wants a Secret of somebody else.
const LATECOMER: &str = "latecomer";

/// Keys, labels and annotations that an account asks for come, and go when it asks for them no longer.
pub(super) async fn form(world: &mut World, accounts: &[usize]) -> Vec<Violation> {
    world.network.note("-- other keys");
    let before: Vec<Value> = world.wishes.iter().map(|wish| wish.spec["secret"].clone()).collect();
    for number in [1, 2] {
        for &account in accounts {
            let wish = &mut world.wishes[account];
            wish.spec["secret"]["keys"] = json!([
                {"key": format!("user-{number}"), "format": "Username"}, {"key": "robot.json", "format": "RobotFile"},
            ]);
            wish.spec["secret"]["labels"] = json!({format!("label-{number}"): "there", "both": number.to_string()});
            wish.spec["secret"]["annotations"] = json!({format!("note-{number}"): "there", "both": number.to_string()});
            world.apply(&world.wishes[account]);
        }
        let mut wrong = not_settled(world, "other keys", Instant::now(), SOON).await;
        wrong.extend(accounts.iter().flat_map(|account| left_over(world, *account, 3 - number)));
        if !wrong.is_empty() {
            return wrong;
        }
    }
    for (account, secret) in before.into_iter().enumerate() {
        world.wishes[account].spec["secret"] = secret;
    }
    for &account in accounts {
        world.apply(&world.wishes[account]);
    }
    let mut wrong = not_settled(world, "former keys", Instant::now(), SOON).await;
    wrong.extend(accounts.iter().flat_map(|account| left_over(world, *account, 2)));
    wrong
}

/// What an account asked for before and does not any more, and is there all the same.
fn left_over(world: &World, account: usize, number: u32) -> Vec<Violation> {
    let Some(object) = world.account(account) else { return Vec::new() };
    let of = |namespace: String| {
        let id = Id::new(kind("Secret"), &namespace, &world.wishes[account].name);
        let secret = world.stored(&id);
        let metadata = &secret["metadata"];
        let there = [
            (&secret["data"], format!("user-{number}")),
            (&metadata["labels"], format!("label-{number}")),
            (&metadata["annotations"], format!("note-{number}")),
        ];
        let left = there.into_iter().find(|(map, name)| !map[name.as_str()].is_null())?;
        Some(format!("k: {id} has {}, which its account does not ask for any more", left.1))
    };
    world.places(account, &object).into_iter().filter_map(of).collect()
}

/// A Secret that is somebody else's stays as it is, and the account that wants its name says whether it may go.
pub(super) async fn of_others(world: &mut World) -> Vec<Violation> {
    world.network.note("-- Secrets of others");
    let login = World::login(1);
    let theirs = |name: &str| Id::new(kind("Secret"), &login.namespace, name);
    let stays = "it has to stay";
    let cases = [(login.clone(), stays), (theirs("bundle"), stays), (theirs("theirs"), "delete it if nobody needs it")];
    for name in ["bundle", "theirs"] {
        let metadata = json!({
            "name": name, "namespace": login.namespace, "labels": {"harbor-robots.io/use": "ca"},
        });
        let object = json!({"metadata": metadata, "stringData": {"ca.crt": AUTHORITY}});
        world.put(kind("Secret"), &login.namespace, &object);
    }
    let tls = json!({"caCertificatesRef": {"kind": "Secret", "name": "bundle", "key": "ca.crt"}});
    drop(world.patch(&World::registry(1), &json!({"spec": {"tls": tls}})));
    sleep(SOON).await;
    let mut wrong = Vec::new();
    for (secret, advice) in &cases {
        let before = world.cluster.store().get(secret).cloned();
        let account = Id::new(kind("RobotAccount"), &login.namespace, LATECOMER);
        let object = json!({
            "apiVersion": account.kind().api_version(), "kind": account.kind().name,
            "metadata": {"name": LATECOMER, "namespace": login.namespace},
            "spec": {
                "registryRef": {"kind": "HarborRegistry", "name": World::registry(1).name}, "project": "shared",
                "permissions": ["PullArtifacts"], "expiresAfter": "30d", "secret": {"name": secret.name},
            },
        });
        if let Err(refusal) = world.create(account.kind(), &login.namespace, &object) {
            return vec![format!("h: {account} is no account: {}", refusal.message)];
        }
        sleep(SOON).await;
        let stored = world.stored(&account);
        let synced = condition(&stored, "Synced");
        let said = synced["message"].as_str().unwrap_or_default();
        if synced["reason"] != "SecretNotOwned" || !said.contains(advice) || !said.contains(&secret.name) {
            wrong.push(format!("k: {account} wants {secret}, of which {advice:?} holds, and says {synced}"));
        }
        if world.cluster.store().get(secret).cloned() != before {
            wrong.push(format!("c: {account} wants {secret}, and changed it"));
        }
        if secret.name == "theirs" {
            // Nothing tells of a Secret that is not ours: it is looked at again.
            drop(world.delete(secret));
            sleep(world.poll + SOON).await;
            let stored = world.stored(&account);
            if condition(&stored, "Ready")["reason"] != "Published" {
                wrong.push(format!("k: {secret} is gone, and {account} says {}", condition(&stored, "Synced")));
            }
        }
        drop(world.delete(&account));
        sleep(GONE).await;
        if world.cluster.store().get(&account).is_some() {
            wrong.push(format!("k: {account} does not go"));
        }
    }
    drop(world.patch(&World::registry(1), &json!({"spec": {"tls": null}})));
    sleep(SOON).await;
    for name in ["bundle", "theirs"] {
        drop(world.delete(&theirs(name)));
    }
    if wrong.is_empty() { not_settled(world, "Secrets of others", Instant::now(), SOON).await } else { wrong }
}
