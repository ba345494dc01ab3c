//! Objects, their versions, and what happened to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::kinds::{KINDS, Kind};

/// An object as it is stored; nobody changes one in place.
pub type Object = Arc<Value>;

/// Where an object is. Ordered as lists are: by namespace and name as one text with a slash between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    /// Index in [`KINDS`].
    kind: usize,
    /// Empty for objects of the cluster.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Id {
    /// The place of an object.
    pub fn new(kind: &'static Kind, namespace: &str, name: &str) -> Self {
        let kind = KINDS.iter().position(|known| known == kind).expect("kinds come from the list");
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        &KINDS[self.kind]
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        fn key(id: &Id) -> impl Iterator<Item = u8> {
            let slash = (!id.namespace.is_empty()).then_some(b'/');
            id.namespace.bytes().chain(slash).chain(id.name.bytes())
        }
        self.kind.cmp(&other.kind).then_with(|| {
            if self.namespace == other.namespace { self.name.cmp(&other.name) } else { key(self).cmp(key(other)) }
        })
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { namespace, name, .. } = self;
        let slash = if namespace.is_empty() { "" } else { "/" };
        write!(f, "{} {namespace}{slash}{name}", self.kind().name)
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came.
    Added,
    /// It changed.
    Modified,
    /// It went.
    Deleted,
}

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version that it made.
    pub version: u64,
    /// Which object.
    pub id: Id,
    /// What happened.
    pub kind: ChangeKind,
    /// The object after it; as it went, of one that went.
    pub object: Object,
    /// The object before it.
    pub before: Option<Object>,
}

/// All objects at one moment.
#[derive(Clone)]
pub struct Backup(BTreeMap<Id, Object>, u64);

/// The memory of an API server.
pub struct Store {
    objects: BTreeMap<Id, Object>,
    /// What happened since `oldest`.
    log: Vec<Change>,
    oldest: u64,
    version: u64,
    uids: u64,
    /// The version at which its controllers had nothing to do.
    pub(super) collected: u64,
    told: watch::Sender<u64>,
    /// No page of a list is longer.
    pub(super) longest_page: usize,
    /// How many times all watches were cut off.
    pub(super) cut: watch::Sender<u64>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            log: Vec::new(),
            oldest: 1,
            version: 1,
            uids: 0,
            collected: 0,
            told: watch::Sender::new(1),
            longest_page: usize::MAX,
            cut: watch::Sender::new(0),
        }
    }
}

impl Store {
    /// From now on pages of lists are that short, whatever longer page is asked for.
    pub fn shorten_pages(&mut self, longest: usize) {
        self.longest_page = longest;
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The oldest version that a watch may begin at.
    pub fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Told of each change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// One object.
    pub fn get(&self, id: &Id) -> Option<&Object> {
        self.objects.get(id)
    }

    /// Objects of a kind in the order of lists; in one namespace, or everywhere.
    pub fn all(&self, kind: &'static Kind, namespace: Option<&str>) -> impl Iterator<Item = (&Id, &Object)> {
        let first = Id::new(kind, namespace.unwrap_or_default(), "");
        let (number, namespace) = (first.kind, namespace.map(str::to_owned));
        self.objects.range(first..).take_while(move |(id, _)| {
            id.kind == number && namespace.as_ref().is_none_or(|namespace| id.namespace == *namespace)
        })
    }

    /// Objects of a kind as they were in a version that is not forgotten.
    pub fn all_at(&self, version: u64, kind: &'static Kind, namespace: Option<&str>) -> BTreeMap<Id, Object> {
        let mut objects: BTreeMap<Id, Object> =
            self.all(kind, namespace).map(|(id, object)| (id.clone(), Arc::clone(object))).collect();
        let is_asked = |id: &Id| id.kind() == kind && namespace.is_none_or(|namespace| id.namespace == namespace);
        for change in self.since(version).iter().rev().filter(|change| is_asked(&change.id)) {
            match &change.before {
                Some(before) => drop(objects.insert(change.id.clone(), Arc::clone(before))),
                None => drop(objects.remove(&change.id)),
            }
        }
        objects
    }

    /// Every object.
    pub fn everything(&self) -> impl Iterator<Item = (&Id, &Object)> {
        self.objects.iter()
    }

    /// What happened after a version.
    pub fn since(&self, version: u64) -> &[Change] {
        let from = self.log.partition_point(|change| change.version <= version);
        &self.log[from..]
    }

    /// A UID that no other object has.
    pub fn new_uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.uids)
    }

    /// Stores an object in a new version.
    pub fn put(&mut self, id: &Id, mut object: Value) -> Object {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        let before = self.objects.insert(id.clone(), Arc::clone(&object));
        let kind = if before.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.note(id, kind, &object, before);
        object
    }

    /// Takes an object away; answers it as it went.
    pub fn remove(&mut self, id: &Id) -> Option<Object> {
        let before = self.objects.remove(id)?;
        self.version += 1;
        let mut gone = (*before).clone();
        gone["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let gone = Arc::new(gone);
        self.note(id, ChangeKind::Deleted, &gone, Some(before));
        Some(gone)
    }

    fn note(&mut self, id: &Id, kind: ChangeKind, object: &Object, before: Option<Object>) {
        let (version, object) = (self.version, Arc::clone(object));
        self.log.push(Change { version, id: id.clone(), kind, object, before });
        self.told.send_replace(version);
    }

    /// Forgets what happened up to now: watches that begin earlier are refused.
    pub fn compact(&mut self) {
        self.oldest = self.version;
        self.log.clear();
    }

    /// Cuts all watches off.
    pub fn cut_watches(&mut self) {
        self.cut.send_modify(|times| *times += 1);
    }

    /// All objects as they are.
    pub fn backup(&self) -> Backup {
        Backup(self.objects.clone(), self.version)
    }

    /// Puts all objects back as they were, versions as well: as after a restore of etcd. Connections do not survive that.
    pub fn restore(&mut self, backup: &Backup) {
        self.objects = backup.0.clone();
        self.version = backup.1;
        self.oldest = self.version;
        self.collected = 0;
        self.log.clear();
        self.told.send_replace(self.version);
        self.cut_watches();
    }
}

/// The time as the API server writes it.
pub fn time() -> String {
    now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time.
#[expect(clippy::disallowed_methods, reason = "this is the clock of the API server")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
