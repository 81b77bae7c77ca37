//! A batch of messages to a batch of rows and verdicts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;

use super::compile::{Program, TableId};
use super::drift::Counted;
use super::locate::{self, Located};
use super::machine::{FREE_EXPANSION, MAX_EXPANSION, Machine};
use super::route::{Choice, Route};
use super::rows::Rows;
use crate::fault::Fault;
use crate::flow::headers::HeaderColumn;
use crate::model::batch::{
    DriftCount, Outcome, ParsedBatch, RawBatch, RawMessage, Span, TableIndex, TableRows, Verdict,
};
use crate::model::mapping::Mapping;
use crate::model::violation::{Code, Violation};
use crate::schema::Schema;

/// A part of a table is closed at this many bytes of text in one column, or of keys and headers: offsets in a column
/// are 31 bits, and one message may add as much as the longest expansion to it.
const PART_BYTES: usize = 512 << 20;
/// A message of this length may well have more rows than there is room for.
const LARGE_BYTES: usize = 16 << 10;

/// The room is looked at before what came since the last time can have filled one of so many parts of it.
const PARTS_OF_ROOM: usize = 8;

/// A mapping, compiled: what the workers share of a table.
#[derive(Debug, Clone)]
pub struct ParserTable {
    pub(super) program: Arc<Program>,
    /// Its own, then those of its child tables.
    schemas: Arc<[SchemaRef]>,
    /// What each row gets of its message besides.
    carried: Carried,
}

/// What each row of a table gets of its message besides, copied as often as the message has rows.
#[derive(Debug, Clone, Copy)]
struct Carried {
    key: bool,
    headers: bool,
}

impl Carried {
    /// Bytes that a row of that message gets.
    fn bytes(self, message: &RawMessage) -> usize {
        let key = message.key.as_ref().filter(|_| self.key).map_or(0, ExactSizeIterator::len);
        if !self.headers {
            return key;
        }
        let header =
            |(name, value): &(Span, Option<Span>)| 8 + name.len() + value.as_ref().map_or(0, ExactSizeIterator::len);
        key + message.headers.iter().map(header).sum::<usize>()
    }
}

impl ParserTable {
    /// Compiles a mapping.
    ///
    /// # Errors
    ///
    /// A mapping with more paths, names or columns than a program can number (65,535 each), or whose XML schema is
    /// none.
    pub fn compile(mapping: &Mapping) -> Result<Self, Fault> {
        let children =
            mapping.descendants().into_iter().map(|(child, depth)| child.raw_schema(depth > 1, &mapping.lineage));
        let schemas = std::iter::once(mapping.raw_schema()).chain(children).collect();
        let mut program = Program::compile(mapping)?;
        if let Some(xsd) = &mapping.xsd {
            program.schema = Some(Schema::load(xsd).map_err(|what| Fault::halt("mapping.xsd", what))?);
        }
        let carried = Carried { key: mapping.lineage.key.is_some(), headers: mapping.lineage.headers.is_some() };
        Ok(Self { program: Arc::new(program), schemas, carried })
    }

    /// Where the values of the mapping's column `column` for these rows (their places among the row elements,
    /// ascending) are in a message: reads it once more, for people's sake.
    pub fn locate(&self, payload: &[u8], column: usize, rows: &[i32]) -> Located {
        let columns = self.program.tables.first().map(|table| &table.columns);
        let Some(&column) = columns.and_then(|columns| columns.get(column)) else { return Located::default() };
        let trace = Machine::new(Arc::clone(&self.program)).trace(payload, column, rows);
        Located::new(payload, &trace, &self.program.limits)
    }

    /// Whether it is `other`, and not only equal to it.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.program, &other.program)
    }

    /// Whether messages are held to the XML schema that those of `other` are held to, or both to none.
    pub fn has_schema_of(&self, other: &Self) -> bool {
        let digest = |table: &Self| table.program.schema.as_ref().map(Schema::digest);
        digest(self) == digest(other)
    }

    /// The schema of its rows in RAW.
    pub fn schema(&self) -> &SchemaRef {
        &self.schemas[0]
    }
}

/// How a batch is to be parsed that has made a worker panic before.
#[derive(Debug, Default)]
pub struct Care<'a> {
    /// Indices of messages that are not to be touched: they go to quarantine as `rule.poison`.
    pub poisoned: &'a [u32],
    /// Each message is parsed by a machine of its own, so that nothing is carried from one to the next.
    pub is_isolated: bool,
    /// Told the index of each message before it is parsed, and [`NO_MESSAGE`] after the last.
    pub progress: Option<&'a AtomicU32>,
    /// Room for rows; none: as much as they take.
    pub room: Option<Room>,
}

