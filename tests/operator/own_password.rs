//! `passwordSecretRef`: a robot whose secret a person chose.

use harbor_robot_world::Calls;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::attacks::checksum;
use crate::hands::{annotation, changes, ids, text};
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, condition};

const FIRST: &str = "Chosen-by-a-person-1";
const SECOND: &str = "Chosen-by-a-person-2";

impl Scene {
    /// Writes the Secret `chosen` with this password.
    async fn choose(&self, password: &str) -> Secret {
        self.choose_as("Opaque", json!({"password": password})).await
    }

    async fn choose_as(&self, of_type: &str, data: Value) -> Secret {
        self.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "type": of_type,
            "metadata": {
                "name": "chosen", "namespace": self.namespace, "labels": {"harbor-robots.io/use": "password"},
            },
            "stringData": data,
        }));
        self.secret("chosen").await.unwrap()
    }

    /// Waits until the account says what is wrong with its password.
    async fn message_is(&self, account: &str, reason: &str, part: &str) -> String {
        let found = self
            .account_is(&format!("{reason}: … {part}"), account, |account| {
                condition(account, "Stalled").is_some_and(|(_, r, message)| r == reason && message.contains(part))
            })
            .await;
        condition(&found, "Stalled").unwrap().2
    }

    /// Waits until the published password is this one, and it logs in.
    async fn password_is(&self, account: &str, password: &str) -> harbor_robot_world::Login {
        self.secret_is("the chosen password is published", account, |secret| {
            text(secret, ".dockerconfigjson").is_some_and(|config| config.contains(password))
        })
        .await;
        self.settled(account).await;
        let login = self.logs_in(account).await;
        assert_eq!(login.secret, password);
        login
    }
}

fn wish(strategy: &str) -> Value {
    json!({
        "passwordSecretRef": {"name": "chosen", "key": "password"}, "rotation": {"strategy": strategy},
        "secret": {"keys": [{"key": "robot.json", "format": "RobotFile"}]},
    })
}

