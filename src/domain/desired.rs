//! The wish of an account: its spec with every default filled in, normalised for comparison.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::catalogue::Unknown;
use super::mark::{self, Identity};
use super::observed::Tokens;
use super::permissions::{self, AccessSet};
use super::plan::Strategy;
use super::projects;
use super::robot::{Home, Lifetime, Permissions, Scope};
use super::rotation::{self, Rotation};
use super::secret_entries::{SecretEntry, SecretList};
use crate::api::{
    Account, AccountDefaults, AccountSpec, AdoptionPolicy, DeletionPolicy, DurationString, ExpiresAfter,
    InvalidDuration, InvalidName, ObjectName, PermissionRecord, ProjectsRecord, SecretKey, SecretKeyFormat,
    SecretKeyRef, keys,
};

/// `expiresAfter` when neither the account nor its registry says one (Harbor's own default).
pub const DEFAULT_LIFETIME: &str = "30d";

/// Text in a spec that the API server's rules would have refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    /// A duration that is none.
    #[error(transparent)]
    Duration(#[from] InvalidDuration),
    /// A name that is none: where it stands, and the text.
    #[error("{0}: {1:?} is {why}", why = InvalidName)]
    Name(&'static str, String),
}

/// What an account wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Who asks.
    pub identity: Identity,
    /// Level and project.
    pub home: Home,
    /// The short robot name; slots are built from it.
    pub base_name: String,
    /// `spec.description`, without the mark.
    pub text: String,
    /// `!spec.disabled`.
    pub enabled: bool,
    /// Everything the robot may do.
    pub permissions: Permissions,
    /// The same for people: a pattern stands for its projects.
    pub told: Permissions,
    /// What was asked for besides, but this Harbor does not know.
    pub unknown: Unknown,
    /// Days or never.
    pub lifetime: Lifetime,
    /// The same as the user writes it, for status.
    pub expires_after: String,
    /// How a credential is replaced.
    pub strategy: Strategy,
    /// When it is replaced.
    pub rotation: Rotation,
    /// The Secret.
    pub secret: SecretWish,
    /// Where ServiceAccounts name the Secret.
    pub entries: Vec<SecretEntry>,
    /// `deletionPolicy: Retain`.
    pub retain: bool,
    /// `adoptionPolicy: IfUnowned`.
    pub adopt: bool,
    /// Where the account's own password is; `None` = Harbor draws one.
    pub own_password: Option<SecretKeyRef>,
    /// The tokens in the account's annotations.
    pub tokens: Tokens,
    /// The projects that a system account reaches, for status.
    pub projects: Option<ProjectsRecord>,
}

/// The wished form of the Secret, apart from the credential and the registry's hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretWish {
    /// `metadata.name`.
    pub name: ObjectName,
    /// Labels to keep on it.
    pub labels: BTreeMap<String, String>,
    /// Annotations to keep on it.
    pub annotations: BTreeMap<String, String>,
    /// Keys beside the docker configuration, each with what it holds.
    pub keys: BTreeMap<String, KeyContent>,
    /// A person chose the password: others might guess it.
    pub chosen_password: bool,
}

/// What a key of the Secret holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyContent {
    /// The docker configuration.
    DockerConfigJson,
    /// The user name.
    Username,
    /// The password.
    Password,
    /// The file that Harbor's page offers for download.
    RobotFile,
    /// The host of images.
    RegistryHost,
    /// The URL of Harbor.
    RegistryUrl,
    /// A text of the account's own.
    Literal(String),
}

impl From<SecretKey> for KeyContent {
    fn from(key: SecretKey) -> Self {
        match key.format {
            SecretKeyFormat::DockerConfigJson => Self::DockerConfigJson,
            SecretKeyFormat::Username => Self::Username,
            SecretKeyFormat::Password => Self::Password,
            SecretKeyFormat::RobotFile => Self::RobotFile,
            SecretKeyFormat::RegistryHost => Self::RegistryHost,
            SecretKeyFormat::RegistryUrl => Self::RegistryUrl,
            SecretKeyFormat::Literal => Self::Literal(key.value.unwrap_or_default()),
        }
    }
}

