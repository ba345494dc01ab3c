//! No secret is printed anywhere, whatever happens and however much is logged.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harbor_robot_world::Login;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::scene::{BOTH_LOGINS, Scene, Setting};

/// A secret in the forms in which it travels.
fn forms(login: &Login) -> Vec<String> {
    let forms = [login.secret.clone(), login.to_string(), format!("{}:{}", login.name, login.secret)];
    let encoded = forms.iter().map(|form| STANDARD.encode(form)).collect::<Vec<_>>();
    // Base64 of a text that a secret is in the middle of differs with its place.
    let shifted = [" ", "  "].iter().map(|pad| {
        let text = STANDARD.encode(format!("{pad}{}", login.secret));
        text[4..text.len() - 4].to_owned()
    });
    forms.into_iter().chain(encoded).chain(shifted).filter(|form| !form.contains('…')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_the_metrics_an_event_or_a_status() {
    for login in BOTH_LOGINS {
        let scene =
            Scene::new(Setting { login, args: vec!["--log-level=trace".to_owned()], ..Setting::default() }).await;
        let mut secrets: BTreeSet<String> = forms(&scene.login).into_iter().collect();
        let mut shown = String::new();
        let formats = json!([{"key": "username", "format": "Username"}, {"key": "password", "format": "Password"}, {"key": "robot.json", "format": "RobotFile"}]);
        scene.account("ci", json!({"secret": {"keys": formats}})).await;
        scene.settled("ci").await;
        secrets.extend(forms(&scene.logs_in("ci").await));
        // An edit, and a new credential after a lost one.
        scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
        scene.settled("ci").await;
        secrets.extend(forms(&scene.logs_in("ci").await));
        scene.delete_secret("ci").await;
        secrets.extend(forms(&scene.logs_in("ci").await));
        scene.settled("ci").await;
        let token = json!({"metadata": {"annotations": {"harbor-robots.io/revoke": "1"}}});
        scene.accounts().patch("ci", &PatchParams::default(), &Patch::Merge(token)).await.unwrap();
        scene.account_is("revoked", "ci", |a| a.status.as_ref().unwrap().handled_revoke.as_deref() == Some("1")).await;
        secrets.extend(forms(&scene.logs_in("ci").await));
        // Failures: of a call, of a login, of a Secret without its credential.
        scene.account("astray", json!({"project": "no-such-project"})).await;
        scene.reason_is("astray", "Ready", "False", "ProjectNotFound").await;
        let (entry, _) = scene.credential("ci").await;
        let broken = json!({"auths": {}, "misplaced": entry.secret}).to_string();
        scene.edit_secret("ci", json!({"stringData": {".dockerconfigjson": broken}})).await;
        // A second repair so soon waits for a minute.
        scene.harbor.advance(61).await.unwrap();
        scene
            .account_is("a new credential", "ci", |a| {
                a.status.as_ref().is_some_and(|s| s.robot.as_ref().is_some_and(|robot| robot.name != entry.name))
            })
            .await;
        secrets.extend(forms(&scene.logs_in("ci").await));
        let wrong = Login { name: scene.login.name.clone(), secret: "Wrong-password-1".to_owned() };
        secrets.extend(forms(&wrong));
        scene.write_login(&wrong);
        scene.registry_is("Ready", "False").await;
        shown += &serde_json::to_string(&scene.registries().get(&scene.registry).await.unwrap()).unwrap();
        scene.write_login(&scene.login);
        scene.registry_is("Ready", "True").await;
        shown += &serde_json::to_string(&scene.get("ci").await.status).unwrap();
        shown += &serde_json::to_string(&scene.get("astray").await.status).unwrap();
        shown += &serde_json::to_string(&scene.robots().await).unwrap();
        secrets.extend(scene.harbor.sessions().await.unwrap());
        scene.delete("ci").await;
        scene.gone("ci").await;
        for account in ["ci", "astray"] {
            shown.extend(scene.events(account).await.iter().map(|event| serde_json::to_string(event).unwrap()));
        }
        shown += &scene.operator.as_ref().unwrap().metrics().await.unwrap();
        shown += &scene.log();
        assert!(shown.contains("\"level\":\"TRACE\"") || shown.contains("\"level\":\"DEBUG\""), "much is logged");
        for secret in &secrets {
            if let Some(at) = shown.find(secret.as_str()) {
                let around: String =
                    shown[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
                panic!("a secret is shown after: {around}");
            }
        }
    }
}
