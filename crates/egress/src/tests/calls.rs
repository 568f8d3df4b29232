use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc::unbounded_channel;

use super::world::{OK, Receiver, ScriptedNames, egress, origin, origin_of, patient};
use crate::{Call, FailureKind, Method};

const PATIENCE: Duration = Duration::from_secs(9);

fn call(method: Method, body: &'static [u8]) -> Call {
    Call { method, url: None, headers: HeaderMap::new(), body: Bytes::from_static(body) }
}

#[tokio::test]
async fn each_method_leaves_as_it_is_and_over_one_connection() {
    let (sender, mut requests) = unbounded_channel();
    let receiver = Receiver::run(move |mut visit| {
        while let Some(request) = visit.read_request() {
            sender.send(request).unwrap();
            visit.write(OK.as_bytes());
        }
    });
    let origin = origin(&receiver, patient());

    for method in [Method::Post, Method::Put, Method::Patch, Method::Delete] {
        let exchange = origin.send(call(method, b"hello"), PATIENCE).await;

        assert_eq!(exchange.result.unwrap().status, 200, "{method}");
        let request = requests.recv().await.unwrap();
        assert!(request.starts_with(&format!("{method} /hook?a=b HTTP/1.1\r\n")), "{request}");
        assert!(request.contains("content-length: 5\r\n") && request.ends_with("\r\n\r\nhello"), "{request}");
    }
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn a_get_has_no_body_and_no_length() {
    let (sender, mut lines) = unbounded_channel();
    let receiver = Receiver::run(move |mut visit| {
        sender.send(visit.read_head()).unwrap();
        visit.write(OK.as_bytes());
    });

    let exchange = origin(&receiver, patient()).send(call(Method::Get, b""), PATIENCE).await;

    assert_eq!(exchange.result.unwrap().status, 200);
    let host = format!("host: {}", receiver.address);
    assert_eq!(lines.recv().await.unwrap(), format!("GET /hook?a=b HTTP/1.1\r\n{host}\r\n\r\n"));
}

#[tokio::test]
async fn another_path_of_the_origin_may_be_called_and_no_other_origin() {
    let (sender, mut heads) = unbounded_channel();
    let receiver = Receiver::run(move |mut visit| {
        sender.send(visit.read_head()).unwrap();
        visit.write(OK.as_bytes());
    });
    let canary = Receiver::canary("127.0.0.1:0");
    let egress = egress(patient(), ScriptedNames::new(&[]));
    let origin = origin_of(&egress, &receiver.url());
    let to = |url: String| Call { url: Some(egress.policy().parse(&url).unwrap()), ..call(Method::Get, b"") };

    let there = origin.send(to(format!("http://{}/contacts/7?x=1", receiver.address)), PATIENCE).await;
    let elsewhere = origin.send(to(canary.url()), PATIENCE).await;
    let over_tls = origin.send(to(format!("https://{}/", receiver.address)), PATIENCE).await;

    assert_eq!(there.result.unwrap().status, 200);
    assert!(heads.recv().await.unwrap().starts_with("GET /contacts/7?x=1 HTTP/1.1\r\n"));
    assert_eq!(elsewhere.result.unwrap_err().kind, FailureKind::InvalidTarget);
    assert_eq!(over_tls.result.unwrap_err().kind, FailureKind::InvalidTarget);
    assert_eq!((canary.accepted(), receiver.accepted()), (0, 1));
}

#[test]
fn only_methods_that_carry_an_event_somewhere_are_known() {
    assert_eq!("patch".parse(), Ok(Method::Patch));
    for text in ["CONNECT", "TRACE", "OPTIONS", "HEAD", "", "POST /", "GE\r\nT"] {
        assert!(text.parse::<Method>().is_err(), "{text}");
    }
}
