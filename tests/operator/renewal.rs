//! When a credential is renewed, by Harbor's clock.

use harbor_robot_operator::api::{RegistryTime, RobotAccount};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::hands::{changes, ids};
use crate::rotation::{DAY, HOUR, POST, expiry_of, ready_since, status_of};
use crate::scene::{BOTH_LOGINS, LoginAs, Scene, Setting, condition};

fn with(login: LoginAs) -> Setting {
    Setting { login, ..Setting::default() }
}

/// How long before its expiry the account is renewed, in days.
fn days_before_expiry(account: &RobotAccount) -> f64 {
    let status = status_of(account);
    let expiry = status.robot.unwrap().expiration_time.unwrap();
    expiry.duration_since(status.renewal_time.unwrap()).as_secs_f64() / 86_400.0
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_times_are_spread_over_the_first_third_of_the_margin_and_survive_a_restart() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(with(login)).await;
        let usual = ["a", "b", "c", "d", "e"];
        for name in usual {
            scene.account(name, json!({})).await;
        }
        let given = [
            ("margin", json!({"rotation": {"renewBefore": "6d"}})),
            ("long", json!({"expiresAfter": "90d"})),
            ("weekly", json!({"rotation": {"interval": "7d"}})),
            ("weekly-for-ever", json!({"expiresAfter": "Never", "rotation": {"interval": "7d"}})),
            ("for-ever", json!({"expiresAfter": "Never"})),
        ];
        for (name, spec) in given {
            scene.account(name, spec).await;
        }
        let mut told = Vec::new();
        for name in usual.into_iter().chain(["margin", "long", "weekly", "weekly-for-ever", "for-ever"]) {
            let account = scene.settled(name).await;
            let status = status_of(&account);
            let robot = status.robot.clone().unwrap();
            assert_eq!(robot.expiration_time, expiry_of(&scene.robot(robot.id).await), "{name}: Harbor's own expiry");
            let in_a_week = Some(robot.creation_time + SignedDuration::from_hours(7 * 24));
            let window = match name {
                "margin" => Some(4.0..=6.0),
                "long" => Some(20.0..=30.0),
                "weekly" | "weekly-for-ever" => {
                    let of_it = |at: Option<RegistryTime>| at.map(RegistryTime::as_second);
                    assert_eq!(of_it(status.renewal_time), of_it(in_a_week), "{name}");
                    None
                }
                "for-ever" => {
                    assert_eq!(status.renewal_time, None);
                    None
                }
                _ => Some(20.0 / 3.0..=10.0),
            };
            if let Some(window) = window {
                // Whole seconds are shown.
                let before = days_before_expiry(&account);
                assert!(window.contains(&before) || (window.end() - before).abs() < 1e-4, "{name}: {before}");
            }
            told.push((name, status.renewal_time));
        }
        let mut different: Vec<_> = told[..5].iter().map(|(_, at)| at).collect();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), 5, "{told:?}");

        assert!(scene.terminate().success());
        scene.start();
        let calls = scene.two_sweeps().await;
        assert_eq!(changes(&calls), 0);
        for (name, at) in &told {
            assert_eq!(status_of(&scene.get(name).await).renewal_time, *at, "{name}");
        }

        scene.edit_registry(json!({"defaults": {"rotation": {"renewBefore": "3d"}}})).await;
        let moved = |account: &RobotAccount| (2.0..=3.001).contains(&days_before_expiry(account));
        scene.account_is("renewed by the registry's default", "a", moved).await;
        scene.two_sweeps().await;
        assert!((4.0..=6.001).contains(&days_before_expiry(&scene.get("margin").await)), "its own is kept");
        assert_eq!(scene.robots().await.len(), told.len(), "nothing was rotated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_renewed_when_harbors_clock_says_so_whatever_the_operators_says() {
    for login in BOTH_LOGINS {
        for behind in [0, 40 * DAY] {
            let scene = Scene::without_operator(with(login)).await;
            scene.harbor.set_back(i64::try_from(behind).unwrap()).await.unwrap();
            let mut scene = scene;
            scene.start();
            scene.account("ci", json!({})).await;
            let made = scene.settled("ci").await;
            let former = scene.logs_in("ci").await;
            // By its own clock the operator would have renewed it long ago, or not for weeks to come.
            scene.harbor.advance(19 * DAY).await.unwrap();
            assert_eq!(changes(&scene.two_sweeps().await), 0);

            scene.advance_to_renewal("ci").await;
            let (account, now) = scene.replaced("ci", &former).await;
            assert!(now.name.ends_with("+ci.b") && scene.works(&former).await);
            let (status, robot) = (status_of(&account), scene.current_robot("ci").await);
            assert_eq!(status.robot.unwrap().expiration_time, expiry_of(&robot));
            let harbor = scene.harbor_now().await;
            let since = harbor.duration_since(status.last_rotation_time.unwrap()).abs();
            assert!(since < SignedDuration::from_mins(1), "Harbor's time is told: {since:?}");
            assert!(status.renewal_time.unwrap() > harbor + SignedDuration::from_hours(19 * 24));
            assert_eq!(ready_since(&account), ready_since(&made), "Ready never wavered");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_set_before_a_restart_still_renews() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(with(login)).await;
        for name in ["timer", "down"] {
            scene.account(name, json!({"expiresAfter": "Never", "rotation": {"interval": "1h"}})).await;
            scene.settled(name).await;
        }
        let (timer, down) = (scene.logs_in("timer").await, scene.logs_in("down").await);
        assert!(scene.terminate().success());
        // Due soon after the start, and no clock is set any more that would make the operator look.
        let due = status_of(&scene.get("down").await).renewal_time.unwrap();
        scene.advance_to(due - SignedDuration::from_secs(4)).await;
        scene.start();
        scene.replaced("timer", &timer).await;
        let (_, down) = scene.replaced("down", &down).await;

        assert!(scene.terminate().success());
        scene.harbor.advance(2 * DAY).await.unwrap();
        scene.start();
        scene.replaced("down", &down).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_never_expires_is_renewed_by_interval_only() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("for-ever", json!({"expiresAfter": "Never"})).await;
        scene.account("hourly", json!({"expiresAfter": "Never", "rotation": {"interval": "1h"}})).await;
        scene.settled("for-ever").await;
        scene.settled("hourly").await;
        let kept = scene.logs_in("for-ever").await;
        let mut former = scene.logs_in("hourly").await;
        for _ in 0..3 {
            scene.harbor.advance(HOUR).await.unwrap();
            let (account, now) = scene.replaced("hourly", &former).await;
            let status = status_of(&account);
            assert_eq!(status.robot.unwrap().expiration_time, None);
            // An interval shortens the usual overlap, and without a word.
            let overlap = status.previous.unwrap().revocation_time.duration_since(status.last_rotation_time.unwrap());
            assert!(overlap.abs() <= SignedDuration::from_mins(61), "{overlap:?}");
            assert!(!crate::rotation::note(&account).contains("cut short"));
            former = now;
        }
        scene.harbor.advance(400 * DAY).await.unwrap();
        scene.replaced("hourly", &former).await;
        scene.two_sweeps().await;
        assert_eq!(scene.logs_in("for-ever").await, kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_found_expired_is_replaced_at_once() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let former = scene.logs_in("ci").await;
        let before = ids(&scene.robots().await);
        assert!(scene.terminate().success());
        scene.harbor.advance(40 * DAY).await.unwrap();
        assert!(!scene.works(&former).await, "nobody renewed it");
        scene.start();
        let (account, now) = scene.replaced("ci", &former).await;
        assert_eq!((now.name, status_of(&account).previous), (former.name, None));
        let robots = scene.robots().await;
        assert_eq!(robots.len(), 1);
        assert_ne!(ids(&robots), before);
        assert!(scene.harbor_now().await < expiry_of(&robots[0]).unwrap());
        assert_eq!(scene.calls(POST).await, 2 + u64::from(login == LoginAs::Robot), "the operator's login is one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_harbor_holds_up_is_reported_until_it_is_made() {
    let broken = |path| json!({"status": 503, "count": 0, "path": path});
    let paths = ["/api/v2.0/systeminfo", "/api/v2.0/robots", "/api/v2.0/users/current"];
    let outage = json!({"fail": paths.map(broken)});
    for (login, what, reason) in
        [(LoginAs::Person, json!({"readOnly": true}), Some("ReadOnly")), (LoginAs::Robot, outage, None)]
    {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"expiresAfter": "2d"})).await;
        scene.settled("ci").await;
        let former = scene.logs_in("ci").await;
        // The timer of the operator is to ring while Harbor is out of order.
        let due = status_of(&scene.get("ci").await).renewal_time.unwrap();
        scene.advance_to(due - SignedDuration::from_secs(3)).await;
        scene.sweeps(1).await;
        scene.harbor.quirks(what).await.unwrap();
        let held_up = |account: &RobotAccount| condition(account, "Synced").is_some_and(|c| c.0 == "False");
        scene.account_is("not in sync", "ci", held_up).await;
        scene.harbor.advance(HOUR).await.unwrap();
        let account = scene
            .account_is("overdue", "ci", |account| condition(account, "RenewalOverdue").is_some_and(|c| c.0 == "True"))
            .await;
        let (ready, synced) = (condition(&account, "Ready").unwrap(), condition(&account, "Synced").unwrap());
        assert_eq!((ready.0.as_str(), synced.0.as_str()), ("True", "False"), "{ready:?} {synced:?}");
        assert!(reason.is_none_or(|reason| synced.1 == reason), "{synced:?}");
        assert!(scene.works(&former).await);

        scene.harbor.advance(2 * DAY).await.unwrap();
        assert!(!scene.works(&former).await);
        let expired = |account: &RobotAccount| condition(account, "Ready").is_some_and(|c| c.0 == "False");
        scene.account_is("its credential is known to be expired", "ci", expired).await;

        scene.harbor.quirks(json!({"reset": true})).await.unwrap();
        scene.harbor.quirks(json!({"readOnly": false})).await.unwrap();
        let (account, _) = scene.replaced("ci", &former).await;
        assert_eq!(condition(&account, "RenewalOverdue"), None);
        assert_eq!(condition(&account, "Stalled"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_is_not_renewed_and_says_so_when_its_credential_has_expired() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"expiresAfter": "1d"})).await;
        scene.settled("ci").await;
        let former = scene.logs_in("ci").await;
        scene.edit("ci", json!({"suspend": true})).await;
        scene.reason_is("ci", "Synced", "False", "Suspended").await;
        scene.advance_to_renewal("ci").await;
        assert_eq!(changes(&scene.two_sweeps().await), 0);
        assert_eq!(condition(&scene.get("ci").await, "Ready").unwrap().0, "True");
        scene.harbor.advance(DAY).await.unwrap();
        let message = scene.reason_is("ci", "Ready", "False", "Suspended").await;
        assert!(message.contains("expired"), "{message}");
        scene.edit("ci", json!({"suspend": Value::Null})).await;
        scene.replaced("ci", &former).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_by_the_timer_of_an_account_at_rest_costs_one_call() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"rotation": {"interval": "1h"}})).await;
        let due = status_of(&scene.settled("ci").await).renewal_time.unwrap();
        let former = scene.logs_in("ci").await;
        // The clock is set so that the timer goes off by itself a while after the operator has noticed.
        scene.advance_to(due - SignedDuration::from_secs(15)).await;
        scene.two_sweeps().await;
        scene.harbor.reset_calls().await.unwrap();
        let (_, now) = scene.replaced("ci", &former).await;
        let calls = scene.harbor.calls().await.unwrap();
        let made = calls.calls.iter().position(|call| call.method == "POST" && call.status == 201).unwrap();
        let looked = calls.calls[..made].iter().filter(|call| call.query.contains("ci.b")).count();
        assert_eq!(looked, 0, "the sweeps have seen to its robots: {:?}", calls.calls);
        assert!(now.name.ends_with("+ci.b"), "{}", now.name);
    }
}
