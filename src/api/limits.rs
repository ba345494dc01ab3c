//! Bounds of what goes into a status. The API server refuses a status with a longer text or list whole, and with it
//! everything else that it says: texts that come from a Harbor are cut, whatever let them through.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{AccountStatus, PermissionRecord, RegistryStatus, conditions};

/// Names and versions that come from Harbor, and tokens.
const NAME: usize = 512;
/// Hosts, with a port.
const HOST: usize = 300;
/// A word of Harbor's permission catalogue, and how many actions a resource has.
const WORD: usize = 256;
const ACTIONS: usize = 100;
/// Names of the cluster's objects.
const OBJECT_NAME: usize = 253;
const NAMESPACE: usize = 63;
const URL: usize = 2048;
/// Rows of what a login holds; projects, Secrets and namespaces that are told of by name.
const FEW: usize = 100;
/// Rows of what a Harbor knows, for each of its lists.
const KNOWN: usize = 200;
/// Rows of what an account's robot may do.
const ROWS: usize = 500;
/// Former URLs, and names of robots at each.
const FORMER: usize = 5;
const LEFT: usize = 20;
const CONDITIONS: usize = 32;
const CONDITION_MESSAGE: usize = 32_768;
const CONDITION_WORD: usize = 316;

/// Cuts a text after so many characters.
fn cut(text: &mut String, most: usize) {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
    }
}

fn cut_some(text: Option<&mut String>, most: usize) {
    if let Some(text) = text {
        cut(text, most);
    }
}

fn cut_rows(rows: &mut Vec<PermissionRecord>, most: usize) {
    rows.truncate(most);
    for row in rows {
        cut_some(row.project.as_mut(), NAME);
        cut(&mut row.resource, WORD);
        row.actions.truncate(ACTIONS);
        row.actions.iter_mut().for_each(|action| cut(action, WORD));
    }
}

/// Ours stay; of those that others added, as many as there is room for.
fn cut_conditions(all: &mut Vec<Condition>) {
    let ours = |condition: &Condition| conditions::ALL.contains(&condition.type_.as_str());
    let mut room = CONDITIONS.saturating_sub(all.iter().filter(|condition| ours(condition)).count());
    all.retain(|condition| {
        let kept = ours(condition) || room > 0;
        room = room.saturating_sub(usize::from(!ours(condition)));
        kept
    });
    for condition in all {
        cut(&mut condition.message, CONDITION_MESSAGE);
        cut(&mut condition.reason, CONDITION_WORD);
        cut(&mut condition.type_, CONDITION_WORD);
        cut(&mut condition.status, CONDITION_WORD);
    }
}

impl AccountStatus {
    /// Nothing in it is longer than the API server takes.
    pub fn bounded(mut self) -> Self {
        if let Some(registry) = &mut self.registry {
            cut(&mut registry.name, OBJECT_NAME);
            cut_some(registry.url.as_mut(), URL);
        }
        cut_some(self.robot.as_mut().map(|robot| &mut robot.name), NAME);
        cut_some(self.previous.as_mut().map(|robot| &mut robot.name), NAME);
        cut_some(self.handled_refresh.as_mut(), NAME);
        cut_some(self.handled_revoke.as_mut(), NAME);
        cut_some(self.expires_after.as_mut(), NAMESPACE);
        self.secret_refs.truncate(FEW);
        for secret in &mut self.secret_refs {
            cut(&mut secret.namespace, NAMESPACE);
            cut(&mut secret.name, OBJECT_NAME);
        }
        cut_rows(&mut self.permissions, ROWS);
        if let Some(projects) = &mut self.projects {
            projects.names.truncate(FEW);
            projects.names.iter_mut().for_each(|name| cut(name, NAME));
        }
        self.namespaces.truncate(FEW);
        for namespace in &mut self.namespaces {
            cut(&mut namespace.name, NAMESPACE);
            cut_some(namespace.reason.as_mut(), CONDITION_WORD);
            cut_some(namespace.message.as_mut(), CONDITION_MESSAGE);
        }
        cut_conditions(&mut self.conditions);
        self
    }
}

impl RegistryStatus {
    /// Nothing in it is longer than the API server takes.
    pub fn bounded(mut self) -> Self {
        cut_some(self.harbor_version.as_mut(), NAME);
        cut_some(self.registry_host.as_mut(), HOST);
        cut_some(self.cluster_name.as_mut(), OBJECT_NAME);
        cut_some(self.robot_name_prefix.as_mut(), NAME);
        if let Some(login) = &mut self.login {
            cut(&mut login.name, NAME);
            cut_rows(&mut login.permissions, FEW);
        }
        if let Some(known) = &mut self.permissions {
            cut_rows(&mut known.project, KNOWN);
            cut_rows(&mut known.system, KNOWN);
        }
        cut_some(self.unmanaged_robots.as_mut().and_then(|robots| robots.next_to_expire.as_mut()), NAME);
        self.former_urls.truncate(FORMER);
        for former in &mut self.former_urls {
            cut(&mut former.url, HOST);
            former.names.truncate(LEFT);
            former.names.iter_mut().for_each(|name| cut(name, NAME));
        }
        cut_conditions(&mut self.conditions);
        self
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::crds::crds;

    fn schema(kind: &str) -> JSONSchemaProps {
        let crd = crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let whole = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        whole.properties.unwrap().remove("status").unwrap()
    }

    fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
        match schema.items.as_ref()? {
            JSONSchemaPropsOrArray::Schema(items) => Some(items),
            JSONSchemaPropsOrArray::Schemas(_) => None,
        }
    }

