//! A lake on local disk, an embedded Kafka, and a daemon between them.

use std::path::Path;
use std::time::{Duration, Instant};

use forebay::app::daemon::{Daemon, Options};
use forebay::config::{KafkaSettings, Settings};
use forebay::flow::read::mock::EmbeddedKafka;
use forebay::flow::read::producer::{Outgoing, Producer};
use forebay::flow::read::settings::Settings as ClientSettings;
use forebay::model::level::LogLevel;
use forebay::observe::logs::{self, LogOptions, Terminal};
use tempfile::TempDir;

/// How long anything may take that ought to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

static LOG: std::sync::Once = std::sync::Once::new();

pub(crate) struct Sandbox {
    pub(crate) dir: TempDir,
    pub(crate) kafka: EmbeddedKafka,
    pub(crate) topic: String,
    pub(crate) partitions: i32,
}

impl Sandbox {
    pub(crate) fn new(partitions: i32) -> Self {
        LOG.call_once(|| {
            let terminal = Terminal { level: LogLevel::Info, colors: false };
            std::mem::forget(logs::start(LogOptions { files: None, terminal: Some(terminal) }).unwrap());
        });
        let kafka = EmbeddedKafka::start(&[("library", partitions)]).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), kafka, topic: "library".to_owned(), partitions }
    }

    /// The shipped configuration, pointed at this sandbox.
    pub(crate) fn settings(&self) -> Settings {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/forebay.toml");
        let mut settings = forebay::config::load(&shipped, std::iter::empty()).unwrap();
        let kafka = [
            ("bootstrap.servers", self.kafka.bootstrap_servers()),
            ("group.id", "forebay"),
            // The embedded Kafka lets a static member that comes again wait until its former self has expired.
            ("session.timeout.ms", "3000"),
            ("heartbeat.interval.ms", "500"),
        ];
        settings.kafka =
            kafka.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<KafkaSettings>();
        settings.lake.root = format!("file://{}", self.lake().display());
        settings.limits.spool.dir = self.dir.path().join("spool");
        settings
    }

    pub(crate) fn lake(&self) -> std::path::PathBuf {
        self.dir.path().join("lake")
    }

    pub(crate) fn start(&self, settings: &Settings, options: &Options) -> Daemon {
        Daemon::start(settings, options).unwrap()
    }

    /// Sends payloads round robin to the Kafka partitions and waits until all are delivered.
    pub(crate) fn send(&self, payloads: &[Option<String>]) {
        let user = [("bootstrap.servers".to_owned(), self.kafka.bootstrap_servers().to_owned())].into();
        let settings = ClientSettings { user, ..ClientSettings::default() };
        let producer = Producer::connect(&settings, |delivery| assert!(delivery.place.is_ok())).unwrap();
        for (number, payload) in payloads.iter().enumerate() {
            let partition = Some(i32::try_from(number).unwrap() % self.partitions);
            let payload = payload.as_deref().map(str::as_bytes);
            producer
                .send(Outgoing { number, topic: &self.topic, partition, key: None, payload, headers: &[] })
                .unwrap();
        }
        assert_eq!(producer.flush(PATIENCE).unwrap(), 0);
    }
}

/// One library message with one book.
pub(crate) fn library(id: i64, title: &str, added: &str) -> Option<String> {
    Some(format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<library branch="L7">
  <book id="B{id:09}" lang="en">
    <record_id>{id}</record_id>
    <title>{title}</title>
    <author><name>Silent Harbour</name><country>India</country></author>
    <genre>forest</genre>
    <price currency="EUR">17.95</price>
    <publication_year>1987</publication_year>
    <added>{added}</added>
  </book>
</library>"#
    ))
}

/// Waits until `what` holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
