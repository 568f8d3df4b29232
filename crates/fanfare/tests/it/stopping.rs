use std::io::{Read, Write};

use nix::sys::signal::Signal;

use crate::world::{Serving, World};

/// Begins a request whose body does not come, and waits until the server reads it.
fn begin_request(serving: &Serving) -> std::net::TcpStream {
    let mut stream = serving.connect();
    let head = b"POST /in/src_00000000000000000000000000 HTTP/1.1\r\nhost: localhost\r\n\
        content-length: 10\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head).unwrap();
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    stream
}

#[test]
fn both_signals_stop_gracefully_with_code_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let world = World::new();
        let serving = world.serve();
        serving.signal(signal);
        let (code, told) = serving.wait();
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("stopping") && told.ends_with("stopped\n"), "{told}");
        let log = world.path("fanfare.db-wal");
        assert!(!log.exists() || log.metadata().unwrap().len() == 0, "the log is emptied into the file");
        assert_eq!(world.serve().request("GET /livez", &[], b"").0, 200, "the file is free again");
    }
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let world = World::new();
    let mut serving = world.serve();
    let mut request = begin_request(&serving);
    serving.signal(Signal::SIGTERM);
    serving.read_until("stopping");
    request.write_all(b"0123456789").unwrap();
    let mut answer = String::new();
    request.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 401"), "{answer}");
    assert_eq!(serving.wait().0, Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once_with_code_1() {
    let world = World::new();
    let mut serving = world.serve();
    let _request = begin_request(&serving);
    serving.signal(Signal::SIGTERM);
    serving.read_until("stopping");
    serving.signal(Signal::SIGTERM);
    let (code, told) = serving.wait();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("stopped at once"), "{told}");
}

#[test]
fn the_start_tells_where_what_and_which_time_zones() {
    let world = World::new();
    let serving = world.serve_with(&["--open-dashboard"]);
    serving.signal(Signal::SIGTERM);
    let (_, told) = serving.wait();
    for words in ["listening on  http://127.0.0.1:", "sqlite:./fanfare.db", "time zones    20", "open to whoever"] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
}

#[test]
fn a_server_that_others_reach_is_warned_about() {
    let world = World::new();
    let mut serving = world.serve_with(&["--listen", "0.0.0.0:0", "--open-dashboard"]);
    serving.read_until("without TLS");
    serving.read_until("leave --open-dashboard out");
}
