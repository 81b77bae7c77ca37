//! Keys of rows: record id, order and place, packed into bytes and put into hash buckets, in memory while they fit and
//! in the spool beyond.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::fault::Fault;

/// Which of the sources a row belongs to, and its number in that file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowPlace {
    /// Index of the file.
    pub file: u32,
    /// Row in the file, from 0.
    pub row: u32,
}

/// What decides between versions of one id, after the version column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    /// Kafka timestamp, microseconds; none is lowest.
    pub timestamp: Option<i64>,
    /// Index of the Kafka partition; its rank decides, not this number.
    pub lane: u32,
    /// Offset.
    pub offset: i64,
    /// Row within the message.
    pub row_index: i32,
}

/// The key of one row, borrowed from where it is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Where the row is.
    pub place: RowPlace,
    /// Order and lineage.
    pub lineage: Lineage,
    /// The record id, in bytes that are equal exactly when the ids are.
    pub id: &'a [u8],
    /// The version, in bytes that sort like the versions; empty without a version column.
    pub version: &'a [u8],
}

/// Bytes of a packed key before id and version.
const HEAD: usize = 44;

impl<'a> Key<'a> {
    /// Appends the packed key.
    pub fn pack(&self, into: &mut Vec<u8>) {
        let Lineage { timestamp, lane, offset, row_index } = self.lineage;
        let mut head = [0u8; HEAD];
        head[0..4].copy_from_slice(&self.place.file.to_le_bytes());
        head[4..8].copy_from_slice(&self.place.row.to_le_bytes());
        head[8..12].copy_from_slice(&lane.to_le_bytes());
        head[12..16].copy_from_slice(&row_index.to_le_bytes());
        head[16..24].copy_from_slice(&offset.to_le_bytes());
        head[24..32].copy_from_slice(&timestamp.unwrap_or(0).to_le_bytes());
        head[32..36].copy_from_slice(&u32::from(timestamp.is_some()).to_le_bytes());
        // Lengths of single values of a Parquet file, far below 2^32.
        head[36..40].copy_from_slice(&(self.id.len() as u32).to_le_bytes());
        head[40..44].copy_from_slice(&(self.version.len() as u32).to_le_bytes());
        into.extend_from_slice(&head);
        into.extend_from_slice(self.id);
        into.extend_from_slice(self.version);
    }

    /// The first key in `packed` and what follows it; none at the end.
    pub fn unpack(packed: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, rest) = packed.split_at_checked(HEAD)?;
        let four = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let eight = |at: usize| i64::from(four(at)) | (i64::from(four(at + 4)) << 32);
        let (id, rest) = rest.split_at_checked(four(36) as usize)?;
        let (version, rest) = rest.split_at_checked(four(40) as usize)?;
        let lineage = Lineage {
            timestamp: (four(32) != 0).then(|| eight(24)),
            lane: four(8),
            offset: eight(16),
            row_index: four(12).cast_signed(),
        };
        Some((Self { place: RowPlace { file: four(0), row: four(4) }, lineage, id, version }, rest))
    }
}

/// Packed keys by hash of their record id.
///
/// Memory: at most `budget` bytes of keys; when they are more, all buckets are appended to their files in the spool.
pub struct Buckets {
    dir: PathBuf,
    buckets: Vec<Bucket>,
    held: usize,
    budget: usize,
}

#[derive(Default)]
struct Bucket {
    held: Vec<u8>,
    spooled: bool,
}

