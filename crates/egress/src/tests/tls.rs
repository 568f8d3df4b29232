use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::world::{OK, Receiver, ScriptedNames, Visit, allowing, origin_of, patient, post, roots};
use crate::{Egress, Exchange, Failure, FailureKind, Limits, Phase, client_config};

/// A self-signed certificate and its key.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    pub(super) fn of(name: &str) -> Self {
        Self::made(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    fn expired(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        Self::made(params)
    }

    fn made(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().to_vec(), key: key.serialize_der() }
    }

    fn server_config(&self) -> ServerConfig {
        let certificate = CertificateDer::from(self.certificate.clone());
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(self.key.clone()).into())
            .unwrap()
    }
}

/// What a TLS receiver saw: the name asked for, the protocol agreed on.
type Seen = (Option<String>, Option<Vec<u8>>);

/// Answers over TLS; reports only connections on which a request arrived.
fn tls_receiver(identity: &Identity) -> (Receiver, UnboundedReceiver<Seen>) {
    let (sender, seen) = unbounded_channel();
    let mut config = identity.server_config();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let receiver = Receiver::run(move |visit: Visit| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, visit.stream);
        let mut request = [0; 4096];
        while stream.read(&mut request).is_ok_and(|count| count > 0) {
            let name = stream.conn.server_name().map(str::to_owned);
            sender.send((name, stream.conn.alpn_protocol().map(<[u8]>::to_vec))).unwrap();
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    (receiver, seen)
}

fn egress_trusting(identity: &Identity, limits: Limits) -> Egress {
    let names = ScriptedNames::new(&[Ok(&["127.0.0.1"]), Ok(&["127.0.0.1"])]);
    let config = client_config(roots(&[&identity.certificate])).unwrap();
    Egress::with_tls(allowing(&["127.0.0.0/8"]), limits, names, config)
}

async fn post_by_name(egress: &Egress, receiver: &Receiver) -> Exchange {
    let url = format!("https://hooks.example.com:{}/", receiver.address.port());
    post(&origin_of(egress, &url)).await
}

async fn refusal(identity: &Identity, receiver: &Receiver) -> Failure {
    post_by_name(&egress_trusting(identity, patient()), receiver).await.result.unwrap_err()
}

#[tokio::test]
async fn a_trusted_receiver_is_answered_over_tls_with_http_1_1_and_the_urls_name() {
    let identity = Identity::of("hooks.example.com");
    let (receiver, mut seen) = tls_receiver(&identity);

    let exchange = post_by_name(&egress_trusting(&identity, patient()), &receiver).await;

    assert_eq!(exchange.result.unwrap().status, 200);
    assert!(exchange.phases.tls.is_some());
    assert_eq!(seen.recv().await, Some((Some("hooks.example.com".to_owned()), Some(b"http/1.1".to_vec()))));
}

#[tokio::test]
async fn a_tls_connection_is_used_again() {
    let identity = Identity::of("hooks.example.com");
    let (receiver, _seen) = tls_receiver(&identity);
    let egress = egress_trusting(&identity, patient());
    let origin = origin_of(&egress, &format!("https://hooks.example.com:{}/", receiver.address.port()));

    assert!(post(&origin).await.result.is_ok());
    let second = post(&origin).await;

    assert!(second.result.is_ok() && second.phases.reused && second.phases.tls.is_none());
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn a_certificate_may_name_an_address() {
    let identity = Identity::of("127.0.0.1");
    let (receiver, mut seen) = tls_receiver(&identity);
    let egress = egress_trusting(&identity, patient());

    let exchange = post(&origin_of(&egress, &format!("https://{}/", receiver.address))).await;

    assert_eq!(exchange.result.unwrap().status, 200);
    assert_eq!(seen.recv().await.unwrap().0, None, "an address is not sent as a server name");
}

#[tokio::test]
async fn nothing_is_sent_to_a_receiver_with_a_wrong_certificate() {
    let trusted = Identity::of("hooks.example.com");
    let wrong_name = Identity::of("elsewhere.example.com");
    let expired = Identity::expired("hooks.example.com");
    for (trusting, presented) in
        [(&trusted, &Identity::of("hooks.example.com")), (&wrong_name, &wrong_name), (&expired, &expired)]
    {
        let (receiver, mut seen) = tls_receiver(presented);

        let failure = refusal(trusting, &receiver).await;

        assert_eq!((failure.kind, failure.code()), (FailureKind::Tls, "E_TLS"), "{}", failure.detail);
        assert!(seen.try_recv().is_err());
        assert_eq!(receiver.accepted(), 1);
    }
}

#[tokio::test]
async fn the_operating_systems_authorities_do_not_vouch_for_a_self_signed_certificate() {
    let (receiver, mut seen) = tls_receiver(&Identity::of("hooks.example.com"));
    let names = ScriptedNames::new(&[Ok(&["127.0.0.1"])]);
    // Without any authorities on this machine the process must not start at all.
    let Ok(egress) = Egress::new(allowing(&["127.0.0.0/8"]), patient(), names) else { return };

    let failure = post_by_name(&egress, &receiver).await.result.unwrap_err();

    assert_eq!(failure.kind, FailureKind::Tls);
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn what_answers_a_handshake_with_something_else_is_refused() {
    let identity = Identity::of("hooks.example.com");
    let old_tls_alert: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];
    for answer in [OK.as_bytes(), old_tls_alert, b""] {
        let receiver = Receiver::run(move |mut visit| {
            visit.stream.read_exact(&mut [0; 64]).unwrap();
            visit.write(answer);
        });

        assert_eq!(refusal(&identity, &receiver).await.kind, FailureKind::Tls);
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_left_at_its_own_limit() {
    let receiver = Receiver::run(|mut visit| visit.wait_for_close());
    let limits = Limits { tls: Duration::from_millis(50), ..patient() };
    let egress = egress_trusting(&Identity::of("hooks.example.com"), limits);

    let exchange = post_by_name(&egress, &receiver).await;

    assert_eq!(exchange.result.unwrap_err().kind, FailureKind::Timeout(Phase::Tls));
    assert!(exchange.phases.connect.is_some() && exchange.phases.tls.is_none());
}
