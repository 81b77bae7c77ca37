//! What systemd hears of the daemon, by the socket of `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::site::{Recipe, Site};
use crate::stack::Stack;

/// What systemd would hear, one message after the other.
struct Systemd(UnixDatagram);

impl Systemd {
    /// The next message.
    fn hears(&self) -> String {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).expect("the daemon says nothing more");
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    }
}

#[test]
fn systemd_hears_that_the_daemon_is_ready_and_alive_and_about_to_end() {
    let Some(stack) = Stack::find("what systemd hears") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 1);
    let path = site.dir.join("notify");
    let systemd = Systemd(UnixDatagram::bind(&path).unwrap());
    systemd.0.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = site.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    let mut daemon = site.start_as(command);
    assert_eq!(systemd.hears(), "READY=1");
    assert!(site.get("/v1/status").is_some(), "ready is who answers");
    assert_eq!([systemd.hears(), systemd.hears()], ["WATCHDOG=1", "WATCHDOG=1"]);
    daemon.terminate();
    let mut last = systemd.hears();
    while last == "WATCHDOG=1" {
        last = systemd.hears();
    }
    assert_eq!(last, "STOPPING=1");
    assert_eq!(daemon.wait(), Some(0));
}
