//! A name server of a few bytes on loopback: it answers with what the test hands it, addressed to the question.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use http::HeaderMap;
use provider::target::TargetPolicy;
use tokio::time::timeout;

use super::{LookupError, Resolve, SystemResolver};
use crate::{Egress, Failure, FailureKind, Limits, Phase, client_config};

const HEADER_BYTES: usize = 12;
/// Type A, class IN.
const A_RECORD: [u8; 4] = [0, 1, 0, 1];
/// For lookups that must not succeed.
const BRIEFLY: Duration = Duration::from_millis(200);

struct NameServer {
    address: SocketAddr,
    questions: Receiver<String>,
}

impl NameServer {
    /// Answers an `A` question with these addresses and any other with none.
    fn run(addresses: Vec<Ipv4Addr>) -> Self {
        Self::that(move |id, question| {
            let asks_for_ipv4 = question.ends_with(&A_RECORD);
            let answers: &[Ipv4Addr] = if asks_for_ipv4 { &addresses } else { &[] };
            vec![reply_to(id, question, answers)]
        })
    }

    /// Answers each question, given as its id and question section, with these packets.
    fn that(answer: impl Fn(&[u8], &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (sender, questions) = channel();
        thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut packet) {
                let (name, question) = question_of(&packet[..length]);
                for reply in answer(&packet[..2], question) {
                    socket.send_to(&reply, client).unwrap();
                }
                if sender.send(name).is_err() {
                    return;
                }
            }
        });
        Self { address, questions }
    }

    /// As `/etc/resolv.conf` would have it, with a search domain.
    fn resolver(&self) -> SystemResolver {
        let mut udp = ConnectionConfig::udp();
        udp.port = self.address.port();
        let server = NameServerConfig::new(self.address.ip(), true, vec![udp]);
        let search = vec![Name::from_ascii("corp.example.").unwrap()];
        let config = ResolverConfig::from_parts(None, search, vec![server]);
        SystemResolver::build(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())).unwrap()
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        self.resolver().resolve(name).await
    }

    /// What becomes of a request to `name` where only public addresses may be called.
    async fn failure_of_posting_to(&self, name: &str) -> Failure {
        let identity = crate::tests::Identity::of("stranger.example.com");
        let config = client_config(crate::tests::roots(&[&identity.certificate])).unwrap();
        let limits = Limits { dns: BRIEFLY, ..Limits::default() };
        let egress = Egress::with_tls(TargetPolicy::default(), limits, Arc::new(self.resolver()), config);
        let url = egress.policy().parse(&format!("http://{name}/hook")).unwrap();
        let exchange = egress.origin(&url).unwrap().post(HeaderMap::new(), Bytes::new(), Duration::from_secs(9)).await;
        assert_eq!((exchange.phases.connect, exchange.peer), (None, None), "nothing was dialled");
        exchange.result.unwrap_err()
    }
}

/// The name asked for, and the whole question section.
fn question_of(packet: &[u8]) -> (String, &[u8]) {
    let mut at = HEADER_BYTES;
    let mut name = String::new();
    while packet[at] != 0 {
        let label = &packet[at + 1..=at + usize::from(packet[at])];
        name += &String::from_utf8_lossy(label).to_lowercase();
        name.push('.');
        at += 1 + label.len();
    }
    (name, &packet[HEADER_BYTES..at + 5])
}

fn reply_to(id: &[u8], question: &[u8], answers: &[Ipv4Addr]) -> Vec<u8> {
    let mut reply = id.to_vec();
    let count = u16::try_from(answers.len()).unwrap().to_be_bytes();
    // Answer to a recursive question, without error; one question, so many answers (RFC 1035, section 4.1).
    reply.extend([0x81, 0x80, 0, 1, count[0], count[1], 0, 0, 0, 0]);
    reply.extend(question);
    for answer in answers {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(answer.octets());
    }
    reply
}

#[tokio::test]
async fn a_name_is_asked_for_as_it_stands_without_search_domains() {
    let server = NameServer::run(vec![Ipv4Addr::new(192, 0, 2, 7)]);

    let found = server.look_up("hooks.example").await.unwrap();

    assert_eq!(found, [IpAddr::from([192, 0, 2, 7])]);
    let asked: Vec<_> = server.questions.try_iter().collect();
    assert!(!asked.is_empty() && asked.iter().all(|name| name == "hooks.example."), "{asked:?}");
}

#[tokio::test]
async fn answers_beyond_the_cap_are_cut_to_one_more_than_allowed() {
    // As many as fit into a packet that needs no second try over TCP.
    let server = NameServer::run((1..=40).map(|last| Ipv4Addr::new(192, 0, 2, last)).collect());

    let found = server.look_up("many.example").await.unwrap();

    assert_eq!(found.len(), provider::target::ANSWERS_MAX + 1);
}