impl Desired {
    /// The description to send, mark included.
    pub fn description(&self) -> String {
        mark::write(&self.text, &self.identity, false)
    }

    /// Takes pairs out of the wish that Harbor does not know. What a robot holds of them from before an upgrade of Harbor
    /// means nothing any more and is not taken for a difference.
    pub fn give_up(&mut self, unknown: Unknown) {
        self.permissions = without(&self.permissions, &unknown);
        self.told = without(&self.told, &unknown);
        self.unknown = unknown;
    }

    /// A robot's permissions, apart from those that Harbor does not know any more.
    pub fn meaningful(&self, held: &Permissions) -> Permissions {
        without(held, &self.unknown)
    }

    /// All pairs, for grants.
    pub fn pairs(&self) -> AccessSet {
        self.permissions.values().flatten().cloned().collect()
    }

    /// What the robot may do, for status.
    pub fn permission_records(&self) -> Vec<PermissionRecord> {
        match &self.home {
            Home::Project(_) => permissions::records(&self.pairs(), None, None),
            Home::System => permissions::records_by_scope(&self.told).take(RECORDS).collect(),
        }
    }
}

/// So many rows of what a robot may do are in a status.
const RECORDS: usize = 500;

fn without(permissions: &Permissions, pairs: &Unknown) -> Permissions {
    let none = AccessSet::new();
    let of = |scope: &Scope| pairs.get(&scope.kind()).unwrap_or(&none);
    let left = permissions
        .iter()
        .map(|(scope, held)| (scope.clone(), held.difference(of(scope)).cloned().collect::<AccessSet>()));
    left.filter(|(_, held)| !held.is_empty()).collect()
}

/// Reads an account, while Harbor has these projects (of interest only where [`projects::depend_on_names`]). Fails only on
/// text that the API server's rules would have refused (an object stored under an older schema). An account that is being
/// deleted has no use for such texts and must not wait for somebody to mend them.
pub fn of_account(
    account: &Account,
    cluster: &str,
    defaults: Option<&AccountDefaults>,
    existing: &BTreeSet<String>,
) -> Result<Desired, InvalidSpec> {
    let meta = &account.metadata;
    let identity =
        Identity::new(meta.uid.as_deref().unwrap_or_default(), cluster, meta.namespace.as_deref(), account.name());
    let expires_after = account
        .expires_after()
        .cloned()
        .or_else(|| defaults.and_then(|defaults| defaults.expires_after.clone()))
        .unwrap_or_else(|| ExpiresAfter(DEFAULT_LIFETIME.to_owned()));
    let (home, permissions, told, record) = asked_for(&account.spec, existing);
    let output = account.secret();
    let deleting = meta.deletion_timestamp.is_some();
    let (strategy, rotation) = match rotation_of(account, defaults) {
        Err(_) if deleting => (Strategy::Overlap, Rotation::default()),
        rotation => rotation?,
    };
    let lifetime = match expires_after.days() {
        Err(_) if deleting => Lifetime::Never,
        days => days?.map_or(Lifetime::Never, Lifetime::Days),
    };
    // Nothing of such a name can be there.
    let secret_name = match name_in("spec.secret.name", &account.secret_name()) {
        Err(_) if deleting => name_in("metadata.name", account.name())?,
        name => name?,
    };
    Ok(Desired {
        home,
        base_name: account.robot_name(),
        text: account.description().cloned().unwrap_or_default(),
        enabled: !account.disabled().copied().unwrap_or_default(),
        permissions,
        told,
        unknown: Unknown::new(),
        lifetime,
        expires_after: expires_after.0,
        strategy,
        rotation,
        secret: SecretWish {
            name: secret_name,
            labels: output.labels.unwrap_or_default(),
            annotations: output.annotations.unwrap_or_default(),
            keys: output.keys.into_iter().flatten().map(|key| (key.key.clone(), key.into())).collect(),
            chosen_password: account.password_secret_ref().is_some(),
        },
        entries: entries(account, deleting)?,
        retain: account.deletion_policy() == Some(&DeletionPolicy::Retain),
        adopt: account.adoption_policy() == Some(&AdoptionPolicy::IfUnowned),
        own_password: account.password_secret_ref().cloned(),
        tokens: tokens(meta.annotations.as_ref()),
        projects: record,
        identity,
    })
}

