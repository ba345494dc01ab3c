//! A Lease as it is read: times that cannot be read are left out, since nothing is decided by them.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::decode::Raw;

/// Whoever may edit the Lease could else end every candidate by a date that no client holds.
#[derive(Clone, Debug, Default, Resource, Serialize)]
#[resource(inherit = "Lease")]
#[serde(into = "Lease")]
pub(super) struct ReadLease {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: Option<LeaseSpec>,
}

impl From<ReadLease> for Lease {
    fn from(ReadLease { metadata, spec }: ReadLease) -> Self {
        Self { metadata, spec }
    }
}

impl<'de> Deserialize<'de> for ReadLease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Raw(mut lease) = Raw::deserialize(deserializer)?;
        if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
            let readable = |time: &Value| time.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok());
            spec.retain(|name, value| !matches!(name.as_str(), "acquireTime" | "renewTime") || readable(value));
        }
        let Lease { metadata, spec } = Lease::deserialize(lease).map_err(serde::de::Error::custom)?;
        Ok(Self { metadata, spec })
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
        let spec = serde_json::from_value::<ReadLease>(lease).unwrap().spec.unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some("other"));
        assert!(spec.renew_time.is_none() && spec.acquire_time.is_some());
    }
}
