//! A name server with bad intentions: one question in, the scripted answer out (RFC 1035).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::UdpSocket;

use super::HERE;

/// The one name that may be called.
pub(crate) const ALLOWED: &str = "control.example.com";
/// May be called, too, and then points to a forbidden address.
pub(crate) const REDIRECTING: &str = "redirecting.example.com";
/// The first answer is public, and so is the connection made with it; all others are forbidden.
pub(crate) const REBINDING: &str = "rebinding.example.com";

/// Names that must never lead to a connection.
pub(crate) const FORBIDDEN: [&str; 17] = [
    "private.example.com",
    "loopback.example.com",
    "metadata.example.com",
    "azure.example.com",
    "own.example.com",
    "mixed.example.com",
    "mixed-families.example.com",
    "mapped.example.com",
    "nat64.example.com",
    "alias.example.com",
    "error-then-private.example.com",
    "127.0.0.1.nip.example.com",
    REBINDING,
    "thousand.example.com",
    "truncated.example.com",
    "garbage.example.com",
    "silent.example.com",
];

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SERVER_FAILURE: u8 = 2;

/// Answers until the process ends.
pub(crate) async fn serve(address: Ipv4Addr) {
    let socket = UdpSocket::bind((address, 53)).await.unwrap();
    let mut asked: HashMap<String, usize> = HashMap::new();
    let mut packet = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut packet).await.unwrap();
        let Some((name, kind, end)) = question(&packet[..length]) else { continue };
        let times = asked.entry(format!("{name} {kind}")).or_default();
        *times += 1;
        let mut answer = answer(&packet[..end], &name, kind, *times, address);
        match name.split('.').next() {
            Some("silent") => continue,
            Some("garbage") => answer.truncate(answer.len() - 3),
            Some("truncated") => answer[2] |= 0x02,
            _ => {}
        }
        let _ = socket.send_to(&answer, from).await;
    }
}

/// The name asked for, the type, and where the question ends.
fn question(packet: &[u8]) -> Option<(String, u16, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]);
    Some((labels.join("."), kind, at + 4))
}

fn addresses(name: &str, times: usize, control: Ipv4Addr) -> Result<Vec<IpAddr>, u8> {
    let four = |text: &str| vec![IpAddr::V4(text.parse().unwrap())];
    let six = |text: &str| vec![IpAddr::V6(text.parse::<Ipv6Addr>().unwrap())];
    let public = vec![IpAddr::V4(control)];
    Ok(match name.strip_suffix(".example.com").unwrap_or_default() {
        "control" | "redirecting" => public,
        "rebinding" if times == 1 => public,
        "private" => four("10.0.0.1"),
        "rebinding" | "truncated" | "garbage" => four("127.0.0.1"),
        "thousand" => (0..1_000).map(|n| IpAddr::V4(Ipv4Addr::from_bits(0x7f00_0001 + n))).collect(),
        "loopback" | "127.0.0.1.nip" => four("127.0.0.1"),
        "metadata" => four("169.254.169.254"),
        "azure" => four("168.63.129.16"),
        "own" => vec![IpAddr::V4(HERE)],
        "mixed" => [public, four("127.0.0.1")].concat(),
        "mixed-families" => [public, six("fd00:ec2::254")].concat(),
        "mapped" => six("::ffff:127.0.0.1"),
        "nat64" => six("64:ff9b::7f00:1"),
        "alias" => four("192.168.0.1"),
        "error-then-private" if times == 1 => return Err(SERVER_FAILURE),
        "error-then-private" => four("127.0.0.1"),
        _ => Vec::new(),
    })
}

fn answer(question: &[u8], name: &str, kind: u16, times: usize, control: Ipv4Addr) -> Vec<u8> {
    let (found, failure) = match addresses(name, times, control) {
        Ok(found) => (found, 0),
        Err(failure) => (Vec::new(), failure),
    };
    let mut records = Vec::new();
    if name.starts_with("alias.") {
        let target: Vec<u8> = ["private", "example", "com"]
            .iter()
            .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
            .chain([0])
            .collect();
        records.push((CNAME, target));
    }
    for address in found {
        match address {
            IpAddr::V4(four) if kind == A => records.push((A, four.octets().to_vec())),
            IpAddr::V6(six) if kind == AAAA => records.push((AAAA, six.octets().to_vec())),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }
    let mut packet = question.to_vec();
    // An authoritative response, with the question as it was and no further sections.
    packet[2] = 0x84 | (question[2] & 1);
    packet[3] = 0x80 | failure;
    packet[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    packet[8..12].fill(0);
    for (kind, data) in records {
        // A pointer to the question's name, class IN, a time to live of nothing.
        packet.extend([0xc0, 12]);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 0]);
        packet.extend((data.len() as u16).to_be_bytes());
        packet.extend(data);
    }
    packet
}
