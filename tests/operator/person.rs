//! A person's login: everything by one session, whatever others do to the user name.

use std::time::Duration;

use harbor_robot_world::{Call, eventually};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::scene::{SOON, Scene, Setting, condition};

const FORM: &str = "/c/login";
const ROBOTS: &str = "/api/v2.0/robots";

/// Somebody who guesses passwords for a user name, one after the other, until dropped.
struct Guesser(JoinHandle<()>);

impl Guesser {
    /// Begins, and waits until the name is locked.
    async fn begin(scene: &Scene) -> Self {
        scene.harbor.quirks(json!({"lockUserName": true, "personBasicMs": 100})).await.unwrap();
        let url = format!("{}/api/v2.0/users/current", scene.harbor.url);
        let name = scene.harbor.admin.name.clone();
        let guesser = Self(tokio::spawn(async move {
            let http = reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build().unwrap();
            for guess in 0.. {
                let _ = http.get(&url).basic_auth(&name, Some(format!("Guess-{guess}"))).send().await;
            }
        }));
        eventually("the right password is refused", SOON, || async {
            let admin = &scene.harbor.admin;
            match scene.harbor.api_as(admin, "GET".parse().unwrap(), "/users/current", None).await {
                Ok(answer) if answer.status == 401 => Ok(()),
                answer => Err(format!("{answer:?}")),
            }
        })
        .await;
        guesser
    }
}

impl Guesser {
    /// Waits for a further guess, which shows that the name was under attack all the time.
    async fn goes_on(&self, scene: &Scene) {
        let guesses = || async { own(scene, |call| call.auth == "basic" && call.status == 401).await.len() };
        let before = guesses().await;
        eventually("a further guess", SOON, || async {
            if guesses().await > before { Ok(()) } else { Err(String::new()) }
        })
        .await;
    }
}

