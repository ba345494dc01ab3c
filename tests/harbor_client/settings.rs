//! Harbor's settings of robots.

use harbor_robot_operator::domain::robot::Scope;
use harbor_robot_operator::registry::{Class, Error, Settings};
use serde_json::json;

use super::stand_in::Harbor;
use super::stub::{Stub, answer, error, json as json_answer};
use super::{client, created, new_robot, observed};

fn prefix(prefix: &str) -> Settings {
    Settings { robot_name_prefix: Some(prefix.into()), ..Settings::default() }
}

fn duration(days: i64) -> Settings {
    Settings { robot_token_duration: Some(days), ..Settings::default() }
}

#[tokio::test]
async fn an_administrator_reads_and_changes_the_settings_one_by_one() {
    let harbor = Harbor::new().await;
    let admin = &harbor.admin;
    // By session from here on, as a change is sent in life.
    admin.info().await.unwrap();
    let defaults = Settings { robot_token_duration: Some(30), ..prefix("robot$") };
    assert_eq!(admin.settings().await.as_ref(), Ok(&defaults));

    admin.change_settings(&duration(60)).await.unwrap();
    assert_eq!(admin.settings().await, Ok(Settings { robot_token_duration: Some(60), ..prefix("robot$") }));
    admin.change_settings(&prefix("bot-")).await.unwrap();
    assert_eq!(admin.settings().await, Ok(Settings { robot_token_duration: Some(60), ..prefix("bot-") }));
    admin.change_settings(&defaults).await.unwrap();
    assert_eq!(admin.settings().await, Ok(defaults));
}

#[tokio::test]
async fn a_changed_prefix_is_known_at_once() {
    let harbor = Harbor::new().await;
    let admin = &harbor.admin;
    assert_eq!(admin.name_prefix(), None);
    let (_, id) = harbor.robot("ci", &[(Scope::AllProjects, "repository:pull")]).await;
    assert_eq!(admin.name_prefix().as_deref(), Some("robot$"));
    admin.change_settings(&prefix("bot-")).await.unwrap();
    assert_eq!(admin.name_prefix().as_deref(), Some("bot-"));
    assert_eq!(admin.get(id).await.unwrap().unwrap().name, "bot-ci");
    admin.change_settings(&duration(7)).await.unwrap();
    assert_eq!(admin.name_prefix().as_deref(), Some("bot-"));

    let refused = admin.change_settings(&prefix("  ")).await.unwrap_err();
    assert!(matches!(&refused, Error::Invalid(message) if message.contains("cannot be empty")), "{refused}");
    assert_eq!(admin.name_prefix().as_deref(), Some("bot-"));
}

#[tokio::test]
async fn the_prefix_that_is_known_is_the_one_that_harbor_made_of_it() {
    for (version, want) in [("2.16", "x-"), ("2.15", " x- ")] {
        let harbor = Harbor::of(version).await;
        harbor.admin.change_settings(&prefix(" x- ")).await.unwrap();
        assert_eq!(harbor.admin.name_prefix().as_deref(), Some(want), "{version}");
        let (_, id) = harbor.robot("ci", &[(Scope::AllProjects, "repository:pull")]).await;
        assert_eq!(harbor.admin.get(id).await.unwrap().unwrap().name, format!("{want}ci"));
    }
}

#[tokio::test]
async fn settings_are_for_system_administrators_only() {
    let harbor = Harbor::new().await;
    harbor.seed(&["mine"], &[]).await;
    let (robot, _) = harbor.robot("own", &[(Scope::System, "project:list")]).await;
    let person = harbor.person("ann", &["mine"]).await;
    for login in [&robot, &person] {
        for refused in [login.settings().await.map(drop), login.change_settings(&duration(5)).await] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.class(), Class::UserFix);
            assert_eq!(
                refused.to_string(),
                "Harbor refuses this to the login: only a system administrator reads and changes the settings"
            );
        }
    }
    assert_eq!(harbor.admin.settings().await.unwrap().robot_token_duration, Some(30));
}

