//! What each call on one robot sends, and what it makes of the answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harbor_robot_operator::domain::robot::Lifetime;
use harbor_robot_operator::registry::{Error, LoginKind};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::stub::{Act, Seen, Stub, answer, error, json as json_answer, raw};
use super::{PASSWORD, client, created, library, new_robot, observed, row, update};

#[tokio::test]
async fn a_request_carries_the_login_and_says_who_asks() {
    let stub = Stub::always(json_answer(200, &row(7, "library", "ci"))).await;
    let robot = client(&stub).get(7).await.unwrap().unwrap();
    assert_eq!((robot.id, robot.home, robot.lifetime), (7, library(), Lifetime::Days(30)));
    let seen = &stub.seen()[0];
    assert_eq!(seen.line(), "GET /api/v2.0/robots/7");
    assert_eq!(seen.header("user-agent"), Some("harbor-robot-operator/test"));
    assert!(seen.header("authorization").unwrap().starts_with("Basic "));
}

#[tokio::test]
async fn a_login_is_told_by_users_current() {
    let info = json!({"harbor_version": "v2.16.0-c50c7ddd", "registry_url": "registry.example"});
    let settings = json!({"robot_name_prefix": {"value": "bot-", "editable": true}});
    let server = |user: Act| {
        Stub::start(move |request| match request.target.as_str() {
            "/api/v2.0/users/current" => user.clone(),
            "/api/v2.0/systeminfo" => json_answer(200, &info),
            _ => json_answer(200, &settings),
        })
    };
    let no_user = "get current user not available for security context: robot";
    for (user, login, prefix) in [
        (json_answer(200, &json!({"sysadmin_flag": true})), LoginKind::Administrator, Some("bot-")),
        (json_answer(200, &json!({"sysadmin_flag": false})), LoginKind::User, None),
        (error(412, "PRECONDITION", no_user), LoginKind::Robot, None),
    ] {
        let stub = server.clone()(user).await;
        let client = client(&stub);
        let info = client.info().await.unwrap();
        assert_eq!((info.login, client.name_prefix().as_deref()), (login, prefix));
        assert_eq!(info.version.as_deref(), Some("v2.16.0-c50c7ddd"));
        assert_eq!(info.registry_host.as_deref(), Some("registry.example"));
    }
    let stub = server(error(401, "UNAUTHORIZED", "unauthorized")).await;
    assert_eq!(client(&stub).info().await, Err(Error::Unauthorized));
}

#[tokio::test]
async fn a_harbor_is_known_by_what_it_tells_strangers() {
    let of_harbor = json!({"auth_mode": "db_auth", "self_registration": false});
    for (reply, is_harbor) in [
        (json_answer(200, &of_harbor), Ok(true)),
        (json_answer(200, &json!({"status": "up"})), Ok(false)),
        (error(401, "UNAUTHORIZED", "unauthorized"), Err(Error::Unauthorized)),
    ] {
        let stub = Stub::always(reply).await;
        assert_eq!(client(&stub).is_harbor().await, is_harbor);
        let seen = &stub.seen()[0];
        assert_eq!((seen.line().as_str(), seen.header("authorization")), ("GET /api/v2.0/systeminfo", None));
    }
}