/// How many bytes rows may take. A batch is parsed as far as there is room; the rest is to be parsed as another piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Those of all messages.
    pub batch: usize,
    /// Those of the first message, where that is given more room by itself: if it takes more than this, that is a
    /// violation. Without it nothing at all is parsed then.
    pub first: Option<usize>,
}

impl Room {
    /// Bytes that one more message may bring the rows to, with so many verdicts before it.
    fn of(room: Option<Self>, verdicts: usize) -> usize {
        room.map_or(usize::MAX, |room| room.first.filter(|_| verdicts == 0).unwrap_or(room.batch))
    }
}

/// What [`Care::progress`] says when no message is being parsed.
pub const NO_MESSAGE: u32 = u32::MAX;

/// A look at each message before it is parsed; tests make it panic.
pub type Probe = Box<dyn Fn(&RawMessage) + Send>;

/// The parser of one worker. Keeps memory and names from batch to batch and nothing else.
///
/// Memory: the rows of one batch while it is parsed. They are handed on without a copy, and counted in the budget of
/// the batch from then on.
pub struct Parser {
    tables: Arc<[ParserTable]>,
    /// For each table the index of its first child table.
    children: Vec<TableIndex>,
    workshops: Vec<Option<Workshop>>,
    probe: Option<Probe>,
    /// See [`PART_BYTES`].
    pub(super) part_bytes: usize,
}

/// What a worker keeps for a table it has met.
struct Workshop {
    index: TableIndex,
    compiled: ParserTable,
    machine: Machine,
    rows: Rows,
}

impl Parser {
    /// A parser for these tables, by [`TableIndex`]. Child tables have the indices after them: those of the
    /// first table in the order of [`Mapping::descendants`], then those of the second, and so on.
    pub fn new(tables: Arc<[ParserTable]>) -> Self {
        let workshops = tables.iter().map(|_| None).collect();
        Self { children: first_children(&tables), tables, workshops, probe: None, part_bytes: PART_BYTES }
    }

    /// Goes on with these tables. What it keeps for a table serves for as long as the same compiled table comes.
    pub(super) fn take_up(&mut self, tables: &Arc<[ParserTable]>) {
        if !Arc::ptr_eq(&self.tables, tables) {
            self.tables = Arc::clone(tables);
            self.children = first_children(tables);
            self.workshops.resize_with(tables.len(), || None);
        }
    }

    /// The same parser with a look at each message before it is parsed.
    #[must_use]
    pub fn with_probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Parses a batch whose messages go to the tables of `route`; those that none takes are quarantined as unrouted.
    ///
    /// # Errors
    ///
    /// A fault of the parser itself. Nothing that a message may hold leads to one.
    pub fn parse(&mut self, raw: &Arc<RawBatch>, route: impl Into<Route>) -> Result<ParsedBatch, Fault> {
        self.parse_with_care(raw, route, &Care::default())
    }

