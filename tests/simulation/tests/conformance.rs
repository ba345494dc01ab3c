//! Holds the API server in memory to a real one: what is said in `conversations.yaml` gets the same answers from both.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use harbor_robot_operator::cluster::client::connect;
use harbor_robot_simulation::kubernetes::{Accept, Call, Cluster, Verb, check_media};
use harbor_robot_world::ControlPlane;
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct File {
    kinds: BTreeMap<String, Kind>,
    conversations: Vec<Conversation>,
}

#[derive(Deserialize, Default, Clone)]
struct Kind {
    path: String,
    object: Value,
    changed: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    name: String,
    #[serde(default)]
    of: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Step {
    call: String,
    object: Option<String>,
    changed: Option<String>,
    #[serde(default)]
    with: Value,
    body: Option<Value>,
    #[serde(default)]
    metadata: bool,
    /// The media type of a patch, if it is no merge patch.
    media: Option<String>,
    only: Option<Only>,
}

/// What of an answer is compared, if not all of it.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Only {
    /// The HTTP status.
    Code,
    /// That, and who wrote the object by what operation.
    Managers,
}

/// A call that is ready to be made.
struct Said {
    method: String,
    target: String,
    accept: Accept,
    media: String,
    body: Value,
}

/// So many conversations at once.
const AT_ONCE: usize = 4;

/// No answer takes longer.
const LONGEST: Duration = Duration::from_secs(30);

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Status and body, or the lines of a watch.
type Answer = (u16, Vec<Value>);

enum Server {
    Real(Client),
    InMemory(Cluster),
}

impl Server {
    async fn ask(&self, said: &Said) -> Answer {
        let answer = async {
            match self {
                Self::Real(client) => real(client, said).await,
                Self::InMemory(cluster) => in_memory(cluster, said).await,
            }
        };
        let what = if matches!(self, Self::Real(_)) { "the real server" } else { "the one in memory" };
        tokio::time::timeout(LONGEST, answer)
            .await
            .unwrap_or_else(|_| panic!("{what} does not answer {} {}", said.method, said.target))
    }
}