#[tokio::test]
async fn a_create_sends_sorted_pairs_without_effect_and_gives_the_secret() {
    let stub = Stub::always(json_answer(201, &created(7, "bot-library+ci", "Secret12"))).await;
    let client = client(&stub);
    let robot = client.create(&new_robot()).await.unwrap();
    assert_eq!((robot.id, robot.name.as_str(), robot.secret.expose_secret()), (7, "bot-library+ci", "Secret12"));
    assert_eq!(client.name_prefix().as_deref(), Some("bot-"));
    let want = json!({"name": "ci", "description": "made by a test", "level": "project", "duration": 30,
        "permissions": [{"kind": "project", "namespace": "library", "access": [
            {"resource": "repository", "action": "pull"}, {"resource": "repository", "action": "push"}]}]});
    assert_eq!(stub.seen()[0].json(), want);
    assert_eq!(stub.seen()[0].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_effect_that_a_robot_login_may_hand_out_is_found_by_trying_and_remembered() {
    let scope = "permission scope is invalid. It must be equal to or more restrictive than the creator robot's permissions: robot$m";
    let holds_allow =
        |request: &Seen| request.json()["permissions"][0]["access"][0].get("effect") == Some(&json!("allow"));
    let stub = Stub::start(move |request| {
        if holds_allow(request) {
            json_answer(201, &created(7, "robot$library+ci", "Secret12"))
        } else {
            error(403, "DENIED", scope)
        }
    })
    .await;
    let harbor = client(&stub);
    harbor.create(&new_robot()).await.unwrap();
    harbor.create(&new_robot()).await.unwrap();
    assert_eq!(stub.seen().len(), 3, "one refused try, then the style that worked");

    let stub = Stub::always(error(403, "DENIED", scope)).await;
    let refused = client(&stub).create(&new_robot()).await.unwrap_err();
    assert_eq!(refused, Error::ScopeExceeded(scope.into()));
    assert_eq!(stub.seen().len(), 2);
    let stub = Stub::always(error(403, "DENIED", "denied")).await;
    assert_eq!(client(&stub).create(&new_robot()).await.unwrap_err(), Error::LoginTooOld);
}

#[tokio::test]
async fn an_update_writes_every_field_out() {
    let stub = Stub::always(answer(200, &[], "")).await;
    client(&stub).update(&update()).await.unwrap();
    let pair = |action: &str| json!({"resource": "repository", "action": action, "effect": "allow"});
    let want = json!({"name": "robot$library+ci", "description": "made by a test", "level": "project", "duration": 30,
        "disable": false,
        "permissions": [{"kind": "project", "namespace": "library", "access": [pair("pull"), pair("push")]}]});
    assert_eq!((stub.lines()[0].as_str(), stub.seen()[0].json()), ("PUT /api/v2.0/robots/7", want));

    let stub = Stub::always(error(400, "BAD_REQUEST", "cannot update the level or name of robot")).await;
    assert_eq!(client(&stub).update(&update()).await, Err(Error::Renamed));
}

#[tokio::test]
async fn a_create_or_update_that_the_database_gave_up_is_tried_again_and_other_calls_are_not() {
    let stub = Stub::script(vec![
        answer(500, &[], ""),
        error(500, "UNKNOWN", "internal server error"),
        json_answer(201, &created(7, "robot$library+ci", "Secret12")),
    ])
    .await;
    let (harbor, notes) = observed(&stub);
    assert_eq!(harbor.create(&new_robot()).await.unwrap().id, 7);
    assert_eq!(*notes.lock().unwrap(), ["robot_create ServerError", "robot_create ServerError", "robot_create ok"]);

    let stub = Stub::always(answer(500, &[], "")).await;
    let harbor = client(&stub);
    assert_eq!(harbor.update(&update()).await, Err(Error::Server(500)));
    assert_eq!(stub.seen().len(), 4);
    assert_eq!(harbor.refresh(7, None).await.unwrap_err(), Error::Server(500));
    assert_eq!(harbor.delete(7).await, Err(Error::Server(500)));
    assert_eq!(stub.seen().len(), 6);
}

#[tokio::test]
async fn a_refresh_gives_the_secret_that_holds_now() {
    let stub = Stub::start(|request| match request.json().get("secret") {
        Some(_) => json_answer(200, &json!({})),
        None => json_answer(200, &json!({"secret": "Drawn123"})),
    })
    .await;
    let client = client(&stub);
    assert_eq!(client.refresh(7, None).await.unwrap().expose_secret(), "Drawn123");
    assert_eq!(client.refresh(7, Some("Chosen12".into())).await.unwrap().expose_secret(), "Chosen12");
    assert_eq!(stub.seen()[1].json(), json!({"secret": "Chosen12"}));
}

#[tokio::test]
async fn a_robot_without_permissions_is_told_as_undeletable() {
    let gone = || error(404, "NOT_FOUND", "role permission robotaccount:7 not found");
    let stub = Stub::script(vec![gone(), json_answer(200, &row(7, "library", "ci"))]).await;
    assert_eq!(client(&stub).delete(7).await, Err(Error::Undeletable));
    let stub = Stub::script(vec![gone(), error(404, "NOT_FOUND", "robot 7 not found")]).await;
    assert_eq!(client(&stub).delete(7).await, Ok(()));
    let stub = Stub::always(answer(200, &[], "")).await;
    assert_eq!(client(&stub).delete(7).await, Ok(()));
    assert_eq!(stub.lines(), ["DELETE /api/v2.0/robots/7"]);
}

#[tokio::test]
async fn a_credential_is_verified_by_itself_without_a_scope() {
    let stub = Stub::script(vec![json_answer(200, &json!({"token": "t"})), answer(401, &[], "")]).await;
    let client = client(&stub);
    assert_eq!(client.verify("robot$library+ci", &"Secret12".into()).await, Ok(true));
    assert_eq!(client.verify("robot$library+ci", &"Secret12".into()).await, Ok(false));
    let seen = &stub.seen()[0];
    assert_eq!(seen.line(), "GET /service/token?service=harbor-registry");
    assert_eq!(seen.header("authorization"), Some("Basic cm9ib3QkbGlicmFyeStjaTpTZWNyZXQxMg=="));
    assert!(!format!("{seen:?}").contains(PASSWORD));
}

#[tokio::test]
async fn one_robot_is_written_by_one_call_at_a_time_and_others_meanwhile() {
    let (now, most) = (AtomicUsize::new(0), Mutex::new([0; 2]));
    let most = Arc::new((now, most));
    let shared = Arc::clone(&most);
    // Both answers take a while; the stub notes the request when its answer begins.
    let stub = Stub::start(move |request| {
        let at = shared.0.fetch_add(1, Ordering::SeqCst);
        if at < 2 {
            shared.1.lock().unwrap()[at] = request.target.rsplit('/').next().unwrap().parse().unwrap();
        }
        Act::Trickle(raw(200, &[], "{}"), Duration::from_millis(100))
    })
    .await;
    let client = client(&stub);
    let secret = || Some("Chosen12".into());
    let (first, second, other) =
        tokio::join!(client.refresh(7, secret()), client.refresh(7, secret()), client.refresh(8, secret()));
    assert!(first.is_ok() && second.is_ok() && other.is_ok());
    let mut early = *most.1.lock().unwrap();
    early.sort_unstable();
    assert_eq!(early, [7, 8], "the second write to 7 waits, the one to 8 does not");
}
