//! Sending generated messages, and writing down what each must become.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::library::{Book, Library};
use crate::fault::Fault;
use crate::flow::read::producer::{Delivery, Outgoing, Producer};
use crate::flow::read::settings::Settings;
use crate::flow::read::topics::Topics;

/// Messages between two looks at the clock, the rate and the stop flag.
const ROUND: u64 = 64;
/// Between two progress reports.
const REPORT_PERIOD: Duration = Duration::from_secs(1);
/// How long the last messages may take.
const FLUSH_WAIT: Duration = Duration::from_secs(120);
/// How long to wait before looking again whether more may be sent.
const HOLD_WAIT: Duration = Duration::from_millis(5);

/// Whether message number `n` may be sent now; asked now and then. For a Kafka that forgets what nobody read yet.
pub type HoldBack = Box<dyn FnMut(u64) -> bool + Send>;

/// What to send, and where.
pub struct Job {
    /// The cluster.
    pub settings: Settings,
    /// The topic.
    pub topic: String,
    /// Create the topic with that many Kafka partitions unless it is there.
    pub create_with: Option<i32>,
    /// What the messages are.
    pub library: Library,
    /// Number of the first message; the ones before were sent by an earlier run with the same seed.
    pub first: u64,
    /// Number of messages.
    pub count: u64,
    /// Messages a second at most.
    pub rate: Option<f64>,
    /// A file that gets one JSON line for each delivered message, see [`LedgerLine`]. Appended to.
    pub ledger: Option<PathBuf>,
    /// Sends no faster than this allows.
    pub hold_back: Option<HoldBack>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Messages sent.
    pub sent: u64,
    /// Messages acknowledged by the cluster.
    pub delivered: u64,
    /// Messages of which nobody knows whether they are in Kafka.
    pub failed: u64,
    /// Bytes of the payloads sent.
    pub bytes: u64,
    /// Since the start.
    pub elapsed: Duration,
}

impl Progress {
    /// Messages a second since the start.
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.elapsed.as_secs_f64().max(0.001)
    }
}

/// One line of the ledger: where a message lies and what must become of it with the mapping `books`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// Topic.
    pub topic: String,
    /// Kafka partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Kafka timestamp in milliseconds; none where the broker gives none.
    pub timestamp_ms: Option<i64>,
    /// Number of the message in the run.
    pub number: u64,
    /// Outcome as in Forebay's ledger.
    pub outcome: String,
    /// Codes of which the first violation must have one.
    pub codes: Vec<String>,
    /// The rows that must come of it, as text.
    pub rows: Vec<Book>,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
    /// The first failure, or that the ledger cannot be written.
    trouble: Mutex<Option<Fault>>,
}

impl Counts {
    fn trouble(&self, fault: Fault) {
        self.trouble.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(fault);
    }

