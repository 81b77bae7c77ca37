//! Large inputs, slow ones, and readers that have had enough.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::{BOOKS, Site};

fn line(number: usize) -> String {
    format!(
        "<library branch=\"L7\"><book id=\"B{number}\"><record_id>{number}</record_id><title>{}</title>\
         <added>2026-10-01T00:00:00Z</added></book></library>\n",
        "River stone ".repeat(80)
    )
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines of a stream as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || BufReader::new(stream).lines().try_for_each(|line| sender.send(line.unwrap())));
    receiver
}

/// Most memory that a process ever held, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_hundred_megabytes_of_lines_are_answered_in_little_memory() {
    const TOTAL: usize = 100_000_000;
    let site = Site::new();
    let mut child = site.command(&format!("try --quiet --json --lines --mapping {BOOKS}")).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let count = TOTAL / line(0).len();
    let writer = std::thread::spawn(move || {
        let chunk: String = (0..1000).map(line).collect();
        let mut left = count;
        while left > 0 {
            let lines = left.min(1000);
            let end = if lines == 1000 { chunk.len() } else { (0..lines).map(|number| line(number).len()).sum() };
            stdin.write_all(&chunk.as_bytes()[..end]).unwrap();
            left -= lines;
        }
        stdin
    });
    let answers = lines(stdout);
    for number in 0..count {
        let answer = answers.recv_timeout(PATIENCE).unwrap();
        assert!(answer.contains("\"outcome\":\"rows\""), "{number}: {answer}");
    }
    // All of it is answered, and the input has not ended yet.
    let peak = peak(child.id());
    drop(writer.join().unwrap());
    assert!(answers.recv_timeout(PATIENCE).is_err() && child.wait().unwrap().success());
    assert!(peak < 100 << 20, "{peak} bytes");
}

#[test]
fn a_message_longer_than_it_may_be_is_counted_and_not_held() {
    const TOTAL: usize = 100_000_000;
    let site = Site::new();
    for lines in ["", "--lines"] {
        let command = format!("try --quiet --json {lines} --mapping {BOOKS}");
        let mut child = site.command(&command).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let chunk = vec![b'x'; 1_000_000];
        for _ in 0..TOTAL / chunk.len() {
            stdin.write_all(&chunk).unwrap();
        }
        let peak = peak(child.id());
        drop(stdin);
        let said = child.wait_with_output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        let wanted = format!(
            "\"code\":\"limit.bytes\",\"column\":null,\"path\":null,\"line\":1,\"byte_offset\":0,\
                              \"value\":null,\"message\":\"the payload has {TOTAL} bytes, and limits.bytes allows 10485760\""
        );
        assert!(text.contains(&wanted) && said.status.code() == Some(1), "{text}");
        assert!(peak < 100 << 20, "{peak} bytes");
    }
    // A byte too many is the same, whoever finds it.
    let mapping = "version = 1\nformat = \"xml\"\n[limits]\nbytes = \"9B\"\n[[column]]\nname = \"a\"\npath = \"a\"\n\
                   type = \"string\"\n";
    site.file("m.toml", mapping);
    let said = site.run("try --json --lines --mapping m.toml", "<a></a>  \n<a></a>   \n<a></a>  ");
    let outcomes: Vec<_> = said.answers().iter().map(|answer| answer["outcome"].clone()).collect();
    assert_eq!(outcomes, ["rows", "quarantined", "rows"], "{}", said.out);
}

