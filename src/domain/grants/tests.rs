use proptest::prelude::*;

use super::*;
use crate::api::Permission;
use crate::domain::fixtures::{at, days, desired, project, robot};
use crate::domain::slots::Slot;

/// A grant of namespace `team-a` for the project of the same name.
fn grant() -> Grant {
    Grant {
        name: "teams".into(),
        namespaces: Some(vec!["team-a".into()]),
        namespace_selector: None,
        projects: vec!["$(namespace)".into()],
        permissions: Some(vec![Permission::PushArtifacts, Permission::PullArtifacts]),
        access: None,
        max_expires_after: None,
        adoption: None,
        retention: None,
    }
}

fn rule(resource: &str, action: &str) -> Access {
    Access::new(resource, action)
}

fn for_project(name: &str) -> Desired {
    Desired { home: Home::Project(name.into()), ..desired() }
}

fn asking(pairs: &[&str]) -> Desired {
    Desired { permissions: project(pairs), ..desired() }
}

fn from<'a>(namespace: &'a str, labels: Option<&'a BTreeMap<String, String>>) -> Origin<'a> {
    Origin { namespace, labels }
}

fn granted(grants: &[Grant], desired: &Desired) -> bool {
    check(grants, from("team-a", None), desired).is_ok()
}

fn refusal(grants: &[Grant], desired: &Desired) -> String {
    check(grants, from("team-a", None), desired).unwrap_err().to_string()
}

#[test]
fn nothing_is_granted_by_default() {
    assert!(!granted(&[], &desired()));
    assert!(granted(&[grant()], &desired()));
    assert!(refusal(&[], &desired()).contains("no grant of the registry gives namespace team-a the project team-a"));
}

#[test]
fn grants_never_cover_system_robots() {
    let everything = Grant { projects: vec!["*".into()], access: Some(vec![rule("*", "*")]), ..grant() };
    assert!(!granted(&[everything], &Desired { home: Home::System, ..desired() }));
}

#[test]
fn namespace_and_project_must_fit_in_the_same_entry() {
    let other_project = Grant { projects: vec!["team-b".into()], ..grant() };
    let other_namespace = Grant { namespaces: Some(vec!["team-b".into()]), projects: vec!["*".into()], ..grant() };
    assert!(!granted(&[other_project, other_namespace], &desired()));
}

#[test]
fn namespaces_are_whole_names_and_never_patterns() {
    for name in ["team-", "team-*", "*", "TEAM-A", "team-a ", "xteam-a"] {
        let grant = Grant { namespaces: Some(vec![name.into()]), ..grant() };
        assert!(!granted(&[grant], &desired()), "{name}");
    }
}

#[test]
fn project_patterns_fit_whole_names() {
    for (pattern, name, expected) in [
        ("team-a", "team-a", true),
        ("team-a", "team-a.x", false),
        ("team-*", "team-a", true),
        ("team-*", "xteam-a", false),
        ("*", "anything", true),
        ("1*", "12", true),
        ("12", "12", true),
        ("12", "012", false),
        ("", "team-a", false),
    ] {
        let grant = Grant { projects: vec![pattern.into()], ..grant() };
        assert_eq!(granted(&[grant], &for_project(name)), expected, "{pattern} {name}");
    }
}

#[test]
fn the_accounts_namespace_in_a_pattern_never_reaches_a_neighbour() {
    for (pattern, name, expected) in [
        ("$(namespace)", "team-a", true),
        ("$(namespace)", "team-a.x", false),
        ("$(namespace).*", "team-a.x", true),
        ("$(namespace)_*", "team-a_x", true),
        ("*.$(namespace)", "x.team-a", true),
        ("shared.$(namespace).*", "shared.team-a.x", true),
        // Namespace `team` would otherwise be handed the projects of namespace `team-a`.
        ("$(namespace)*", "team-a", false),
        ("$(namespace)*", "team-a-x", false),
        ("$(namespace)-*", "team-a-x", false),
        ("$(namespace)x*", "team-axy", false),
        ("*$(namespace)", "xteam-a", false),
        ("*-$(namespace)", "x-team-a", false),
        ("*$(namespace)*", "team-a", false),
        ("$(namespace)$(namespace)", "team-ateam-a", false),
        ("$(namespace).*.$(namespace)", "team-a.x.team-a", true),
        ("$(namespace).x.$(namespace)", "team-a.x.team-a", true),
        ("$(namespace).$(namespace)", "team-a.team-a", true),
        ("ci_$(namespace).prod", "ci_team-a.prod", true),
        // … or, without a wildcard, the one project of the namespace `team-a-prod`.
        ("$(namespace)-prod", "team-a-prod", false),
        ("$(namespace)x", "team-ax", false),
        ("ci-$(namespace)", "ci-team-a", false),
        ("1$(namespace)", "1team-a", false),
        ("$(namespace).x-$(namespace)", "team-a.x-team-a", false),
        ("$(NAMESPACE)", "team-a", false),
        ("$(namespace", "team-a", false),
    ] {
        let grant = Grant { projects: vec![pattern.into()], ..grant() };
        assert_eq!(granted(&[grant], &for_project(name)), expected, "{pattern} {name}");
    }
}

