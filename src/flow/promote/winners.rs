//! Which row of each id wins. Pure.
//!
//! The order is total: version (null lowest), Kafka timestamp (none lowest), topic, Kafka partition, offset, row within
//! the message. So the result depends neither on the order in which rows arrive nor on how promotions are cut.

use std::cmp::Ordering;
use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::keys::{Key, Lineage, RowPlace};

/// What a row is to this promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// In RAW, consumed by this promotion.
    New,
    /// In RAW, promoted before: counts only for an id whose row in Processed came from offsets that were rewound or
    /// revised.
    Old,
    /// In Processed.
    Promoted {
        /// Whether it came from offsets that were rewound or revised since.
        is_stale: bool,
    },
}

/// What is decided for the ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Rows of RAW to write.
    pub winners: Vec<RowPlace>,
    /// Rows of Processed to take away.
    pub losers: Vec<RowPlace>,
    /// Ids that Processed did not have.
    pub ids_new: u64,
    /// Ids whose row is replaced.
    pub ids_changed: u64,
    /// Ids that RAW does not have any more after a rewind or a revision.
    pub ids_removed: u64,
}

/// Picks the winners of one bucket of ids.
///
/// Memory: the ids of the bucket and the best version of each, however many versions there are.
pub struct Picker<'a, S> {
    /// Rank of each Kafka partition, by its index.
    ranks: &'a [u32],
    hasher: &'a S,
    table: HashTable<u32>,
    ids: Vec<u8>,
    entries: Vec<Entry>,
    decision: Decision,
}

struct Entry {
    id: (usize, u32),
    new: Option<Candidate>,
    rest: Option<Box<Rest>>,
}

#[derive(Default)]
struct Rest {
    old: Option<Candidate>,
    promoted: Option<(Candidate, bool)>,
}

struct Candidate {
    place: RowPlace,
    lineage: Lineage,
    version: Box<[u8]>,
}

impl Candidate {
    fn of(key: &Key<'_>) -> Self {
        Self { place: key.place, lineage: key.lineage, version: key.version.into() }
    }
}

/// Compares two versions of one id: greater wins.
pub(super) fn order(ranks: &[u32], a: (&[u8], &Lineage), b: (&[u8], &Lineage)) -> Ordering {
    let rank = |lane: u32| ranks.get(lane as usize).copied().unwrap_or(lane);
    a.0.cmp(b.0)
        .then_with(|| a.1.timestamp.cmp(&b.1.timestamp))
        .then_with(|| rank(a.1.lane).cmp(&rank(b.1.lane)))
        .then_with(|| a.1.offset.cmp(&b.1.offset))
        .then_with(|| a.1.row_index.cmp(&b.1.row_index))
}

impl<'a, S: BuildHasher> Picker<'a, S> {
    /// A picker. `ranks` holds the place of each Kafka partition among all, by topic and number.
    pub fn new(ranks: &'a [u32], hasher: &'a S) -> Self {
        let (table, decision) = (HashTable::new(), Decision::default());
        Self { ranks, hasher, table, ids: Vec::new(), entries: Vec::new(), decision }
    }

    /// Takes one row into account, in any order.
    pub fn offer(&mut self, role: Role, key: &Key<'_>) {
        let index = self.entry(key.id);
        let (ranks, entry) = (self.ranks, &mut self.entries[index]);
        match role {
            Role::New => keep_best(ranks, &mut entry.new, key),
            Role::Old => keep_best(ranks, &mut entry.rest.get_or_insert_default().old, key),
            Role::Promoted { is_stale } => {
                let promoted = &mut entry.rest.get_or_insert_default().promoted;
                // An id that stands twice in Processed is healed: the lesser row goes.
                match promoted {
                    None => *promoted = Some((Candidate::of(key), is_stale)),
                    Some((best, _)) if beats(ranks, key, best) => {
                        self.decision.losers.push(best.place);
                        *promoted = Some((Candidate::of(key), is_stale));
                    }
                    Some(_) => self.decision.losers.push(key.place),
                }
            }
        }
    }

