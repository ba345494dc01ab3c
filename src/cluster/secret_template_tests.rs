//! The forms of our Secret, and what its checksum tells to whom.

use super::*;

fn owner() -> OwnerReference {
    OwnerReference { kind: "RobotAccount".into(), name: "ci".into(), uid: "uid-1".into(), ..OwnerReference::default() }
}

fn endpoint() -> Endpoint {
    Endpoint { hosts: vec!["h.example:5000".into(), "h.example".into()], url: "https://h.example".into() }
}

fn credential_of(password: &str) -> Credential {
    let creation_time = RegistryTime::from_second(1_800_000_000);
    let robot = RobotRef { id: 7, name: "robot$p+ci".into(), creation_time };
    Credential { robot, expiration_time: None, secret: password.into() }
}

/// A Secret written for an account that wishes this.
fn written(from: &Secret, wish: &SecretWish, password: &str) -> Secret {
    let (owner, mut secret) = (owner(), from.clone());
    let template = SecretTemplate { owner: &owner, wish, endpoint: &endpoint(), entries: &[], untouched: &[] };
    write(&mut secret, &template, &credential_of(password), None);
    secret
}

fn is_settled(secret: &Secret, wish: &SecretWish) -> bool {
    let owner = owner();
    let template = SecretTemplate { owner: &owner, wish, endpoint: &endpoint(), entries: &[], untouched: &[] };
    is_current(secret, &template, &credential(secret, "uid-1").expect("the Secret is whole"))
}

fn wish(chosen_password: bool) -> SecretWish {
    SecretWish {
        name: "ci".parse().unwrap(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        keys: BTreeMap::new(),
        chosen_password,
    }
}

/// What a reader of the annotations would compare guesses with.
fn told(secret: &Secret) -> &str {
    annotation(secret, keys::ANNOTATION_CHECKSUM).unwrap()
}

#[test]
fn the_checksum_of_a_chosen_password_tells_nothing_to_whoever_does_not_see_the_data() {
    let guess = checksum("uid-1", &credential_of("Summer2026"), None);
    let secret = written(&Secret::default(), &wish(true), "Summer2026");
    let namesake = written(&Secret::default(), &wish(true), "Summer2026");
    assert_ne!(told(&secret), guess, "a weak password could be found by trying");
    assert_ne!(told(&secret), told(&namesake));
    assert!(credential(&secret, "uid-1").is_some() && is_settled(&secret, &wish(true)));
    let metadata = format!("{:?}", secret.metadata);
    assert!(!metadata.contains(&hex(checksum_key(&secret).unwrap())), "the key is in the data only");

    let mut edited = secret.clone();
    edited.data.as_mut().unwrap().remove(CHECKSUM_KEY);
    assert!(credential(&edited, "uid-1").is_none(), "without its key nothing fits");
    let mut edited = secret.clone();
    let config = String::from_utf8(edited.data.as_ref().unwrap()[DOCKER_CONFIG].0.clone()).unwrap();
    let config = ByteString(config.replace("Summer2026", "Winter2026").into_bytes());
    edited.data.as_mut().unwrap().insert(DOCKER_CONFIG.to_owned(), config);
    assert!(credential(&edited, "uid-1").is_none(), "an edited password is noticed");
}

#[test]
fn secrets_of_before_are_rewritten_only_where_the_password_was_chosen_and_once() {
    let before = written(&Secret::default(), &wish(false), "Drawn-by-Harbor-1");
    assert_eq!(told(&before), checksum("uid-1", &credential_of("Drawn-by-Harbor-1"), None));
    assert!(is_settled(&before, &wish(false)) && !is_settled(&before, &wish(true)));
    let after = written(&before, &wish(true), "Drawn-by-Harbor-1");
    assert!(is_settled(&after, &wish(true)));
    // The account does not ask for a password of its own any more; what is published is still the chosen one.
    assert!(is_settled(&after, &wish(false)));
    let renewed = written(&after, &wish(false), "Drawn-by-Harbor-2");
    assert!(credential(&renewed, "uid-1").is_some() && checksum_key(&renewed) == checksum_key(&after));
}