#[test]
fn a_pattern_from_before_the_rule_is_named() {
    let grant = Grant { projects: vec!["$(namespace)-prod".into(), "$(namespace)".into()], ..grant() };
    let message = check(&[grant], from("team-a", None), &for_project("team-a-prod")).unwrap_err().to_string();
    assert!(message.contains("; $(namespace)-prod in a grant counts for nobody"), "{message}");
}

proptest! {
    /// Whoever may name a namespace gets no project that a namespace of another name gets, too.
    #[test]
    fn one_project_is_never_that_of_two_namespaces(
        before in "[a-z.*_-]{0,3}", after in "[a-z.*_-]{0,3}",
        one in "[a-b]([a-b-]{0,3}[a-b])?", other in "[a-b]([a-b-]{0,3}[a-b])?",
        project in "[a-b._-]{1,8}",
    ) {
        prop_assume!(one != other);
        let gets = |namespace: &str, pattern: &str| {
            let grant = Grant { namespaces: Some(vec![namespace.into()]), projects: vec![pattern.into()], ..grant() };
            check(&[grant], from(namespace, None), &for_project(&project)).is_ok()
        };
        // With a wildcard on both sides the administrator means any of them.
        prop_assume!(!(before.contains('*') && after.contains('*')));
        let pattern = format!("{before}$(namespace){after}");
        let (a, b) = (gets(&one, &pattern), gets(&other, &pattern));
        prop_assert!(!(a && b), "{pattern}: {one} and {other} get {project}");
    }
}

