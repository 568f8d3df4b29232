//! Makes a new connection: look up, vet, connect to exactly a vetted address, TLS. The only place of the process
//! that opens a socket for an outgoing request.

use std::net::{IpAddr, SocketAddr};

use provider::target::{Host, TargetUrl};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::Egress;
use crate::exchange::Progress;
use crate::failure::{Failure, FailureKind, Phase, with_causes};
use crate::limits::CONNECT_TRIES_MAX;
use crate::link::Link;
use crate::stream::Transport;

/// Dials `url`, vetting anew each time: what was public at registration may be private now.
pub(crate) async fn dial(
    egress: &Egress,
    url: &TargetUrl,
    server_name: Option<&ServerName<'static>>,
    progress: &mut Progress,
) -> Result<Link, Failure> {
    let addresses = look_up(egress, url, progress).await?;
    let vetted = egress.policy().vet(&addresses, url.port())?;

    progress.phase = Phase::Connect;
    let started = Instant::now();
    let stream = connect(egress, vetted).await?;
    let peer = stream.peer_addr().map_err(|error| Failure::new(FailureKind::Connect, error.to_string()))?;
    progress.peer = Some(peer);
    progress.phases.connect = Some(started.elapsed());

    let transport = match server_name {
        None => Transport::Plain(stream),
        Some(name) => {
            progress.phase = Phase::Tls;
            let started = Instant::now();
            let transport = shake_hands(egress, name.clone(), stream).await?;
            progress.phases.tls = Some(started.elapsed());
            transport
        }
    };
    Link::open(transport, peer).await
}

async fn look_up(egress: &Egress, url: &TargetUrl, progress: &mut Progress) -> Result<Vec<IpAddr>, Failure> {
    let name = match url.host() {
        Host::Address(address) => return Ok(vec![address]),
        Host::Localhost => return Ok(egress.policy().loopback(url.port())),
        Host::Name(name) => name,
    };
    progress.phase = Phase::Dns;
    let started = Instant::now();
    let answer = timeout(egress.limits().dns, egress.0.resolver.resolve(name)).await;
    progress.phases.dns = Some(started.elapsed());
    match answer {
        Err(_) => Err(Failure::timeout(Phase::Dns, egress.limits().dns)),
        Ok(Err(error)) => Err(Failure::new(FailureKind::Dns, with_causes(&*error))),
        Ok(Ok(addresses)) if addresses.is_empty() => Err(Failure::new(FailureKind::Dns, "the name has no address")),
        Ok(Ok(addresses)) => Ok(addresses),
    }
}

/// Tries the addresses one after the other, IPv4 first: a broken IPv6 route often swallows packets, while a missing
/// IPv4 route fails at once. Each gets an equal share of the time left.
async fn connect(egress: &Egress, mut vetted: Vec<SocketAddr>) -> Result<TcpStream, Failure> {
    vetted.sort_by_key(SocketAddr::is_ipv6);
    vetted.truncate(CONNECT_TRIES_MAX);
    let deadline = Instant::now() + egress.limits().connect;
    let mut failure = Failure::timeout(Phase::Connect, egress.limits().connect);
    let mut tries_left = u32::try_from(vetted.len()).unwrap_or(u32::MAX);
    for address in vetted {
        let share = deadline.saturating_duration_since(Instant::now()) / tries_left;
        tries_left -= 1;
        failure = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return prepare(stream, address),
            Ok(Err(error)) => Failure::of_connecting(&error, format!("{address}: {error}")),
            Err(_) => Failure::timeout(Phase::Connect, egress.limits().connect),
        };
    }
    Err(failure)
}

fn prepare(stream: TcpStream, vetted: SocketAddr) -> Result<TcpStream, Failure> {
    let failed = |error: std::io::Error| Failure::new(FailureKind::Connect, format!("{vetted}: {error}"));
    let peer = stream.peer_addr().map_err(failed)?;
    if (peer.ip(), peer.port()) != (vetted.ip(), vetted.port()) {
        return Err(Failure::new(FailureKind::InvalidTarget, format!("dialled {vetted} but reached {peer}")));
    }
    // Requests are written whole; waiting to merge small packets would only delay them.
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

async fn shake_hands(egress: &Egress, name: ServerName<'static>, stream: TcpStream) -> Result<Transport, Failure> {
    match timeout(egress.limits().tls, egress.0.tls.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(stream))),
        Ok(Err(error)) => Err(Failure::of_handshake(&error)),
        Err(_) => Err(Failure::timeout(Phase::Tls, egress.limits().tls)),
    }
}
