//! The data path while a thousand connections to the control socket are held.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;

use crate::site::{Recipe, Site};
use crate::stack::Stack;

/// How many hold connections.
const CROWD: usize = 1000;
/// Descriptors that a daemon of one lane may have: its own, and those of a hundred guests.
const DESCRIPTORS: usize = 400;

#[test]
fn lanes_go_on_while_a_thousand_connections_are_held() {
    let Some(stack) = Stack::find("the data path under a crowd at the control socket") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 1);
    let daemon = site.start();
    let mut crowd = Vec::new();
    for round in 1..=5 {
        site.ok(&["produce", "--library", "100", "--topic", &topic]);
        // Asks by the socket too.
        site.wait_committed(&[round * 100]);
        for number in 0..CROWD / 5 {
            let mut stream = UnixStream::connect(site.socket()).unwrap();
            let garbage: &[u8] = match number % 3 {
                0 => b"",
                1 => b"POST /v1/drain HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{",
                _ => &[0xff; 2000],
            };
            // What cannot be read at all is refused at once.
            let _ = stream.write_all(garbage);
            crowd.push(stream);
        }
    }
    site.ok(&["status"]);
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    assert!(crowd.len() == CROWD && open < DESCRIPTORS, "{open} descriptors");
    daemon.stop();
}
