//! The demo's folder: the lake, and a configuration with which every command finds it.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::config::{self, Settings, show_duration};
use crate::fault::Fault;

/// The mapping of library messages, as it is shipped.
const BOOKS: &str = include_str!("../../../config/tables/books.toml");

/// How often the demo promotes: often enough to be seen.
const PROMOTE_EVERY: Duration = Duration::from_secs(3);
/// After this a RAW file is committed.
const ROLL_AFTER: Duration = Duration::from_secs(1);

/// Where everything of one demo lies.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The folder `wanted`, or a new one below the temporary folder.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or a lake is there already: this demo's Kafka knows nothing of that one's messages.
    pub(super) fn make(wanted: Option<&Path>) -> Result<Self, Fault> {
        let dir = match wanted {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|error| unusable(dir, &error))?;
                dir.canonicalize().map_err(|error| unusable(dir, &error))?
            }
            None => make_new(&std::env::temp_dir())?,
        };
        let folder = Self { dir };
        let lake = folder.lake();
        match std::fs::read_dir(&lake).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(folder),
            Err(error) => Err(unusable(&lake, &error)),
            Ok(false) => {
                let what = format!("{} holds a lake already: remove it, or name another folder", lake.display());
                Err(Fault::halt("demo.lake-exists", what))
            }
        }
    }

    /// The lake.
    pub(super) fn lake(&self) -> PathBuf {
        self.dir.join("lake")
    }

    /// The configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("forebay.toml")
    }

    /// The log files.
    pub(super) fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// One line for each message: where it lies in Kafka, and what had to become of it.
    pub(super) fn sent(&self) -> PathBuf {
        self.dir.join("sent.jsonl")
    }

    /// The local spool.
    pub(super) fn spool(&self) -> PathBuf {
        self.dir.join("spool")
    }

    /// Writes the configuration and its mapping, and reads them as every other command will.
    ///
    /// # Errors
    ///
    /// When they cannot be written, or the folder's name does not fit into a configuration.
    pub(super) fn configure(&self, bootstrap: &str, group: &str, topic: &str) -> Result<Settings, Fault> {
        let tables = self.dir.join("tables");
        let mapping = tables.join("books.toml");
        std::fs::create_dir_all(&tables).map_err(|error| unusable(&tables, &error))?;
        std::fs::write(&mapping, BOOKS).map_err(|error| unusable(&mapping, &error))?;
        let text = self.text(bootstrap, group, topic)?;
        let path = self.config();
        std::fs::write(&path, text).map_err(|error| unusable(&path, &error))?;
        config::load(&path, std::iter::empty()).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Fault::halt("demo.configuration", format!("{} does not do: {}", path.display(), problems.join("; ")))
        })
    }

    fn text(&self, bootstrap: &str, group: &str, topic: &str) -> Result<String, Fault> {
        let not_text =
            || Fault::halt("demo.folder", format!("{}: the name of the folder is no text", self.dir.display()));
        let value = |path: PathBuf| path.to_str().map(quoted).ok_or_else(not_text);
        let lake = Url::from_file_path(self.lake()).map_err(|()| not_text())?;
        let mut text = String::from(
            "# What `forebay demo` ran with. Its Kafka ended with it; the lake can be shown and audited with this file.\n",
        );
        let lines = [
            "[kafka]".to_owned(),
            format!("\"bootstrap.servers\" = {}", quoted(bootstrap)),
            format!("\"group.id\" = {}", quoted(group)),
            "[lake]".to_owned(),
            format!("root = {}", quoted(lake.as_str())),
            "[control]".to_owned(),
            format!("socket = {}", value(self.dir.join("control.sock"))?),
            "[logs]".to_owned(),
            format!("dir = {}", value(self.logs())?),
            "[limits]".to_owned(),
            format!("spool = {{ dir = {}, size = \"1GiB\" }}", value(self.spool())?),
            "[promote]".to_owned(),
            format!("interval = {}", quoted(&show_duration(PROMOTE_EVERY))),
            "[[table]]".to_owned(),
            "name = \"books\"".to_owned(),
            format!("topics = [{}]", quoted(topic)),
            "mapping = \"tables/books.toml\"".to_owned(),
            "[table.raw]".to_owned(),
            format!("roll_age = {}", quoted(&show_duration(ROLL_AFTER))),
            "[table.processed]".to_owned(),
            "record_id = [\"record_id\"]".to_owned(),
            "date = \"added\"".to_owned(),
        ];
        for line in lines {
            let gap = if line.starts_with('[') { "\n" } else { "" };
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{gap}{line}");
        }
        Ok(text)
    }

    /// Removes what only serves while the demo runs: the spool, and unless `keep` the log files.
    pub(super) fn tidy(&self, keep: bool) {
        let spare = if keep { vec![self.spool()] } else { vec![self.spool(), self.logs()] };
        for dir in spare {
            // Something left over harms nobody.
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// A folder that nobody else has, so that two demos do not meet.
fn make_new(parent: &Path) -> Result<PathBuf, Fault> {
    loop {
        let dir = parent.join(format!("forebay-demo-{:06x}", fastrand::u32(..1 << 24)));
        match std::fs::create_dir(&dir) {
            Ok(()) => return dir.canonicalize().map_err(|error| unusable(&dir, &error)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(&dir, &error)),
        }
    }
}

fn unusable(path: &Path, error: &io::Error) -> Fault {
    Fault::halt("demo.folder", format!("cannot use {}: {error}; name a folder with --dir", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_one_that_every_command_reads_whatever_the_folder_is_called() {
        let parent = tempfile::tempdir().unwrap();
        let odd = parent.path().join("my \"first\" lake, 100 % é");
        let folder = Folder::make(Some(&odd)).unwrap();
        let settings = folder.configure("127.0.0.1:9092", "forebay-demo", "library").unwrap();
        assert_eq!(settings.promote.interval, PROMOTE_EVERY);
        assert_eq!((settings.tables.len(), settings.tables[0].raw.roll_age), (1, ROLL_AFTER));
        let storage = crate::app::daemon::open_storage(&settings).unwrap();
        drop(storage);
        assert!(folder.lake().is_dir(), "the root of the configuration is the folder's lake");
    }

    #[test]
    fn a_folder_with_a_lake_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::make(Some(dir.path())).unwrap();
        std::fs::create_dir_all(folder.lake().join("raw")).unwrap();
        let fault = Folder::make(Some(dir.path())).unwrap_err();
        assert!(fault.message.contains("holds a lake already"), "{fault}");
    }

    #[test]
    fn only_the_logs_are_kept_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::make(Some(dir.path())).unwrap();
        for path in [folder.lake(), folder.logs(), folder.spool()] {
            std::fs::create_dir_all(path).unwrap();
        }
        folder.tidy(true);
        assert!(folder.lake().is_dir() && folder.logs().is_dir() && !folder.spool().exists());
        folder.tidy(false);
        assert!(folder.lake().is_dir() && !folder.logs().exists());
    }
}
