//! The live view: redrawn on a terminal, a line now and then elsewhere.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::app::say;

/// Between two pictures on a terminal.
const REDRAW: Duration = Duration::from_millis(100);
/// Between two lines elsewhere.
const LINE: Duration = Duration::from_secs(2);

/// How far everything is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// Since the start.
    pub(super) elapsed: Duration,
    /// Messages to be sent.
    pub(super) wanted: u64,
    /// Messages sent.
    pub(super) sent: u64,
    /// Messages read.
    pub(super) read: u64,
    /// Rows of them in RAW.
    pub(super) rows: u64,
    /// Messages in quarantine.
    pub(super) quarantined: u64,
    /// Messages committed.
    pub(super) committed: u64,
    /// Files in all zones.
    pub(super) files: u64,
    /// Rows written to Processed.
    pub(super) promoted: u64,
    /// Promotions done.
    pub(super) promotions: u64,
}

impl Picture {
    /// Messages sent and not committed.
    pub(super) fn lag(&self) -> u64 {
        self.sent.saturating_sub(self.committed)
    }

    /// One line for each number, for a terminal.
    fn lines(&self) -> Vec<String> {
        let line = |name: &str, count: u64, note: String| {
            let text = format!("  {name:<12}{:>12}  {note}", grouped(count));
            text.trim_end().to_owned()
        };
        vec![
            line("sent", self.sent, format!("of {} messages", grouped(self.wanted))),
            line("read", self.read, format!("lag {}", grouped(self.lag()))),
            line("parsed", self.rows, "rows in raw".to_owned()),
            line("quarantined", self.quarantined, "messages".to_owned()),
            line("files", self.files, "raw, quarantine, ledger, processed".to_owned()),
            line("promoted", self.promoted, format!("rows in {} promotions", self.promotions)),
        ]
    }

    /// One line for a log.
    fn line(&self) -> String {
        format!(
            "{:>3} s: sent {}, read {}, parsed {} rows, quarantined {}, files {}, promoted {}, lag {}",
            self.elapsed.as_secs(),
            grouped(self.sent),
            grouped(self.read),
            grouped(self.rows),
            grouped(self.quarantined),
            grouped(self.files),
            grouped(self.promoted),
            grouped(self.lag()),
        )
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// The same lines again and again.
    Redraw,
    /// A line now and then.
    Lines,
    /// Nothing.
    Silent,
}

/// Shows pictures on stderr.
#[derive(Debug)]
pub(super) struct Live {
    manner: Manner,
    shown: Option<Instant>,
    /// Lines on the terminal that the next picture takes the place of.
    drawn: usize,
}

impl Live {
    /// A view for this process: nothing when it shall be quiet; lines when log lines come between.
    pub(super) fn new(is_quiet: bool, has_log_lines: bool) -> Self {
        let manner = match (is_quiet, has_log_lines || !say::is_terminal()) {
            (true, _) => Manner::Silent,
            (false, true) => Manner::Lines,
            (false, false) => Manner::Redraw,
        };
        Self { manner, shown: None, drawn: 0 }
    }

    /// Says something once, above the picture.
    pub(super) fn say(&mut self, text: &str) {
        if self.manner != Manner::Silent {
            put(&format!("{text}\n"));
            self.drawn = 0;
        }
    }

    /// Shows a picture, unless the last one is too fresh. A terminal that is gone is no reason to stop.
    pub(super) fn show(&mut self, picture: &Picture) {
        let period = if self.manner == Manner::Redraw { REDRAW } else { LINE };
        if self.shown.is_none_or(|shown| shown.elapsed() >= period) {
            self.show_now(picture);
        }
    }

    /// Shows the last picture, and leaves it there.
    pub(super) fn end(&mut self, picture: &Picture) {
        self.show_now(picture);
        self.drawn = 0;
    }

    fn show_now(&mut self, picture: &Picture) {
        self.shown = Some(Instant::now());
        match self.manner {
            Manner::Silent => {}
            Manner::Lines => put(&format!("{}\n", picture.line())),
            Manner::Redraw => {
                let lines = picture.lines();
                put(&frame(self.drawn, &lines));
                self.drawn = lines.len();
            }
        }
    }
}

/// The lines in place of the last `drawn` ones.
fn frame(drawn: usize, lines: &[String]) -> String {
    let mut text = if drawn > 0 { format!("\x1b[{drawn}F") } else { String::new() };
    for line in lines {
        text.push_str(line);
        // The rest of a longer line that stood here.
        text.push_str("\x1b[K\n");
    }
    text
}

fn put(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_kept_apart() {
        let texts: Vec<String> = [0, 7, 999, 1000, 20_000, 1_234_567].map(grouped).into();
        assert_eq!(texts, ["0", "7", "999", "1,000", "20,000", "1,234,567"]);
    }

    #[test]
    fn a_picture_takes_the_place_of_the_last_one() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(frame(0, &lines), "a\x1b[K\nb\x1b[K\n");
        assert_eq!(frame(2, &lines), "\x1b[2Fa\x1b[K\nb\x1b[K\n");
    }

    #[test]
    fn a_picture_fits_a_terminal_of_eighty_columns() {
        let most = u64::MAX;
        let picture = Picture { wanted: 9_999_999_999, sent: most, read: most, rows: most, ..Picture::default() };
        let usual = Picture { wanted: 20_000, sent: 20_000, committed: 12_000, ..Picture::default() };
        assert!(usual.lines().iter().all(|line| line.chars().count() < 80));
        assert!(usual.line().contains("lag 8,000"), "{}", usual.line());
        assert_eq!(picture.lines().len(), usual.lines().len());
    }
}
