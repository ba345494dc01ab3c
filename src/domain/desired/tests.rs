use serde_json::{Value, json};

use super::*;
use crate::api::RobotAccount;
use crate::domain::fixtures::secret;
use crate::domain::permissions::Access;

#[expect(clippy::needless_pass_by_value, reason = "json!(…) reads best as an argument by value")]
fn account(spec: Value) -> Account {
    let mut object = json!({
        "apiVersion": "harbor-robots.io/v1alpha1",
        "kind": "RobotAccount",
        "metadata": {"name": "ci", "namespace": "team-a", "uid": "u-1"},
        "spec": {"project": "team-a"},
    });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value::<RobotAccount>(object).unwrap().into()
}

fn defaults(text: Value) -> AccountDefaults {
    serde_json::from_value(text).unwrap()
}

fn wish(spec: Value) -> Desired {
    of_account(&account(spec), "c", None, &BTreeSet::new()).unwrap()
}

fn wish_with(spec: Value, registry: Value) -> Desired {
    of_account(&account(spec), "c", Some(&defaults(registry)), &BTreeSet::new()).unwrap()
}

#[test]
fn an_account_that_names_only_its_project_gets_every_default() {
    let wish = wish(json!({}));
    assert_eq!(wish.identity, Identity::new("u-1", "c", Some("team-a"), "ci"));
    assert_eq!(wish.identity.path, "c/team-a/ci");
    assert_eq!((wish.home.clone(), wish.base_name.as_str()), (Home::Project("team-a".into()), "ci"));
    assert_eq!((wish.text.as_str(), wish.enabled), ("", true));
    assert_eq!((wish.lifetime, wish.expires_after.as_str()), (Lifetime::Days(30), "30d"));
    assert_eq!(wish.strategy, Strategy::Overlap);
    let day = SignedDuration::from_hours(24);
    assert_eq!(wish.rotation, Rotation { renew_before: None, overlap: day, interval: None });
    assert_eq!(wish.secret, secret("ci"));
    assert!(wish.entries.is_empty() && !wish.retain && !wish.adopt);
    assert_eq!(wish.tokens, Tokens::default());
    let pairs: Vec<String> = wish.pairs().iter().map(ToString::to_string).collect();
    assert_eq!(pairs.len(), 7, "all ten names of Harbor's page: {pairs:?}");
    assert_eq!(wish.description(), "[harbor-robots.io/v1 u-1 c/team-a/ci]");
}

#[test]
fn every_field_of_the_spec_is_taken_over() {
    let wish = wish(json!({
        "name": "builder",
        "description": "pushes",
        "disabled": true,
        "permissions": ["PullArtifacts"],
        "access": [{"resource": "repository", "action": "list"}],
        "expiresAfter": "Never",
        "rotation": {"strategy": "InPlace", "renewBefore": "2d", "overlap": "90m", "interval": "7d"},
        "secret": {
            "name": "login",
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "keys": [{"key": "user", "format": "Username"}, {"key": "type", "format": "Literal", "value": "helm"}],
        },
        "serviceAccounts": [{"name": "default"}, {"name": "builder", "use": "Both"}],
        "passwordSecretRef": {"name": "chosen", "key": "password"},
        "deletionPolicy": "Retain",
        "adoptionPolicy": "IfUnowned",
    }));
    assert_eq!((wish.base_name.as_str(), wish.text.as_str(), wish.enabled), ("builder", "pushes", false));
    assert_eq!(wish.own_password, Some(SecretKeyRef { name: "chosen".into(), key: "password".into() }));
    assert_eq!((wish.lifetime, wish.expires_after.as_str()), (Lifetime::Never, "Never"));
    let expected = AccessSet::from([Access::new("repository", "list"), Access::new("repository", "pull")]);
    assert_eq!(wish.permissions, Permissions::from([(Scope::Project("team-a".into()), expected)]));
    assert_eq!(wish.strategy, Strategy::InPlace);
    let rotation = Rotation {
        renew_before: Some(SignedDuration::from_hours(48)),
        overlap: SignedDuration::from_mins(90),
        interval: Some(SignedDuration::from_hours(7 * 24)),
    };
    assert_eq!(wish.rotation, rotation);
    let expected = SecretWish {
        name: ObjectName::new("login").unwrap(),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        annotations: [("c".to_owned(), "d".to_owned())].into(),
        keys: [("user".to_owned(), KeyContent::Username), ("type".to_owned(), KeyContent::Literal("helm".to_owned()))]
            .into(),
        chosen_password: true,
    };
    assert_eq!(wish.secret, expected);
    let entries: Vec<String> = wish.entries.iter().map(SecretEntry::record).collect();
    assert_eq!(entries, ["default", "builder", "builder/secrets"]);
    assert!(wish.retain && wish.adopt);
}