fn order(calls: &Calls) -> Vec<&str> {
    calls.calls.iter().map(|call| call.method.as_str()).filter(|method| *method != "GET").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_robot_gets_the_chosen_password_and_the_persons_secret_is_never_written() {
    let scene = Scene::new(Setting::default()).await;
    let chosen = scene.choose(FIRST).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.account("ci", wish("Overlap")).await;
    scene.password_is("ci", FIRST).await;
    let calls = scene.harbor.calls().await.unwrap();
    assert_eq!(order(&calls), ["POST", "PATCH"], "Harbor ignores a secret when it makes a robot");
    assert_eq!(changes(&scene.two_sweeps().await), 0);
    let file: Value = serde_json::from_str(&text(&scene.secret("ci").await.unwrap(), "robot.json").unwrap()).unwrap();
    assert_eq!(file["secret"], FIRST);
    let after = scene.secret("chosen").await.unwrap();
    assert_eq!(after.metadata.resource_version, chosen.metadata.resource_version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_goes_to_the_other_robot_with_overlap_and_to_the_same_in_place() {
    for strategy in ["Overlap", "InPlace"] {
        let scene = Scene::new(Setting::default()).await;
        scene.choose(FIRST).await;
        scene.account("ci", wish(strategy)).await;
        let before = scene.password_is("ci", FIRST).await;
        scene.choose(SECOND).await;
        let after = scene.password_is("ci", SECOND).await;
        let old_works = scene.harbor.verify(&before.name, FIRST).await.unwrap();
        match strategy {
            "Overlap" => assert!(old_works && after.name.ends_with("+ci.b"), "{}", after.name),
            _ => assert!(!old_works && after.name == before.name, "{}", after.name),
        }
        // What is written anew with the same password is no change.
        let calls = scene.two_sweeps().await;
        scene.choose_as("Opaque", json!({"password": format!("{SECOND}\n"), "other": "key"})).await;
        let later = scene.two_sweeps().await;
        assert_eq!((changes(&calls), changes(&later)), (0, 0), "{strategy}: {:?} {:?}", calls.by, later.by);
        assert_eq!(scene.logs_in("ci").await, after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_keeps_the_chosen_password() {
    for strategy in ["Overlap", "InPlace"] {
        let scene = Scene::new(Setting::default()).await;
        scene.choose(FIRST).await;
        scene.account("ci", wish(strategy)).await;
        let before = scene.password_is("ci", FIRST).await;
        let expiry = scene.get("ci").await.status.unwrap().robot.unwrap().expiration_time;
        scene.harbor.advance(25 * 86_400).await.unwrap();
        scene
            .account_is("renewed", "ci", |account| {
                let robot = account.status.as_ref().and_then(|status| status.robot.as_ref());
                robot.is_some_and(|robot| robot.expiration_time > expiry)
            })
            .await;
        let after = scene.password_is("ci", FIRST).await;
        assert_eq!(after.name == before.name, strategy == "InPlace", "{}", after.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_harbor_would_refuse_makes_no_call_until_it_is_a_good_one() {
    let scene = Scene::new(Setting::default()).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.account("ci", wish("Overlap")).await;
    scene.message_is("ci", "PasswordMissing", "does not exist").await;
    let long = "Aa1".repeat(43);
    let bad = [("Aa3456", "8 to 128"), (long.as_str(), "8 to 128"), ("alllower1", "upper-case"), ("NoDigits", "digit")];
    for (password, why) in bad {
        scene.choose(password).await;
        let message = scene.message_is("ci", "PasswordInvalid", why).await;
        assert!(!message.contains(password), "{message}");
    }
    for (of_type, data, reason, why) in [
        ("Opaque", json!({"other": FIRST}), "PasswordMissing", "no key password"),
        ("example.org/token", json!({"password": FIRST}), "PasswordInvalid", "of type example.org/token"),
    ] {
        scene.delete_secret("chosen").await;
        scene.choose_as(of_type, data).await;
        scene.message_is("ci", reason, why).await;
    }
    let calls = scene.harbor.calls().await.unwrap();
    assert_eq!(changes(&calls), 0, "{:?}", calls.by);

    scene.delete_secret("chosen").await;
    // Bytes count, not characters: these are six characters in nine bytes.
    scene.choose("Ää1ßaB").await;
    scene.password_is("ci", "Ää1ßaB").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_taken_away_costs_no_login() {
    let scene = Scene::new(Setting::default()).await;
    scene.choose(FIRST).await;
    scene.account("ci", wish("Overlap")).await;
    let before = scene.password_is("ci", FIRST).await;
    scene.delete_secret("chosen").await;
    scene.reason_is("ci", "Synced", "False", "PasswordMissing").await;
    assert_eq!(condition(&scene.get("ci").await, "Ready").unwrap().0, "True");
    // It is renewed all the same, with the password that is published.
    scene.harbor.advance(25 * 86_400).await.unwrap();
    let renewed = |account: &harbor_robot_operator::api::RobotAccount| {
        let robot = account.status.as_ref().and_then(|status| status.robot.as_ref());
        robot.is_some_and(|robot| robot.name != before.name)
    };
    scene.account_is("renewed", "ci", renewed).await;
    let after = scene.logs_in("ci").await;
    assert!(after.name != before.name && after.secret == FIRST, "{}", after.name);
    // With what was published gone as well, nothing works until there is a password.
    scene.delete_secret("ci").await;
    scene.reason_is("ci", "Ready", "False", "PasswordMissing").await;
    scene.choose(SECOND).await;
    scene.password_is("ci", SECOND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_update_cannot_give_a_chosen_password() {
    let scene = Scene::new(Setting { login: LoginAs::Robot, ..Setting::default() }).await;
    // By this the operator learns that its login may not update.
    scene.account("other", json!({})).await;
    scene.settled("other").await;
    scene.edit("other", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.settled("other").await;
    let before = ids(&scene.robots().await);
    scene.choose(FIRST).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.account("ci", wish("Overlap")).await;
    let message = scene.reason_is("ci", "Ready", "False", "LoginCannotUpdate").await;
    assert!(message.contains("spec.passwordSecretRef"), "{message}");
    let calls = scene.two_sweeps().await;
    assert_eq!((changes(&calls), ids(&scene.robots().await)), (0, before), "{:?}", calls.by);

    scene.edit("ci", json!({"passwordSecretRef": null})).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_wish_the_chosen_password_stays_until_the_next_rotation() {
    let scene = Scene::new(Setting::default()).await;
    scene.choose(FIRST).await;
    scene.account("ci", wish("InPlace")).await;
    let before = scene.password_is("ci", FIRST).await;
    scene.edit("ci", json!({"passwordSecretRef": null})).await;
    scene.settled("ci").await;
    assert_eq!(scene.logs_in("ci").await, before);
    scene.harbor.advance(25 * 86_400).await.unwrap();
    scene
        .secret_is("Harbor drew a new one", "ci", |secret| {
            text(secret, ".dockerconfigjson").is_some_and(|config| !config.contains(FIRST))
        })
        .await;
    scene.logs_in("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_chosen_password_is_deleted_and_disabled_like_any_other() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(Setting { login, ..Setting::default() }).await;
        scene.choose(FIRST).await;
        scene.account("ci", wish("Overlap")).await;
        match login {
            LoginAs::Person => {
                scene.password_is("ci", FIRST).await;
            }
            LoginAs::Robot => {
                scene.reason_is("ci", "Ready", "False", "LoginCannotUpdate").await;
            }
        }
        scene.delete_secret("chosen").await;
        scene.edit("ci", json!({"disabled": true})).await;
        scene.robots_are("nobody logs in", |robots| robots.iter().all(|robot| robot["disable"] == json!(true))).await;
        scene.delete("ci").await;
        scene.gone("ci").await;
        assert!(scene.robots().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checksum_of_a_chosen_password_is_no_help_to_guess_it_also_after_an_upgrade() {
    let mut scene = Scene::new(Setting::default()).await;
    scene.choose(FIRST).await;
    scene.account("ci", wish("InPlace")).await;
    let login = scene.password_is("ci", FIRST).await;
    let uid = scene.get("ci").await.metadata.uid.unwrap();
    // Whoever sees annotations only would compare guesses with this.
    let guess = checksum(&uid, &login.name, FIRST);
    let is_told = |secret: &Secret| annotation(secret, "harbor-robots.io/checksum") == Some(guess.as_str());
    assert!(!is_told(&scene.secret("ci").await.unwrap()));
    let id = scene.published("ci").await.unwrap()["id"].clone();

    // As a version before left it.
    scene.terminate();
    let before = json!({
        "metadata": {"annotations": {"harbor-robots.io/checksum": guess}}, "data": {"harbor-robots.checksum-key": null},
    });
    scene.edit_secret("ci", before).await;
    scene.start();
    scene.secret_is("written anew", "ci", |secret| !is_told(secret)).await;
    scene.settled("ci").await;
    assert_eq!(scene.logs_in("ci").await, login);
    assert_eq!(scene.published("ci").await.unwrap()["id"], id, "the robot is the same");
    let version = scene.secret("ci").await.unwrap().metadata.resource_version;
    scene.two_sweeps().await;
    assert_eq!(scene.secret("ci").await.unwrap().metadata.resource_version, version, "once");
}
