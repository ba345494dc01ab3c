//! The test controls, and what of Harbor only they can show.

mod common;

use std::time::{Duration, Instant};

use common::{ADMIN, Harbor, json_of, login_of, robot_body};
use futures::future::join_all;
use serde_json::{Value, json};

#[tokio::test]
async fn ageing_moves_robots_back_and_leaves_the_clock() {
    let harbor = Harbor::start().await;
    let robot = harbor.robot("old").await;
    harbor.control("POST", "age", json!({"days": 40})).await;
    let aged = json_of(&harbor.api("GET", &format!("/robots/{}", robot["id"]), None).await);
    let days = robot["expires_at"].as_i64().unwrap() - aged["expires_at"].as_i64().unwrap();
    assert_eq!(days, 40 * 86_400);
    assert!(!harbor.logs_in(&login_of(&robot)).await);
    let fresh = harbor.robot("fresh").await;
    assert!((fresh["expires_at"].as_i64().unwrap() - robot["expires_at"].as_i64().unwrap()).abs() <= 2);
}

#[tokio::test]
async fn advancing_moves_the_clock_and_its_date_and_leaves_robots() {
    let harbor = Harbor::start().await;
    let robot = harbor.robot("r").await;
    let date = |answer: common::Answer| {
        let text = answer.headers["Date"].to_str().unwrap().to_owned();
        jiff::fmt::rfc2822::parse(&text).unwrap().timestamp().as_second()
    };
    let before = date(harbor.api("GET", "/systeminfo", None).await);
    harbor.control("POST", "advance", json!({"seconds": 31 * 86_400})).await;
    let info = harbor.api("GET", "/systeminfo", None).await;
    let now: jiff::Timestamp = json_of(&info)["current_time"].as_str().unwrap().parse().unwrap();
    let after = date(info);
    assert!((after - before - 31 * 86_400).abs() <= 2);
    assert!((now.as_second() - after).abs() <= 1);
    assert!(!harbor.logs_in(&login_of(&robot)).await);
    let later = json_of(&harbor.api("GET", &format!("/robots/{}", robot["id"]), None).await);
    assert_eq!(later["expires_at"], robot["expires_at"]);
}

#[tokio::test]
async fn put_and_patch_at_the_same_time_lose_one_another_with_the_quirk_only() {
    for quirk in [false, true] {
        let harbor = Harbor::start().await;
        harbor.quirks(json!({"lostUpdates": quirk})).await;
        let robot = harbor.robot("r").await;
        let path = format!("/robots/{}", robot["id"]);
        let mut body = robot_body(robot["name"].as_str().unwrap(), 30);
        body["description"] = json!("new");
        let (put, patch) = tokio::join!(
            harbor.api("PUT", &path, Some(body)),
            harbor.api("PATCH", &path, Some(json!({"secret": "Given1234"})))
        );
        assert_eq!((put.status, patch.status), (200, 200));
        let described = json_of(&harbor.api("GET", &path, None).await)["description"] == "new";
        let renewed = harbor.logs_in(&format!("{}:Given1234", robot["name"].as_str().unwrap())).await;
        assert_eq!(described && renewed, !quirk);
        assert!(described || renewed);
    }
}

#[tokio::test]
async fn creates_at_the_same_time_deadlock_when_their_lists_are_in_different_orders() {
    let harbor = Harbor::start().await;
    harbor.quirks(json!({"deadlocks": true})).await;
    let create = |at: usize, turned: bool| {
        let mut access = vec![
            json!({"resource": "repository", "action": "pull"}),
            json!({"resource": "artifact", "action": "read"}),
        ];
        if turned && at % 2 == 1 {
            access.reverse();
        }
        let mut body = robot_body(&format!("r{at}-{turned}"), 30);
        body["permissions"][0]["access"] = json!(access);
        harbor.api("POST", "/robots", Some(body))
    };
    let statuses = async |turned: bool| -> Vec<u16> {
        join_all((0..8).map(|at| create(at, turned))).await.iter().map(|answer| answer.status).collect()
    };
    assert!(statuses(false).await.iter().all(|status| *status == 201));
    assert!(statuses(true).await.contains(&500));
}