#[test]
fn what_has_come_is_answered_before_more_is_waited_for() {
    let site = Site::new();
    let mut child = site.command(&format!("try --quiet --json --lines --mapping {BOOKS}")).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let answers = lines(stdout);
    for number in 0..3 {
        // A line, and the beginning of the next.
        let text = line(number);
        let (begin, end) = text.split_at(20);
        let rest = if number == 0 { text.as_str() } else { end };
        stdin.write_all(rest.as_bytes()).unwrap();
        stdin.write_all(&line(number + 1).as_bytes()[..20]).unwrap();
        let answer = answers.recv_timeout(PATIENCE).unwrap();
        assert!(answer.contains(&format!("\"record_id\":{number},")), "{begin}: {answer}");
    }
    drop(stdin);
    assert!(answers.recv_timeout(PATIENCE).unwrap().contains("xml.unclosed"));
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_reader_that_has_had_enough_ends_it_quietly() {
    let site = Site::new();
    let path = site.file("lines", (0..20_000).map(line).collect::<String>());
    for format in ["", "--json"] {
        let command = format!("try {format} --lines --mapping {BOOKS} {0} {0} {0}", path.display());
        let mut child = site.command(&command).spawn().unwrap();
        let mut few = [0; 100];
        child.stdout.take().unwrap().read_exact(&mut few).unwrap();
        // Its end of the pipe is closed now.
        let said = child.wait_with_output().unwrap();
        assert_eq!(said.status.code(), Some(0));
        assert!(said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn many_small_files_are_answered_in_their_order() {
    let site = Site::new();
    let names: Vec<String> = (0..3000).map(|number| format!("{number}.xml")).collect();
    for (number, name) in names.iter().enumerate() {
        site.file(name, if number % 7 == 0 { "<a>" } else { "<a/>" });
    }
    let said = site.command("try --json --well-formed").args(&names).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(text.lines().count(), names.len());
    for (number, (line, name)) in text.lines().zip(&names).enumerate() {
        let outcome = if number % 7 == 0 { "quarantined" } else { "rows" };
        assert!(line.starts_with(&format!("{{\"input\":\"{name}\",\"outcome\":\"{outcome}\"")), "{line}");
    }
    let err = String::from_utf8(said.stderr).unwrap();
    assert!(err.contains("3000 messages: 2571 well-formed, 429 quarantined"), "{err}");
}

/// Columns that no message has: each row is two kilobytes, and four bytes in the message.
fn wide_mapping() -> String {
    let column = |number: usize| {
        let default = "none ".repeat(40);
        format!("[[column]]\nname = \"c{number}\"\npath = \"c{number}\"\ntype = \"string\"\ndefault = \"{default}\"\n")
    };
    let columns: String = (0..10).map(column).collect();
    format!(
        "version = 1\nformat = \"xml\"\n[message]\nroot = \"m\"\nrows = \"a\"\n[limits]\nrows = 1_000_000\n{columns}"
    )
}

#[test]
fn rows_have_the_room_that_a_daemon_has_for_them() {
    let site = Site::new();
    std::fs::write(site.dir.path().join("wide.toml"), wide_mapping()).unwrap();
    let message = |rows: usize| format!("<m>{}{}</m>\n", "<a/>".repeat(rows), " ".repeat(rows * 8));
    let counts = [1, 4000, 4000, 4000, 2, 110_000, 3];
    let mut child = site.command("try --quiet --json --lines --mapping wide.toml").spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let input: String = counts.iter().map(|&rows| message(rows)).collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).map(|()| stdin));
    let answers = lines(stdout);
    for (number, rows) in counts.into_iter().enumerate() {
        let answer: serde_json::Value = serde_json::from_str(&answers.recv_timeout(PATIENCE).unwrap()).unwrap();
        // 192 MiB, of the 256 that limits.memory is by default.
        let (outcome, rows) = if rows == 110_000 { ("quarantined", 0) } else { ("rows", rows) };
        let found = (answer["outcome"].as_str().unwrap(), answer["rows"].as_array().unwrap().len());
        assert_eq!(found, (outcome, rows), "{number}: {}", answer["violations"]);
        let code = &answer["violations"][0]["code"];
        assert_eq!(code == "limit.rows", outcome == "quarantined", "{number}: {code}");
    }
    let peak = peak(child.id());
    drop(writer.join().unwrap().unwrap());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(peak < 350 << 20, "{peak} bytes");
}
