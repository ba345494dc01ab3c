//! A person's login by form: against the stand-in, which is held to the recorded contract, and against servers that do
//! other things.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harbor_robot_operator::domain::robot::{Home, Robot};
use harbor_robot_operator::registry::harbor::Client;
use harbor_robot_operator::registry::{Error, LoginKind, NewRobot};
use harbor_stand_in::{Options, StandIn};
use serde_json::{Value, json};

use super::stub::{Act, Seen, Stub, answer, error, json as json_answer};
use super::{client_of, created, library, new_robot, update};

const PASSWORD: &str = "Harbor12345";
const LOGIN: &str = "/c/login";

struct World {
    harbor: StandIn,
    person: Arc<Client>,
}

impl World {
    /// A Harbor and a client that knows that it is a person's.
    async fn new() -> Self {
        let harbor = StandIn::start(Options::default()).await.unwrap();
        let person = Arc::new(client_of(harbor.url(), "admin", PASSWORD));
        person.info().await.unwrap();
        let world = Self { harbor, person };
        world.control("DELETE", "calls", json!({})).await;
        world
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/_stand-in/{path}", self.harbor.url());
        let answer = reqwest::Client::new().request(method.parse().unwrap(), url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// `METHOD path auth status` of all calls.
    async fn calls(&self) -> Vec<String> {
        let calls = self.control("GET", "calls", json!({})).await;
        let text = |call: &Value, key: &str| call[key].as_str().unwrap().to_owned();
        let calls = calls["calls"].as_array().unwrap().iter();
        let line = |call: &Value| {
            let [method, path, auth] = ["method", "path", "auth"].map(|key| text(call, key));
            format!("{method} {path} {auth} {}", call["status"])
        };
        calls.map(line).collect()
    }

    /// How many calls to the login form were answered with this status.
    async fn logins(&self, status: u16) -> usize {
        let ends = format!("{LOGIN} form {status}");
        self.calls().await.iter().filter(|call| call.ends_with(&ends)).count()
    }
}

fn robot(name: &str) -> NewRobot {
    NewRobot { name: name.into(), ..new_robot() }
}

#[tokio::test]
async fn one_session_serves_reads_and_writes_and_basic_is_used_once() {
    let harbor = StandIn::start(Options::default()).await.unwrap();
    let world = World { person: Arc::new(client_of(harbor.url(), "admin", PASSWORD)), harbor };
    assert_eq!(world.person.info().await.unwrap().login, LoginKind::Administrator);
    let made = world.person.create(&new_robot()).await.unwrap();
    world.person.update(&Robot { id: made.id, ..update() }).await.unwrap();
    world.person.refresh(made.id, None).await.unwrap();
    assert!(world.person.get(made.id).await.unwrap().is_some());
    world.person.delete(made.id).await.unwrap();
    let expected = [
        "GET /api/v2.0/users/current basic 200",
        "POST /c/login  403",
        "POST /c/login form 200",
        "GET /api/v2.0/systeminfo session 200",
        "GET /api/v2.0/configurations session 200",
        "POST /api/v2.0/robots session 201",
        "PUT /api/v2.0/robots/{id} session 200",
        "PATCH /api/v2.0/robots/{id} session 200",
        "GET /api/v2.0/robots/{id} session 200",
        "DELETE /api/v2.0/robots/{id} session 200",
    ];
    assert_eq!(world.calls().await, expected);
}

#[tokio::test]
async fn a_published_credential_is_proven_by_itself_without_our_session() {
    let world = World::new().await;
    let made = world.person.create(&new_robot()).await.unwrap();
    assert_eq!(world.person.verify(&made.name, &made.secret).await, Ok(true));
    assert_eq!(world.person.verify(&made.name, &"Wrong12345".into()).await, Ok(false));
    let calls = world.calls().await;
    assert_eq!(calls[calls.len() - 2..], ["GET /service/token basic 200", "GET /service/token basic 401"]);
}

#[tokio::test]
async fn eight_calls_that_meet_a_forgotten_session_make_one_login() {
    let world = World::new().await;
    let robots: Vec<NewRobot> = (0..8).map(|at| robot(&format!("r{at}"))).collect();
    for (control, logins) in [("sessions/forget", 1), ("sessions/csrf-key", 1), ("sessions/forget", 2)] {
        world.control("POST", control, json!({})).await;
        world.control("PUT", "quirks", json!({"latencyMs": 50})).await;
        let made = futures::future::join_all(robots.iter().map(|robot| world.person.create(robot))).await;
        let ids: Vec<i64> = made.into_iter().map(|made| made.unwrap().id).collect();
        world.control("PUT", "quirks", json!({"latencyMs": 0})).await;
        for id in ids {
            world.person.delete(id).await.unwrap();
        }
        assert_eq!(world.logins(200).await, logins, "{control}: {:?}", world.calls().await);
    }
    // A Harbor that starts anew forgets both.
    for control in ["sessions/forget", "sessions/csrf-key"] {
        world.control("POST", control, json!({})).await;
    }
    world.person.create(&robots[0]).await.unwrap();
    assert_eq!(world.logins(200).await, 3);
    let basic = world.calls().await.into_iter().filter(|call| call.contains("basic")).count();
    assert_eq!(basic, 0, "{:?}", world.calls().await);
}

#[tokio::test]
async fn a_session_left_alone_for_too_long_is_opened_anew_also_before_a_read_that_nobody_may_make() {
    let world = World::new().await;
    world.control("POST", "seed", json!({"projects": ["hidden"]})).await;
    world.control("POST", "advance", json!({"seconds": 3 * 3600})).await;
    // Harbor answers this to everybody, with less in it.
    assert!(world.person.info().await.unwrap().version.is_some());
    world.control("POST", "advance", json!({"seconds": 3 * 3600})).await;
    assert_eq!(world.person.list(&Home::Project("hidden".into())).await, Ok(vec![]));
    assert_eq!(world.logins(200).await, 2);
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_locked_name_by_the_time_that_harbor_takes() {
    let world = World::new().await;
    world.control("PUT", "quirks", json!({"lockUserName": true})).await;
    let wrong = client_of(world.harbor.url(), "admin", "Wrong12345");
    let guess = wrong.info();
    let meanwhile = async {
        // The name is locked as soon as the guess has been looked at; this asks until it is.
        let url = format!("{}/api/v2.0/users/current", world.harbor.url());
        let asked = || reqwest::Client::new().get(&url).basic_auth("admin", Some(PASSWORD)).send();
        while asked().await.unwrap().status() == 200 {}
        client_of(world.harbor.url(), "admin", PASSWORD).info().await
    };
    let (guess, meanwhile) = tokio::join!(guess, meanwhile);
    assert_eq!(guess, Err(Error::Unauthorized));
    assert!(matches!(meanwhile, Err(Error::LoginLocked(_))), "{meanwhile:?}");
    // Who has a session does not notice.
    world.person.create(&new_robot()).await.unwrap();
}

#[tokio::test]
async fn under_a_guesser_a_lost_session_is_won_back_and_no_other_try_is_wasted() {
    let world = World::new().await;
    world.control("PUT", "quirks", json!({"lockUserName": true, "personBasicMs": 100})).await;
    let guesser = {
        let url = format!("{}/api/v2.0/users/current", world.harbor.url());
        tokio::spawn(async move {
            let http = reqwest::Client::new();
            loop {
                let _ = http.get(&url).basic_auth("admin", Some("Guess12345")).send().await;
            }
        })
    };
    world.control("POST", "sessions/forget", json!({})).await;
    let started = Instant::now();
    let mut tries = 0;
    let made = loop {
        tries += 1;
        match world.person.create(&new_robot()).await {
            Ok(made) => break made,
            Err(Error::LoginLocked(after)) => tokio::time::sleep(after).await,
            Err(other) => panic!("{other}"),
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{:?}", world.calls().await);
    };
    assert_eq!(world.person.verify(&made.name, &made.secret).await, Ok(true));
    guesser.abort();
    let refused = world.logins(401).await;
    assert!(refused <= 20 * tries, "{refused} in {tries} rounds");
    assert_eq!(world.logins(200).await, 1);
}

#[tokio::test]
async fn a_login_that_became_wrong_is_tried_once_in_two_seconds_by_however_many_calls() {
    let world = World::new().await;
    let url = world.harbor.url();
    let api = |method: reqwest::Method, path: String, body: Value| {
        reqwest::Client::new()
            .request(method, format!("{url}/api/v2.0{path}"))
            .basic_auth("admin", Some(PASSWORD))
            .json(&body)
    };
    let ann = json!({"username": "ann", "password": "Ann-12345", "email": "a@example.com", "realname": "Ann"});
    let made = api("POST".parse().unwrap(), "/users".into(), ann).send().await.unwrap();
    let path = made.headers()["Location"].to_str().unwrap().replace("/api/v2.0", "");
    let client = client_of(url, "ann", "Ann-12345");
    assert_eq!(client.info().await.unwrap().login, LoginKind::User);
    client.info().await.unwrap();
    assert_eq!(world.logins(200).await, 1);
    assert_eq!(api("DELETE".parse().unwrap(), path, json!({})).send().await.unwrap().status(), 200);
    world.control("PUT", "quirks", json!({"lockUserName": true})).await;
    let answers = futures::future::join_all((0..8).map(|_| client.get(1))).await;
    let wrong: Vec<_> = answers.into_iter().filter(|answer| *answer != Err(Error::Unauthorized)).collect();
    assert_eq!(wrong, []);
    assert_eq!(world.logins(401).await, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(client.get(1).await, Err(Error::Unauthorized));
    assert_eq!(world.logins(401).await, 2, "a second try says whether the first was a mistake");
}

/// A server whose login form does `form`, whose sessions are good for whatever `api` says, and that knows the person by
/// Basic. The first is the form without a token.
async fn server(form: Vec<Act>, api: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> (Stub, Client) {
    let steps = std::sync::Mutex::new(form.into_iter());
    let stub = Stub::start(move |seen| match (seen.target.as_str(), seen.header("authorization")) {
        (LOGIN, _) => steps.lock().unwrap().next().expect("no further login"),
        ("/api/v2.0/users/current", Some(_)) => json_answer(200, &json!({"username": "ann", "sysadmin_flag": false})),
        (_, Some(_)) => json_answer(201, &created(7, "robot$library+ci", "Canary-Crea7ed")),
        (_, None) => api(seen),
    })
    .await;
    let client = client_of(&format!("http://{}", stub.address), "ann", "Ann-12345");
    (stub, client)
}

fn token() -> Act {
    let headers = [
        ("Set-Cookie", "sid=begun; Path=/"),
        ("Set-Cookie", "_gorilla_csrf=c1; Path=/"),
        ("X-Harbor-CSRF-Token", "t1"),
    ];
    let body = json!({"errors": [{"code": "FORBIDDEN", "message": "CSRF token not found in request"}]}).to_string();
    answer(403, &headers, &body)
}

fn opened() -> Act {
    answer(200, &[("Set-Cookie", "sid=open; Path=/; HttpOnly")], "")
}

#[tokio::test]
async fn where_there_is_no_login_by_form_basic_goes_with_each_call() {
    let long = "x".repeat(5000);
    let odd = [
        vec![answer(404, &[], "<html>default backend</html>")],
        vec![answer(302, &[("Location", "http://127.0.0.1:1/c/oidc/login")], "")],
        vec![answer(200, &[("Set-Cookie", "sid=x")], "<html>portal</html>")],
        vec![answer(403, &[("Set-Cookie", "_gorilla_csrf=c1")], "")],
        vec![answer(403, &[("Set-Cookie", &format!("_gorilla_csrf={long}")), ("X-Harbor-CSRF-Token", "t")], "")],
        vec![answer(403, &[("Set-Cookie", "_gorilla_csrf=c1"), ("X-Harbor-CSRF-Token", &long)], "")],
        vec![token(), answer(403, &[], r#"{"redirect_location":"https://harbor/c/oidc/login"}"#)],
        vec![token(), answer(302, &[("Location", "/")], "")],
        vec![token(), answer(422, &[], "")],
        vec![
            answer(403, &[("Set-Cookie", "_gorilla_csrf=c1"), ("X-Harbor-CSRF-Token", "t")], ""),
            answer(200, &[("Set-Cookie", &format!("sid={long}"))], ""),
        ],
    ];
    for form in odd {
        let shown = format!("{form:?}");
        let steps = form.len();
        let (stub, client) = server(form, |_| panic!("without a session and without Basic")).await;
        let _ = client.info().await;
        for _ in 0..3 {
            client.create(&new_robot()).await.unwrap();
        }
        let seen = stub.seen();
        assert_eq!(seen.iter().filter(|seen| seen.target == LOGIN).count(), steps, "{shown}");
        assert!(seen.iter().filter(|seen| seen.target != LOGIN).all(|seen| seen.header("cookie").is_none()));
        assert!(seen.iter().all(|seen| seen.header("x-harbor-csrf-token").is_none() || seen.target == LOGIN));
    }
}

#[tokio::test]
async fn the_second_session_that_is_not_known_right_after_it_was_opened_is_the_last() {
    let refusals = [
        answer(401, &[], ""),
        error(403, "FORBIDDEN", "CSRF token invalid"),
        // A server that hands out another token each time, for ever.
        answer(
            403,
            &[("Set-Cookie", "_gorilla_csrf=c2"), ("X-Harbor-CSRF-Token", "t2")],
            &json!({"errors": [{"code": "FORBIDDEN", "message": "CSRF token invalid"}]}).to_string(),
        ),
    ];
    for refusal in refusals {
        let (stub, client) = server(vec![token(), opened(), token(), opened()], move |_| refusal.clone()).await;
        let _ = client.info().await;
        client.create(&new_robot()).await.unwrap();
        let with_cookie =
            stub.seen().iter().filter(|seen| seen.target != LOGIN && seen.header("cookie").is_some()).count();
        assert_eq!(with_cookie, 2, "{:?}", stub.lines());
    }
}

#[tokio::test]
async fn a_token_that_an_answer_hands_out_with_its_cookie_is_used_from_then_on() {
    let (stub, client) = server(vec![token(), opened()], |seen| {
        if seen.target.ends_with("/systeminfo") {
            answer(200, &[("Set-Cookie", "_gorilla_csrf=c2"), ("X-Harbor-CSRF-Token", "t2")], "{}")
        } else {
            json_answer(201, &created(7, "robot$library+ci", "Canary-Crea7ed"))
        }
    })
    .await;
    client.info().await.unwrap();
    client.create(&new_robot()).await.unwrap();
    let seen = stub.seen();
    let header = |at: usize, name: &str| seen[at].header(name).map(str::to_owned);
    assert_eq!(stub.lines()[1..4], ["POST /c/login", "POST /c/login", "GET /api/v2.0/systeminfo"]);
    assert_eq!((seen[1].body.as_str(), header(1, "cookie")), ("", None), "no password before there is a token");
    assert_eq!(seen[2].body, "principal=ann&password=Ann-12345");
    assert_eq!(header(2, "x-harbor-csrf-token").as_deref(), Some("t1"));
    assert_eq!(header(3, "cookie").as_deref(), Some("sid=open; _gorilla_csrf=c1"));
    assert_eq!(header(3, "x-harbor-csrf-token"), None, "a read needs no token");
    assert_eq!(header(4, "cookie").as_deref(), Some("sid=open; _gorilla_csrf=c2"));
    assert_eq!(header(4, "x-harbor-csrf-token").as_deref(), Some("t2"));
}

#[tokio::test]
async fn trouble_at_the_login_form_is_told_as_of_a_call_that_was_not_sent() {
    let cases = [
        (vec![answer(502, &[], "<html>")], "BadAnswer"),
        (vec![token(), answer(500, &[], "")], "BadAnswer"),
        (vec![answer(429, &[("Retry-After", "7")], "")], "RateLimited"),
        (vec![Act::Close(Vec::new())], "Unreachable"),
        (vec![token(), Act::Close(Vec::new())], "Unreachable"),
    ];
    for (form, reason) in cases {
        let (stub, client) = server(form, |_| panic!("without a session")).await;
        // The kind is learnt, then the form fails.
        let refused = client.info().await.unwrap_err();
        assert_eq!(refused.reason(), reason);
        assert_ne!(refused.class(), harbor_robot_operator::registry::Class::Unknown, "{refused}");
        assert!(stub.seen().iter().all(|seen| seen.target == LOGIN || seen.target.ends_with("/users/current")));
    }
}

#[tokio::test]
async fn a_robots_name_is_never_sent_to_the_form_and_carries_no_cookie() {
    for name in ["robot$operator", "bot-operator"] {
        let stub = Stub::start(|seen| match seen.target.as_str() {
            "/api/v2.0/users/current" => {
                answer(412, &[("Set-Cookie", "sid=x")], r#"{"errors":[{"code":"PRECONDITION","message":"robot"}]}"#)
            }
            "/api/v2.0/systeminfo" => answer(200, &[("Set-Cookie", "sid=x"), ("X-Harbor-CSRF-Token", "t")], "{}"),
            _ => answer(401, &[("Set-Cookie", "sid=x")], ""),
        })
        .await;
        let client = client_of(&format!("http://{}", stub.address), name, "Robot-12345");
        assert_eq!(client.info().await.unwrap().login, LoginKind::Robot);
        assert_eq!(client.list(&library()).await, Err(Error::Unauthorized), "however soon a robot is refused");
        let seen = stub.seen();
        assert!(seen.iter().all(|seen| seen.target != LOGIN && seen.header("cookie").is_none()), "{:?}", stub.lines());
        assert!(seen.iter().all(|seen| seen.header("authorization").is_some()));
    }
}
