use std::io::Read;
use std::net::TcpListener;

use super::*;
use crate::sink::tests::{record, recorder, sink, status, until};

const DENIED: &[u8] = br#"{"v":1,"time":"2026-11-22T10:11:12.345Z","decision":"d1","verdict":"deny","reason":"policy_forbid","status":403,"generation":7,"timings_us":{"total":88},"seq":3,"hash":"5hyTxw0oyEJWYwxS2xsMwghrs86MyKQCU2p2KP47MIw"}"#;
const RUN: &str = "98e5a0aa2dcbe89eadfabb0ee4080f0b";

fn syslog(address: SyslogAddress) -> Syslog {
    let mut syslog = Syslog::new(address, Facility::Local0, "replica-1", 8192, Format::Own);
    syslog.patience = Duration::from_millis(20);
    syslog
}

/// RFC 5424: facility × 8 + severity, then the fields; the run and the line's number are in their places.
#[test]
fn a_datagram_is_a_message() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut syslog = syslog(SyslogAddress::Udp(receiver.local_addr().unwrap().to_string()));
    assert_eq!(syslog.deliver(RUN, &[DENIED, DENIED]), Delivery::all(&[DENIED, DENIED]));
    let mut buffer = [0; 2048];
    let length = receiver.recv(&mut buffer).unwrap();
    let header = format!(
        "<132>1 2026-11-22T10:11:12.345Z replica-1 exequatur {RUN} decision [meta sequenceId=\"3\"] "
    );
    let expected = [header.as_bytes(), DENIED].concat();
    assert_eq!(String::from_utf8_lossy(&buffer[..length]), String::from_utf8_lossy(&expected));
}

#[test]
fn what_is_more_than_a_message_is_refused_and_the_next_one_goes_on() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut syslog = syslog(SyslogAddress::Udp(receiver.local_addr().unwrap().to_string()));
    let long = String::from_utf8(DENIED.to_vec()).unwrap().replace("policy_forbid", &"x".repeat(200));
    syslog.most = 400;
    let delivery = syslog.deliver(RUN, &[DENIED, long.as_bytes(), DENIED]);
    assert_eq!(delivery, Delivery { taken: 1, refused: 1, error: Some(OutletError::TooLong) });
    // The system's bound for a datagram.
    syslog.most = usize::MAX;
    let fields: Vec<_> = (0..400).map(|_| format!("\"{}\"", "x".repeat(200))).collect();
    let longest = String::from_utf8(DENIED.to_vec())
        .unwrap()
        .replace("\"timings_us\"", &format!("\"observed\":[{}],\"timings_us\"", fields.join(",")));
    let delivery = syslog.deliver(RUN, &[longest.as_bytes(), DENIED]);
    assert_eq!(delivery, Delivery { taken: 0, refused: 1, error: Some(OutletError::TooLong) });
    let delivery = syslog.deliver(RUN, &[b"{}".as_slice(), DENIED]);
    assert_eq!(delivery, Delivery { taken: 0, refused: 1, error: Some(OutletError::Format) });
    assert_eq!(syslog.deliver(RUN, &[DENIED]).taken, 1);
}

/// RFC 6587: each message after its length. A receiver that closed the connection gets the rest by another one.
#[test]
fn over_tcp_each_message_says_how_long_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut syslog = syslog(SyslogAddress::Tcp(listener.local_addr().unwrap().to_string()));
    assert_eq!(syslog.deliver(RUN, &[DENIED, DENIED]).taken, 2);
    let (mut stream, _) = listener.accept().unwrap();
    let message = syslog.message(RUN, DENIED).unwrap();
    let framed = [format!("{} ", message.len()).as_bytes(), &message].concat();
    let mut read = vec![0; framed.len() * 2];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, framed.repeat(2));
    drop(stream);
    let delivery = syslog.deliver(RUN, &[DENIED]);
    assert_eq!(delivery, Delivery::cut(0, OutletError::Io(ErrorKind::ConnectionAborted)));
    assert_eq!(syslog.deliver(RUN, &[DENIED]).taken, 1);
    let (mut stream, _) = listener.accept().unwrap();
    let mut read = vec![0; framed.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, framed);
}

/// C-21: a server that stops reading. Nobody waits for it; what it did not take is counted; it is told when it reads again.
#[tokio::test]
async fn a_receiver_that_stops_reading_holds_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let outlet = syslog(SyslogAddress::Tcp(listener.local_addr().unwrap().to_string()));
    let recorder = recorder(None, vec![sink("siem", outlet, 50)]);
    let mut n = 0;
    while status(&recorder).gaps == 0 {
        for _ in 0..100 {
            record(&recorder, n).await;
            n += 1;
        }
        until(|| recorder.progress().written > u64::try_from(n).unwrap() || recorder.gaps() > 0).await;
    }
    let closing = std::thread::spawn(move || {
        // What the receiver reads once it is there again: the connections that waited, in their order.
        listener.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            drop(stream.read_to_end(&mut all));
        }
        all
    });
    recorder.close().await.unwrap();
    drop(closing.join().unwrap());
    let status = status(&recorder);
    assert_eq!(status.taken + status.gaps, recorder.progress().written);
}

/// A receiver that is not there yet: what came before it is counted, and it is told.
#[tokio::test]
async fn a_socket_that_comes_later_is_told_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let recorder = recorder(None, vec![sink("local", syslog(SyslogAddress::Unix(path.clone())), 100)]);
    record(&recorder, 0).await;
    until(|| status(&recorder).gaps == 2).await;
    assert_eq!(status(&recorder).error, Some(OutletError::Io(ErrorKind::NotFound)));
    let receiver = UnixDatagram::bind(&path).unwrap();
    record(&recorder, 1).await;
    recorder.close().await.unwrap();
    let mut buffer = [0; 2048];
    let mut next = || {
        let length = receiver.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let gap = next();
    assert!(
        gap.starts_with("<131>1 ") && gap.contains(" sink_gap - {") && gap.contains(r#""lines":2"#),
        "{gap}"
    );
    let line = next();
    assert!(
        line.contains(r#" decision [meta sequenceId="3"] {"#) && line.contains(r#""decision":"d1""#),
        "{line}"
    );
}

#[test]
fn a_host_is_printable() {
    assert_eq!(printable("a b\n\u{e9}c", 255), "abc");
    assert_eq!(printable(" ", 255), "-");
    assert_eq!(printable(&"x".repeat(300), 255).len(), 255);
}
