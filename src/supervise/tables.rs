//! The tables with all that is made of them. A set never changes: a reload puts another in its place, and a generation
//! of a lane ends with the one that it began with, so that no interval is read half by one mapping and half by the
//! next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fit;
use super::view::{Shared, Tally};
use crate::fault::Fault;
use crate::flow::parse::ParserTable;
use crate::flow::validate::Rules;
use crate::model::catalog::Catalog;
use crate::model::drift::Drift;
use crate::model::table::{RowTable, Table};
use crate::storage::Storage;

/// The tables of one configuration, compiled. A [`crate::model::batch::TableIndex`] of a generation points into the set
/// that it has.
#[derive(Debug)]
pub struct TableSet {
    /// Every table, child tables too.
    pub catalog: Catalog,
    /// The mappings of the tables of the configuration, compiled.
    pub parser_tables: Arc<[ParserTable]>,
    /// Their rules, compiled.
    pub rules: Arc<Rules>,
    /// What was committed for each table of the catalog, in its order, and for messages that no table took. Shared with
    /// the sets before and after.
    pub tallies: Vec<Shared<Tally>>,
    /// What arrived and no column takes. Of a mapping that has changed it begins at nothing, also for what lanes still
    /// read with the one before.
    pub drift: Drift,
    /// For each table of the configuration, whether it is known to fit what it has in the lake.
    fits: Vec<AtomicBool>,
}

impl TableSet {
    /// The tables that a process begins with.
    ///
    /// # Errors
    ///
    /// Mappings that cannot be compiled, settings that do not fit them, too many tables.
    pub fn first(tables: &[Table]) -> Result<Self, Fault> {
        Self::new(tables, None)
    }

    /// The tables after a reload. What has not changed is shared with the set before.
    ///
    /// # Errors
    ///
    /// As [`TableSet::first`].
    pub fn next(&self, tables: &[Table]) -> Result<Self, Fault> {
        Self::new(tables, Some(self))
    }

    fn new(tables: &[Table], before: Option<&Self>) -> Result<Self, Fault> {
        let too_many = || Fault::halt("config.tables", "there are more than 65,535 tables and child tables");
        let catalog = Catalog::new(tables).ok_or_else(too_many)?;
        let compiled = tables.iter().map(|table| compile(table, before)).collect::<Result<Arc<[_]>, _>>()?;
        let rules = Arc::new(Rules::new(tables, Arc::clone(&compiled))?);
        let unrouted = before.and_then(|before| before.tallies.last()).cloned();
        let tally = |name: &str| before.and_then(|before| before.tally_of(name)).cloned().unwrap_or_else(none);
        let mut tallies: Vec<_> = catalog.all().iter().map(|table| tally(&table.name)).collect();
        tallies.push(unrouted.unwrap_or_else(none));
        let drift = before.map(|before| before.drift.carried(unchanged(before, &catalog))).unwrap_or_default();
        let fits = |table: &Table| before.is_some_and(|before| before.is_known_to_fit(table));
        let fits = tables.iter().map(|table| AtomicBool::new(fits(table))).collect();
        Ok(Self { catalog, parser_tables: compiled, rules, tallies, drift, fits })
    }

    /// Whether a table of the next set is known to fit: with the mapping that it has here, and no other. A reload holds
    /// a mapping against this one, and what is in the lake may be of those before, which nobody held against it where
    /// one of them says that readers have to cope.
    fn is_known_to_fit(&self, next: &Table) -> bool {
        let mut tables = self.tables().iter().zip(&self.fits);
        tables
            .find(|(table, _)| table.name == next.name)
            .is_some_and(|(table, fits)| table.mapping == next.mapping && fits.load(Ordering::Acquire))
    }