    /// What the API server would refuse.
    fn refused(schema: &JSONSchemaProps, value: &Value, path: &str) -> Vec<String> {
        let mut found = Vec::new();
        match value {
            Value::String(text) => {
                let length = i64::try_from(text.chars().count()).unwrap();
                if schema.max_length.is_some_and(|most| length > most) {
                    found.push(format!("{path}: {length} characters"));
                }
            }
            Value::Array(list) => {
                if schema.max_items.is_some_and(|most| i64::try_from(list.len()).unwrap() > most) {
                    found.push(format!("{path}: {} items", list.len()));
                }
                let Some(schema) = items(schema) else { return found };
                for value in list {
                    found.extend(refused(schema, value, &format!("{path}[]")));
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let field = schema.properties.as_ref().and_then(|properties| properties.get(name));
                    found.extend(field.into_iter().flat_map(|field| refused(field, value, &format!("{path}.{name}"))));
                }
            }
            _ => {}
        }
        found
    }

    /// Texts and lists without a bound.
    fn unbounded(schema: &JSONSchemaProps, path: &str, found: &mut Vec<String>) {
        match schema.type_.as_deref() {
            Some("string") if schema.enum_.is_none() && schema.format.as_deref() != Some("date-time") => {
                found.extend(schema.max_length.is_none().then(|| path.to_owned()));
            }
            Some("array") => {
                found.extend(schema.max_items.is_none().then(|| path.to_owned()));
                unbounded(items(schema).unwrap(), &format!("{path}[]"), found);
            }
            _ => {}
        }
        for (name, field) in schema.properties.iter().flatten() {
            unbounded(field, &format!("{path}.{name}"), found);
        }
    }

    #[test]
    fn every_text_and_list_of_a_status_has_a_bound() {
        for kind in ["RobotAccount", "SystemRobotAccount", "HarborRegistry", "ClusterHarborRegistry"] {
            let mut found = Vec::new();
            unbounded(&schema(kind), "status", &mut found);
            assert_eq!(found, Vec::<String>::new(), "{kind}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        (0..40_000_usize, prop_oneof![Just("a"), Just("ß"), Just("🤖")])
            .prop_map(|(length, piece)| piece.repeat(length))
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        (0..6000_usize, 0..1500_usize).prop_map(|(count, length)| {
            (0..count).map(|at| if at == 0 { "ß".repeat(length) } else { at.to_string() }).collect()
        })
    }

    fn rows(texts: &[String]) -> Value {
        let row = |text: &String| json!({"kind": "Project", "project": text, "resource": text, "actions": [text]});
        let wide = json!({"resource": "r", "actions": texts.iter().take(300).collect::<Vec<_>>()});
        texts.iter().map(row).chain([wide]).collect()
    }

    fn conditions_of(texts: &[String], message: &str) -> Value {
        let ours = conditions::ALL.map(ToOwned::to_owned);
        let all = texts.iter().take(60).chain(&ours).map(|kind| {
            json!({"type": kind, "status": "True", "reason": message, "message": message,
                   "lastTransitionTime": "2026-01-01T00:00:00Z"})
        });
        all.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_harbor_says_fits_into_a_registrys_status(text in text(), list in texts()) {
            let status: RegistryStatus = serde_json::from_value(json!({
                "harborVersion": text, "registryHost": text, "clusterName": text, "robotNamePrefix": text,
                "login": {"kind": "Robot", "name": text, "permissions": rows(&list)},
                "permissions": {"source": "Harbor", "project": rows(&list), "system": rows(std::slice::from_ref(&text))},
                "formerUrls": list.iter().take(9).map(|url| json!({"url": url, "names": list})).collect::<Vec<_>>(),
                "conditions": conditions_of(&list, &text),
            })).unwrap();
            let bounded = status.bounded();
            let ours = bounded.conditions.iter().filter(|c| conditions::ALL.contains(&c.type_.as_str())).count();
            prop_assert_eq!(ours, conditions::ALL.len());
            prop_assert_eq!(&bounded, &bounded.clone().bounded());
            let value = serde_json::to_value(&bounded).unwrap();
            for kind in ["HarborRegistry", "ClusterHarborRegistry"] {
                prop_assert_eq!(refused(&schema(kind), &value, "status"), Vec::<String>::new());
            }
        }

        #[test]
        fn whatever_happens_to_an_account_fits_into_its_status(text in text(), list in texts()) {
            let named = |name: &String| json!({"namespace": text, "name": name});
            let row = |name: &String| json!({"name": name, "ready": false, "reason": text, "message": text});
            let robot = json!({"id": 1, "name": text, "creationTime": "2026-01-01T00:00:00Z", "revocationTime": "2026-01-01T00:00:00Z"});
            let status: AccountStatus = serde_json::from_value(json!({
                "registry": {"kind": "HarborRegistry", "name": text, "url": text}, "robot": robot, "previous": robot,
                "handledRefresh": text, "handledRevoke": text, "expiresAfter": text, "permissions": rows(&list),
                "secretRefs": list.iter().map(named).collect::<Vec<_>>(), "projects": {"names": list},
                "namespaces": list.iter().take(300).map(row).collect::<Vec<_>>(),
                "conditions": conditions_of(&list, &text),
            })).unwrap();
            let bounded = status.bounded();
            prop_assert_eq!(&bounded, &bounded.clone().bounded());
            let value = serde_json::to_value(&bounded).unwrap();
            for kind in ["RobotAccount", "SystemRobotAccount"] {
                prop_assert_eq!(refused(&schema(kind), &value, "status"), Vec::<String>::new());
            }
        }
    }
}
