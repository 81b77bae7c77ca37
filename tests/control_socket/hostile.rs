//! A thousand connections that mean no good, and somebody who only wants to know.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use forebay::control::api::Lanes;
use forebay::control::routes::Limits;

use super::{Bench, http};

/// How many mean no good at once.
const CROWD: usize = 1000;
/// Much less than the time after which the server gives a request up by itself.
const SOON: Duration = Duration::from_secs(5);

/// What each of a crowd writes before it falls silent.
fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", Vec::new()),
        ("half a line", b"GET /v1/st".to_vec()),
        ("half a head", b"GET /v1/status HTTP/1.1\r\nhost: x\r\n".to_vec()),
        ("half a body", b"POST /v1/pause HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{".to_vec()),
        ("a head without end", [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'x'; 300_000]].concat()),
        ("a thousand headers", [&b"GET / HTTP/1.1\r\n"[..], &b"x: y\r\n".repeat(1000), b"\r\n"].concat()),
        ("binary", (0..=255_u8).cycle().take(4096).collect()),
        ("tls", [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[0xaa; 500]].concat()),
        ("a length that is none", b"POST /v1/pause HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_vec()),
        (
            "two lengths",
            b"POST /v1/drain HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}".to_vec(),
        ),
        // The answer is not read.
        ("a question", b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
    ]
}

/// Connects and writes as much as is taken at once; the connection stays as long as it is held.
fn visit(bench: &Bench, bytes: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(&bench.socket).unwrap();
    stream.set_nonblocking(true).unwrap();
    // The server may have closed its side, or takes no more for now.
    let _ = stream.write_all(bytes);
    stream
}

#[test]
fn whoever_holds_connections_keeps_nobody_out() {
    assert!(SOON < Limits::default().request);
    let bench = Bench::new();
    let kinds = kinds();
    for (kind, bytes) in &kinds {
        let crowd: Vec<UnixStream> = (0..CROWD).map(|_| visit(&bench, bytes)).collect();
        let begun = Instant::now();
        let lanes: Lanes = bench.client().get("/v1/lanes").unwrap();
        assert_eq!((lanes.lanes.len(), http(&bench.socket, "POST", "/v1/pause", "").0), (1, 200), "{kind}");
        assert!(begun.elapsed() < SOON, "{kind}: answered only after {:?}", begun.elapsed());
        drop(crowd);
    }
    // Nothing of all that was taken for a command.
    let commands = bench.records.wait_for(kinds.len());
    assert!(commands.iter().all(|call| call.command == "/v1/pause"), "{commands:?}");
    bench.server.stop();
}