#[tokio::test]
async fn a_name_without_addresses_is_a_failed_lookup() {
    let server = NameServer::run(Vec::new());

    assert!(server.look_up("none.example").await.is_err());
}

#[tokio::test]
async fn a_damaged_packet_gives_no_address() {
    let private = [Ipv4Addr::new(10, 0, 0, 1)];
    let damages: [fn(Vec<u8>) -> Vec<u8>; 6] = [
        |reply| reply[..reply.len() - 3].to_vec(),
        |reply| reply[..5].to_vec(),
        |_| Vec::new(),
        // More answers are announced than there are.
        |reply| [&reply[..6], &[0xff, 0xff], &reply[8..]].concat(),
        // The name of the answer points to itself (RFC 1035, section 4.1.4).
        |mut reply| {
            let answer_at = reply.len() - 16;
            reply[answer_at + 1] = answer_at as u8;
            reply
        },
        // Somebody else's answer: another id.
        |mut reply| {
            reply[0] = !reply[0];
            reply
        },
    ];
    for damage in damages {
        let server = NameServer::that(move |id, question| vec![damage(reply_to(id, question, &private))]);
        let resolver = server.resolver();

        let answer = timeout(BRIEFLY, resolver.resolve("cut.example")).await;

        assert!(!matches!(answer, Ok(Ok(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_not_used() {
    // The flag says that there is more over TCP, where nobody listens.
    let server = NameServer::that(|id, question| {
        let mut reply = reply_to(id, question, &[Ipv4Addr::new(192, 0, 2, 7)]);
        reply[2] |= 0x02;
        vec![reply]
    });
    let resolver = server.resolver();

    let answer = timeout(BRIEFLY, resolver.resolve("truncated.example")).await;

    assert!(!matches!(answer, Ok(Ok(_))), "{answer:?}");
}

#[tokio::test]
async fn an_alias_of_a_private_address_is_refused() {
    let server = NameServer::that(|id, question| {
        let mut reply = reply_to(id, question, &[]);
        let alias_of: &[u8] = b"\x08internal\x07example\x00";
        // The alias at the question's name, and where it leads: the alias' data begin 12 bytes behind the question.
        let target_at = HEADER_BYTES + question.len() + 12;
        reply.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 0, 0, alias_of.len() as u8]);
        reply.extend(alias_of);
        reply[7] = 1;
        if question.ends_with(&A_RECORD) {
            reply.extend([0xc0 | (target_at >> 8) as u8, target_at as u8, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1]);
            reply[7] = 2;
        }
        vec![reply]
    });

    let failure = server.failure_of_posting_to("alias.example").await;

    assert_eq!((failure.kind, failure.detail.as_str()), (FailureKind::InvalidTarget, "10.0.0.1 is private (RFC 1918)"));
}

#[tokio::test]
async fn an_address_that_a_dns64_network_makes_of_a_private_one_is_refused() {
    let server = NameServer::that(|id, question| {
        let mut reply = reply_to(id, question, &[]);
        if !question.ends_with(&A_RECORD) {
            let address: Ipv6Addr = "64:ff9b::10.0.0.1".parse().unwrap();
            reply.extend([0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 0, 0, 16]);
            reply.extend(address.octets());
            reply[7] = 1;
        }
        vec![reply]
    });

    assert_eq!(server.failure_of_posting_to("dns64.example").await.kind, FailureKind::InvalidTarget);
}

#[tokio::test]
async fn a_name_server_that_fails_is_quiet_or_gives_a_thousand_answers_leads_nowhere() {
    let fails = NameServer::that(|id, question| {
        let mut reply = reply_to(id, question, &[]);
        reply[3] |= 2;
        vec![reply]
    });
    assert_eq!(fails.failure_of_posting_to("fails.example").await.kind, FailureKind::Dns);
    let is_quiet = NameServer::that(|_, _| Vec::new());
    assert_eq!(is_quiet.failure_of_posting_to("quiet.example").await.kind, FailureKind::Timeout(Phase::Dns));
    let many = NameServer::run((0..1_000_u32).map(|n| Ipv4Addr::from_bits(0x0808_0000 + n)).collect());
    // More than a packet takes: cut off on its way, or refused as too many.
    let refused = many.failure_of_posting_to("many.example").await;
    let is_no_answer = matches!(refused.kind, FailureKind::Dns | FailureKind::Timeout(Phase::Dns));
    assert!(is_no_answer || refused.kind == FailureKind::InvalidTarget, "{}", refused.detail);
}