/// Where the robot is, what it may do, the same as people read it, and the record of its projects.
fn asked_for(
    spec: &AccountSpec,
    existing: &BTreeSet<String>,
) -> (Home, Permissions, Permissions, Option<ProjectsRecord>) {
    match spec {
        AccountSpec::Project(spec) => {
            let access = permissions::wanted(spec.permissions.as_deref(), spec.access.as_deref());
            let permissions = Permissions::from([(Scope::Project(spec.project.clone()), access)]);
            (Home::Project(spec.project.clone()), permissions.clone(), permissions, None)
        }
        AccountSpec::System(spec) => {
            let permissions = projects::permissions(spec, existing);
            let record = spec.projects.is_some().then(|| projects::record(&permissions));
            (Home::System, permissions, projects::by_pattern(spec), record)
        }
    }
}

/// The entries in ServiceAccounts that are asked for. Of an account that goes, none can be there of a name that is none.
fn entries(account: &Account, deleting: bool) -> Result<Vec<SecretEntry>, InvalidSpec> {
    let named = account.service_accounts().into_iter().flatten();
    let named = named.map(|named| Ok((name_in("spec.serviceAccounts", &named.name)?, SecretList::of(named.use_))));
    let named: Vec<_> = named.filter(|named| !deleting || named.is_ok()).collect::<Result<_, InvalidSpec>>()?;
    let entries = named.into_iter().flat_map(|(service_account, lists)| {
        lists.iter().map(move |list| SecretEntry { service_account: service_account.clone(), list: *list })
    });
    Ok(entries.collect())
}

/// What of a token counts: it is repeated in the status, which the API server takes only up to a length.
const LONGEST_TOKEN: usize = 256;

fn name_in(field: &'static str, text: &str) -> Result<ObjectName, InvalidSpec> {
    ObjectName::new(text).map_err(|_| InvalidSpec::Name(field, text.to_owned()))
}

/// The tokens a person wrote into the account's annotations.
pub fn tokens(annotations: Option<&BTreeMap<String, String>>) -> Tokens {
    let cut = |token: &String| token.chars().take(LONGEST_TOKEN).collect::<String>();
    let get = |key| annotations.and_then(|all| all.get(key)).map(cut).filter(|token| !token.is_empty());
    Tokens { refresh: get(keys::ANNOTATION_REFRESH), revoke: get(keys::ANNOTATION_REVOKE) }
}

/// Each field of `rotation` falls back to the registry's default by itself.
fn rotation_of(account: &Account, defaults: Option<&AccountDefaults>) -> Result<(Strategy, Rotation), InvalidDuration> {
    let own = account.rotation().cloned().unwrap_or_default();
    let default = defaults.and_then(|defaults| defaults.rotation.clone()).unwrap_or_default();
    let parse = |own: Option<DurationString>, default: Option<DurationString>| {
        own.or(default).map(|text| text.parse().map(signed)).transpose()
    };
    let strategy = own.strategy.or(default.strategy).unwrap_or(Strategy::Overlap);
    let renew_before = parse(own.renew_before, default.renew_before)?;
    let interval = own.interval.or(default.interval).map(|text| text.parse()).transpose()?.flatten().map(signed);
    let overlap = parse(own.overlap, default.overlap)?;
    let shortest = renew_before.into_iter().chain(interval).min().unwrap_or(SignedDuration::MAX);
    let rotation =
        Rotation { overlap: overlap.unwrap_or(rotation::DEFAULT_OVERLAP.min(shortest)), renew_before, interval };
    Ok((strategy, rotation))
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    // The grammar ends at 99,999 days.
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests;
