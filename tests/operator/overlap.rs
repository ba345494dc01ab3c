//! Rotation with `strategy: Overlap`: another robot takes over, the former lives on for a while.

use harbor_robot_operator::api::{RegistryTime, RobotAccount};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::hands::changes;
use crate::rotation::{DAY, DELETE, HOUR, MINUTE, POST, expiry_of, most_robots, note, ready_since, status_of};
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, condition};

fn with(login: LoginAs) -> Setting {
    Setting { login, ..Setting::default() }
}

fn revocation_time(account: &RobotAccount) -> RegistryTime {
    status_of(account).previous.expect("the former robot lives on").revocation_time
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_makes_the_other_robot_and_retires_the_former_after_the_overlap() {
    for login in BOTH_LOGINS {
        let mut scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        let made = scene.settled("ci").await;
        let mut former = scene.logs_in("ci").await;
        scene.harbor.reset_calls().await.unwrap();
        for slot in ["+ci.b", "+ci"] {
            scene.advance_to_renewal("ci").await;
            let (account, now) = scene.replaced("ci", &former).await;
            assert!(now.name.ends_with(slot), "{}", now.name);
            let status = status_of(&account);
            assert_eq!(status.previous.as_ref().map(|previous| &previous.name), Some(&former.name));
            let overlap = revocation_time(&account).duration_since(status.last_rotation_time.unwrap());
            assert!((overlap - SignedDuration::from_hours(24)).abs() < SignedDuration::from_mins(1), "{overlap:?}");
            assert!(!note(&account).contains("overlap"), "{}", note(&account));

            // An operator that starts anew goes on where the old one was.
            assert!(scene.terminate().success());
            scene.start();
            scene.sweeps(2).await;
            assert_eq!(status_of(&scene.get("ci").await), status);
            scene.harbor.advance(23 * HOUR).await.unwrap();
            scene.sweeps(2).await;
            assert!(scene.works(&former).await && scene.works(&now).await);

            scene.advance_to(revocation_time(&account)).await;
            let account = scene.overlap_over("ci").await;
            assert!(!scene.works(&former).await);
            assert_eq!(scene.logs_in("ci").await, now);
            assert_eq!(ready_since(&account), ready_since(&made), "Ready never wavered");
            former = now;
        }
        let calls = scene.harbor.calls().await.unwrap();
        assert_eq!((calls.count(POST), calls.count(DELETE), changes(&calls)), (2, 2, 4), "{:?}", calls.by);
        assert_eq!(most_robots(&calls, 1), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_during_an_overlap_retires_the_older_robot_and_there_are_never_three() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        scene.settled("ci").await;
        let mut logins = vec![scene.logs_in("ci").await];
        scene.harbor.reset_calls().await.unwrap();
        for token in ["one", "two", "three"] {
            scene.harbor.advance(2 * MINUTE).await.unwrap();
            scene.annotate("ci", "refresh", Some(token)).await;
            let (account, now) = scene.replaced("ci", logins.last().unwrap()).await;
            assert_eq!(status_of(&account).handled_refresh.as_deref(), Some(token));
            assert!(scene.works(logins.last().unwrap()).await, "the one just replaced lives on");
            for older in &logins[..logins.len() - 1] {
                assert!(!scene.works(older).await, "retired");
            }
            logins.push(now);
        }
        assert_eq!(most_robots(&scene.harbor.calls().await.unwrap(), 1), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlap_that_cannot_be_kept_is_cut_and_status_says_so() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"expiresAfter": "1d", "rotation": {"overlap": "2d"}})).await;
        scene.settled("ci").await;
        let first = scene.logs_in("ci").await;
        let first_expiry = expiry_of(&scene.current_robot("ci").await).unwrap();

        scene.harbor.advance(HOUR).await.unwrap();
        scene.annotate("ci", "refresh", Some("early")).await;
        let (account, second) = scene.replaced("ci", &first).await;
        let status = status_of(&account);
        let expiry = status.robot.as_ref().unwrap().expiration_time.unwrap();
        assert!(
            revocation_time(&account) < first_expiry
                && expiry.duration_since(revocation_time(&account)).as_hours() >= 2
        );
        assert!(note(&account).contains("cut short"), "{}", note(&account));
        assert!(note(&account).contains("the present credential has to be renewed before"), "{}", note(&account));

        // The timer alone waits for the end of the overlap, and tells then as the time of renewal.
        assert_eq!(status.renewal_time.unwrap().as_second(), revocation_time(&account).as_second());
        scene.advance_to(revocation_time(&account) - SignedDuration::from_mins(30)).await;
        let waits = |account: &RobotAccount| note(account).contains("the renewal waits for the end of the overlap");
        scene.account_is("waits", "ci", waits).await;
        assert_eq!(changes(&scene.two_sweeps().await), 0);
        assert!(scene.works(&first).await && scene.works(&second).await);
        scene.advance_to(revocation_time(&account)).await;
        let (_, third) = scene.replaced("ci", &second).await;
        assert!(scene.works(&second).await && !scene.works(&first).await);

        // A renewal comes when the former robot has less left than the overlap.
        scene.harbor.advance(2 * MINUTE).await.unwrap();
        let account = scene.get("ci").await;
        assert_eq!(revocation_time(&account), expiry);
        assert!(note(&account).contains("the former credential expires before"), "{}", note(&account));
        scene.advance_to(expiry).await;
        let account = scene.overlap_over("ci").await;
        assert_eq!(scene.logs_in("ci").await, third);
        let tidy = |account: &RobotAccount| !note(account).contains("overlap");
        scene.account_is("the note is gone", "ci", tidy).await;
        assert_eq!(condition(&account, "RenewalOverdue"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_that_is_cut_down_during_an_overlap_leaves_no_gap() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"expiresAfter": "90d", "rotation": {"overlap": "9d"}})).await;
        let made = scene.settled("ci").await;
        let first = scene.logs_in("ci").await;
        scene.harbor.advance(HOUR).await.unwrap();
        scene.annotate("ci", "refresh", Some("once")).await;
        let (_, second) = scene.replaced("ci", &first).await;
        scene.harbor.advance(HOUR).await.unwrap();
        scene.sweeps(2).await;
        scene.edit("ci", json!({"expiresAfter": "2d"})).await;
        let short = |account: &RobotAccount| {
            let status = status_of(account);
            status.expires_after.as_deref() == Some("2d")
                && status.previous.is_some_and(|p| p.revocation_time < status.robot.unwrap().expiration_time.unwrap())
        };
        let account = scene.account_is("the overlap ends before the new expiry", "ci", short).await;
        assert!(note(&account).contains("cut short"), "{}", note(&account));
        let current = scene.logs_in("ci").await;
        assert_eq!(current == second, login == LoginAs::Person);
        scene.advance_to(revocation_time(&account)).await;
        let (account, third) = scene.replaced("ci", &current).await;
        assert!(scene.works(&current).await && scene.works(&third).await);
        assert_eq!(ready_since(&account), ready_since(&made), "Ready never wavered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_wiped_during_an_overlap_does_not_shorten_it() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({"rotation": {"overlap": "2h"}})).await;
        scene.settled("ci").await;
        let first = scene.logs_in("ci").await;
        scene.advance_to_renewal("ci").await;
        let (account, second) = scene.replaced("ci", &first).await;
        let end = revocation_time(&account);
        scene.harbor.advance(HOUR).await.unwrap();
        scene.harbor.reset_calls().await.unwrap();
        scene.wipe_status("ci").await;
        let account = scene.settled("ci").await;
        assert!(revocation_time(&account) > end, "{} instead of {end}", revocation_time(&account));
        assert_eq!((scene.calls(POST).await, scene.logs_in("ci").await), (0, second));
        scene.advance_to(end).await;
        scene.sweeps(2).await;
        assert!(scene.works(&first).await);
        scene.advance_to(revocation_time(&account)).await;
        scene.overlap_over("ci").await;
        assert!(!scene.works(&first).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_in_the_other_slot_holds_up_the_renewal_until_it_goes() {
    for login in BOTH_LOGINS {
        let scene = Scene::new(with(login)).await;
        scene.account("ci", json!({})).await;
        let made = scene.settled("ci").await;
        let former = scene.logs_in("ci").await;
        let stranger = scene.stranger("ci.b", "somebody's").await;
        scene.two_sweeps().await;
        scene.advance_to_renewal("ci").await;
        let message = scene.reason_is("ci", "Synced", "False", "NameTaken").await;
        assert!(message.contains("ci.b"), "{message}");
        scene.harbor.advance(HOUR).await.unwrap();
        let message = scene.reason_is("ci", "RenewalOverdue", "True", "RenewalOverdue").await;
        assert!(message.contains("Synced"), "{message}");
        let account = scene.get("ci").await;
        assert_eq!(condition(&account, "Ready").unwrap().0, "True");
        assert!(scene.works(&former).await);

        scene.delete_robot(stranger["id"].as_i64().unwrap()).await;
        let (account, now) = scene.replaced("ci", &former).await;
        assert!(now.name.ends_with("+ci.b") && scene.works(&former).await);
        for kind in ["RenewalOverdue", "Stalled", "Reconciling"] {
            assert_eq!(condition(&account, kind), None);
        }
        assert_eq!(ready_since(&account), ready_since(&made), "Ready never wavered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wide_columns_tell_login_expiry_and_renewal() {
    let scene = Scene::new(with(LoginAs::Robot)).await;
    scene.account("ci", json!({})).await;
    scene.settled("ci").await;
    let former = scene.logs_in("ci").await;
    scene.harbor.advance(DAY).await.unwrap();
    scene.annotate("ci", "refresh", Some("once")).await;
    let (account, now) = scene.replaced("ci", &former).await;
    let table = scene.plane.kubectl(["get", "robotaccount", "ci", "-n", &scene.namespace, "-o", "wide"]).ok().unwrap();
    let mut lines = table.lines();
    let (titles, values) = (lines.next().unwrap(), lines.next().unwrap());
    let cell = |title: &str| {
        let from = titles.find(title).unwrap_or_else(|| panic!("{title} in {titles}"));
        values[from..].split_whitespace().next().unwrap().to_owned()
    };
    let status: Value = serde_json::to_value(status_of(&account)).unwrap();
    let told = ["READY", "LOGIN", "REASON", "EXPIRES", "RENEWS"].map(cell);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let wanted = [
        "True".to_owned(),
        now.name,
        "Published".to_owned(),
        text(&status["robot"]["expirationTime"]),
        text(&status["renewalTime"]),
    ];
    assert_eq!(told, wanted, "{table}");
    let until = format!("{} is deleted at {}", former.name, revocation_time(&account));
    harbor_robot_world::eventually("an event tells of both robots", SOON, || async {
        let told = scene.events("ci").await;
        let found = told.iter().any(|(_, reason, text)| reason == "Replaced" && text.ends_with(&until));
        if found { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
}
