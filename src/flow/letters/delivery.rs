//! The letters of one committed interval on their way: read, sent, acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;

use super::letter::{Extent, Rows, Sender};
use super::post::Post;
use crate::fault::Fault;
use crate::flow::read::faults::TOO_LARGE;
use crate::lake::chain::LedgerFile;
use crate::lake::parquet_reader::ParquetFile;
use crate::lake::{LakeError, LetterBox};
use crate::stage::step::WAIT;
use crate::storage::{LakePath, Storage};

/// Rows of quarantine that are read at once. Payloads may be large, so there are few.
pub const BATCH_ROWS: usize = 8;
/// Bytes of letters that may wait to be acknowledged.
pub const WINDOW_BYTES: usize = 4 << 20;
/// Letters that may wait to be acknowledged.
const WINDOW_LETTERS: usize = 1000;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, LakeError>> + Send>;

/// One interval whose letters are being sent.
pub struct Delivery {
    interval: LedgerFile,
    files: Vec<(LakePath, u64)>,
    unread: VecDeque<(LakePath, u64)>,
    batches: Option<Batches>,
    /// Rows that were read, and the next of them.
    batch: Option<(RecordBatch, usize)>,
    /// The letter that was sent last: were it refused, it is sent again from here.
    last: Option<(RecordBatch, usize)>,
    care: Care,
    /// Letters that wait to be acknowledged, by number, with their bytes.
    waiting: BTreeMap<usize, usize>,
    waiting_bytes: usize,
    sent: usize,
}

/// How letters are sent: a topic that refuses one as too large refuses all that are sent along with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Many at once.
    Together,
    /// One after the other.
    Alone,
    /// The next one without its payload, those after it alone again.
    Lean,
    /// The next one without anything that may be long, those after it alone again.
    Bare,
}

impl Care {
    fn extent(self) -> Extent {
        match self {
            Self::Together | Self::Alone => Extent::Whole,
            Self::Lean => Extent::NoPayload,
            Self::Bare => Extent::Bare,
        }
    }
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headway {
    /// Letters were sent.
    Sent,
    /// It waits for the topic.
    Waiting,
    /// All are acknowledged: so many.
    Done(usize),
}

impl Delivery {
    /// The letters of an interval.
    ///
    /// # Errors
    ///
    /// What the lake answered.
    pub fn of(letters: &LetterBox, interval: LedgerFile) -> Result<Self, LakeError> {
        let files = letters.files_of(&interval)?.into_iter().map(|(path, file)| (path, file.bytes)).collect();
        let mut delivery = Self {
            interval,
            files,
            unread: VecDeque::new(),
            batches: None,
            batch: None,
            last: None,
            care: Care::Together,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            sent: 0,
        };
        delivery.begin(Care::Together);
        Ok(delivery)
    }

    /// The interval.
    pub fn interval(&self) -> &LedgerFile {
        &self.interval
    }

    /// From the first letter on.
    fn begin(&mut self, care: Care) {
        self.unread = self.files.iter().cloned().collect();
        (self.batches, self.batch, self.last, self.care) = (None, None, None, care);
        self.waiting.clear();
        (self.waiting_bytes, self.sent) = (0, 0);
    }

    /// Hears what was acknowledged and sends on.
    ///
    /// # Errors
    ///
    /// What the lake answered; what became of a letter that was not acknowledged. Then the post is to be closed.
    pub fn advance(
        &mut self,
        storage: &Arc<dyn Storage>,
        sender: Sender<'_>,
        topic: &str,
        post: &mut dyn Post,
    ) -> Result<Headway, Fault> {
        let is_full = self.is_full();
        self.hear(post, if is_full { WAIT } else { Duration::ZERO })?;
        if is_full {
            return Ok(Headway::Waiting);
        }
        if self.batch.is_none() {
            self.batch = self.read(storage)?.map(|batch| (batch, 0));
        }
        match self.batch.take() {
            Some((batch, row)) => {
                let next = self.send(&batch, row, sender, topic, post)?;
                self.batch = (next < batch.num_rows()).then_some((batch, next));
                Ok(Headway::Sent)
            }
            None if self.waiting.is_empty() => Ok(Headway::Done(self.sent)),
            None => {
                self.hear(post, WAIT)?;
                Ok(Headway::Waiting)
            }
        }
    }

    fn is_full(&self) -> bool {
        let is_alone = self.care != Care::Together;
        is_alone && !self.waiting.is_empty()
            || self.waiting_bytes >= WINDOW_BYTES
            || self.waiting.len() >= WINDOW_LETTERS
    }

    fn hear(&mut self, post: &mut dyn Post, wait: Duration) -> Result<(), Fault> {
        for (number, outcome) in post.answers(wait) {
            outcome?;
            self.waiting_bytes -= self.waiting.remove(&number).unwrap_or(0);
            if self.care != Care::Together {
                self.care = Care::Alone;
            }
        }
        Ok(())
    }

    fn read(&mut self, storage: &Arc<dyn Storage>) -> Result<Option<RecordBatch>, Fault> {
        loop {
            if let Some(batch) = self.batches.as_mut().and_then(Iterator::next) {
                return Ok(Some(batch?).filter(|batch| batch.num_rows() > 0));
            }
            let Some((path, bytes)) = self.unread.pop_front() else { return Ok(None) };
            let file = ParquetFile::open(Arc::clone(storage), path, bytes)?;
            let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
            self.batches = Some(Box::new(file.read(&columns, BATCH_ROWS)?));
        }
    }

    /// Sends rows from `row` on while there is room; the first that is still to be sent.
    fn send(
        &mut self,
        batch: &RecordBatch,
        mut row: usize,
        sender: Sender<'_>,
        topic: &str,
        post: &mut dyn Post,
    ) -> Result<usize, Fault> {
        let rows = Rows::of(batch)?;
        while row < batch.num_rows() && !self.is_full() {
            let letter = rows.letter(row, sender, self.care.extent())?;
            self.last = Some((batch.clone(), row));
            post.send(self.sent, topic, &letter)?;
            self.waiting.insert(self.sent, letter.bytes());
            self.waiting_bytes += letter.bytes();
            self.sent += 1;
            row += 1;
        }
        Ok(row)
    }

    /// What to do about a fault: whether it goes on, on a new post. The topic takes no message of the size that was
    /// sent, so letters go alone, and the one that is too large by itself without its payload, or as bare as can be.
    pub fn goes_on_after(&mut self, fault: &Fault) -> bool {
        if fault.event != TOO_LARGE {
            return false;
        }
        match self.care {
            Care::Together => self.begin(Care::Alone),
            Care::Alone => self.again(Care::Lean),
            Care::Lean => self.again(Care::Bare),
            Care::Bare => return false,
        }
        true
    }

    /// From the letter on that was sent last.
    fn again(&mut self, care: Care) {
        (self.batch, self.care) = (self.last.take(), care);
        // It counts when it is sent again, unless it was refused before it counted.
        self.sent -= self.waiting.len();
        self.waiting.clear();
        self.waiting_bytes = 0;
    }
}