    fn take_trouble(&self) -> Option<Fault> {
        self.trouble.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

/// Sends everything, or until `stop` is set; tells `progress` every second and at the end.
///
/// # Errors
///
/// When the cluster refuses a message, a delivery failed, or the ledger cannot be written. What was delivered until
/// then is in the ledger.
pub fn run(mut job: Job, stop: &AtomicBool, mut progress: impl FnMut(Progress)) -> Result<Progress, Fault> {
    if let Some(partitions) = job.create_with {
        Topics::connect(&job.settings)?.create(&job.topic, partitions, 1, &[])?;
    }
    let ledger = job.ledger.as_ref().map(|path| {
        let file = File::options().create(true).append(true).open(path);
        file.map(|file| Arc::new(Mutex::new(BufWriter::with_capacity(1 << 20, file))))
            .map_err(|error| Fault::halt("produce.ledger", format!("cannot write {}: {error}", path.display())))
    });
    let ledger = ledger.transpose()?;
    let counts = Arc::new(Counts::default());
    let report = reporter(&job, ledger.clone(), Arc::clone(&counts));
    let producer = Producer::connect(&job.settings, report)?;

    let begun = Instant::now();
    let (mut now, mut reported) = (Progress::default(), begun);
    let mut outcome = Ok(());
    for number in job.first..job.first.saturating_add(job.count) {
        if now.sent.is_multiple_of(ROUND) {
            if stop.load(Ordering::Acquire) {
                break;
            }
            while let Some(hold_back) = &mut job.hold_back
                && !hold_back(number)
                && !stop.load(Ordering::Acquire)
            {
                producer.serve(HOLD_WAIT);
            }
            keep_rate(&producer, job.rate, now.sent, begun);
            if reported.elapsed() >= REPORT_PERIOD {
                reported = Instant::now();
                progress(counted(now, &counts, begun));
            }
        }
        let message = job.library.message(number);
        now.bytes += message.payload.as_ref().map_or(0, Vec::len) as u64;
        now.sent += 1;
        outcome = producer.send(Outgoing {
            number: usize::try_from(number).unwrap_or(usize::MAX),
            topic: &job.topic,
            partition: None,
            key: Some(message.key.as_bytes()),
            payload: message.payload.as_deref(),
            headers: &[],
        });
        if outcome.is_err() {
            break;
        }
    }
    let flushed = producer.flush(FLUSH_WAIT);
    let written = ledger.map_or(Ok(()), |ledger| {
        ledger.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).flush().map_err(|error| unwritable(&error))
    });
    let end = counted(now, &counts, begun);
    progress(end);
    outcome?;
    flushed?;
    written?;
    counts.take_trouble().map_or(Ok(end), Err)
}

fn reporter(
    job: &Job,
    ledger: Option<Arc<Mutex<BufWriter<File>>>>,
    counts: Arc<Counts>,
) -> impl FnMut(Delivery) + Send + 'static {
    let (library, topic) = (job.library, job.topic.clone());
    move |delivery| {
        let place = match delivery.place {
            Ok(place) => place,
            Err(fault) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                counts.trouble(fault.while_doing(format!("delivering message {}", delivery.number)));
                return;
            }
        };
        counts.delivered.fetch_add(1, Ordering::Relaxed);
        let Some(ledger) = &ledger else { return };
        // Made again instead of kept: it is the same message, and nothing piles up.
        let message = library.message(delivery.number as u64);
        let line = LedgerLine {
            topic: topic.clone(),
            partition: place.partition,
            offset: place.offset,
            timestamp_ms: place.timestamp_ms,
            number: delivery.number as u64,
            outcome: message.outcome.name().to_owned(),
            codes: message.codes.iter().map(|code| (*code).to_owned()).collect(),
            rows: message.rows,
        };
        let mut ledger = ledger.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let written = serde_json::to_writer(&mut *ledger, &line).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|()| ledger.write_all(b"\n")) {
            counts.trouble(unwritable(&error));
        }
    }
}

fn unwritable(error: &std::io::Error) -> Fault {
    Fault::halt("produce.ledger", format!("the ledger cannot be written: {error}"))
}

fn counted(progress: Progress, counts: &Counts, begun: Instant) -> Progress {
    Progress {
        delivered: counts.delivered.load(Ordering::Relaxed),
        failed: counts.failed.load(Ordering::Relaxed),
        elapsed: begun.elapsed(),
        ..progress
    }
}

/// Serves the producer until the next messages are due.
fn keep_rate(producer: &Producer, rate: Option<f64>, sent: u64, begun: Instant) {
    let Some(rate) = rate.filter(|rate| *rate > 0.0) else { return };
    let due = Duration::from_secs_f64(sent as f64 / rate);
    while let Some(wait) = due.checked_sub(begun.elapsed()).filter(|wait| !wait.is_zero()) {
        producer.serve(wait.min(Duration::from_millis(100)));
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("topic", &self.topic).field("count", &self.count).finish_non_exhaustive()
    }
}