#[test]
fn a_selector_fits_labels_as_kubernetes_does() {
    let labels = BTreeMap::from([("team".to_owned(), "a".to_owned()), ("env".to_owned(), "prod".to_owned())]);
    let selector = |json: serde_json::Value| serde_json::from_value::<LabelSelector>(json).unwrap();
    let term = |key: &str, operator: &str, values: &[&str]| {
        selector(serde_json::json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
    };
    for (selector, expected) in [
        (selector(serde_json::json!({"matchLabels": {"team": "a"}})), true),
        (selector(serde_json::json!({"matchLabels": {"team": "b"}})), false),
        (selector(serde_json::json!({"matchLabels": {"team": "a", "x": "y"}})), false),
        (term("team", "In", &["a", "b"]), true),
        (term("team", "In", &["b"]), false),
        (term("team", "NotIn", &["b"]), true),
        (term("team", "NotIn", &["a"]), false),
        (term("absent", "NotIn", &["a"]), true),
        (term("absent", "In", &["a"]), false),
        (term("team", "Exists", &[]), true),
        (term("absent", "Exists", &[]), false),
        (term("absent", "DoesNotExist", &[]), true),
        (term("team", "DoesNotExist", &[]), false),
        (term("team", "Gt", &["0"]), false),
    ] {
        assert_eq!(selects(&selector, &labels), expected, "{selector:?}");
        let grant = Grant { namespaces: None, namespace_selector: Some(selector), ..grant() };
        assert_eq!(check(&[grant], from("team-a", Some(&labels)), &desired()).is_ok(), expected);
    }
}

#[test]
fn of_a_namespace_whose_labels_are_not_known_the_name_is() {
    let fits = |selector: serde_json::Value| {
        let selector = Some(serde_json::from_value(selector).unwrap());
        granted(&[Grant { namespaces: None, namespace_selector: selector, ..grant() }], &desired())
    };
    let term = |operator: &str, values: &[&str]| serde_json::json!({"matchExpressions": [{"key": NAME_LABEL, "operator": operator, "values": values}]});
    assert!(fits(term("Exists", &[])), "everyone");
    assert!(fits(term("In", &["team-a", "team-b"])) && !fits(term("NotIn", &["team-a"])));
    assert!(!fits(serde_json::json!({"matchLabels": {"team": "a"}})));
    let exists = serde_json::json!({"key": NAME_LABEL, "operator": "Exists"});
    assert!(!fits(serde_json::json!({"matchLabels": {"team": "a"}, "matchExpressions": [exists]})), "both");
    assert!(!granted(&[Grant { namespaces: None, ..grant() }], &desired()));
}

#[test]
fn a_selector_without_terms_is_an_accident_and_gives_nothing() {
    let labels = BTreeMap::from([(NAME_LABEL.to_owned(), "team-a".to_owned())]);
    for selector in [serde_json::json!({}), serde_json::json!({"matchLabels": {}, "matchExpressions": []})] {
        let selector = Some(serde_json::from_value(selector).unwrap());
        let grant = [Grant { namespaces: None, namespace_selector: selector, ..grant() }];
        for origin in [from("team-a", Some(&labels)), from("team-a", None)] {
            assert!(check(&grant, origin, &desired()).is_err());
        }
    }
}

#[test]
fn a_robot_may_outlive_its_account_only_where_that_is_granted() {
    let keeps = Desired { retain: true, ..desired() };
    let allowed = Grant { name: "keep".into(), retention: Some(GrantRetention::Allowed), ..grant() };
    let denied = Grant { retention: Some(GrantRetention::Denied), ..grant() };
    assert!(refusal(&[grant()], &keeps).contains("deletionPolicy: Retain not granted; grant teams allows no robot"));
    assert!(!granted(&[denied], &keeps) && granted(&[grant(), allowed], &keeps));
}

#[test]
fn the_pairs_of_all_entries_that_count_add_up() {
    let pull = Grant { name: "pull".into(), permissions: Some(vec![Permission::PullArtifacts]), ..grant() };
    let push = Grant { name: "push".into(), permissions: Some(vec![Permission::PushArtifacts]), ..grant() };
    assert!(granted(&[pull.clone(), push.clone()], &desired()));
    assert!(!granted(std::slice::from_ref(&pull), &desired()));
    let elsewhere = Grant { projects: vec!["team-b".into()], ..push };
    assert_eq!(
        refusal(&[pull, elsewhere], &desired()),
        "repository:push not granted; grant pull allows repository:pull"
    );
}

#[test]
fn pairs_are_compared_and_not_names() {
    let helm =
        Grant { permissions: Some(vec![Permission::ReadHelmCharts, Permission::CreateHelmChartVersions]), ..grant() };
    assert!(granted(&[helm], &desired()));
    let raw = Grant {
        permissions: Some(vec![]),
        access: Some(vec![rule("repository", "pull"), rule("repository", "push")]),
        ..grant()
    };
    assert!(granted(&[raw], &desired()));
    let nothing = Grant { permissions: Some(vec![]), ..grant() };
    assert!(refusal(&[nothing], &desired()).ends_with("grant teams allows nothing"));
}

#[test]
fn a_star_covers_known_pairs_that_do_not_escalate() {
    let with = |resource: &str, action: &str| Grant { access: Some(vec![rule(resource, action)]), ..grant() };
    for (star, pair, expected) in [
        (with("*", "*"), "repository:list", true),
        (with("*", "list"), "repository:list", true),
        (with("repository", "*"), "repository:list", true),
        (with("*", "list"), "tag:create", false),
        (with("tag", "*"), "repository:list", false),
        (with("*", "*"), "project:read", true),
        (with("repositor*", "*"), "repository:list", false),
    ] {
        assert_eq!(granted(std::slice::from_ref(&star), &asking(&[pair])), expected, "{:?} {pair}", star.access);
    }
}

#[test]
fn pairs_that_escalate_or_are_unknown_must_be_written_out() {
    let all = |rules: &[(&str, &str)]| Grant {
        access: Some(rules.iter().map(|(resource, action)| rule(resource, action)).collect()),
        ..grant()
    };
    for pair in [
        "robot:create",
        "robot:list",
        "member:create",
        "metadata:update",
        "project:update",
        "project:delete",
        "notification-policy:create",
        "preheat-policy:create",
        "user:create",
        "user-group:create",
        "ldap-user:list",
        "registry:read",
        "replication:create",
        "replication-policy:create",
        "scanner:create",
        "helm-chart:read",
        "repository:invented",
    ] {
        let (resource, action) = pair.split_once(':').unwrap();
        for star in [all(&[("*", "*")]), all(&[(resource, "*")]), all(&[("*", action)])] {
            assert!(!granted(&[star], &asking(&[pair])), "{pair}");
        }
        assert!(granted(&[all(&[(resource, action)])], &asking(&[pair])), "{pair}");
    }
}

#[test]
fn a_star_in_a_request_is_never_granted() {
    let all = Grant { access: Some(vec![rule("*", "*"), rule("repository", "*"), rule("*", "pull")]), ..grant() };
    for pair in ["*:*", "repository:*", "*:pull"] {
        assert!(!granted(std::slice::from_ref(&all), &asking(&[pair])), "{pair}");
    }
}

#[test]
fn a_lifetime_longer_than_an_entry_admits_does_not_count_there() {
    let up_to = |max: &str| Grant { max_expires_after: Some(ExpiresAfter(max.into())), ..grant() };
    let lasting = |text: &str, lifetime| Desired { expires_after: text.into(), lifetime, ..desired() };
    for (max, lifetime, expected) in [
        ("30d", Lifetime::Days(30), true),
        ("29d", Lifetime::Days(30), false),
        ("99999d", Lifetime::Never, false),
        ("Never", Lifetime::Never, true),
        ("a while", Lifetime::Days(1), false),
    ] {
        assert_eq!(granted(&[up_to(max)], &lasting("x", lifetime)), expected, "{max} {lifetime:?}");
    }
    assert!(granted(&[grant()], &lasting("90d", Lifetime::Days(90))), "an entry that says nothing admits 90 days");
    assert!(!granted(&[grant()], &lasting("91d", Lifetime::Days(91))));
    assert!(!granted(&[grant()], &lasting("Never", Lifetime::Never)));
    let text = refusal(&[grant()], &lasting("Never", Lifetime::Never));
    assert_eq!(text, "expiresAfter Never is longer than the 90d that grant teams allows");
    let text = refusal(&[up_to("10d"), up_to("20d")], &desired());
    assert_eq!(text, "expiresAfter 30d is longer than the 20d that the grants teams, teams allow");
}

#[test]
fn an_entry_that_admits_the_lifetime_lends_no_pairs_to_one_that_does_not() {
    let long_pull = Grant { permissions: Some(vec![Permission::PullArtifacts]), ..grant() };
    let short_push = Grant {
        permissions: Some(vec![Permission::PushArtifacts]),
        max_expires_after: Some(ExpiresAfter("1d".into())),
        ..grant()
    };
    assert!(!granted(&[long_pull, short_push], &desired()));
}

#[test]
fn adoption_is_allowed_by_an_entry_that_counts() {
    let adoption = |grants: &[Grant]| check(grants, from("team-a", None), &desired()).unwrap().adoption;
    let allowed = Grant { adoption: Some(GrantAdoption::Allowed), ..grant() };
    assert!(!adoption(&[grant()]));
    assert!(!adoption(&[Grant { adoption: Some(GrantAdoption::Denied), ..grant() }]));
    assert!(adoption(std::slice::from_ref(&allowed)));
    let elsewhere = Grant { projects: vec!["team-b".into()], ..allowed.clone() };
    let too_short = Grant { max_expires_after: Some(ExpiresAfter("1d".into())), ..allowed };
    assert!(!adoption(&[grant(), elsewhere, too_short]));
}

#[test]
fn a_robot_is_judged_by_what_it_holds_and_how_long_it_lives_on() {
    let most = |max: &str| Grant { max_expires_after: Some(ExpiresAfter(max.into())), ..grant() };
    let covered = |grants: &[Grant], robot: &Robot, now| cover_robot(grants, from("team-a", None), robot, at(now));
    let held = robot(Slot::A, 0);
    assert!(covered(&[grant()], &held, 0), "as it was made");
    assert!(covered(&[most("30d")], &held, -60), "clocks differ by a minute");
    assert!(!covered(&[most("29d")], &held, 0));
    assert!(covered(&[most("29d")], &held, days(1)), "a day less is left");
    assert!(!covered(&[], &held, 0));
    assert!(!cover_robot(&[grant()], from("team-b", None), &held, at(0)), "another namespace's entry");
    let more = Robot { permissions: project(&["repository:pull", "robot:create"]), ..held.clone() };
    assert!(!covered(&[grant()], &more, 0));
    let for_ever = Robot { expiration_time: None, ..held.clone() };
    assert!(!covered(&[grant()], &for_ever, 0));
    assert!(covered(&[most("Never")], &for_ever, 0));
}

#[test]
fn a_robot_that_cannot_log_in_needs_no_grant() {
    let held = robot(Slot::A, 0);
    let covered = |robot: &Robot, now| cover_robot(&[], from("team-a", None), robot, at(now));
    assert!(covered(&Robot { disabled: true, ..held.clone() }, 0));
    assert!(covered(&held, days(30)));
    assert!(!covered(&held, days(30) - 1));
}