impl Drop for Guesser {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The operator's own calls: nobody else in a scene uses a session or the form, and it uses Basic for nothing else than
/// to learn who it is. (The tests' own calls are by Basic, too.)
async fn own(scene: &Scene, fits: impl Fn(&Call) -> bool) -> Vec<Call> {
    let calls = scene.harbor.calls().await.unwrap().calls;
    calls.into_iter().filter(fits).collect()
}

async fn logins(scene: &Scene, status: u16) -> usize {
    own(scene, |call| call.path == FORM && call.auth == "form" && call.status == status).await.len()
}

async fn token(scene: &Scene, kind: &str, value: &str) {
    let patch = json!({"metadata": {"annotations": {format!("harbor-robots.io/{kind}"): value}}});
    scene.accounts().patch("ci", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// What an account goes through, ended by its deletion.
async fn whole_life(scene: &Scene) {
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.logs_in("ci").await;
    scene.edit("ci", json!({"permissions": ["PullArtifacts", "CreateTags"]})).await;
    scene.settled("ci").await;
    token(scene, "revoke", "1").await;
    scene.account_is("renewed", "ci", |a| a.status.as_ref().unwrap().handled_revoke.as_deref() == Some("1")).await;
    scene.settled("ci").await;
    scene.edit("ci", json!({"disabled": true})).await;
    scene.reason_is("ci", "Ready", "True", "Disabled").await;
    scene.edit("ci", json!({"disabled": false})).await;
    scene.settled("ci").await;
    scene.delete("ci").await;
    scene.gone("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_whole_life_takes_one_login_and_no_basic_but_the_first_call() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("other", json!({})).await;
    whole_life(&scene).await;
    scene.sweeps(2).await;
    let calls = scene.harbor.calls().await.unwrap();
    assert_eq!(logins(&scene, 200).await, 1);
    let changing = |call: &&Call| call.path.starts_with("/api/v2.0/robots") && call.method != "GET";
    let changes: Vec<&Call> = calls.calls.iter().filter(changing).collect();
    assert!(changes.len() >= 5 && changes.iter().all(|call| call.auth == "session"), "{changes:?}");
    // The operator alone asks this; the rest of Basic is the test's own looking about.
    let asked: Vec<&Call> = calls.calls.iter().filter(|call| call.path == "/api/v2.0/users/current").collect();
    let basic = asked.iter().filter(|call| call.auth == "basic").count();
    assert_eq!(basic, 1, "{asked:?}");
    assert!(asked.iter().all(|call| call.status == 200));
    let lists = calls.calls.iter().filter(|call| call.path == ROBOTS && call.auth == "session");
    assert!(lists.count() > 2, "sweeps go by the session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harbor_that_forgets_sessions_or_tokens_is_not_noticed() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    let before = scene.settled("ci").await.status.unwrap();
    for round in 0..3 {
        // A flushed Redis; a restarted core; both; each under a change, and under nothing but sweeps.
        if round != 1 {
            scene.harbor.forget_sessions().await.unwrap();
        }
        if round != 0 {
            scene.harbor.change_csrf_key().await.unwrap();
        }
        let name = format!("new-{round}");
        scene.account(&name, json!({})).await;
        scene.settled(&name).await;
        scene.harbor.forget_sessions().await.unwrap();
        scene.sweeps(2).await;
        scene.delete(&name).await;
        scene.gone(&name).await;
    }
    assert_eq!(scene.get("ci").await.status.unwrap().conditions, before.conditions, "nothing became not Ready");
    assert_eq!(logins(&scene, 401).await, 0);
    assert!(logins(&scene, 200).await <= 6);
    let registry = scene.registry_is("Ready", "True").await;
    let ready = registry.status.unwrap().conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!(ready.reason, "LoggedIn");
    let refused = own(&scene, |call| call.auth == "basic" && call.path == "/api/v2.0/users/current").await;
    assert_eq!(refused.len(), 1, "no way back to Basic: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_guesses_passwords_for_its_name_the_operator_goes_on_working() {
    let scene = Scene::new(Setting::default()).await;
    for name in ["old", "ci"] {
        scene.account(name, json!({})).await;
        scene.settled(name).await;
    }
    let old = scene.get("old").await.status.unwrap();
    let logins_before = logins(&scene, 200).await;
    let guesser = Guesser::begin(&scene).await;
    for round in 0..3 {
        let name = format!("new-{round}");
        scene.account(&name, json!({})).await;
        scene.settled(&name).await;
        token(&scene, "revoke", &round.to_string()).await;
        let handled = Some(round.to_string());
        scene.account_is("renewed", "ci", |a| a.status.as_ref().unwrap().handled_revoke == handled).await;
        scene
            .edit(
                "ci",
                json!({"permissions": if round == 1 { json!(["PullArtifacts"]) } else { json!(["CreateTags"]) }}),
            )
            .await;
        scene.settled("ci").await;
        scene.delete(&name).await;
        scene.gone(&name).await;
    }
    scene.sweeps(2).await;
    assert_eq!(scene.get("old").await.status.unwrap().conditions, old.conditions);
    assert_eq!((logins(&scene, 200).await, logins(&scene, 401).await), (logins_before, 0), "no login was needed");
    guesser.goes_on(&scene).await;
    drop(guesser);
    assert!(!scene.log().contains("LoginLocked") && !scene.log().contains("CredentialsRejected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lost_under_attack_is_won_back_and_no_account_becomes_not_ready() {
    let scene = Scene::new(Setting::default()).await;
    for name in ["one", "two"] {
        scene.account(name, json!({})).await;
        scene.settled(name).await;
    }
    let ready_since = |account: &harbor_robot_operator::api::RobotAccount| {
        let conditions = account.status.as_ref().unwrap().conditions.clone();
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        (ready.status, ready.last_transition_time)
    };
    let before = [ready_since(&scene.get("one").await), ready_since(&scene.get("two").await)];
    let guesser = Guesser::begin(&scene).await;
    let opened = logins(&scene, 200).await;
    for round in 1..=3 {
        scene.harbor.forget_sessions().await.unwrap();
        eventually("a new session", Duration::from_secs(90), || async {
            let now = logins(&scene, 200).await;
            if now >= opened + round {
                Ok(())
            } else {
                Err(format!("{} refused\n{}", logins(&scene, 401).await, scene.log()))
            }
        })
        .await;
        // Used, so that it counts as one that worked.
        let used = || async {
            own(&scene, |call| call.auth == "session" && call.path == ROBOTS && call.status == 200).await.len()
        };
        let before = used().await;
        eventually("a call by it", SOON, || async { if used().await > before { Ok(()) } else { Err(String::new()) } })
            .await;
    }
    scene.registry_is("Ready", "True").await;
    scene.account("new", json!({})).await;
    scene.settled("new").await;
    for (name, before) in ["one", "two"].into_iter().zip(before) {
        assert_eq!(ready_since(&scene.get(name).await), before, "{name} was Ready all the time");
    }
    let refused = own(&scene, |call| call.path == FORM && call.status == 401).await;
    let all = own(&scene, |call| call.path == FORM).await;
    // No refusal took as long as a wrong password does: so none of them locked anybody out.
    let rate = |calls: &[Call]| calls.windows(21).map(|w| w[20].at - w[0].at).min().unwrap_or(i64::MAX);
    assert!(rate(&refused) > 1000, "20 tries at most in a second: {refused:?}");
    assert!(refused.len() < 400, "{} tries refused of {}", refused.len(), all.len());
    assert!(!scene.log().contains("CredentialsRejected"), "a lock is not a wrong login");
    drop(guesser);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_started_under_attack_says_what_it_waits_for_and_gets_in() {
    let mut scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    scene.terminate();
    // The name is locked for good: every guess is slept over, and there is always one.
    let guessers = [Guesser::begin(&scene).await, Guesser::begin(&scene).await, Guesser::begin(&scene).await];
    scene.harbor.quirks(json!({"personBasicMs": 0})).await.unwrap();
    scene.start();
    let message = scene.registry_reason_is("LoginLocked").await;
    assert!(message.contains("somebody tries wrong ones for the user name"), "{message}");
    assert_eq!(condition(&scene.get("ci").await, "Ready").unwrap().0, "True");
    scene.account("new", json!({})).await;
    scene.reason_is("new", "Synced", "False", "LoginLocked").await;
    drop(guessers);
    scene.registry_is("Ready", "True").await;
    scene.settled("new").await;
    scene.settled("ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_form_is_not_offered_basic_does_it_all() {
    let mut scene = Scene::without_operator(Setting::default()).await;
    scene.faults(json!([{"path": FORM, "status": 404, "body": "<html>default backend</html>", "count": 0}])).await;
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("other", json!({})).await;
    whole_life(&scene).await;
    scene.sweeps(2).await;
    assert_eq!(scene.calls(&format!("POST {FORM}")).await, 1, "it is not looked for again at once");
    assert_eq!(own(&scene, |call| call.auth == "session").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_login_secret_drops_the_session() {
    let scene = Scene::new(Setting::default()).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let ann = json!({"username": "ann", "password": "Ann-12345", "email": "ann@example.com", "realname": "Ann"});
    scene.harbor_api("POST", "/users", ann).await;
    let members = format!("/projects/{}/members", scene.namespace);
    scene.harbor_api("POST", &members, json!({"role_id": 1, "member_user": {"username": "ann"}})).await;
    scene.harbor.reset_calls().await.unwrap();
    scene.write_login(&"ann:Ann-12345".parse().unwrap());
    scene.login_is("ann").await;
    scene.account("new", json!({})).await;
    scene.settled("new").await;
    let posts = own(&scene, |call| call.path == ROBOTS && call.method == "POST").await;
    assert!(posts.iter().all(|call| call.login == "ann" && call.auth == "session"), "{posts:?}");
}
