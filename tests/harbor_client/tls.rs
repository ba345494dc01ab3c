//! HTTPS with trusted, unknown, foreign and expired certificates.

use std::sync::Arc;

use harbor_robot_operator::registry::Error;
use harbor_robot_operator::registry::harbor::Client;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::stub::{Stub, answer};
use super::{config, install_crypto};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A server that shows a certificate of ours for `host`.
    async fn server(&self, host: &str, expired: bool, versions: &[&'static rustls::SupportedProtocolVersion]) -> Stub {
        install_crypto();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let config = ServerConfig::builder_with_protocol_versions(versions)
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let robot = super::row(7, "library", "ci").to_string();
        Stub::with_tls(Some(TlsAcceptor::from(Arc::new(config))), move |_| answer(200, &[], &robot)).await
    }
}

async fn ask(stub: &Stub, roots: Option<Vec<u8>>) -> Result<bool, Error> {
    let mut config = config(&format!("https://localhost:{}", stub.address.port()));
    config.roots = roots;
    Client::new(config).unwrap().get(7).await.map(|robot| robot.is_some())
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_trusted_by_tls_1_2_and_1_3() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stub = authority.server("localhost", false, &[version]).await;
        assert_eq!(ask(&stub, Some(authority.pem())).await, Ok(true));
    }
}

#[tokio::test]
async fn a_given_authority_replaces_the_systems_and_another_one_is_not_trusted() {
    let stub = Authority::new().server("localhost", false, rustls::ALL_VERSIONS).await;
    let refused = Err(Error::Unreachable("certificate not trusted"));
    assert_eq!(ask(&stub, Some(Authority::new().pem())).await, refused);
    assert!(stub.seen().is_empty(), "no login goes to a stranger");
}

#[tokio::test]
async fn the_system_does_not_trust_an_unknown_authority() {
    let stub = Authority::new().server("localhost", false, rustls::ALL_VERSIONS).await;
    assert_eq!(ask(&stub, None).await, Err(Error::Unreachable("certificate not trusted")));
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let stub = authority.server("elsewhere.example", false, rustls::ALL_VERSIONS).await;
    let refused = Err(Error::Unreachable("certificate is for another host"));
    assert_eq!(ask(&stub, Some(authority.pem())).await, refused);
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let stub = authority.server("localhost", true, rustls::ALL_VERSIONS).await;
    assert_eq!(ask(&stub, Some(authority.pem())).await, Err(Error::Unreachable("certificate expired")));
}

#[tokio::test]
async fn a_server_without_tls_gets_no_login_by_https() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(&format!("https://{}", listener.local_addr().unwrap()));
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 2048];
        let read = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        hello[..read].to_vec()
    };
    let client = Client::new(config).unwrap();
    let (hello, refused) = tokio::join!(server, client.get(7));
    assert_eq!(refused, Err(Error::Unreachable("TLS handshake failed")));
    assert_eq!(hello[0], 22, "a TLS handshake record and nothing else");
}
