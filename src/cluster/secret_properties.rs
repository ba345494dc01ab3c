//! Our Secret, which tenants can write to: whatever is in it, it is read or taken for damaged, and what others put there is
//! kept.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::secret_owner::is_ours;
use super::secret_template::{self, Credential, Endpoint, SecretTemplate};
use crate::api::{RegistryTime, keys};
use crate::domain::desired::{KeyContent, SecretWish};
use crate::domain::observed::{RobotRef, Tokens};
use crate::domain::secret_entries::{SecretEntry, SecretList};
use crate::test_properties::{answers, config, moments, text};

const OUR_ANNOTATIONS: &[&str] = &[
    keys::ANNOTATION_ACCOUNT,
    keys::ANNOTATION_ROBOT_ID,
    keys::ANNOTATION_CHECKSUM,
    keys::ANNOTATION_HANDLED_REFRESH,
    keys::ANNOTATION_HANDLED_REVOKE,
    keys::ANNOTATION_SERVICE_ACCOUNTS,
    keys::ANNOTATION_ROBOT_NAME,
    keys::ANNOTATION_ROBOT_CREATED,
    keys::ANNOTATION_KEYS,
    keys::ANNOTATION_FENCE,
    keys::ANNOTATION_LABELS,
    keys::ANNOTATION_ANNOTATIONS,
];
const DATA: &[&str] = &[".dockerconfigjson", "username", "password", "robot.json", "harbor-robots.checksum-key"];

