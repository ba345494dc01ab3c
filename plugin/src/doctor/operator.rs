//! Whether an operator runs and leads, with the rights that it needs, behind the policies that it is shipped with.

use harbor_robot_operator::api::{GROUP, ObjectName, RegistryTime};
use harbor_robot_operator::cluster::{self, within};
use harbor_robot_operator::decode::Lenient;
use harbor_robot_operator::{clock, run};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Client;
use kube::api::{Api, ListParams, PostParams, Request};
use kube::core::PartialObjectMeta;
use serde_json::Value;

use super::{Finding, Level};
use crate::times::age;

/// By these labels the chart's and the manifest's pods are found.
const PODS: &str = "app.kubernetes.io/name=harbor-robot-operator";
/// Verb, group and resource of a few rights without which nothing works; the rest fails with a reason of its own.
const NEEDED: [(&str, &str, &str, &str); 6] = [
    ("list", GROUP, "robotaccounts", ""),
    ("watch", GROUP, "robotaccounts", ""),
    ("patch", GROUP, "robotaccounts", "status"),
    ("list", GROUP, "clusterharborregistries", ""),
    ("create", "", "secrets", ""),
    ("create", "events.k8s.io", "events", ""),
];

pub(super) async fn check(client: &Client, namespace: &ObjectName) -> Vec<Finding> {
    let mut findings = vec![leads(client, namespace).await];
    match pods(client, namespace).await {
        Ok(pods) => {
            findings.extend(pods.iter().filter_map(ailing));
            if let Some(account) = pods.iter().find_map(|pod| pod["spec"]["serviceAccountName"].as_str()) {
                findings.push(rights(client, namespace, account).await);
            }
        }
        Err(error) => findings.push(Finding::unknown("operator's pods", &error)),
    }
    findings.push(policies(client).await);
    findings
}

/// What its Lease says.
async fn leads(client: &Client, namespace: &ObjectName) -> Finding {
    let api: Api<Lenient<Lease>> = Api::namespaced(client.clone(), namespace);
    let spec = match within(api.get(run::LEASE)).await {
        Ok(found) => found.into_result().ok().and_then(|lease| lease.spec),
        Err(cluster::Error::NotFound) => None,
        Err(error) => return Finding::unknown("operator", &error),
    };
    led(spec.as_ref(), namespace, clock::now().into())
}

fn led(lease: Option<&LeaseSpec>, namespace: &ObjectName, now: RegistryTime) -> Finding {
    let holder = lease.and_then(|lease| lease.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    let renewed = lease.and_then(|lease| lease.renew_time.as_ref()).map(|time| RegistryTime::from(time.0));
    let (Some(holder), Some(renewed)) = (holder, renewed) else {
        let says = format!(
            "no operator holds the Lease {} in the namespace {namespace}: does one run there (--cluster-resource-namespace)? One \
             without --leader-elect writes none",
            run::LEASE
        );
        return Finding::new(Level::Warning, "operator", says);
    };
    let lasts = lease.and_then(|lease| lease.lease_duration_seconds).unwrap_or_default();
    let since = age(renewed, now);
    if now.duration_since(renewed).as_secs() > 2 * i64::from(lasts) {
        let says = format!(
            "{holder} has not renewed its Lease for {since}, and nobody else leads: look at the operator's pods"
        );
        return Finding::new(Level::Problem, "operator", says);
    }
    Finding::new(Level::Ok, "operator", format!("{holder} leads, and said so {since} ago"))
}

/// As values: their type is a tenth of this program.
async fn pods(client: &Client, namespace: &ObjectName) -> Result<Vec<Value>, cluster::Error> {
    let request = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
    let request = request.list(&ListParams::default().labels(PODS)).map_err(kube::Error::BuildRequest)?;
    let mut found: Value = within(client.request(request)).await?;
    Ok(found["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

/// A pod that does not serve.
fn ailing(pod: &Value) -> Option<Finding> {
    let array = |field: &str| pod["status"][field].as_array().map(Vec::as_slice).unwrap_or_default();
    if array("conditions").iter().any(|found| found["type"] == "Ready" && found["status"] == "True") {
        return None;
    }
    let waits = array("containerStatuses").iter().map(|container| &container["state"]["waiting"]);
    let waits = waits.filter_map(|waiting| {
        Some(format!("{}: {}", waiting["reason"].as_str()?, waiting["message"].as_str().unwrap_or_default()))
    });
    let why = waits.chain(pod["status"]["phase"].as_str().map(ToOwned::to_owned)).next().unwrap_or_default();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    Some(Finding::new(
        Level::Warning,
        format!("pod {name}"),
        format!("it is not ready: {why}. kubectl logs {name} says more"),
    ))
}

/// Whether the operator's ServiceAccount may do what it has to.
async fn rights(client: &Client, namespace: &ObjectName, account: &str) -> Finding {
    let user = format!("system:serviceaccount:{namespace}:{account}");
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let mut lacks = Vec::new();
    for (verb, group, resource, subresource) in NEEDED {
        let attributes = ResourceAttributes {
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: Some(subresource.to_owned()).filter(|name| !name.is_empty()),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.clone()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        match within(api.create(&PostParams::default(), &review)).await {
            Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed) => {}
            Ok(_) => {
                let part = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
                lacks.push(format!("{verb} {resource}{part}"));
            }
            Err(error) => return Finding::unknown("operator's rights", &error),
        }
    }
    if lacks.is_empty() {
        return Finding::new(Level::Ok, "operator's rights", format!("{user} may do what it has to in all namespaces"));
    }
    let says = format!(
        "{user} may not {} in all namespaces: with --namespaces Roles there are enough, else apply the manifest's or the chart's again",
        lacks.join(", ")
    );
    Finding::new(Level::Warning, "operator's rights", says)
}

async fn policies(client: &Client) -> Finding {
    let api: Api<Lenient<PartialObjectMeta<ValidatingAdmissionPolicyBinding>>> = Api::all(client.clone());
    match within(api.list_metadata(&ListParams::default().labels(PODS))).await {
        Ok(found) if found.items.is_empty() => {
            let says = "none of the ValidatingAdmissionPolicies that this operator is shipped with is in force: whoever may edit accounts may \
                        write their status and take their finalizers off (docs/threat-model.md)";
            Finding::new(Level::Warning, "policies", says)
        }
        Ok(found) => Finding::new(Level::Ok, "policies", format!("{} are in force", found.items.len())),
        Err(error) => Finding::unknown("policies", &error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lease_tells_who_leads() {
        let namespace = ObjectName::new("harbor-robots").unwrap();
        let lease = |holder: &str| -> LeaseSpec {
            let lease = json!({"holderIdentity": holder, "renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 15});
            serde_json::from_value(lease).unwrap()
        };
        let at = |second: i64| {
            "2026-01-01T00:00:00Z".parse::<RegistryTime>().unwrap() + jiff::SignedDuration::from_secs(second)
        };
        for (lease, second, level, says) in [
            (Some(lease("a")), 3, Level::Ok, "a leads, and said so 3s ago"),
            (Some(lease("a")), 31, Level::Problem, "a has not renewed its Lease for 31s"),
            (Some(lease("")), 3, Level::Warning, "no operator holds the Lease"),
            (None, 3, Level::Warning, "does one run there"),
        ] {
            let found = led(lease.as_ref(), &namespace, at(second));
            assert_eq!(found.level, level, "{says}");
            assert!(found.says.contains(says), "{}", found.says);
        }
    }
}
