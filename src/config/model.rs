//! The settings of a daemon, checked and complete. The fields are what `forebay.toml` says, and so are the defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::document::Places;
use super::problem::Problem;
use crate::model::level::LogLevel;
use crate::model::secret::is_secret;
use crate::model::table::{Table, UnroutedSettings};

/// Everything that `forebay.toml` says, with the environment laid over it.
#[derive(Clone)]
pub struct Settings {
    /// `[kafka]`: settings of the client library, secrets resolved.
    pub kafka: KafkaSettings,
    /// `[lake]`: where the lake lies.
    pub lake: LakeSettings,
    /// `[control]`: the control socket.
    pub control: ControlSettings,
    /// `[logs]`: the log files.
    pub logs: LogSettings,
    /// `[limits]`: what may be held.
    pub limits: LimitSettings,
    /// `[promote]`: the timer.
    pub promote: PromoteSettings,
    /// `[run]`: the process.
    pub run: RunSettings,
    /// `[supervise]`: restarts.
    pub supervise: SuperviseSettings,
    /// `[unrouted]`: messages that no table takes.
    pub unrouted: UnroutedSettings,
    /// `[[table]]`: the tables, in the order of the file.
    pub tables: Vec<Table>,
    pub(super) places: Places,
}

impl Settings {
    /// Settings with every default, for a daemon that is set up without a file.
    pub fn new(kafka: KafkaSettings, root: impl Into<String>, tables: Vec<Table>) -> Self {
        Self {
            kafka,
            lake: LakeSettings { root: root.into(), hadoop_conf_dir: None, hdfs: BTreeMap::new() },
            control: ControlSettings::default(),
            logs: LogSettings::default(),
            limits: LimitSettings::default(),
            promote: PromoteSettings::default(),
            run: RunSettings::default(),
            supervise: SuperviseSettings::default(),
            unrouted: UnroutedSettings::default(),
            tables,
            places: Places::default(),
        }
    }

    /// A problem that only the use of a setting could show, such as a name that the Kafka client does not know, at the
    /// line of its key (`kafka.sasl.mechanism`).
    pub fn problem(&self, key: &str, message: impl Into<String>, help: Option<String>) -> Problem {
        self.places.problem(key, message.into(), help)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("kafka", &self.kafka)
            .field("lake", &self.lake)
            .field("control", &self.control)
            .field("logs", &self.logs)
            .field("limits", &self.limits)
            .field("promote", &self.promote)
            .field("run", &self.run)
            .field("supervise", &self.supervise)
            .field("unrouted", &self.unrouted)
            .field("tables", &self.tables)
            .finish()
    }
}

/// `[kafka]`: names and values as librdkafka spells them. Its `Debug` shows no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KafkaSettings {
    values: BTreeMap<String, String>,
}

impl KafkaSettings {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// All names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All names and values, for a client.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.values.clone()
    }

    /// The consumer group; empty only where no group was needed.
    pub fn group(&self) -> &str {
        self.get("group.id").unwrap_or_default()
    }
}

impl FromIterator<(String, String)> for KafkaSettings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self { values: values.into_iter().collect() }
    }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.values).fmt(f)
    }
}

/// `[lake]`. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct LakeSettings {
    /// `root`: URL of the lake, `hdfs://…` or `file:///…`, without a slash at the end.
    pub root: String,
    /// `"hadoop.conf.dir"`: folder of `core-site.xml` and `hdfs-site.xml`; none: `HADOOP_CONF_DIR`, if it is set.
    pub hadoop_conf_dir: Option<PathBuf>,
    /// `[lake.hdfs]`: properties of the HDFS client, over those of the folder.
    pub hdfs: BTreeMap<String, String>,
}

impl fmt::Debug for LakeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeSettings")
            .field("root", &self.root)
            .field("hadoop_conf_dir", &self.hadoop_conf_dir)
            .field("hdfs", &Shown(&self.hdfs))
            .finish()
    }
}

/// Names and values of a library's settings, without those that nobody may see.
struct Shown<'a>(&'a BTreeMap<String, String>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| (name, if is_secret(name) { "***" } else { value.as_str() }));
        f.debug_map().entries(shown).finish()
    }
}

/// `[control]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlSettings {
    /// `socket`: path of the Unix socket.
    pub socket: PathBuf,
    /// `allowed_uids`: users that may change state, besides root and the daemon's own.
    pub allowed_uids: Vec<u32>,
    /// `allowed_gids`: primary groups whose users may change state.
    pub allowed_gids: Vec<u32>,
    /// `admin_group`: a group all of whose members may change state.
    pub admin_group: Option<String>,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self {
            socket: "/run/forebay/control.sock".into(),
            allowed_uids: Vec::new(),
            allowed_gids: Vec::new(),
            admin_group: None,
        }
    }
}

/// `[logs]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `dir`: folder of the log files.
    pub dir: PathBuf,
    /// `level`.
    pub level: LogLevel,
    /// `file_size`: a file is closed at this size, or at midnight UTC.
    pub file_size: u64,
    /// `total_size`: the oldest closed files go when all together are larger.
    pub total_size: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { dir: "logs".into(), level: LogLevel::Info, file_size: 64 << 20, total_size: 1 << 30 }
    }
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// `memory`: bytes that all buffers together may hold, fetch queues included.
    pub memory: u64,
    /// `spool`: encoded row groups and promotion keys.
    pub spool: SpoolSettings,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { memory: 256 << 20, spool: SpoolSettings::default() }
    }
}

/// `[limits] spool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    /// `dir`: a local folder.
    pub dir: PathBuf,
    /// `size`: bytes in it; full means that reading stops.
    pub size: u64,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self { dir: "/var/lib/forebay/spool".into(), size: 8 << 30 }
    }
}

/// `[promote]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoteSettings {
    /// `interval`, aligned to the clock in `zone`.
    pub interval: Duration,
    /// `zone`: name of a time zone.
    pub zone: String,
}

impl Default for PromoteSettings {
    fn default() -> Self {
        Self { interval: Duration::from_secs(3600), zone: "UTC".to_owned() }
    }
}

/// `[run]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSettings {
    /// `drain`: how long a stop may take to commit what is in flight.
    pub drain: Duration,
    /// `parsers`: threads that parse; one a core by default.
    pub parsers: usize,
}

impl Default for RunSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self { drain: Duration::from_secs(30), parsers: cores }
    }
}

/// `[supervise]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuperviseSettings {
    /// `intensity`: restarts of a lane within `period` before it is parked.
    pub intensity: u32,
    /// `period`.
    pub period: Duration,
    /// `backoff`: wait before the first restart; doubled, with jitter, for each that follows.
    pub backoff: Duration,
    /// `backoff_max`: longest wait between restarts.
    pub backoff_max: Duration,
    /// `parked_retry`: when a parked lane is tried again.
    pub parked_retry: Duration,
    /// `hung_after`: a stage without progress for this long is abandoned.
    pub hung_after: Duration,
}

impl Default for SuperviseSettings {
    fn default() -> Self {
        Self {
            intensity: 5,
            period: Duration::from_secs(30),
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            parked_retry: Duration::from_secs(180),
            hung_after: Duration::from_secs(60),
        }
    }
}
