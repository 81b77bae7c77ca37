//! The files of the log: `forebay.jsonl` is written to, and becomes `forebay.<date>.jsonl` at midnight UTC or when it
//! is full (`forebay.<date>.2.jsonl` and so on for the later ones of a day). The oldest go when all are too large.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The file that is written to.
pub(super) const CURRENT: &str = "forebay.jsonl";

/// How large the files may get.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// One file.
    pub(super) file: u64,
    /// All of them.
    pub(super) total: u64,
}

/// Writes whole lines, and begins a new file when it is time to.
#[derive(Debug)]
pub(super) struct RotatingFile {
    dir: PathBuf,
    sizes: Sizes,
    file: File,
    bytes: u64,
    day: Date,
}

impl RotatingFile {
    /// Opens the current file in `dir`, which is made if need be; one of an earlier day is put aside.
    pub(super) fn open(dir: &Path, sizes: Sizes, now: Timestamp) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join(CURRENT);
        let file = append_to(&path)?;
        let metadata = file.metadata()?;
        let day = if metadata.len() == 0 { day_of(now) } else { day_of(time_of(metadata.modified()?)) };
        Ok(Self { dir: dir.to_owned(), sizes, file, bytes: metadata.len(), day })
    }

    /// Writes one line, its end included.
    pub(super) fn write_line(&mut self, line: &[u8], now: Timestamp) -> io::Result<()> {
        let is_full = self.bytes > 0 && self.bytes + line.len() as u64 > self.sizes.file;
        if is_full || day_of(now) != self.day {
            self.rotate(now)?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        if self.bytes > 0 {
            fs::rename(self.dir.join(CURRENT), self.free_name()?)?;
        }
        self.file = append_to(&self.dir.join(CURRENT))?;
        self.bytes = self.file.metadata()?.len();
        self.day = day_of(now);
        self.remove_oldest()
    }

    /// A name for the file of the day that has ended, after all names of that day.
    fn free_name(&self) -> io::Result<PathBuf> {
        let last =
            closed_files(&self.dir)?.into_iter().filter(|file| file.day == self.day).map(|file| file.number).max();
        let name = match last {
            None => format!("forebay.{}.jsonl", self.day),
            Some(number) => format!("forebay.{}.{}.jsonl", self.day, number + 1),
        };
        Ok(self.dir.join(name))
    }

    fn remove_oldest(&self) -> io::Result<()> {
        let files = closed_files(&self.dir)?;
        let room = self.sizes.total.saturating_sub(self.sizes.file.min(self.sizes.total));
        let mut held: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if held <= room {
                break;
            }
            fs::remove_file(&file.path)?;
            held -= file.bytes;
        }
        Ok(())
    }
}

/// A file that is written to no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClosedFile {
    pub(super) day: Date,
    pub(super) number: u32,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// The closed files of a folder, oldest first.
pub(super) fn closed_files(dir: &Path) -> io::Result<Vec<ClosedFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some((day, number)) = entry.file_name().to_str().and_then(parse_closed) {
            // A file may be gone again since the folder was listed.
            let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
            files.push(ClosedFile { day, number, path: entry.path(), bytes });
        }
    }
    files.sort_by_key(|file| (file.day, file.number));
    Ok(files)
}

/// Day and number of a name such as `forebay.2026-10-01.jsonl` or `forebay.2026-10-01.2.jsonl`.
fn parse_closed(name: &str) -> Option<(Date, u32)> {
    let middle = name.strip_prefix("forebay.")?.strip_suffix(".jsonl")?;
    match middle.split_once('.') {
        None => Some((middle.parse().ok()?, 1)),
        Some((day, number)) => Some((day.parse().ok()?, number.parse().ok()?)),
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn day_of(time: Timestamp) -> Date {
    Zoned::new(time, TimeZone::UTC).date()
}

fn time_of(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let closed = closed_files(dir).unwrap();
        closed.iter().map(|file| file.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_file_ends_with_its_day_and_when_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let sizes = Sizes { file: 10, total: 1000 };
        let mut log = RotatingFile::open(dir.path(), sizes, at("2026-10-01T23:00:00Z")).unwrap();
        for _ in 0..3 {
            log.write_line(b"1234567\n", at("2026-10-01T23:00:00Z")).unwrap();
        }
        log.write_line(b"next day\n", at("2026-10-02T00:00:00Z")).unwrap();
        assert_eq!(
            names(dir.path()),
            ["forebay.2026-10-01.jsonl", "forebay.2026-10-01.2.jsonl", "forebay.2026-10-01.3.jsonl"]
        );
        assert_eq!(fs::read_to_string(dir.path().join(CURRENT)).unwrap(), "next day\n");
    }

    #[test]
    fn the_oldest_go_when_all_are_too_large() {
        let dir = tempfile::tempdir().unwrap();
        let mut log =
            RotatingFile::open(dir.path(), Sizes { file: 10, total: 30 }, at("2026-10-01T00:00:00Z")).unwrap();
        for day in 1..=9 {
            log.write_line(b"12345678\n", at(&format!("2026-10-0{day}T00:00:00Z"))).unwrap();
        }
        assert_eq!(names(dir.path()), ["forebay.2026-10-07.jsonl", "forebay.2026-10-08.jsonl"]);
    }

    #[test]
    fn another_start_goes_on_in_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        for line in [b"one\n", b"two\n"] {
            RotatingFile::open(dir.path(), Sizes { file: 100, total: 1000 }, now)
                .unwrap()
                .write_line(line, now)
                .unwrap();
        }
        assert_eq!(fs::read_to_string(dir.path().join(CURRENT)).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn other_files_of_the_folder_are_left_alone() {
        for name in ["control.jsonl", "forebay.jsonl", "forebay.yesterday.jsonl", "forebay.2026-10-01.x.jsonl", ".keep"]
        {
            assert_eq!(parse_closed(name), None, "{name}");
        }
    }
}