#[test]
fn the_registrys_defaults_fill_each_field_that_the_account_leaves_open() {
    let registry = json!({
        "expiresAfter": "60d",
        "rotation": {"strategy": "InPlace", "renewBefore": "5d", "overlap": "1h", "interval": "10d"},
    });
    let open = wish_with(json!({}), registry.clone());
    assert_eq!((open.lifetime, open.expires_after.as_str()), (Lifetime::Days(60), "60d"));
    assert_eq!((open.strategy, open.rotation.overlap), (Strategy::InPlace, SignedDuration::from_hours(1)));
    assert_eq!(open.rotation.renew_before, Some(SignedDuration::from_hours(120)));
    assert_eq!(open.rotation.interval, Some(SignedDuration::from_hours(240)));
    let own = wish_with(json!({"expiresAfter": "7d", "rotation": {"overlap": "2h"}}), registry);
    assert_eq!((own.lifetime, own.rotation.overlap), (Lifetime::Days(7), SignedDuration::from_hours(2)));
    assert_eq!((own.strategy, own.rotation.renew_before), (Strategy::InPlace, Some(SignedDuration::from_hours(120))));
    let back = wish_with(json!({"rotation": {"strategy": "Overlap"}}), json!({"rotation": {"strategy": "InPlace"}}));
    assert_eq!(back.strategy, Strategy::Overlap);
    assert_eq!(back.expires_after, "30d");
}

#[test]
fn only_raw_pairs_are_just_those() {
    let wish = wish(json!({"access": [{"resource": "tag", "action": "list"}]}));
    assert_eq!(wish.pairs(), AccessSet::from([Access::new("tag", "list")]));
}

#[test]
fn tokens_are_read_from_the_annotations_and_an_empty_one_is_none() {
    let mut object = account(json!({}));
    object.metadata.annotations = Some(BTreeMap::from([
        (keys::ANNOTATION_REFRESH.to_owned(), "today".to_owned()),
        (keys::ANNOTATION_REVOKE.to_owned(), String::new()),
    ]));
    let wish = of_account(&object, "c", None, &BTreeSet::new()).unwrap();
    assert_eq!(wish.tokens, Tokens { refresh: Some("today".into()), revoke: None });
}

#[test]
fn a_text_outside_the_grammar_is_an_error_and_not_a_default() {
    for spec in [
        json!({"expiresAfter": "1 month"}),
        json!({"expiresAfter": "12h"}),
        json!({"rotation": {"overlap": "1d12h"}}),
        json!({"rotation": {"renewBefore": ""}}),
        json!({"rotation": {"interval": "-1d"}}),
    ] {
        assert!(of_account(&account(spec.clone()), "c", None, &BTreeSet::new()).is_err(), "{spec}");
    }
}

#[test]
fn a_wish_does_not_depend_on_the_order_in_which_it_is_written() {
    let one = wish(json!({"permissions": ["PushArtifacts", "PullArtifacts", "ReadHelmCharts"]}));
    let other = wish(json!({"permissions": ["PullArtifacts", "PushArtifacts"]}));
    assert_eq!(one, other);
}

#[test]
fn no_text_that_cannot_be_read_holds_a_deletion() {
    for unread in [
        json!({"expiresAfter": "soon"}),
        json!({"rotation": {"interval": "1h30m"}}),
        json!({"rotation": {"renewBefore": "-1d"}}),
        json!({"rotation": {"overlap": ""}}),
        json!({"secret": {"name": "a/b"}}),
        json!({"serviceAccounts": [{"name": "default"}, {"name": "../x"}]}),
    ] {
        let mut account = account(unread.clone());
        let of = |account: &Account| of_account(account, "c", None, &BTreeSet::new());
        assert!(of(&account).is_err(), "{unread}");
        account.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        let wish = of(&account).unwrap_or_else(|error| panic!("{unread}: {error}"));
        assert_eq!((wish.home, wish.base_name.as_str()), (Home::Project("team-a".into()), "ci"), "{unread}");
        assert!(wish.entries.iter().all(|entry| entry.record() == "default"));
    }
}