    fn entry(&mut self, id: &[u8]) -> usize {
        let Self { hasher, table, ids, entries, .. } = self;
        let of = |index: u32| {
            let (from, len) = entries[index as usize].id;
            &ids[from..from + len as usize]
        };
        let hash = hasher.hash_one(id);
        if let Some(found) = table.find(hash, |index| of(*index) == id) {
            return *found as usize;
        }
        let index = entries.len() as u32;
        table.insert_unique(hash, index, |index| hasher.hash_one(of(*index)));
        entries.push(Entry { id: (ids.len(), id.len() as u32), new: None, rest: None });
        ids.extend_from_slice(id);
        index as usize
    }

    /// Decides every id.
    pub fn decide(self) -> Decision {
        let (ranks, mut decision) = (self.ranks, self.decision);
        for entry in self.entries {
            let rest = entry.rest.map(|rest| *rest).unwrap_or_default();
            let Some((promoted, is_stale)) = rest.promoted else {
                // Without a row in Processed, rows promoted before say nothing about this id.
                if let Some(new) = entry.new {
                    decision.winners.push(new.place);
                    decision.ids_new += 1;
                }
                continue;
            };
            if !is_stale {
                if let Some(new) = entry.new.filter(|new| is_greater(ranks, new, &promoted)) {
                    decision.losers.push(promoted.place);
                    decision.winners.push(new.place);
                    decision.ids_changed += 1;
                }
                continue;
            }
            decision.losers.push(promoted.place);
            let best = match (entry.new, rest.old) {
                (Some(new), Some(old)) => Some(if is_greater(ranks, &old, &new) { old } else { new }),
                (new, old) => new.or(old),
            };
            match best {
                Some(best) => {
                    decision.winners.push(best.place);
                    decision.ids_changed += 1;
                }
                None => decision.ids_removed += 1,
            }
        }
        decision
    }
}

fn beats(ranks: &[u32], key: &Key<'_>, best: &Candidate) -> bool {
    order(ranks, (key.version, &key.lineage), (&best.version, &best.lineage)).is_gt()
}

fn is_greater(ranks: &[u32], a: &Candidate, b: &Candidate) -> bool {
    order(ranks, (&a.version, &a.lineage), (&b.version, &b.lineage)).is_gt()
}

fn keep_best(ranks: &[u32], best: &mut Option<Candidate>, key: &Key<'_>) {
    if best.as_ref().is_none_or(|best| beats(ranks, key, best)) {
        *best = Some(Candidate::of(key));
    }
}

/// A set of rows of one file: one bit a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    len: u64,
}

impl RowSet {
    /// Adds a row that is not in it yet.
    pub fn insert(&mut self, row: u32) {
        let word = (row / 64) as usize;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let before = self.words[word];
        self.words[word] |= 1 << (row % 64);
        self.len += u64::from(before != self.words[word]);
    }

    /// Whether a row is in it.
    pub fn contains(&self, row: u32) -> bool {
        self.words.get((row / 64) as usize).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    /// How many rows are in it.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no row is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    struct Row {
        id: u8,
        version: u8,
        timestamp: Option<i64>,
        lane: u32,
        role: Role,
    }

    prop_compose! {
        fn row()(
            id in 0u8..6, version in 0u8..3, timestamp in prop::option::of(0i64..3), lane in 0u32..3,
            role in prop::sample::select(vec![Role::New, Role::Old]),
        ) -> Row {
            Row { id, version, timestamp, lane, role }
        }
    }

    /// Ranks that are not the numbers, so that a mix-up shows.
    const RANKS: [u32; 3] = [2, 0, 1];

    fn naive(rows: &[Row], row: usize) -> (u8, Option<i64>, u32, usize) {
        let Row { version, timestamp, lane, .. } = rows[row];
        (version, timestamp, RANKS[lane as usize], row)
    }

