//! Copies of a world, and what others do to its lake beside a promotion.

use std::sync::Arc;

use forebay::fault::Fault;
use forebay::flow::promote::Promoter;
use forebay::lake::chain::read_chain;
use forebay::lake::{LakeError, RewindOrder, UndoOrder, acquire};
use forebay::storage::Storage;
use forebay::storage::faulty::FaultyStorage;
use forebay::storage::sim::SimFs;

use super::owner::owner;
use super::world::{Beginning, World};

impl World {
    /// The same world on a copy of its lake.
    pub(crate) fn on(&self, memory: SimFs) -> Self {
        let memory = Arc::new(memory);
        let faulty = Arc::new(FaultyStorage::new(Arc::clone(&memory) as Arc<dyn Storage>));
        Self {
            storage: Arc::clone(&faulty) as Arc<dyn Storage>,
            memory,
            faulty,
            clock: Arc::clone(&self.clock),
            table: self.table.clone(),
            spool: Arc::clone(&self.spool),
            lanes: self.lanes.clone(),
            read: self.read.clone(),
            generation: self.generation.clone(),
        }
    }

    pub(crate) fn fork(&self) -> Self {
        self.on(self.memory.fork())
    }

    /// Takes the newest rewind of a lane back, beside whatever else goes on.
    pub(crate) fn undo_beside(&self, lane: usize) {
        let storage = Arc::clone(&self.memory) as Arc<dyn Storage>;
        let mut ledger = acquire(&storage, &self.clock, &owner(), &self.lanes[lane], &Beginning).unwrap();
        ledger.undo(UndoOrder { expect: None, reason: "test" }).unwrap();
    }

    /// Revises some intervals of a lane, beside whatever else goes on.
    pub(crate) fn revise_beside(&mut self, lane: usize, first: usize, count: usize) {
        let storage = Arc::clone(&self.memory) as Arc<dyn Storage>;
        self.generation[lane] += 1;
        assert!(self.revise_on(&storage, lane, first, count, None));
    }

    /// Rewinds a lane by some offsets, and reads again what it has cut and one message more, by a new mapping.
    pub(crate) fn rewind_beside(&self, storage: &Arc<dyn Storage>, lane: usize, back: i64) -> Result<(), LakeError> {
        let mut ledger = acquire(storage, &self.clock, &owner(), &self.lanes[lane], &Beginning)?;
        let end = ledger.head() + 1;
        let order = RewindOrder { target: end - 1 - back, expect: None, broker_low: 0, reason: "test" };
        ledger.rewind(order)?;
        while ledger.head() < end {
            let (from, to) = (ledger.head(), (ledger.head() + 2).min(end));
            let generation = self.generation[lane] + 1;
            let rows: Vec<_> = (from..to).flat_map(|offset| self.rows_of(lane, offset, generation)).collect();
            ledger.commit(&mut self.interval(from, to, &rows))?;
        }
        Ok(())
    }

    /// Revises the first interval of a lane as if by a new mapping.
    pub(crate) fn revise_first(&self, storage: &Arc<dyn Storage>, lane: usize) -> Result<(), LakeError> {
        let mut ledger = acquire(storage, &self.clock, &owner(), &self.lanes[lane], &Beginning)?;
        let live = read_chain(&*self.memory, &self.lanes[lane])?.chain.live;
        let (from, to) = (live[0].name.range.from(), live[0].name.range.to());
        let rows: Vec<_> =
            (from..to).flat_map(|offset| self.rows_of(lane, offset, self.generation[lane] + 1)).collect();
        ledger.revise(&mut self.interval(from, to, &rows), &live[0], "test")?;
        ledger.end_revisions()
    }

    /// A whole promotion on a storage of its own.
    pub(crate) fn promote_beside(&self, storage: &Arc<dyn Storage>) -> Result<(), Fault> {
        let mut promoter = Promoter::acquire(Arc::clone(storage), owner(), &self.table, self.spool_path(), 1 << 20)?;
        promoter.promote().map(drop)
    }
}
