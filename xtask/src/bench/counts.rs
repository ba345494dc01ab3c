//! What the API server was asked for, from its own metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

/// Counts that do not change for this long are final.
const QUIET: Duration = Duration::from_secs(2);

/// Requests by verb, resource and subresource, like `POST secrets`.
pub(crate) type Counts = BTreeMap<String, f64>;

/// Reads `apiserver_request_total`.
pub(crate) async fn read(client: &kube::Client) -> Result<Counts> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    Ok(parse(&client.request_text(request).await?))
}

/// The same once they stand still: what goes on beside the passes (events) is counted, too.
pub(crate) async fn settled(client: &kube::Client) -> Result<Counts> {
    let ours = |counts: &Counts| -> f64 {
        counts.iter().filter(|(key, _)| is_write(key) && is_about_accounts(key)).map(|(_, count)| count).sum()
    };
    let mut last = read(client).await?;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = read(client).await?;
        if (ours(&now) - ours(&last)).abs() < 0.5 {
            return Ok(now);
        }
        last = now;
    }
}

/// Requests between two readings, those that did not change left out.
pub(crate) fn difference(before: &Counts, after: &Counts) -> Counts {
    after
        .iter()
        .map(|(key, count)| (key.clone(), count - before.get(key).copied().unwrap_or_default()))
        .filter(|(_, count)| *count > 0.0)
        .collect()
}

/// Whether a key of [`Counts`] changes something.
pub(crate) fn is_write(key: &str) -> bool {
    ["POST ", "PUT ", "PATCH ", "APPLY ", "DELETE "].iter().any(|verb| key.starts_with(verb))
}

/// Whether a key of [`Counts`] reads one object or a list.
pub(crate) fn is_read(key: &str) -> bool {
    (key.starts_with("GET ") || key.starts_with("LIST ")) && is_about_accounts(key)
}

/// Whether a key of [`Counts`] is about something that the operator reads or writes for an account.
pub(crate) fn is_about_accounts(key: &str) -> bool {
    let resource = key.split([' ', '/']).nth(1).unwrap_or_default();
    let kinds = ["robotaccounts", "systemrobotaccounts", "clusterharborregistries"];
    kinds.contains(&resource) || ["secrets", "serviceaccounts", "events"].contains(&resource)
}

fn parse(metrics: &str) -> Counts {
    let mut counts = Counts::new();
    for line in metrics.lines() {
        let Some(rest) = line.strip_prefix("apiserver_request_total{") else { continue };
        let Some((labels, value)) = rest.rsplit_once("} ") else { continue };
        let label = |name: &str| {
            let start = labels.find(&format!("{name}=\"")).map(|at| at + name.len() + 2)?;
            labels[start..].split('"').next()
        };
        let resource = label("resource").unwrap_or_default();
        let key = match label("subresource") {
            Some(sub) if !sub.is_empty() => format!("{} {resource}/{sub}", label("verb").unwrap_or_default()),
            _ => format!("{} {resource}", label("verb").unwrap_or_default()),
        };
        *counts.entry(key).or_default() += value.parse::<f64>().unwrap_or_default();
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_summed_over_all_but_verb_resource_and_subresource() {
        let metrics = "\
# HELP apiserver_request_total x
apiserver_request_total{code=\"201\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"secrets\",scope=\"resource\",subresource=\"\",verb=\"POST\",version=\"v1\"} 3
apiserver_request_total{code=\"409\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"secrets\",scope=\"resource\",subresource=\"\",verb=\"POST\",version=\"v1\"} 1
apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"g\",resource=\"robotaccounts\",scope=\"resource\",subresource=\"status\",verb=\"PATCH\",version=\"v1alpha1\"} 5
";
        let counts = parse(metrics);
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["PATCH robotaccounts/status", "POST secrets"]);
        assert!((counts["POST secrets"] - 4.0).abs() < f64::EPSILON);
    }
}
