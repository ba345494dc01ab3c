//! Which pairs a Harbor knows, by its own word.

use harbor_robot_operator::domain::catalogue::{Kind, Version, known};
use harbor_robot_operator::domain::permissions::{Access, AccessSet};
use harbor_robot_operator::domain::robot::Scope;
use harbor_robot_operator::registry::{Catalogue, Error};

use super::stand_in::Harbor;
use super::stub::{Stub, answer, error, json as json_answer};
use super::{client, client_of, observed};

#[tokio::test]
async fn a_system_administrator_is_told_all_pairs() {
    for (version, numbers) in [("2.16", Version::new(2, 16, 0)), ("2.10.1", Version::new(2, 10, 1))] {
        let harbor = Harbor::of(version).await;
        let Catalogue { system, project } = harbor.admin.catalogue().await.unwrap().unwrap();
        assert!(system.iter().all(|pair| known(numbers, Kind::System, pair)), "{version}: {system:?}");
        assert!(project.iter().all(|pair| known(numbers, Kind::Project, pair)), "{version}: {project:?}");
        let counts = if version == "2.16" { (70, 70) } else { (53, 56) };
        assert_eq!((system.len(), project.len()), counts, "{version}");
    }
}

#[tokio::test]
async fn a_project_admin_is_told_the_pairs_of_projects_alone() {
    let harbor = Harbor::new().await;
    harbor.seed(&["mine"], &[]).await;
    let person = harbor.person("ann", &["mine"]).await;
    let Catalogue { system, project } = person.catalogue().await.unwrap().unwrap();
    assert_eq!((system, project.len()), (AccessSet::new(), 70));
    assert!(project.contains(&Access::new("repository", "pull")));
}

#[tokio::test]
async fn robots_and_other_people_are_told_nothing_and_so_is_everybody_before_2_10() {
    let harbor = Harbor::new().await;
    let (robot, _) = harbor.robot("own", &[(Scope::System, "robot:create")]).await;
    assert_eq!(robot.catalogue().await, Ok(None));
    let person = harbor.person("ann", &[]).await;
    assert_eq!(person.catalogue().await, Ok(None));
    assert_eq!(Harbor::of("2.9").await.admin.catalogue().await, Ok(None));
}

#[tokio::test]
async fn a_login_that_is_not_accepted_is_not_taken_for_one_that_may_not_know() {
    let harbor = Harbor::new().await;
    let wrong = client_of(harbor.url(), "robot$nobody", "Wrong123");
    assert_eq!(wrong.catalogue().await, Err(Error::Unauthorized));

    let refused = error(401, "UNAUTHORIZED", "");
    let robot = error(412, "PRECONDITION", "get current user not available for security context: robot");
    let stub = Stub::script(vec![refused, robot]).await;
    assert_eq!(client(&stub).catalogue().await, Ok(None), "Harbor knows the login");
    assert_eq!(stub.lines(), ["GET /api/v2.0/permissions", "GET /api/v2.0/users/current"]);
}

#[tokio::test]
async fn what_is_no_catalogue_is_not_read_as_an_empty_one() {
    for act in [
        answer(404, &[], "default backend - 404"),
        answer(200, &[], "{}"),
        answer(200, &[], r#"{"system":[],"project":null}"#),
    ] {
        let stub = Stub::always(act).await;
        let (client, notes) = observed(&stub);
        let error = client.catalogue().await.unwrap_err();
        assert!(matches!(error, Error::BadAnswer { after_write: false, .. }), "{error}");
        assert!(notes.lock().unwrap()[0].starts_with("permissions "));
    }
    let pairs = serde_json::json!({"system": [], "project": [{"resource": "tag", "action": "list"}]});
    let stub = Stub::always(json_answer(200, &pairs)).await;
    let project = AccessSet::from([Access::new("tag", "list")]);
    assert_eq!(client(&stub).catalogue().await, Ok(Some(Catalogue { system: AccessSet::new(), project })));
}