impl Buckets {
    /// Buckets for about `rows` keys of about `key_bytes` each, so many that each can be decided within `budget`.
    pub fn new(dir: &Path, rows: u64, key_bytes: u64, budget: u64) -> Self {
        let wanted = (rows.saturating_mul(key_bytes) / budget.max(1)).saturating_add(1);
        let count = usize::try_from(wanted.next_power_of_two()).unwrap_or(MOST_BUCKETS).min(MOST_BUCKETS);
        let buckets = (0..count).map(|_| Bucket::default()).collect();
        Self { dir: dir.to_owned(), buckets, held: 0, budget: usize::try_from(budget).unwrap_or(usize::MAX) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.buckets.len()
    }

    /// Adds a key whose record id has this hash.
    ///
    /// # Errors
    ///
    /// The spool.
    pub fn push(&mut self, hash: u64, key: &Key<'_>) -> Result<(), Fault> {
        // The high bits: tables use the low ones.
        let index = ((hash >> 32) as usize) & (self.buckets.len() - 1);
        let bucket = &mut self.buckets[index].held;
        let before = bucket.len();
        key.pack(bucket);
        self.held += bucket.len() - before;
        if self.held > self.budget { self.spill() } else { Ok(()) }
    }

    fn path(&self, index: usize) -> PathBuf {
        self.dir.join(format!("keys-{index:04}"))
    }

    fn spill(&mut self) -> Result<(), Fault> {
        for index in 0..self.buckets.len() {
            if self.buckets[index].held.is_empty() {
                continue;
            }
            let path = self.path(index);
            let bucket = &mut self.buckets[index];
            let mut options = OpenOptions::new();
            options.create(true).write(true);
            if bucket.spooled {
                options.append(true)
            } else {
                options.truncate(true)
            };
            let mut file = options.open(&path).map_err(|error| spool_fault(&path, &error))?;
            file.write_all(&bucket.held).map_err(|error| spool_fault(&path, &error))?;
            bucket.spooled = true;
            bucket.held.clear();
        }
        self.held = 0;
        Ok(())
    }

    /// Gives every key of a bucket to `take`, in the order in which they came, and forgets them.
    ///
    /// # Errors
    ///
    /// The spool.
    pub fn drain(&mut self, index: usize, mut take: impl FnMut(Key<'_>)) -> Result<(), Fault> {
        let path = self.path(index);
        let bucket = std::mem::take(&mut self.buckets[index]);
        self.held -= bucket.held.len();
        if bucket.spooled {
            let file = File::open(&path).map_err(|error| spool_fault(&path, &error))?;
            drain_file(BufReader::with_capacity(READ_BYTES, file), &mut take)
                .map_err(|error| spool_fault(&path, &error))?;
            std::fs::remove_file(&path).map_err(|error| spool_fault(&path, &error))?;
        }
        let mut packed = bucket.held.as_slice();
        while let Some((key, rest)) = Key::unpack(packed) {
            take(key);
            packed = rest;
        }
        Ok(())
    }
}

/// More buckets than this would make their files too small.
const MOST_BUCKETS: usize = 1024;

/// Bytes read from the spool at once.
const READ_BYTES: usize = 256 << 10;

fn drain_file(mut file: impl Read, take: &mut impl FnMut(Key<'_>)) -> std::io::Result<()> {
    let (mut buffer, mut chunk) = (Vec::new(), vec![0u8; READ_BYTES]);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return if buffer.is_empty() { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) };
        }
        buffer.extend_from_slice(&chunk[..read]);
        let mut packed = buffer.as_slice();
        while let Some((key, rest)) = Key::unpack(packed) {
            take(key);
            packed = rest;
        }
        let left = packed.len();
        buffer.drain(..buffer.len() - left);
    }
}

/// A fault of the local spool.
pub(super) fn spool_fault(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault::retry("promote.spool", format!("spool {}: {error}", path.display()))
}

/// Hashes of record ids that were seen: it may say yes to one that was not, and never no to one that was.
pub struct Sieve {
    bits: Vec<u64>,
    mask: u64,
}

impl Sieve {
    /// A sieve for about `ids` ids: eight bits each, 64 MiB at most.
    pub fn new(ids: u64) -> Self {
        let bits = ids.saturating_mul(8).next_power_of_two().clamp(1 << 10, 1 << 29);
        Self { bits: vec![0; (bits / 64) as usize], mask: bits - 1 }
    }

    /// Remembers a hash.
    pub fn add(&mut self, hash: u64) {
        let bit = hash & self.mask;
        self.bits[(bit / 64) as usize] |= 1 << (bit % 64);
    }

    /// Whether a hash may have been added.
    pub fn may_hold(&self, hash: u64) -> bool {
        let bit = hash & self.mask;
        self.bits[(bit / 64) as usize] & (1 << (bit % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn owned_key()(
            file in 0u32..3, row in any::<u32>(), timestamp in any::<Option<i64>>(), lane in any::<u32>(),
            offset in any::<i64>(), row_index in any::<i32>(), id in prop::collection::vec(any::<u8>(), 0..20),
            version in prop::collection::vec(any::<u8>(), 0..300),
        ) -> (RowPlace, Lineage, Vec<u8>, Vec<u8>) {
            (RowPlace { file, row }, Lineage { timestamp, lane, offset, row_index }, id, version)
        }
    }

    proptest! {
        #[test]
        fn keys_come_back_whole_from_memory_and_spool(
            keys in prop::collection::vec(owned_key(), 0..60), budget in prop::sample::select(vec![1u64, 2000, 1 << 20]),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut buckets = Buckets::new(dir.path(), keys.len() as u64, 100, budget);
            for (number, (place, lineage, id, version)) in keys.iter().enumerate() {
                let hash = (number as u64) << 32;
                buckets.push(hash, &Key { place: *place, lineage: *lineage, id, version }).unwrap();
            }
            let mut seen = Vec::new();
            for index in 0..buckets.count() {
                buckets.drain(index, |key| seen.push((key.place, key.lineage, key.id.to_vec(), key.version.to_vec()))).unwrap();
            }
            let mut want = keys;
            let by = |key: &(RowPlace, Lineage, Vec<u8>, Vec<u8>)| format!("{key:?}");
            seen.sort_by_key(by);
            want.sort_by_key(by);
            prop_assert_eq!(seen, want);
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_sieve_forgets_nothing() {
        let mut sieve = Sieve::new(100);
        let hashes: Vec<u64> = (0..100u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        hashes.iter().for_each(|hash| sieve.add(*hash));
        assert!(hashes.iter().all(|hash| sieve.may_hold(*hash)));
        assert!((0..10_000u64).filter(|n| sieve.may_hold(n.wrapping_mul(0x2545_f491_4f6c_dd1d))).count() < 3_000);
    }
}
