use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::world::{OK, Receiver, ScriptedNames, Visit, allowing, origin_of, patient, post, roots};
use crate::{Egress, Exchange, Failure, FailureKind, Limits, Phase, client_config};

/// A self-signed certificate and its key.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    pub(crate) fn of(name: &str) -> Self {
        Self::made(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    fn expired(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        Self::made(params)
    }

    fn of_the_future(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2999, 1, 1);
        Self::made(params)
    }

    fn made(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().to_vec(), key: key.serialize_der() }
    }

    fn server_config(&self) -> ServerConfig {
        self.server_config_asking(WebPkiClientVerifier::no_client_auth())
    }

    fn server_config_asking(&self, verifier: Arc<dyn ClientCertVerifier>) -> ServerConfig {
        let certificate = CertificateDer::from(self.certificate.clone());
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
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
    let early = Identity::of_the_future("hooks.example.com");
    for (trusting, presented, words) in [
        (&trusted, &Identity::of("hooks.example.com"), "the certificate is not valid"),
        (&wrong_name, &wrong_name, "the certificate names another host"),
        (&expired, &expired, "the certificate has expired; renew it"),
        (&early, &early, "the certificate is not valid yet; check its dates"),
    ] {
        let (receiver, mut seen) = tls_receiver(presented);

        let failure = refusal(trusting, &receiver).await;

        assert_eq!((failure.kind, failure.code()), (FailureKind::Tls, "E_TLS"), "{}", failure.detail);
        assert!(failure.to_string().starts_with(words), "{failure}");
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
    assert!(failure.to_string().starts_with("the certificate's issuer is not trusted"), "{failure}");
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn what_answers_a_handshake_with_something_else_is_refused() {
    let identity = Identity::of("hooks.example.com");
    let no_common = "the receiver and Fanfare have no TLS version and cipher in common; it needs TLS 1.2 or 1.3";
    let alert = |description| [0x15, 3, 1, 0, 2, 2, description].to_vec();
    for (answer, words) in [
        (OK.as_bytes().to_vec(), "the receiver does not answer with TLS; check the port and https://"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "the receiver does not answer with TLS; check the port and https://"),
        (Vec::new(), "the receiver closed the connection during the TLS handshake"),
        (old_server_hello(1), no_common),
        (old_server_hello(2), no_common),
        (alert(70), no_common),
        (alert(40), no_common),
        (alert(112), "the receiver has no certificate for this host name"),
        (alert(80), "the receiver broke off the TLS handshake"),
    ] {
        let receiver = Receiver::run(move |mut visit| {
            read_hello(&mut visit);
            visit.write(&answer);
        });

        let failure = refusal(&identity, &receiver).await;

        assert_eq!((failure.kind, failure.to_string().as_str()), (FailureKind::Tls, words), "{}", failure.detail);
    }
}

/// The whole ClientHello, so that closing afterwards is no reset.
fn read_hello(visit: &mut Visit) {
    let mut head = [0; 5];
    visit.stream.read_exact(&mut head).unwrap();
    let length = u16::from_be_bytes([head[3], head[4]]);
    visit.stream.read_exact(&mut vec![0; usize::from(length)]).unwrap();
}

/// How a server begins that knows only TLS 1.0 (`minor` 1) or 1.1 (2); RFC 4346, section 7.4.1.3.
fn old_server_hello(minor: u8) -> Vec<u8> {
    let session_and_cipher = [0, 0xc0, 0x13, 0];
    let hello = [&[3, minor][..], &[7; 32], &session_and_cipher].concat();
    let handshake = [&[2, 0, 0, hello.len() as u8][..], &hello].concat();
    [&[0x16, 3, minor, 0, handshake.len() as u8][..], &handshake].concat()
}

#[tokio::test]
async fn a_handshake_cut_off_midway_is_refused() {
    let identity = Identity::of("hooks.example.com");
    let internal_error: &[u8] = &[0x15, 3, 3, 0, 2, 2, 80];
    for (kept, then) in [(1, &[][..]), (60, &[]), (300, &[]), (usize::MAX, internal_error), (usize::MAX, &[])] {
        let config = Arc::new(identity.server_config());
        let receiver = Receiver::run(move |mut visit: Visit| {
            let mut server = ServerConnection::new(config.clone()).unwrap();
            server.read_tls(&mut visit.stream).unwrap();
            server.process_new_packets().unwrap();
            let mut flight = Vec::new();
            server.write_tls(&mut flight).unwrap();
            // All of it is not the whole: without the last byte no handshake is complete.
            flight.truncate(kept.min(flight.len() - 1));
            visit.write(&flight);
            visit.write(then);
        });

        let failure = refusal(&identity, &receiver).await;

        assert_eq!(failure.kind, FailureKind::Tls, "after {kept} bytes: {}", failure.detail);
    }
}

#[tokio::test]
async fn a_receiver_that_wants_a_certificate_of_ours_gets_none() {
    let identity = Identity::of("hooks.example.com");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let callers = Arc::new(roots(&[&Identity::of("caller.example.com").certificate]));
    let verifier = WebPkiClientVerifier::builder_with_provider(callers, provider).build().unwrap();
    let config = Arc::new(identity.server_config_asking(verifier));
    let receiver = Receiver::run(move |visit: Visit| {
        let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), visit.stream);
        let _ = stream.read(&mut [0; 64]);
        stream.conn.send_close_notify();
    });

    let failure = refusal(&identity, &receiver).await;

    // With TLS 1.3 it says so only after we may have sent the request.
    assert_eq!(failure.kind, FailureKind::ConnectionLost, "{}", failure.detail);
    assert_eq!(failure.to_string(), "the receiver broke off the TLS session after the handshake");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_left_at_its_own_limit() {
    let silent = Receiver::run(|mut visit| visit.wait_for_close());
    let dripping = Receiver::run(|mut visit| {
        read_hello(&mut visit);
        // The head of a record of 16 KiB, and its contents byte by byte.
        visit.write(&[0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc]);
        visit.drip(3);
    });
    for receiver in [silent, dripping] {
        let limits = Limits { tls: Duration::from_millis(50), ..patient() };
        let egress = egress_trusting(&Identity::of("hooks.example.com"), limits);

        let exchange = post_by_name(&egress, &receiver).await;

        let failure = exchange.result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout(Phase::Tls));
        assert_eq!(failure.to_string(), "the TLS handshake did not end within 0.05 s");
        assert!(exchange.phases.connect.is_some() && exchange.phases.tls.is_none());
    }
}