async fn real(client: &Client, said: &Said) -> Answer {
    let list = said.method == "GET" && (said.target.contains('?') && !said.target.contains("watch="));
    let accept = match said.accept {
        Accept::Whole => "application/json",
        Accept::Metadata if list => METADATA_LIST,
        Accept::Metadata => METADATA,
    };
    let body = if said.body.is_null() { Vec::new() } else { said.body.to_string().into_bytes() };
    let request = Request::builder()
        .method(said.method.as_str())
        .uri(&said.target)
        .header("content-type", &said.media)
        .header("accept", accept)
        .body(kube::client::Body::from(body));
    let answer = client.send(request.unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    (status, lines(&text))
}

async fn in_memory(cluster: &Cluster, said: &Said) -> Answer {
    let bytes = said.body.to_string().len();
    let call = check_media(&said.method, &said.media, bytes)
        .and_then(|()| Call::parse(&said.method, &said.target, said.accept, said.body.clone(), "conversation"));
    let call = match call {
        Ok(call) => call,
        Err(refusal) => return (refusal.code, vec![refusal.to_json()]),
    };
    if call.verb == Verb::Watch {
        let told = match cluster.watch(&call) {
            Ok(told) => told,
            Err(refusal) => return (refusal.code, vec![refusal.to_json()]),
        };
        let all: Vec<_> = told.collect().await;
        return (200, lines(&all.concat()));
    }
    let answer = cluster.answer(&call);
    let status = answer.status().as_u16();
    (status, lines(&answer.into_body().collect().await.unwrap().to_bytes()))
}

fn lines(text: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(text).into_iter().map(|value| value.unwrap_or(json!("no JSON"))).collect()
}

/// Puts values of former answers, the namespace and the path into a text.
fn filled(text: &str, namespace: &str, path: &str, answers: &[Answer]) -> String {
    let mut text = text.replace("$path", path).replace("$ns", namespace);
    while let Some((before, rest)) = text.split_once("$x(") {
        let (number, after) = rest.split_once(')').expect("$x( is closed");
        text = format!("{before}{}{after}", "x".repeat(number.parse().unwrap()));
    }
    while let Some((before, rest)) = text.split_once("${") {
        let (inside, after) = rest.split_once('}').expect("${ is closed");
        let (number, place) = inside.split_once('.').expect("${N.path}");
        let found =
            place.split('.').fold(&answers[number.parse::<usize>().unwrap()].1[0], |value, field| &value[field]);
        text = format!("{before}{}{after}", found.as_str().unwrap_or_default());
    }
    text
}

fn filled_in(value: &Value, fill: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => fill(text).into(),
        Value::Array(items) => items.iter().map(|item| filled_in(item, fill)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (fill(name), filled_in(value, fill))).collect(),
        other => other.clone(),
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else { return };
    for (name, value) in fields {
        match value {
            Value::Object(_) => merge(&mut target[name], value),
            Value::Null => drop(target.as_object_mut().map(|target| target.remove(name))),
            other => target[name] = other.clone(),
        }
    }
}

/// An answer without what differs between any two servers: of versions and UIDs only which are the same stays.
struct Comparable(BTreeMap<String, String>);

impl Comparable {
    fn of(&mut self, value: &Value, under: &str) -> Value {
        match value {
            Value::Object(fields) => {
                let mut shown = Map::new();
                let is_list = fields.contains_key("items");
                let refused = fields.get("status").and_then(Value::as_str) == Some("Failure");
                for (name, value) in fields {
                    let value = match name.as_str() {
                        "managedFields" => continue,
                        // Programs go by what a refusal is about.
                        "message" if refused => continue,
                        "causes" => causes(value),
                        "uid" => json!(self.name("uid", value)),
                        // A list's version is of its moment, and no object's.
                        "resourceVersion" if under == "list" => continue,
                        "resourceVersion" => json!(self.name("version", value)),
                        "continue" if value == "" => continue,
                        "continue" => json!("a token"),
                        "creationTimestamp" | "deletionTimestamp" if value.is_string() => json!("a time"),
                        "metadata" => self.of(value, if is_list { "list" } else { "metadata" }),
                        other => self.of(value, other),
                    };
                    shown.insert(name.clone(), value);
                }
                shown.into()
            }
            Value::Array(items) => items.iter().map(|item| self.of(item, under)).collect(),
            other => other.clone(),
        }
    }

    fn name(&mut self, what: &str, value: &Value) -> String {
        let next = format!("{what} {}", self.0.keys().filter(|key| key.starts_with(what)).count());
        self.0.entry(format!("{what} {value}")).or_insert(next).clone()
    }

    /// Of bookmarks, only the one that ends the first events comes at a certain time.
    fn lines(&mut self, lines: &[Value]) -> Vec<Value> {
        let told = lines
            .iter()
            .filter(|line| line["type"] != "BOOKMARK" || !line["object"]["metadata"]["annotations"].is_null());
        let without_its_version = |line: &Value| {
            let mut line = line.clone();
            line["object"]["metadata"].as_object_mut().map(|metadata| metadata.remove("resourceVersion"));
            line
        };
        told.map(|line| match line["type"].as_str() {
            Some("BOOKMARK") => without_its_version(line),
            _ => self.of(line, ""),
        })
        .collect()
    }
}

/// What is wrong with which field. A real server says some of it twice, and that it looked no further.
fn causes(of: &Value) -> Value {
    let causes = of.as_array().into_iter().flatten().filter(|cause| cause["field"] != "<nil>");
    let mut causes: Vec<Value> = causes.map(|cause| json!([cause["field"], cause["reason"]])).collect();
    causes.sort_by_key(Value::to_string);
    causes.dedup();
    causes.into()
}

/// Who wrote an object, in the order of names.
fn managers(answer: &Answer) -> Vec<Value> {
    let entries = answer.1.iter().filter_map(|object| object["metadata"]["managedFields"].as_array()).flatten();
    let mut entries: Vec<Value> = entries
        .map(|entry| json!([entry["manager"], entry["operation"], entry["subresource"], entry["apiVersion"]]))
        .collect();
    entries.sort_by_key(Value::to_string);
    entries
}

async fn hold(server: &Server, conversation: &Conversation, kind: &Kind, namespace: &str) -> Vec<String> {
    let make = Said {
        method: "POST".to_owned(),
        target: "/api/v1/namespaces".to_owned(),
        accept: Accept::Whole,
        media: "application/json".to_owned(),
        body: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
    };
    assert_eq!(server.ask(&make).await.0, 201);
    let path = kind.path.replace("$ns", namespace);
    let (mut answers, mut shown, mut comparable): (Vec<Answer>, _, _) =
        (Vec::new(), Vec::new(), Comparable(BTreeMap::new()));
    for step in &conversation.steps {
        let fill = |text: &str| filled(text, namespace, &path, &answers);
        let (method, target) = step.call.split_once(' ').unwrap();
        let template = step.object.as_ref().map(|name| (name, &kind.object));
        let template = template.or_else(|| step.changed.as_ref().map(|name| (name, &kind.changed)));
        let body = match (template, &step.body) {
            (Some((name, object)), _) => {
                let mut object = object.clone();
                object["metadata"]["name"] = json!(name);
                merge(&mut object, &step.with);
                if object["metadata"].get("namespace").is_none() && kind.path.contains("$ns") {
                    object["metadata"]["namespace"] = json!("$ns");
                }
                filled_in(&object, &fill)
            }
            (None, Some(body)) => filled_in(body, &fill),
            (None, None) => Value::Null,
        };
        let accept = if step.metadata { Accept::Metadata } else { Accept::Whole };
        let target = fill(target).replace(' ', "%20");
        let usual = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let media = step.media.as_deref().unwrap_or(usual).to_owned();
        let answer = server.ask(&Said { method: method.to_owned(), target, accept, media, body }).await;
        let body = match step.only {
            Some(Only::Code) => Vec::new(),
            Some(Only::Managers) => managers(&answer),
            None => comparable.lines(&answer.1),
        };
        shown.push(format!("{}: {} -> {} {}", answers.len(), step.call, answer.0, json!(body)));
        answers.push(answer);
    }
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_conversation_gets_the_same_answers_from_a_real_server_and_from_the_one_in_memory() {
    let file: File = serde_saphyr::from_str(include_str!("conversations.yaml")).unwrap();
    let plane = tokio::task::spawn_blocking(ControlPlane::shared).await.unwrap();
    plane.apply_kinds().unwrap();
    // As the operator has it: a client that tries again by itself would hide some answers.
    let kubeconfig = Kubeconfig::read_from(&plane.kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let (real, in_memory) = (Server::Real(connect(config).unwrap()), Server::InMemory(with_a_past()));
    let held = file.conversations.iter().enumerate().flat_map(|(number, conversation)| {
        let kinds: Vec<(&str, Kind)> = match conversation.of.as_slice() {
            [] => vec![("", Kind::default())],
            of => of.iter().map(|name| (name.as_str(), file.kinds[name].clone())).collect(),
        };
        kinds.into_iter().map(move |(name, kind)| (number, conversation, name, kind))
    });
    let servers = [real, in_memory];
    let compared = futures::stream::iter(held).map(|(number, conversation, name, kind)| {
        let [real, in_memory] = &servers;
        async move {
            // A custom resource in a body has to say what it is.
            let kind = typed(name, kind);
            let namespace = format!("c{number}-{}", name.to_lowercase());
            let namespace = namespace.trim_end_matches('-');
            let answers = futures::join!(
                hold(real, conversation, &kind, namespace),
                hold(in_memory, conversation, &kind, namespace)
            );
            let different = answers.0.iter().zip(&answers.1).find(|(real, in_memory)| real != in_memory);
            different.map(|(real, in_memory)| {
                format!("{} ({name})\n  real:      {real}\n  in memory: {in_memory}", conversation.name)
            })
        }
    });
    let compared: Vec<Option<String>> = compared.buffered(AT_ONCE).collect().await;
    let held = compared.len();
    let different: Vec<String> = compared.into_iter().flatten().collect();
    assert!(different.is_empty(), "{} of {held} differ\n{}", different.len(), different.join("\n"));
    let conversations = file.conversations.len();
    assert!(conversations >= 80, "{conversations} conversations");
    println!("{conversations} conversations, {held} with their kinds");
}

/// A server that has forgotten how it began, as any has that was started on stored data.
fn with_a_past() -> Cluster {
    let cluster = Cluster::default();
    for namespace in ["kube-system", "default"] {
        let object = json!({"metadata": {"name": namespace}});
        cluster.ask("POST", "/api/v1/namespaces", &object).unwrap();
    }
    cluster.store().compact();
    cluster
}

fn typed(name: &str, mut kind: Kind) -> Kind {
    let mut segments = kind.path.trim_start_matches('/').split('/');
    let version = match (segments.next(), segments.next(), segments.next()) {
        (Some("api"), Some(version), _) => version.to_owned(),
        (_, Some(group), Some(version)) => format!("{group}/{version}"),
        _ => return kind,
    };
    for object in [&mut kind.object, &mut kind.changed] {
        object["apiVersion"] = json!(version);
        object["kind"] = json!(name);
    }
    kind
}
