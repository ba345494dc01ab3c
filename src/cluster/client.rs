//! The connection to the API server.

use hyper::{Method, Request};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder, service_fn};

use crate::gate::Gate;

/// kube's client without retries, since each call has a deadline of its own that kube's 15 would outlive, and with
/// `TCP_NODELAY`: with kube's own connector the first request of each connection waits 40 ms, because the kernel keeps it
/// until the server acknowledges the end of the TLS handshake, which servers do late.
pub fn connect(mut config: Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(Http::builder(TokioExecutor::new()).build(connector));
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

/// The same client, but each request that changes something passes the gate first. The Lease itself is written past it.
pub fn behind(gate: Gate, client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (client, gate) = (client.clone(), gate.clone());
        async move {
            let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
            let answer = client.send(request);
            if reads { answer.await.map_err(BoxError::from) } else { Ok(gate.pass(answer).await??) }
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::BoxFuture;
    use hyper::Response;
    use k8s_openapi::api::core::v1::Secret;
    use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};

    use super::*;
    use crate::cluster::{Error, within};
    use crate::gate::Authority;

    struct Lost;

    impl Authority for Lost {
        fn hold(&self) -> BoxFuture<'_, Option<Duration>> {
            Box::pin(std::future::ready(None))
        }
    }

    #[tokio::test]
    async fn without_the_lead_nothing_is_changed_and_all_is_read() {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let server = service_fn(move |_: Request<Body>| {
            count.fetch_add(1, Ordering::Relaxed);
            let secret = br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}"#.to_vec();
            async move { Ok::<_, BoxError>(Response::new(Body::from(secret))) }
        });
        let secrets: Api<Secret> = Api::namespaced(behind(Gate::of(Lost), Client::new(server, "ns")), "ns");
        assert!(within(secrets.get("a")).await.is_ok());
        let secret = Secret::default();
        let refused = [
            within(secrets.create(&PostParams::default(), &secret)).await.err(),
            within(secrets.replace("a", &PostParams::default(), &secret)).await.err(),
            within(secrets.patch("a", &PatchParams::default(), &Patch::Merge(&secret))).await.err(),
            within(secrets.delete("a", &DeleteParams::default())).await.err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(Error::NotLeading)), "{error:?}");
        }
        assert_eq!(sent.load(Ordering::Relaxed), 1);
    }
}
