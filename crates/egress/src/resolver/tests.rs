//! A name server of a few bytes on loopback: it answers with what the test hands it, addressed to the question.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

use super::{LookupError, Resolve, SystemResolver};

const HEADER_BYTES: usize = 12;

/// Answers an `A` question with these addresses and any other with none; `cut` drops bytes off the end.
struct NameServer {
    address: SocketAddr,
    questions: Receiver<String>,
}

impl NameServer {
    fn run(addresses: Vec<Ipv4Addr>, cut: usize) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (sender, questions) = channel();
        thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut packet) {
                let (name, question) = question_of(&packet[..length]);
                let answers: &[Ipv4Addr] = if question.ends_with(&[0, 1, 0, 1]) { &addresses } else { &[] };
                let reply = reply_to(&packet[..2], question, answers);
                socket.send_to(&reply[..reply.len() - cut], client).unwrap();
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
    let server = NameServer::run(vec![Ipv4Addr::new(192, 0, 2, 7)], 0);

    let found = server.look_up("hooks.example").await.unwrap();

    assert_eq!(found, [IpAddr::from([192, 0, 2, 7])]);
    let asked: Vec<_> = server.questions.try_iter().collect();
    assert!(!asked.is_empty() && asked.iter().all(|name| name == "hooks.example."), "{asked:?}");
}

#[tokio::test]
async fn answers_beyond_the_cap_are_cut_to_one_more_than_allowed() {
    // As many as fit into a packet that needs no second try over TCP.
    let server = NameServer::run((1..=40).map(|last| Ipv4Addr::new(192, 0, 2, last)).collect(), 0);

    let found = server.look_up("many.example").await.unwrap();

    assert_eq!(found.len(), provider::target::ANSWERS_MAX + 1);
}

#[tokio::test]
async fn a_name_without_addresses_is_a_failed_lookup() {
    let server = NameServer::run(Vec::new(), 0);

    assert!(server.look_up("none.example").await.is_err());
}

#[tokio::test]
async fn a_damaged_packet_gives_no_address() {
    let server = NameServer::run(vec![Ipv4Addr::new(192, 0, 2, 7)], 3);
    let resolver = server.resolver();

    let answer = tokio::time::timeout(Duration::from_millis(200), resolver.resolve("cut.example")).await;

    assert!(!matches!(answer, Ok(Ok(_))), "{answer:?}");
}
