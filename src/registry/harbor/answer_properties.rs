//! Whatever Harbor answers, reading it ends: with what was said, or with an error that quotes nothing of it.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::failure::refusal;
use super::responses::{
    CatalogueRow, CreatedRow, Origin, ProjectRow, RefreshedRow, RobotRow, SystemInfoRow, TokenRow, UserRow,
};
use crate::api::RegistryTime;
use crate::domain::permissions::Access;
use crate::domain::robot::{Home, Lifetime, Permissions, Robot, Scope};
use crate::registry::{Catalogue, CreatedRobot, Error};
use crate::test_properties::{answers, config, moments, text};

fn robot() -> Value {
    json!({
        "id": 12, "name": "robot$library+ci", "level": "project", "duration": 30, "editable": true, "disable": false,
        "description": "x [harbor-robots.io/v1 u c/n/ci]", "expires_at": 1_790_000_000, "secret": "",
        "creation_time": "2024-07-11T13:47:44.261Z", "update_time": "2024-07-11T13:47:44.262Z",
        "permissions": [{"kind": "project", "namespace": "library", "access": [
            {"resource": "repository", "action": "pull"}, {"resource": "repository", "action": "push", "effect": "allow"},
        ]}],
    })
}

fn recorded(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/data").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A text that is not longer than Harbor's names may be.
fn short() -> impl Strategy<Value = String> {
    text().prop_filter("longer than a name", |text| text.len() <= 640)
}

/// Bytes that a robot holds in memory, about.
fn weight(robot: &Robot) -> usize {
    let of_scope = |scope: &Scope| match scope {
        Scope::Project(name) => name.len(),
        Scope::System | Scope::AllProjects => 0,
    };
    let pair = |access: &Access| access.resource.len() + access.action.len() + size_of::<Access>();
    let groups = robot.permissions.iter();
    let groups = groups.map(|(scope, set)| size_of::<Scope>() + of_scope(scope) + set.iter().map(pair).sum::<usize>());
    let home = match &robot.home {
        Home::Project(name) => name.len(),
        Home::System => 0,
    };
    size_of::<Robot>() + robot.name.len() + robot.description.len() + home + groups.sum::<usize>()
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn a_robot_is_read_or_refused(answer in answers(robot()), project in text()) {
        if let Ok(row) = serde_json::from_slice::<RobotRow>(&answer) {
            row.is_of(&project);
            let robot = row.into_robot(Origin::Id { prefix: Some("robot$") });
            prop_assert!(weight(&robot) <= size_of::<Robot>() + 8 * answer.len(), "{} of {}", weight(&robot), answer.len());
        }
        if let Ok(rows) = serde_json::from_slice::<Vec<RobotRow>>(&answer) {
            let home = Home::Project(project);
            for row in rows {
                drop(row.into_robot(Origin::List(&home)));
            }
        }
    }

    #[test]
    fn a_created_robot_is_read_or_refused(answer in answers(json!({
        "id": 7, "name": "robot$library+ci", "secret": "Aa345678", "creation_time": "2024-07-11T13:47:44.261Z",
        "expires_at": 1_790_000_000,
    }))) {
        if let Ok(row) = serde_json::from_slice::<CreatedRow>(&answer) {
            row.has_secret();
            drop(CreatedRobot::from(row));
        }
        drop(serde_json::from_slice::<RefreshedRow>(&answer));
        drop(serde_json::from_slice::<TokenRow>(&answer));
    }

    #[test]
    fn what_harbor_says_of_itself_is_read_or_refused(
        info in answers(recorded("systeminfo-v2.16.json")),
        catalogue in answers(recorded("permissions-v2.16.json")),
        project in answers(json!({"project_id": 3, "name": "library", "metadata": {"public": "false"}})),
    ) {
        drop(serde_json::from_slice::<SystemInfoRow>(&info));
        drop(serde_json::from_slice::<UserRow>(&info));
        drop(serde_json::from_slice::<ProjectRow>(&project));
        if let Ok(row) = serde_json::from_slice::<CatalogueRow>(&catalogue) {
            let known = Catalogue::from(row);
            let pairs = known.project.iter().chain(&known.system);
            let held: usize = pairs.map(|pair| pair.resource.len() + pair.action.len()).sum();
            prop_assert!(held <= catalogue.len());
        }
    }

    #[test]
    fn nothing_of_a_robot_is_lost(
        (id, name, description, disabled) in (any::<i64>(), short(), short(), any::<bool>()),
        (creation_time, update_time) in (moments(), moments()),
        expiration_time in prop_oneof![Just(-1), 1..253_402_207_200_i64],
        duration in prop_oneof![Just(-1), 0..=i64::from(u32::MAX)],
        pairs in proptest::collection::btree_set(("[a-z-]{1,12}", "[a-z]{1,8}"), 1..12),
    ) {
        let access: Vec<Value> = pairs.iter().map(|(resource, action)| json!({"resource": resource, "action": action})).collect();
        let answer = json!({
            "id": id, "name": name, "description": description, "level": "project", "disable": disabled,
            "creation_time": creation_time, "update_time": update_time, "expires_at": expiration_time, "duration": duration,
            "permissions": [{"kind": "project", "namespace": "library", "access": access}],
        });
        let row: RobotRow = serde_json::from_slice(answer.to_string().as_bytes()).unwrap();
        let home = Home::Project("library".into());
        let robot = row.into_robot(Origin::List(&home));
        let set = pairs.iter().map(|(resource, action)| Access::new(resource, action)).collect();
        prop_assert_eq!((robot.id, robot.name, robot.description, robot.disabled), (id, name, description, disabled));
        prop_assert_eq!(robot.permissions, Permissions::from([(Scope::Project("library".into()), set)]));
        let times = (RegistryTime::from(creation_time), RegistryTime::from(update_time));
        prop_assert_eq!((robot.creation_time, robot.update_time), times);
        prop_assert_eq!(robot.expiration_time, Some(expiration_time).filter(|at| *at != -1).map(RegistryTime::from_second));
        prop_assert_eq!(robot.lifetime, u32::try_from(duration).map_or(Lifetime::Never, Lifetime::Days));
    }

    #[test]
    fn a_refusal_is_short_and_quotes_no_secret(
        status in 300..1_000_u16,
        body in answers(json!({"errors": [{"code": "DENIED", "message": "project s3cret-Aa1 not found"}]})),
        call in select(CALLS),
        after in proptest::option::of(any::<u64>().prop_map(Duration::from_secs)),
    ) {
        let error = refusal(call, StatusCode::from_u16(status).unwrap(), &body, after, &["s3cret-Aa1"]);
        let told = format!("{error} {error:?}");
        prop_assert!(!told.contains("s3cret-Aa1"), "{told}");
        prop_assert!(error.to_string().chars().count() < 600, "{told}");
        prop_assert!(!error.to_string().chars().any(char::is_control), "{told}");
        if let Error::Busy(Some(_)) = error {
            prop_assert!(after.is_some());
        }
    }
}

const CALLS: &[Call] = &[
    Call::LOGIN_TOKEN,
    Call::LOGIN,
    Call::CURRENT_USER,
    Call::SYSTEM_INFO,
    Call::CONFIGURATIONS,
    Call::CONFIGURATIONS_UPDATE,
    Call::CATALOGUE,
    Call::PROJECT_GET,
    Call::PROJECT_LIST,
    Call::PROJECT_EXISTS,
    Call::ROBOT_LIST,
    Call::ROBOT_GET,
    Call::ROBOT_CREATE,
    Call::ROBOT_UPDATE,
    Call::ROBOT_REFRESH,
    Call::ROBOT_DELETE,
    Call::VERIFY,
];
