//! Labels, annotations and the finalizer: every key that the operator writes or reads on an object.
//!
//! Label values end at 63 characters and object names do not, so labels carry the UID and names go into annotations.

/// The prefix of every key of ours. Users may not set keys with it on the Secret (a rule of the API refuses them).
pub const PREFIX: &str = "harbor-robots.io/";

/// Finalizer of an account: a robot may exist in Harbor. Added only after the first grant check passed, so an account
/// without it has nothing in Harbor.
pub const FINALIZER_ROBOT: &str = "harbor-robots.io/robot";

/// Finalizer of a registry: accounts still need it to delete their robots.
pub const FINALIZER_REGISTRY: &str = "harbor-robots.io/registry";

/// Label on a Secret of a person's: the one thing that accounts and registries of namespaces may use it for. Whoever may make
/// those objects may name any Secret of the namespace, and needs no right to read it.
pub const LABEL_USE: &str = "harbor-robots.io/use";

/// [`LABEL_USE`] of a Secret whose user name and password a `HarborRegistry` logs in with (`auth.secretRef`).
pub const USE_LOGIN: &str = "login";

/// [`LABEL_USE`] of a Secret with the own password of an account (`passwordSecretRef`).
pub const USE_PASSWORD: &str = "password";

/// [`LABEL_USE`] of a Secret with the certificates that a `HarborRegistry` trusts (`tls.caCertificatesRef`).
pub const USE_CA: &str = "ca";

/// Label on our Secret: UID of the account whose credential it holds.
pub const LABEL_ACCOUNT_UID: &str = "harbor-robots.io/account-uid";

/// Kubernetes' recommended label that names the managing program.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The value of [`LABEL_MANAGED_BY`] on our objects.
pub const MANAGED_BY: &str = "harbor-robot-operator";

/// Annotation on our Secret: name of the account whose credential it holds. With a stale UID it lets a restored
/// account take its Secret back.
pub const ANNOTATION_ACCOUNT: &str = "harbor-robots.io/account";

/// Annotation on our Secret: id of the robot whose credential it holds. A hint only, since tenants can write it.
pub const ANNOTATION_ROBOT_ID: &str = "harbor-robots.io/robot-id";

/// Annotation on our Secret: checksum of what we published, to see a foreign change.
pub const ANNOTATION_CHECKSUM: &str = "harbor-robots.io/checksum";

/// Annotation on our Secret: the refresh token whose credential it holds.
pub const ANNOTATION_HANDLED_REFRESH: &str = "harbor-robots.io/handled-refresh";

/// Annotation on our Secret: the revoke token whose credential it holds.
pub const ANNOTATION_HANDLED_REVOKE: &str = "harbor-robots.io/handled-revoke";

/// Annotation on our Secret: names of the ServiceAccounts that list it through us, with `/secrets` where it is in that list.
pub const ANNOTATION_SERVICE_ACCOUNTS: &str = "harbor-robots.io/service-accounts";

/// Annotation on our Secret: those of [`ANNOTATION_SERVICE_ACCOUNTS`] into which the operator never put the entry, since they
/// listed the Secret before or do not exist. Their entries are somebody else's and stay.
pub const ANNOTATION_UNTOUCHED: &str = "harbor-robots.io/service-accounts-untouched";

/// Annotation a person sets on an account: rotate once for each new token.
pub const ANNOTATION_REFRESH: &str = "harbor-robots.io/refresh";

/// Annotation a person sets on an account after a leak: rotate and retire every older robot at once, once for each
/// new token.
pub const ANNOTATION_REVOKE: &str = "harbor-robots.io/revoke";

/// Annotation on a ClusterHarborRegistry: `"true"` makes it the registry of accounts without `spec.registryRef`.
pub const ANNOTATION_IS_DEFAULT: &str = "harbor-robots.io/is-default";

/// Annotation on a ClusterHarborRegistry: the new robot name prefix, repeated, to confirm that every login may be
/// renamed.
pub const ANNOTATION_CONFIRM_PREFIX: &str = "harbor-robots.io/confirm-prefix";

/// Annotation on a registry, written by the operator: the host of images that Harbor named first, a blank, and the URL where
/// it did. Secrets keep it until [`ANNOTATION_CONFIRM_HOST`] or `spec.registryHost` say otherwise.
pub const ANNOTATION_PINNED_HOST: &str = "harbor-robots.io/pinned-host";

/// Annotation a person sets on a registry: the host that Harbor names now, repeated, to confirm that every Secret may be
/// written for it.
pub const ANNOTATION_CONFIRM_HOST: &str = "harbor-robots.io/confirm-host";

/// Annotation a person sets on a registry: a URL that `spec.url` named before. Robots of the registry's accounts that are left
/// there are deleted, as soon as their accounts have a working credential at the present one.
pub const ANNOTATION_CLEANUP_FORMER_URL: &str = "harbor-robots.io/cleanup-former-url";

/// Annotation a person sets on a registry: a URL that `spec.url` named before, and of which nothing more is to be told.
pub const ANNOTATION_FORGET_FORMER_URL: &str = "harbor-robots.io/forget-former-url";

/// Annotation on our Secret: the full name of the robot it holds.
pub const ANNOTATION_ROBOT_NAME: &str = "harbor-robots.io/robot-name";

/// Annotation on our Secret: when that robot was created (RFC 3339, milliseconds). Ids run again after a restore.
pub const ANNOTATION_ROBOT_CREATED: &str = "harbor-robots.io/robot-created";

/// Annotation on our Secret: the data keys that the operator wrote, separated by commas, each with `=` and its format where the
/// account asked for it.
pub const ANNOTATION_KEYS: &str = "harbor-robots.io/keys";

/// Annotation on our Secret: changes whenever a former leader has to be kept from writing.
pub const ANNOTATION_FENCE: &str = "harbor-robots.io/fence";

/// Annotation on our Secret: the keys of `spec.secret.labels` that the operator wrote, separated by commas.
pub const ANNOTATION_LABELS: &str = "harbor-robots.io/labels";

/// Annotation on our Secret: the keys of `spec.secret.annotations` that the operator wrote, separated by commas.
pub const ANNOTATION_ANNOTATIONS: &str = "harbor-robots.io/annotations";
