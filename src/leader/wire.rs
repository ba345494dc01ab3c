//! A Lease as it is read: times that cannot be read are left out, since nothing is decided by them.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::decode::Raw;

/// Whoever may edit the Lease could else end every candidate by a date that no client holds.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct ReadLease(pub(super) Lease);

impl<'de> Deserialize<'de> for ReadLease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Raw(mut lease) = Raw::deserialize(deserializer)?;
        if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
            let readable = |time: &Value| time.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok());
            spec.retain(|name, value| !matches!(name.as_str(), "acquireTime" | "renewTime") || readable(value));
        }
        Lease::deserialize(lease).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Resource for ReadLease {
    type DynamicType = <Lease as Resource>::DynamicType;
    type Scope = <Lease as Resource>::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        <Lease as Resource>::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        <Lease as Resource>::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        <Lease as Resource>::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        <Lease as Resource>::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_date_that_nobody_can_hold_costs_the_date_only() {
        let odd = "9999-12-31T23:59:59.000000Z";
        let lease = json!({
            "metadata": {"name": "l", "resourceVersion": "7", "managedFields": [{"manager": "m", "time": odd}]},
            "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": odd, "acquireTime": "2026-01-01T00:00:00.000000Z"},
        });
        assert!(serde_json::from_value::<Lease>(lease.clone()).is_err(), "else this test shows nothing");
        let ReadLease(lease) = serde_json::from_value(lease).unwrap();
        let spec = lease.spec.unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some("other"));
        assert!(spec.renew_time.is_none() && spec.acquire_time.is_some());
    }
}