    /// The same for a batch that has made a worker panic before, or with bounded room for rows: then there may be
    /// verdicts for the first messages only, as many as the batch has, and none when already the first one takes more.
    ///
    /// # Errors
    ///
    /// See [`Parser::parse`].
    pub fn parse_with_care(
        &mut self,
        raw: &Arc<RawBatch>,
        route: impl Into<Route>,
        care: &Care<'_>,
    ) -> Result<ParsedBatch, Fault> {
        let route = route.into();
        let mut peek = route.peek();
        let mut verdicts = Vec::with_capacity(raw.messages.len());
        let (mut parts, mut drift) = (Vec::new(), Vec::new());
        // Out of their places while they are at work: a parse that panics leaves none behind.
        let mut open: Vec<Workshop> = Vec::new();
        // Bytes that rows were made of since the room for them was looked at.
        let mut since_look = 0;
        for (number, message) in (0_u32..).zip(&raw.messages) {
            let Some(payload) = &message.payload else {
                verdicts.push(Verdict { outcome: Outcome::Tombstone, table: None, rows: 0, violations: Vec::new() });
                continue;
            };
            if care.poisoned.contains(&number) {
                let what = "the parser failed at this message again and again";
                let violation = whole_message(Code::RULE_POISON, what);
                verdicts.push(quarantined(route.unread(raw, message), vec![violation]));
                continue;
            }
            if let Some(progress) = care.progress {
                progress.store(number, Ordering::Release);
            }
            if let Some(probe) = &self.probe {
                probe(message);
            }
            let payload = raw.slice(payload);
            let index = match route.choose(raw, message, payload, &mut peek) {
                Choice::Table(index) => index,
                Choice::Nobody => {
                    let violation = whole_message(Code::SHAPE_UNROUTED, "no table takes this message");
                    verdicts.push(quarantined(None, vec![violation]));
                    continue;
                }
                Choice::Unreadable(found) => {
                    verdicts.push(quarantined(None, vec![peek.violation(payload, *found)]));
                    continue;
                }
            };
            let at = match open.iter().position(|workshop| workshop.index == index) {
                Some(at) => at,
                None => {
                    open.push(self.workshop(index)?);
                    open.len() - 1
                }
            };
            since_look += payload.len() + FREE_EXPANSION / MAX_EXPANSION;
            let looked = care.room.filter(|room| since_look >= room.batch / MAX_EXPANSION / PARTS_OF_ROOM);
            let others = if looked.is_some() { bytes_beside(&open, at) } else { 0 };
            let workshop = &mut open[at];
            workshop.rows.room = Room::of(looked, verdicts.len()).saturating_sub(others);
            if looked.is_some() {
                // Were it to be read again, what it brings now does not count.
                drift.extend(self.drift(workshop));
            }
            if care.is_isolated {
                drift.extend(self.drift(workshop));
                workshop.machine = Machine::new(Arc::clone(&workshop.compiled.program));
            }
            workshop.rows.current = number;
            let carried = workshop.compiled.carried.bytes(message);
            let flat = workshop.machine.flatten(payload, carried, &mut workshop.rows);
            workshop.rows.carried += carried * flat.rows as usize;
            let is_over = std::mem::take(&mut workshop.rows.is_over);
            if verdicts.is_empty() && flat.rows == 0 && payload.len() >= LARGE_BYTES {
                // They may have been taken back, and were many.
                workshop.rows = Rows::new(&workshop.compiled.program);
            }
            if is_over && !(verdicts.is_empty() && care.room.is_some_and(|room| room.first.is_some())) {
                drop(self.drift(workshop));
                break;
            }
            let violations = if flat.found.is_empty() {
                Vec::new()
            } else {
                locate::violations(payload, flat.found, &workshop.compiled.program.limits)
            };
            verdicts.push(Verdict { outcome: flat.outcome, table: Some(index), rows: flat.rows, violations });
            if let Some(room) = looked {
                since_look = 0;
                if others + workshop.rows.bytes() >= room.batch {
                    break;
                }
            }
            if workshop.rows.buffers.longest().max(workshop.rows.carried) > self.part_bytes {
                self.finish(raw, workshop, &mut parts)?;
            }
        }
        if let Some(progress) = care.progress {
            progress.store(NO_MESSAGE, Ordering::Release);
        }
        for mut workshop in open {
            self.finish(raw, &mut workshop, &mut parts)?;
            drift.extend(self.drift(&mut workshop));
            let place = usize::from(workshop.index);
            self.workshops[place] = Some(workshop);
        }
        let bytes = parts.iter().map(|part| part.rows.get_array_memory_size() + part.message.len() * 4).sum::<usize>();
        let permit = raw.permit.beside(bytes as u64);
        Ok(ParsedBatch { raw: Arc::clone(raw), verdicts, tables: parts, drift, permit, room: None })
    }

    /// The table index of a table of a mapping.
    fn index_of(&self, index: TableIndex, table: TableId) -> TableIndex {
        let first_child = self.children.get(usize::from(index)).copied().unwrap_or(TableIndex::MAX);
        if table == 0 { index } else { first_child.saturating_add(table - 1) }
    }

    fn drift(&self, workshop: &mut Workshop) -> Vec<DriftCount> {
        let count = |counted: Counted| {
            let Counted { table, kind, path, count, examples } = counted;
            DriftCount { table: self.index_of(workshop.index, table), kind, path, count, examples }
        };
        workshop.machine.take_drift().into_iter().map(count).collect()
    }