    proptest! {
        #[test]
        fn the_greatest_row_of_each_id_wins(
            rows in prop::collection::vec(row(), 0..40), rewound in prop::collection::vec(any::<bool>(), 6),
            shuffle in any::<u64>(),
        ) {
            // What is promoted already is the greatest of the old rows.
            let greatest = |id: u8, roles: &[Role]| {
                (0..rows.len()).filter(|row| rows[*row].id == id && roles.contains(&rows[*row].role)).max_by_key(|row| naive(&rows, *row))
            };
            let mut keys = Vec::new();
            for (number, row) in rows.iter().enumerate() {
                let lineage = Lineage { timestamp: row.timestamp, lane: row.lane, offset: number as i64, row_index: 0 };
                keys.push((row.role, RowPlace { file: 0, row: number as u32 }, lineage, row.id, row.version));
            }
            let mut want = BTreeMap::new();
            for id in 0..6u8 {
                let promoted = greatest(id, &[Role::Old]);
                if let Some(promoted) = promoted {
                    let row = &rows[promoted];
                    let lineage = Lineage { timestamp: row.timestamp, lane: row.lane, offset: promoted as i64, row_index: 0 };
                    let role = Role::Promoted { is_stale: rewound[id as usize] };
                    keys.push((role, RowPlace { file: 1, row: u32::from(id) }, lineage, id, row.version));
                }
                if let Some(best) = greatest(id, &[Role::Old, Role::New]) {
                    let stays = promoted == Some(best) && !rewound[id as usize];
                    want.insert(id, if stays { RowPlace { file: 1, row: u32::from(id) } } else { RowPlace { file: 0, row: best as u32 } });
                }
            }
            fastrand::Rng::with_seed(shuffle).shuffle(&mut keys);
            let hasher = hashbrown::DefaultHashBuilder::default();
            let mut picker = Picker::new(&RANKS, &hasher);
            for (role, place, lineage, id, version) in &keys {
                picker.offer(*role, &Key { place: *place, lineage: *lineage, id: &[*id], version: &[*version] });
            }
            let decision = picker.decide();
            let mut have = BTreeMap::new();
            for (role, place, _, id, _) in &keys {
                if matches!(role, Role::Promoted { .. }) && !decision.losers.contains(place) {
                    prop_assert!(have.insert(*id, *place).is_none());
                }
            }
            for place in &decision.winners {
                prop_assert!(have.insert(rows[place.row as usize].id, *place).is_none());
            }
            prop_assert_eq!(have, want);
            prop_assert_eq!(decision.ids_removed, 0);
        }
    }

    #[test]
    fn an_id_that_raw_has_no_more_goes_and_one_that_stands_twice_is_healed() {
        let hasher = hashbrown::DefaultHashBuilder::default();
        let mut picker = Picker::new(&[0], &hasher);
        let key = |id: &'static [u8], row: u32, offset: i64| Key {
            place: RowPlace { file: 0, row },
            lineage: Lineage { timestamp: None, lane: 0, offset, row_index: 0 },
            id,
            version: &[],
        };
        picker.offer(Role::Promoted { is_stale: true }, &key(b"gone", 0, 5));
        picker.offer(Role::Promoted { is_stale: false }, &key(b"twice", 1, 3));
        picker.offer(Role::Promoted { is_stale: false }, &key(b"twice", 2, 4));
        let decision = picker.decide();
        let losers: Vec<u32> = decision.losers.iter().map(|place| place.row).collect();
        assert_eq!((losers, decision.winners.len(), decision.ids_removed), (vec![1, 0], 0, 1));
    }

    #[test]
    fn a_row_set_counts_each_row_once() {
        let mut set = RowSet::default();
        for row in [3, 200, 3] {
            set.insert(row);
        }
        assert_eq!((set.len(), set.contains(200), set.contains(64), set.contains(9_999)), (2, true, false, false));
    }
}