#[tokio::test]
async fn a_fault_can_say_too_many_requests_with_retry_after() {
    let harbor = Harbor::start().await;
    let fault = json!({"method": "POST", "path": "/api/v2.0/robots", "status": 429, "headers": {"Retry-After": "7"}});
    harbor.quirks(json!({"fail": [fault]})).await;
    let refused = harbor.api("POST", "/robots", Some(robot_body("r", 30))).await;
    assert_eq!((refused.status, refused.headers["Retry-After"].to_str().unwrap()), (429, "7"));
    assert_eq!(harbor.api("POST", "/robots", Some(robot_body("r", 30))).await.status, 201);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_commit() {
    let harbor = Harbor::start().await;
    let fault = json!({"method": "POST", "path": "/api/v2.0/robots", "afterCommit": true, "drop": true});
    harbor.quirks(json!({"fail": [fault]})).await;
    let lost = harbor.try_call(ADMIN, "POST", "/api/v2.0/robots", Some(robot_body("r", 30))).await;
    assert!(lost.is_err());
    assert_eq!(harbor.api("POST", "/robots", Some(robot_body("r", 30))).await.status, 409);
    let calls = harbor.control("GET", "calls", Value::Null).await;
    assert_eq!(calls["calls"][0]["status"], 0);
}

#[tokio::test]
async fn a_fault_before_the_commit_changes_nothing() {
    let harbor = Harbor::start().await;
    harbor.quirks(json!({"fail": [{"status": 503, "body": "{}"}]})).await;
    assert_eq!(harbor.api("POST", "/robots", Some(robot_body("r", 30))).await.status, 503);
    harbor.quirks(json!({"emptyBody500": {"count": 1, "method": "POST"}})).await;
    let empty = harbor.api("POST", "/robots", Some(robot_body("r", 30))).await;
    assert_eq!((empty.status, empty.body.len()), (500, 0));
    assert_eq!(harbor.api("POST", "/robots", Some(robot_body("r", 30))).await.status, 201);
}

#[tokio::test]
async fn a_body_can_be_huge_or_slow() {
    let harbor = Harbor::start().await;
    harbor.quirks(json!({"fail": [{"status": 200, "bodyBytes": 5_000_000}, {"status": 200, "body": "abcd", "slowBodyMs": 20}]})).await;
    assert_eq!(harbor.api("GET", "/robots", None).await.body.len(), 5_000_000);
    let begun = Instant::now();
    assert_eq!(harbor.api("GET", "/robots", None).await.text(), "abcd");
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_wrong_password_locks_its_user_name_but_no_robot() {
    let harbor = Harbor::start().await;
    let robot = harbor.robot("r").await;
    harbor.quirks(json!({"lockUserName": true})).await;
    let begun = Instant::now();
    let wrong = harbor.call("admin:wrong", "GET", "/api/v2.0/robots", None);
    let meanwhile = async {
        // The lock is there as soon as the wrong password has been looked at; this asks until it is.
        while harbor.api("GET", "/users/current", None).await.status == 200 {
            assert!(begun.elapsed() < Duration::from_secs(1), "the name was never locked");
        }
        assert!(harbor.logs_in(&login_of(&robot)).await);
    };
    let (wrong, ()) = tokio::join!(wrong, meanwhile);
    assert_eq!(wrong.status, 401);
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    assert_eq!(harbor.api("GET", "/users/current", None).await.status, 200);
}

#[tokio::test]
async fn a_persons_basic_login_can_be_made_expensive_and_a_robots_stays_cheap() {
    let harbor = Harbor::start().await;
    let robot = harbor.robot("r").await;
    harbor.quirks(json!({"personBasicMs": 100})).await;
    let begun = Instant::now();
    harbor.api("GET", "/ping", None).await;
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let begun = Instant::now();
    assert!(harbor.logs_in(&login_of(&robot)).await);
    assert!(begun.elapsed() < Duration::from_millis(90));
}

#[tokio::test]
async fn a_robot_without_permissions_cannot_be_deleted_until_it_has_one() {
    let harbor = Harbor::start().await;
    let robot = harbor.robot("r").await;
    let path = format!("/robots/{}", robot["id"]);
    harbor.control("POST", &format!("robots/{}/permissions", robot["id"]), json!([])).await;
    let refused = harbor.api("DELETE", &path, None).await;
    assert_eq!(refused.status, 404);
    assert_eq!(
        json_of(&refused)["errors"][0]["message"],
        format!("role permission robotaccount:{} not found", robot["id"])
    );
    let read = json_of(&harbor.api("GET", &path, None).await);
    assert_eq!(read["permissions"], json!([]));
    assert!(harbor.logs_in(&login_of(&robot)).await);
    let mut as_read = read;
    as_read["description"] = json!("x");
    assert_eq!(harbor.api("PUT", &path, Some(as_read)).await.status, 400);
    assert_eq!(harbor.api("PUT", &path, Some(robot_body(robot["name"].as_str().unwrap(), 30))).await.status, 200);
    assert_eq!(harbor.api("DELETE", &path, None).await.status, 200);
}

#[tokio::test]
async fn a_legacy_robot_is_shown_without_prefix_cannot_be_updated_and_can_be_deleted() {
    let harbor = Harbor::start().await;
    let raw = json!({"name": "library+old", "project": "library", "editable": false, "creator_type": ""});
    let id = harbor
        .control("POST", "robots", json!({"name": raw["name"], "project": "library", "editable": false}))
        .await["id"]
        .clone();
    let path = format!("/robots/{id}");
    let read = json_of(&harbor.api("GET", &path, None).await);
    assert_eq!((&read["name"], &read["editable"], &read["permissions"]), (&raw["name"], &json!(false), &json!([])));
    let refused = harbor.api("PUT", &path, Some(robot_body("library+old", 30))).await;
    assert_eq!(json_of(&refused)["errors"][0]["message"], "editing of legacy robot is not allowed");
    assert_eq!(harbor.api("DELETE", &path, None).await.status, 200);
}

#[tokio::test]
async fn a_hidden_robot_is_read_by_id_but_not_listed() {
    let harbor = Harbor::start().await;
    let id = harbor.control("POST", "robots", json!({"name": "scanner", "visible": false})).await["id"].clone();
    let list = harbor.api("GET", "/robots?q=name%3Dscanner", None).await;
    assert_eq!(list.headers["X-Total-Count"], "0");
    assert_eq!(harbor.api("GET", &format!("/robots/{id}"), None).await.status, 200);
}

#[tokio::test]
async fn calls_are_counted_by_template_and_login() {
    let harbor = Harbor::start().await;
    let robot = harbor.robot("r").await;
    harbor.api("GET", &format!("/robots/{}", robot["id"]), None).await;
    harbor.call("", "GET", "/api/v2.0/nowhere", None).await;
    let calls = harbor.control("GET", "calls?last=2", Value::Null).await;
    assert_eq!(calls["total"], 3);
    let by = json!({"POST /api/v2.0/robots": 1, "GET /api/v2.0/robots/{id}": 1, "GET (unknown)": 1});
    assert_eq!(calls["by"], by);
    let read = &calls["calls"][0];
    assert_eq!((&read["login"], &read["status"], &read["method"]), (&json!("admin"), &json!(200), &json!("GET")));
    assert_eq!(read["target"], format!("/api/v2.0/robots/{}", robot["id"]));
    assert_eq!(calls["calls"].as_array().unwrap().len(), 2);
    harbor.control("DELETE", "calls", Value::Null).await;
    assert_eq!(harbor.stand_in.app().calls().count("POST /api/v2.0/robots"), 0);
}

#[tokio::test]
async fn the_most_calls_at_one_time_are_counted_until_they_are_forgotten() {
    let harbor = Harbor::start().await;
    harbor.quirks(json!({"latencyMs": 300})).await;
    let ping = || harbor.call("", "GET", "/api/v2.0/ping", None);
    tokio::join!(ping(), ping(), ping());
    assert_eq!(harbor.control("GET", "calls", Value::Null).await["mostInFlight"], 3);
    harbor.control("DELETE", "calls", Value::Null).await;
    ping().await;
    assert_eq!(harbor.control("GET", "calls", Value::Null).await["mostInFlight"], 1);
}

#[tokio::test]
async fn instances_know_nothing_of_one_another() {
    let (one, other) = (Harbor::start().await, Harbor::start().await);
    let robot = one.robot("r").await;
    other.quirks(json!({"fail": [{"status": 503, "count": 0}]})).await;
    assert!(one.logs_in(&login_of(&robot)).await);
    other.quirks(json!({"reset": true})).await;
    assert!(!other.logs_in(&login_of(&robot)).await);
    one.control("POST", "advance", json!({"seconds": 86_400})).await;
    assert_eq!(other.api("GET", "/robots", None).await.headers["X-Total-Count"], "0");
}

#[tokio::test]
async fn two_thousand_projects_are_seeded_quickly_and_listed_by_page() {
    let harbor = Harbor::start().await;
    let begun = Instant::now();
    let made = harbor.control("POST", "seed", json!({"projects": 2000, "robotsPerProject": 5})).await;
    assert_eq!(made, json!({"projects": 2000, "robots": 10_000}));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let page = harbor.api("GET", "/projects?q=name%3D~project-&page=2&page_size=100", None).await;
    assert_eq!(
        (page.headers["X-Total-Count"].to_str().unwrap(), json_of(&page).as_array().unwrap().len()),
        ("2000", 100)
    );
    harbor.control("POST", "seed", json!({"projects": ["a", "b"], "public": true})).await;
    let found = json_of(&harbor.call("", "GET", "/api/v2.0/projects", None).await);
    assert_eq!(found.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn read_only_mode_refuses_writes_before_anything_else() {
    let harbor = Harbor::start().await;
    harbor.quirks(json!({"readOnly": true})).await;
    let refused = harbor.call("", "POST", "/api/v2.0/robots", None).await;
    let error = &json_of(&refused)["errors"][0];
    assert_eq!((refused.status, &error["code"]), (403, &json!("DENIED")));
    assert_eq!(error["message"], "The system is in read only mode. Any modification is prohibited.");
    assert_eq!(json_of(&harbor.api("GET", "/systeminfo", None).await)["read_only"], true);
    assert_eq!(harbor.api("PUT", "/configurations", Some(json!({"read_only": false}))).await.status, 200);
    harbor.robot("r").await;
}

#[tokio::test]
async fn unknown_controls_and_quirks_are_refused() {
    let harbor = Harbor::start().await;
    assert_eq!(harbor.call("", "GET", "/_stand-in/nothing", None).await.status, 404);
    assert_eq!(harbor.call("", "PUT", "/_stand-in/quirks", Some(json!({"latency": 1}))).await.status, 400);
    assert_eq!(harbor.call("", "POST", "/_stand-in/advance", Some(json!({"seconds": "soon"}))).await.status, 400);
}

#[tokio::test]
async fn a_restored_database_brings_robots_back_and_uses_ids_again() {
    let harbor = Harbor::start().await;
    let kept = harbor.robot("kept").await;
    harbor.control("POST", "snapshot", json!({})).await;
    let later = harbor.robot("later").await;
    harbor.api("DELETE", &format!("/robots/{}", kept["id"]), None).await;
    for _ in 0..2 {
        harbor.control("POST", "restore", json!({})).await;
        assert!(harbor.logs_in(&login_of(&kept)).await, "alive again");
        assert!(!harbor.logs_in(&login_of(&later)).await, "gone");
        let other = harbor.robot("other").await;
        assert_eq!(other["id"], later["id"], "used again");
    }
}

#[tokio::test]
async fn the_clock_can_be_set_back() {
    let harbor = Harbor::start().await;
    let before = harbor.control("POST", "advance", json!({"seconds": 0})).await;
    let after = harbor.control("POST", "advance", json!({"seconds": -3_600})).await;
    assert!(after["now"].as_i64().unwrap() < before["now"].as_i64().unwrap() - 3_590_000, "{before} {after}");
}