    /// Closes a part of a table and of each of its child tables.
    fn finish(&self, raw: &RawBatch, workshop: &mut Workshop, parts: &mut Vec<TableRows>) -> Result<(), Fault> {
        let Workshop { index, compiled, rows, .. } = workshop;
        for (table, schema) in (0..).zip(compiled.schemas.iter()) {
            if rows.len(table) > 0 {
                let (rows, message) = build(raw, schema, compiled.carried, rows, table).map_err(|error| {
                    Fault::internal("parser.columns", format!("rows of {} make no table: {error}", raw.source))
                })?;
                parts.push(TableRows { table: self.index_of(*index, table), rows, message });
            }
        }
        Ok(())
    }

    /// Takes the workshop of a table out of its place.
    fn workshop(&mut self, index: TableIndex) -> Result<Workshop, Fault> {
        let unknown = || Fault::internal("parser.unknown-table", format!("the parser knows no table {index}"));
        let compiled = self.tables.get(usize::from(index)).ok_or_else(unknown)?;
        let kept = self.workshops.get_mut(usize::from(index)).and_then(Option::take);
        // Lanes that a reload concerns and lanes that it does not come in turns, each with its own tables.
        Ok(kept.filter(|kept| kept.compiled.is(compiled)).unwrap_or_else(|| Workshop {
            index,
            machine: Machine::new(Arc::clone(&compiled.program)),
            rows: Rows::new(&compiled.program),
            compiled: compiled.clone(),
        }))
    }
}

/// What the rows of all tables but one take.
fn bytes_beside(open: &[Workshop], at: usize) -> usize {
    let all = open.iter().enumerate();
    all.filter(|(other, _)| *other != at).map(|(_, workshop)| workshop.rows.bytes()).sum()
}

/// For each table the index of its first child table.
fn first_children(tables: &[ParserTable]) -> Vec<TableIndex> {
    let mut next = tables.len();
    let first_child = |table: &ParserTable| {
        let first = next;
        next += table.schemas.len() - 1;
        TableIndex::try_from(first).unwrap_or(TableIndex::MAX)
    };
    tables.iter().map(first_child).collect()
}

fn quarantined(table: Option<TableIndex>, violations: Vec<Violation>) -> Verdict {
    Verdict { outcome: Outcome::Quarantined, table, rows: 0, violations }
}

fn whole_message(code: Code, message: &str) -> Violation {
    Violation {
        code,
        column: None,
        path: None,
        line: None,
        byte_offset: None,
        value: None,
        message: message.to_owned(),
    }
}

/// The mapped columns, then the lineage.
fn build(
    raw: &RawBatch,
    schema: &SchemaRef,
    carried: Carried,
    rows: &mut Rows,
    table: TableId,
) -> Result<(RecordBatch, Vec<u32>), ArrowError> {
    let count = rows.len(table);
    let finished = rows.finish(table)?;
    let message_of = |&index: &u32| &raw.messages[index as usize];
    let topics: ArrayRef = Arc::new(StringArray::from(vec![&*raw.source.topic]));
    let topic = DictionaryArray::<Int32Type>::try_new(Int32Array::from(vec![0; count]), topics)?;
    let offset: Vec<i64> = finished.message.iter().map(|index| message_of(index).offset).collect();
    let timestamp: TimestampMicrosecondArray =
        finished.message.iter().map(|index| message_of(index).timestamp_us).collect();
    let mut columns = finished.columns;
    columns.push(Arc::new(topic));
    columns.push(Arc::new(Int32Array::from(vec![raw.source.partition; count])));
    columns.push(Arc::new(Int64Array::from(offset)));
    columns.push(Arc::new(timestamp.with_timezone("UTC")));
    columns.push(Arc::new(Int32Array::from(finished.row_index)));
    if table == 0 {
        let messages = || finished.message.iter().map(message_of);
        if carried.key {
            let keys = messages().map(|message| message.key.as_ref().map(|span| raw.slice(span)));
            columns.push(Arc::new(keys.collect::<BinaryArray>()));
        }
        if carried.headers {
            let mut headers = HeaderColumn::default();
            messages().for_each(|message| headers.append(raw, message));
            columns.push(headers.finish()?);
        }
    } else {
        columns.push(Arc::new(Int32Array::from(finished.ordinal)));
    }
    if !finished.parent_ordinal.is_empty() {
        columns.push(Arc::new(Int32Array::from(finished.parent_ordinal)));
    }
    Ok((RecordBatch::try_new(Arc::clone(schema), columns)?, finished.message))
}