fn owner() -> OwnerReference {
    OwnerReference {
        api_version: "harbor-robots.io/v1alpha1".into(),
        kind: "RobotAccount".into(),
        name: "ci".into(),
        uid: "u-1".into(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// Secrets as anybody could leave them under the name of ours.
fn secrets() -> impl Strategy<Value = Secret> {
    let annotations = btree_map(prop_oneof![select(OUR_ANNOTATIONS).prop_map(str::to_owned), text()], text(), 0..12);
    let labels = btree_map(
        prop_oneof![Just(keys::LABEL_ACCOUNT_UID.to_owned()), Just(keys::LABEL_MANAGED_BY.to_owned()), text()],
        text(),
        0..5,
    );
    let config = answers(json!({"auths": {"h": {"username": "robot$p+ci", "password": "Aa345678", "auth": "eDp5"}}}));
    let file = answers(
        json!({"id": 7, "name": "robot$p+ci", "secret": "x", "expires_at": -1, "creation_time": "2026-01-01T00:00:00.000Z"}),
    );
    let data = btree_map(prop_oneof![select(DATA).prop_map(str::to_owned), text()], prop_oneof![config, file], 0..6);
    let owners =
        vec(("RobotAccount|SystemRobotAccount|Pod", text(), "u-1|u-2", proptest::option::of(any::<bool>())), 0..3);
    (annotations, labels, data, owners, proptest::option::of(any::<bool>()), proptest::option::of(text())).prop_map(
        |(annotations, labels, data, owners, immutable, kind)| {
            let mut secret = Secret { immutable, type_: kind, ..Secret::default() };
            secret.data = Some(data.into_iter().map(|(key, value)| (key, ByteString(value))).collect());
            secret.metadata.annotations = Some(annotations);
            secret.metadata.labels = Some(labels);
            let owner_of = |(kind, name, uid, controller): (String, String, String, Option<bool>)| OwnerReference {
                kind,
                name,
                uid,
                controller,
                ..owner()
            };
            secret.metadata.owner_references = Some(owners.into_iter().map(owner_of).collect());
            secret
        },
    )
}

fn wishes() -> impl Strategy<Value = SecretWish> {
    let pairs = || btree_map("[a-z]{1,8}", "[a-z]{0,8}", 0..4);
    let contents = prop_oneof![
        Just(KeyContent::DockerConfigJson),
        Just(KeyContent::Username),
        Just(KeyContent::Password),
        Just(KeyContent::RobotFile),
        Just(KeyContent::RegistryHost),
        Just(KeyContent::RegistryUrl),
        text().prop_map(KeyContent::Literal),
    ];
    // An account cannot fill the operator's own keys, whatever let it name them.
    let names =
        prop_oneof![8 => "[-._a-zA-Z0-9]{1,8}".prop_map(String::from), 1 => select(DATA).prop_map(str::to_owned)];
    (pairs(), pairs(), btree_map(names, contents, 0..6), any::<bool>()).prop_map(
        |(labels, annotations, keys, chosen_password)| SecretWish {
            name: "ci".parse().unwrap(),
            labels,
            annotations,
            keys,
            chosen_password,
        },
    )
}

fn credentials() -> impl Strategy<Value = Credential> {
    (any::<i64>(), text(), moments(), text()).prop_map(|(id, name, creation_time, secret)| Credential {
        robot: RobotRef { id, name, creation_time: creation_time.into() },
        expiration_time: None,
        secret: secret.into(),
    })
}

fn listed(secret: &Secret, record: &str) -> Vec<String> {
    let annotation = secret.metadata.annotations.as_ref().and_then(|all| all.get(record));
    annotation.map(|text| text.split(',').map(ToOwned::to_owned).collect()).unwrap_or_default()
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn any_secret_is_read_or_taken_for_damaged(secret in secrets()) {
        drop(secret_template::summarize(&secret));
        drop(secret_template::credential(&secret, "u-1"));
        drop(secret_template::handled(&secret));
        let _either = is_ours(&secret, &owner());
        let entries = secret_template::entries(&secret);
        prop_assert!(entries.iter().map(|entry| entry.service_account.len()).sum::<usize>() < 100_000);
        if let Some(robot) = secret_template::robot(&secret) {
            prop_assert!(robot.name.len() <= 70_000);
        }
    }

    #[test]
    fn what_was_written_is_read_and_what_others_wrote_is_kept(
        before in secrets(), wish in wishes(), credential in credentials(),
        hosts in vec("[a-z.]{1,12}(:[0-9]{1,5})?", 1..3), entries in vec(("[a-z]{1,8}", any::<bool>()), 0..3),
        tokens in (proptest::option::of(text()), proptest::option::of(text())),
    ) {
        let owner = owner();
        let entries: Vec<SecretEntry> = entries.into_iter().map(|(name, pulls)| SecretEntry {
            service_account: name.parse().unwrap(),
            list: if pulls { SecretList::ImagePullSecrets } else { SecretList::Secrets },
        }).collect();
        let endpoint = Endpoint { hosts, url: "https://h".to_owned() };
        let template = SecretTemplate { owner: &owner, wish: &wish, endpoint: &endpoint, entries: &entries, untouched: &[] };
        let (refresh, revoke) = tokens;
        let tokens = Tokens { refresh, revoke };
        let mut after = before.clone();
        secret_template::write(&mut after, &template, &credential, Some(&tokens));

        let read = secret_template::credential(&after, "u-1").expect("what was written is whole");
        prop_assert_eq!(&read.robot, &credential.robot);
        prop_assert_eq!(read.secret.expose_secret(), credential.secret.expose_secret());
        prop_assert!(secret_template::is_current(&after, &template, &credential));
        prop_assert!(is_ours(&after, &owner));
        let recorded = secret_template::entries(&after);
        prop_assert!(entries.iter().all(|entry| recorded.contains(entry)));
        let handled = secret_template::handled(&after);
        prop_assert!(tokens.refresh.is_none() || handled.refresh == tokens.refresh);
        prop_assert!(tokens.revoke.is_none() || handled.revoke == tokens.revoke);

        let ours: Vec<String> = listed(&before, keys::ANNOTATION_KEYS);
        let ours: Vec<&str> = ours.iter().map(|record| record.split('=').next().unwrap_or_default()).collect();
        let once_ours = (listed(&before, keys::ANNOTATION_ANNOTATIONS), listed(&before, keys::ANNOTATION_LABELS));
        let now = after.data.as_ref().unwrap();
        for (key, value) in before.data.as_ref().unwrap() {
            if !ours.contains(&key.as_str()) && !DATA.contains(&key.as_str()) && !wish.keys.contains_key(key) {
                prop_assert_eq!(now.get(key), Some(value), "{}", key);
            }
        }
        let (was, is) = (before.metadata, after.metadata);
        let maps = [
            (was.annotations.unwrap(), is.annotations.unwrap(), &wish.annotations, once_ours.0),
            (was.labels.unwrap(), is.labels.unwrap(), &wish.labels, once_ours.1),
        ];
        for (was, is, wished, once_ours) in maps {
            for (key, value) in was {
                let ours = key.starts_with(keys::PREFIX) || key == keys::LABEL_MANAGED_BY || wished.contains_key(&key);
                prop_assert!(ours || once_ours.contains(&key) || is.get(&key) == Some(&value), "{}", key);
            }
        }
    }

    #[test]
    fn a_form_at_rest_is_the_one_that_was_written(
        wish in wishes(), credential in credentials(), hosts in vec("[a-z.]{1,12}", 1..3), seconds in 0..221_845_392_000_i64,
    ) {
        let owner = owner();
        let endpoint = Endpoint { hosts, url: "https://h".to_owned() };
        let template = SecretTemplate { owner: &owner, wish: &wish, endpoint: &endpoint, entries: &[], untouched: &[] };
        let expiration_time = Some(RegistryTime::from_second(seconds));
        let credential = Credential { expiration_time, ..credential };
        let mut secret = Secret::default();
        secret_template::write(&mut secret, &template, &credential, None);
        let (account, rest) = secret_template::summarize(&secret).unwrap();
        prop_assert_eq!((account.system, account.name.as_str()), (false, "ci"));
        prop_assert!(rest.checksum.is_some());
        prop_assert_eq!(rest.template, Some(template.digest(expiration_time)));
        prop_assert_eq!(rest.robot, Some((credential.robot.id, credential.robot.creation_time)));
    }
}
