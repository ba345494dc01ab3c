use serde_json::{Value, json};

use super::*;
use crate::api::ClusterHarborRegistry;

fn object(version: u64, annotations: &Value, spec: &Value) -> RegistryObject {
    let version = version.to_string();
    let metadata = json!({"name": "main", "uid": "u", "resourceVersion": version, "annotations": annotations});
    let mut object = json!({"metadata": metadata, "spec": {"url": "https://h", "auth": {}}});
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object["metadata"]["generation"] = json!(spec.as_object().unwrap().len());
    serde_json::from_value::<ClusterHarborRegistry>(object).unwrap().into()
}

fn served(object: RegistryObject) -> ServedRegistry {
    ServedRegistry::new(RegistryKey::cluster("main").unwrap(), Arc::new(object))
}

#[test]
fn accounts_are_looked_at_for_what_concerns_them() {
    let name = RegistryKey::cluster("main").unwrap();
    // `kubectl apply` notes the whole object in an annotation.
    let applied = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    for (annotations, spec, seen) in [
        (json!({}), json!({}), Seen::Nothing),
        (json!({"note": "mine"}), json!({}), Seen::Itself),
        (applied.clone(), json!({"pollInterval": "5m"}), Seen::Itself),
        (applied.clone(), json!({"orphanPolicy": "Delete"}), Seen::Itself),
        (applied.clone(), json!({"grants": []}), Seen::Changed),
        (applied.clone(), json!({"suspend": true}), Seen::Changed),
        (json!({keys::ANNOTATION_IS_DEFAULT: "true"}), json!({}), Seen::Changed),
        (applied, json!({"url": "https://elsewhere"}), Seen::Connection),
    ] {
        let registries = Registries::default();
        let event = By::Watch(Shown::Event);
        assert_eq!(registries.observe(&name, object(1, &json!({}), &json!({})), event), Seen::Connection);
        assert!(!registries.adopt_basis(&name), "what accounts at rest acted on before this process began");
        assert_eq!(registries.observe(&name, object(2, &annotations, &spec), event), seen, "{annotations} {spec}");
        // Our own write on top of that comes back late, after what came before it.
        registries.record_write(&served(object(2, &annotations, &spec)), object(3, &annotations, &spec));
        assert_eq!(
            registries.observe(&name, object(2, &json!({}), &json!({})), event),
            Seen::Nothing,
            "a late picture"
        );
        assert_eq!(registries.observe(&name, object(3, &annotations, &spec), event), Seen::Nothing, "our own");
        assert_eq!(registries.adopt_basis(&name), seen == Seen::Connection, "{annotations} {spec}");
        assert!(!registries.adopt_basis(&name), "once");
    }
}

#[test]
fn a_finalizer_that_somebody_takes_off_is_put_back_at_once() {
    let name = RegistryKey::cluster("main").unwrap();
    let registries = Registries::default();
    let with = |version: u64, finalizers: &[&str]| {
        let mut object = object(version, &json!({}), &json!({}));
        object.metadata.finalizers = Some(finalizers.iter().map(ToString::to_string).collect());
        object
    };
    let ours = [keys::FINALIZER_REGISTRY];
    registries.observe(&name, with(1, &ours), By::Watch(Shown::Listed));
    assert_eq!(registries.observe(&name, with(2, &["theirs", ours[0]]), By::Watch(Shown::Event)), Seen::Nothing);
    assert_eq!(registries.observe(&name, with(3, &["theirs"]), By::Watch(Shown::Event)), Seen::Itself);
    assert_eq!(registries.observe(&name, with(4, &ours), By::Watch(Shown::Event)), Seen::Nothing);
}

#[test]
fn what_could_not_be_asked_for_is_no_other_thing_once_it_can_be() {
    let name = RegistryKey::cluster("main").unwrap();
    let registries = Registries::default();
    registries.observe(&name, object(1, &json!({}), &json!({})), By::Watch(Shown::Listed));
    let catalogue = |known: Option<&[&str]>| {
        let project = known.map(|pairs| pairs.iter().map(|pair| crate::domain::permissions::Access::new(pair, "read")));
        project.map(|project| Catalogue { project: project.collect(), ..Catalogue::default() })
    };
    let listed = |known: Option<&[&str]>| {
        registries.change(&name, |state| {
            state.session.catalogue = catalogue(known).map(Arc::new);
            state.session.catalogue_seen = Some(Instant::now());
        });
    };
    assert!(!registries.adopt_basis(&name), "the first probe of this process, of which one call failed");
    listed(Some(&["tag"]));
    assert!(!registries.adopt_basis(&name), "thousands of accounts need not look for that");
    listed(Some(&["tag"]));
    assert!(!registries.adopt_basis(&name));
    registries.change(&name, |state| state.session.catalogue_seen = None);
    assert!(!registries.adopt_basis(&name), "the object was edited, and the call failed again");
    listed(Some(&["tag", "label"]));
    assert!(registries.adopt_basis(&name), "Harbor was upgraded meanwhile");
    assert!(!registries.adopt_basis(&name));
    listed(None);
    assert!(registries.adopt_basis(&name), "the login may not ask any more");
}

#[test]
fn an_edit_is_seen_although_versions_ran_back() {
    let name = RegistryKey::cluster("main").unwrap();
    let registries = Registries::default();
    registries.observe(&name, object(500, &json!({}), &json!({})), By::Watch(Shown::Listed));
    // etcd was restored from a snapshot, and the watch began anew with a list.
    let now = [By::Watch(Shown::Listed), By::Watch(Shown::Event), By::Watch(Shown::Event)];
    for (version, (by, spec)) in (400..).zip(now.into_iter().zip([
        json!({"suspend": true}),
        json!({"suspend": true, "additionalHosts": ["a"]}),
        json!({"suspend": true, "additionalHosts": ["b"], "grants": []}),
    ])) {
        assert_eq!(registries.observe(&name, object(version, &json!({}), &spec), by), Seen::Changed, "{spec}");
        assert_eq!(registries.get(&name).unwrap().object.spec.suspend, Some(true));
    }
    // Also while the answer to a write of the time before is still to come back.
    registries.record_write(&served(object(402, &json!({}), &json!({}))), object(600, &json!({}), &json!({})));
    let back = object(450, &json!({}), &json!({"suspend": false}));
    assert_ne!(registries.observe(&name, back, By::Watch(Shown::Listed)), Seen::Nothing);
}