#[tokio::test]
async fn a_value_that_harbor_does_not_take_is_refused_with_its_reason_and_the_rest_stays() {
    let harbor = Harbor::new().await;
    for days in [0, -1] {
        let refused = harbor.admin.change_settings(&duration(days)).await.unwrap_err();
        assert_eq!(refused, Error::Invalid("the robot_token_duration value must be positive".into()));
    }
    let both = Settings { robot_token_duration: Some(0), ..prefix("bot-") };
    assert!(harbor.admin.change_settings(&both).await.is_err());
    assert_eq!(harbor.admin.settings().await, Ok(Settings { robot_token_duration: Some(30), ..prefix("robot$") }));
    assert_eq!(harbor.admin.name_prefix().as_deref(), Some("robot$"));
}

#[tokio::test]
async fn only_what_is_given_is_sent_and_nothing_if_nothing_is() {
    let stub = Stub::always(answer(200, &[], "")).await;
    let (client, notes) = observed(&stub);
    client
        .change_settings(&Settings { fixed: vec![Settings::ROBOT_NAME_PREFIX], ..Settings::default() })
        .await
        .unwrap();
    assert!(stub.seen().is_empty());
    client.change_settings(&duration(5)).await.unwrap();
    client.change_settings(&prefix("bot-")).await.unwrap();
    assert_eq!(stub.lines(), ["PUT /api/v2.0/configurations"; 2]);
    assert_eq!(stub.seen()[0].json(), json!({"robot_token_duration": 5}));
    assert_eq!(stub.seen()[1].json(), json!({"robot_name_prefix": "bot-"}));
    assert_eq!(*notes.lock().unwrap(), ["configurations_update ok"; 2]);
    assert_eq!(client.name_prefix().as_deref(), Some("bot-"));
}

#[tokio::test]
async fn settings_that_the_environment_fixes_are_told_and_their_change_is_refused_with_harbors_reason() {
    let fixed = "current config is init by env variable: CONFIG_OVERWRITE_JSON, it cannot be updated";
    let settings = json!({"robot_name_prefix": {"value": "bot-", "editable": false},
                          "robot_token_duration": {"value": 30, "editable": false}});
    let stub = Stub::start(move |request| match request.method.as_str() {
        "GET" => json_answer(200, &settings),
        _ => error(403, "FORBIDDEN", fixed),
    })
    .await;
    let client = client(&stub);
    let read = client.settings().await.unwrap();
    assert_eq!(read.fixed, [Settings::ROBOT_NAME_PREFIX, Settings::ROBOT_TOKEN_DURATION]);
    assert_eq!((read.robot_name_prefix.as_deref(), read.robot_token_duration), (Some("bot-"), Some(30)));
    assert_eq!(client.name_prefix().as_deref(), Some("bot-"));
    assert_eq!(client.change_settings(&prefix("x")).await, Err(Error::Forbidden { needs: "", message: fixed.into() }));
    assert_eq!(client.name_prefix().as_deref(), Some("bot-"));
}

#[tokio::test]
async fn a_change_without_harbors_empty_answer_may_have_happened_and_teaches_no_prefix() {
    let stub = Stub::always(answer(200, &[], "<html>log in to the wifi</html>")).await;
    let client = client(&stub);
    let error = client.change_settings(&prefix("bot-")).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer { after_write: true, .. }), "{error}");
    assert_eq!((error.class(), client.name_prefix()), (Class::Unknown, None));
    let stub = Stub::always(json_answer(201, &created(7, "robot$library+ci", "Secret12"))).await;
    let client = super::client(&stub);
    client.create(&new_robot()).await.unwrap();
    assert_eq!(client.name_prefix().as_deref(), Some("robot$"), "as learnt from the name of a robot");
}