    /// Holds the tables of `topic` against what they have in the lake, once for each: a mapping may have changed while
    /// no daemon ran.
    ///
    /// # Errors
    ///
    /// A table whose old and new files could not be read together; what storage answered.
    pub fn refuse_clashes(&self, storage: &dyn Storage, topic: &str) -> Result<(), Fault> {
        for (index, table) in self.of_topic(topic) {
            let Some(fits) = self.fits.get(index).filter(|fits| !fits.load(Ordering::Acquire)) else { continue };
            fit::refuse_clashes(storage, table)?;
            fits.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// The tables of the configuration.
    pub fn tables(&self) -> &[Table] {
        self.catalog.tables()
    }

    /// The tally of a table; of messages that no table took without one.
    pub fn tally(&self, table: Option<u16>) -> Option<&Shared<Tally>> {
        self.tallies.get(table.map_or(self.catalog.all().len(), usize::from))
    }

    fn tally_of(&self, name: &str) -> Option<&Shared<Tally>> {
        let index = self.catalog.all().iter().position(|table| *table.name == *name)?;
        self.tallies.get(index)
    }

    /// The tables that messages of `topic` may go to, with their indices.
    pub fn of_topic(&self, topic: &str) -> impl Iterator<Item = (usize, &Table)> {
        self.tables().iter().enumerate().filter(move |(_, table)| table.topics.takes(topic))
    }

    /// Their names; none when there is none.
    pub fn names_of(&self, topic: &str) -> Option<String> {
        let names: Vec<&str> = self.of_topic(topic).map(|(_, table)| &*table.name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Whether a table of the configuration is what it is in `other`.
    pub fn is_same(&self, other: &Self, index: usize) -> bool {
        let compiled = self.parser_tables.get(index).zip(other.parser_tables.get(index));
        self.tables().get(index) == other.tables().get(index) && compiled.is_some_and(|(ours, theirs)| ours.is(theirs))
    }

    /// Whether messages of `topic` fare here as they do in `other`.
    pub fn serves_alike(&self, other: &Self, topic: &str) -> bool {
        let (ours, theirs) = (self.of_topic(topic), other.of_topic(topic));
        let theirs: Vec<usize> = theirs.map(|(index, _)| index).collect();
        let ours: Vec<usize> = ours.map(|(index, _)| index).collect();
        ours == theirs && ours.into_iter().all(|index| self.is_same(other, index))
    }
}

fn none() -> Shared<Tally> {
    Shared::new(Tally::default())
}

/// Tables of both, child tables too, whose mapping has not changed: their indices before and now.
fn unchanged(before: &TableSet, now: &Catalog) -> Vec<(u16, u16)> {
    let find = |(table, index): (&RowTable, u16)| {
        let mapping = &now.settings(index)?.mapping;
        let same = |(old, of): &(&RowTable, u16)| {
            old.name == table.name && before.catalog.settings(*of).is_some_and(|old| old.mapping == *mapping)
        };
        Some((before.catalog.all().iter().zip(0..).find(same)?.1, index))
    };
    now.all().iter().zip(0..).filter_map(find).collect()
}

/// The compiled mapping of `table`: the one from before where nothing of it has changed, so that the parsers go on with
/// what they keep for it.
fn compile(table: &Table, before: Option<&TableSet>) -> Result<ParserTable, Fault> {
    let same = before.and_then(|before| {
        let mut tables = before.tables().iter().zip(before.parser_tables.iter());
        let (old, compiled) = tables.find(|(old, _)| old.name == table.name)?;
        (old.mapping == table.mapping).then_some(compiled)
    });
    match same {
        Some(compiled) if table.mapping.xsd.is_none() => Ok(compiled.clone()),
        // The files of the schema may have changed, and the mapping names only the first.
        Some(compiled) => {
            let fresh = ParserTable::compile(&table.mapping)?;
            Ok(if fresh.has_schema_of(compiled) { compiled.clone() } else { fresh })
        }
        None => ParserTable::compile(&table.mapping),
    }
}

#[cfg(test)]
mod tests;
