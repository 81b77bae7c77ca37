//! Rules over the rows of a batch that the mapping alone cannot know: a record needs its identity and a good date.
//!
//! They look at whole columns; only for a row that breaks one is its message read again, to say where.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use jiff::Timestamp;

use super::dates::DateRule;
use super::redact::Redaction;
use crate::fault::Fault;
use crate::flow::parse::{Located, ParserTable};
use crate::model::batch::{
    DRIFT_REST, DeadLetter, DriftCount, DriftKind, LedgerRow, Outcome, ParsedBatch, RawBatch, TableIndex, TableRows,
    ValidBatch, Verdict,
};
use crate::model::mapping::OnBadMessage;
use crate::model::table::{OnBadDate, PayloadKept, RowTable, Table, row_tables, unrouted_payload};
use crate::model::violation::{Code, MAX_VIOLATIONS, Violation, shortened};

/// The rules of all tables. Shared by all lanes.
#[derive(Debug)]
pub struct Rules {
    tables: Vec<TableRules>,
    /// Every table that has rows, child tables too.
    all: Vec<RowTable>,
    parsers: Arc<[ParserTable]>,
    /// For messages that no table takes.
    nobodys: Redaction,
    /// Whether their payloads are kept: as the strictest table wants it.
    keeps_nobodys: bool,
}

#[derive(Debug)]
struct TableRules {
    date: Option<DateRule>,
    /// Columns that identify a record, with their names.
    record_id: Vec<(usize, String)>,
    on_bad_message: OnBadMessage,
    /// What may be told of a message whose payload is not kept, and in logs of any.
    names: Redaction,
    keeps_payloads: bool,
}

/// A row that breaks a rule.
struct Hit {
    row: usize,
    message: u32,
    column: usize,
    name: String,
    code: Code,
    what: String,
}

/// How many rows of a message, which follow each other, were told of.
#[derive(Debug, Default)]
struct Told {
    message: u32,
    rows: usize,
}

impl Told {
    /// Whether one more row of this message is told of.
    fn is_one_more(&mut self, message: u32) -> bool {
        if self.message != message {
            *self = Self { message, rows: 0 };
        }
        self.rows += 1;
        self.rows <= MAX_VIOLATIONS
    }
}

/// Rows of each message and column (by their places in the message, ascending) of which it is told where they are.
type Wanted = BTreeMap<(u32, usize), Vec<i32>>;
/// Where they are, found out once for each message and column.
type Places = BTreeMap<(u32, usize), Located>;

impl Rules {
    /// The rules that the tables' settings ask for. `tables` and `parsers` are both by [`TableIndex`].
    ///
    /// # Errors
    ///
    /// Settings that name a column or a zone that does not exist, or a column of the wrong type.
    pub fn new(tables: &[Table], parsers: Arc<[ParserTable]>) -> Result<Self, Fault> {
        let too_many = || Fault::halt("config.tables", "there are more than 65,535 tables and child tables");
        let all = row_tables(tables).ok_or_else(too_many)?;
        let keeps_nobodys = unrouted_payload(tables) == PayloadKept::Keep;
        let tables = tables.iter().map(TableRules::new).collect::<Result<_, _>>()?;
        Ok(Self { tables, all, parsers, nobodys: Redaction::default(), keeps_nobodys })
    }

    /// Applies them to a batch and sorts good rows from dead letters. `now` stands for the Kafka timestamp of messages
    /// that have none.
    ///
    /// # Errors
    ///
    /// An internal fault: rows that do not fit the tables.
    pub fn apply(&self, parsed: ParsedBatch, now: Timestamp) -> Result<ValidBatch, Fault> {
        let ParsedBatch { raw, mut verdicts, tables, permit, room, .. } = parsed;
        let mut places = Places::new();
        let mut kept: Vec<Vec<bool>> = Vec::with_capacity(tables.len());
        let mut spoiled = vec![false; raw.messages.len()];
        let mut lost = HashSet::new();
        let has_children = tables.iter().any(|part| self.is_child(part.table));
        for part in &tables {
            let Some(rules) = self.of(part.table)? else {
                kept.push(Vec::new());
                continue;
            };
            let mut good = vec![true; part.message.len()];
            let hits = rules.hits(part, &raw, now, &mut good)?;
            for (row, &message) in part.message.iter().enumerate().filter(|(row, _)| !good[*row]) {
                if has_children {
                    lost.insert((message, self.row_index(part, row)));
                }
                if rules.on_bad_message == OnBadMessage::Quarantine
                    && let Some(spoiled) = spoiled.get_mut(message as usize)
                {
                    *spoiled = true;
                }
            }
            let mut wanted = Wanted::new();
            for hit in &hits {
                wanted.entry((hit.message, hit.column)).or_default().push(self.row_index(part, hit.row));
            }
            for hit in hits {
                if let Some(verdict) = verdicts.get_mut(hit.message as usize)
                    && verdict.violations.len() < MAX_VIOLATIONS
                {
                    verdict.violations.push(self.violation(part, &raw, hit, &wanted, &mut places));
                }
            }
            kept.push(good);
        }
        for (part, kept) in tables.iter().zip(&mut kept).filter(|(part, _)| self.is_child(part.table)) {
            // A row of a child table goes with the row that it belongs to.
            let is_kept = |(row, message): (usize, &u32)| !lost.contains(&(*message, self.row_index(part, row)));
            *kept = part.message.iter().enumerate().map(is_kept).collect();
        }
        let tables = self.keep(tables, &mut kept, &spoiled, &mut verdicts)?;
        self.redact(&mut verdicts);
        let (ledger, dead_letters) = sort(&raw, verdicts);
        Ok(ValidBatch { raw, ledger, tables, dead_letters, permit, room })
    }

    /// What may be told of something that no column takes: of a table that does not keep payloads, only that it came.
    pub fn tell(&self, found: &DriftCount) -> DriftCount {
        let top = self.top(found.table).and_then(|top| self.tables.get(usize::from(top)));
        if top.is_some_and(|rules| rules.keeps_payloads) {
            return found.clone();
        }
        let (kind, path, examples) = (DriftKind::Element, DRIFT_REST.into(), Vec::new());
        DriftCount { table: found.table, kind, path, count: found.count, examples }
    }

    /// From here on nothing of a payload is told of messages whose table does not keep it: not in files, not in logs.
    fn redact(&self, verdicts: &mut [Verdict]) {
        for verdict in verdicts.iter_mut().filter(|verdict| !verdict.violations.is_empty()) {
            let (names, is_kept) = self.redaction(verdict.table);
            if !is_kept {
                verdict.violations.iter_mut().for_each(|violation| names.apply(violation));
            }
        }
    }

    /// What may be told of the messages of a table, or of nobody, and whether that is all.
    fn redaction(&self, table: Option<TableIndex>) -> (&Redaction, bool) {
        let rules = table.and_then(|table| self.tables.get(usize::from(table)));
        rules.map_or((&self.nobodys, self.keeps_nobodys), |rules| (&rules.names, rules.keeps_payloads))
    }

    /// A violation for the log, which holds nothing of any payload.
    pub fn for_log(&self, table: Option<TableIndex>, violation: &Violation) -> Violation {
        let mut told = violation.clone();
        self.redaction(table).0.apply(&mut told);
        told
    }

    /// The name of a table; none for one that there is not.
    pub fn table_name(&self, table: TableIndex) -> Option<&str> {
        self.all.get(usize::from(table)).map(|table| &*table.name)
    }

    /// The table of the configuration that a table is or belongs to; none for one that there is not.
    pub fn top(&self, table: TableIndex) -> Option<TableIndex> {
        self.all.get(usize::from(table)).map(|table| table.top)
    }

    fn is_child(&self, table: TableIndex) -> bool {
        usize::from(table) >= self.tables.len()
    }

    /// The rules of a table; a child table has none.
    fn of(&self, table: TableIndex) -> Result<Option<&TableRules>, Fault> {
        let unknown = || Fault::internal("validate.unknown-table", format!("the validator knows no table {table}"));
        let rules = self.tables.get(usize::from(table));
        if rules.is_none() && self.top(table).is_none() { Err(unknown()) } else { Ok(rules) }
    }

    fn violation(&self, part: &TableRows, raw: &RawBatch, hit: Hit, wanted: &Wanted, places: &mut Places) -> Violation {
        let payload = raw.messages.get(hit.message as usize).and_then(|message| message.payload.as_ref());
        let key = (hit.message, hit.column);
        let located = places.entry(key).or_insert_with(|| {
            match (self.parsers.get(usize::from(part.table)), payload, wanted.get(&key)) {
                (Some(parser), Some(payload), Some(rows)) => parser.locate(raw.slice(payload), hit.column, rows),
                _ => Located::default(),
            }
        });
        let position = located.of(self.row_index(part, hit.row));
        let column = part.rows.column(hit.column);
        let value = if column.is_null(hit.row) { None } else { array_value_to_string(column, hit.row).ok() };
        Violation {
            code: hit.code,
            column: Some(hit.name),
            path: position.and_then(|position| position.path.clone()),
            line: position.map(|position| position.line),
            byte_offset: position.map(|position| position.byte_offset),
            value: value.map(|value| shortened(&value)),
            message: hit.what,
        }
    }
}

impl TableRules {
    fn new(table: &Table) -> Result<Self, Fault> {
        let schema = table.mapping.raw_schema();
        let place = |name: &str| {
            schema.index_of(name).map_err(|_| {
                Fault::halt(
                    "config.record-id",
                    format!("table {}: record_id names {name}, which is no column", table.name),
                )
            })
        };
        let (mut date, mut record_id) = (None, Vec::new());
        if let Some(settings) = &table.processed {
            let rule = DateRule::new(table, settings)?;
            date = (settings.on_bad_date == OnBadDate::Quarantine).then_some(rule);
            for name in &settings.record_id {
                record_id.push((place(name)?, name.clone()));
            }
        }
        Ok(Self {
            date,
            record_id,
            on_bad_message: table.mapping.on_bad_message,
            names: Redaction::new(&table.mapping),
            keeps_payloads: table.quarantine.payload == PayloadKept::Keep,
        })
    }

    /// Marks the rows that break a rule as not good. What is told of them, by row: no more of a message and column than
    /// are kept of a message.
    fn hits(&self, part: &TableRows, raw: &RawBatch, now: Timestamp, good: &mut [bool]) -> Result<Vec<Hit>, Fault> {
        let mut hits = Vec::new();
        for (column, name) in &self.record_id {
            let values = part.rows.column(*column);
            if values.null_count() == 0 {
                continue;
            }
            let mut told = Told::default();
            for (row, &message) in part.message.iter().enumerate().filter(|&(row, _)| values.is_null(row)) {
                good[row] = false;
                if told.is_one_more(message) {
                    let (what, name) = (format!("{name} identifies the record, and it is missing"), name.clone());
                    hits.push(Hit { row, message, column: *column, name, code: Code::RULE_REQUIRED, what });
                }
            }
        }
        if let Some(rule) = &self.date {
            let mut told = Told::default();
            let message = |row: usize| part.message.get(row).copied().unwrap_or(u32::MAX);
            let sent = |row: usize| raw.messages.get(message(row) as usize).and_then(|message| message.timestamp_us);
            for (row, what) in rule.judge(part.rows.column(rule.column), sent, now)? {
                good[row] = false;
                if told.is_one_more(message(row)) {
                    let (name, column) = (rule.name.clone(), rule.column);
                    hits.push(Hit { row, message: message(row), column, name, code: Code::RULE_DATE, what });
                }
            }
        }
        hits.sort_by_key(|hit| hit.row);
        Ok(hits)
    }
}

impl Rules {
    /// The place of a row's (of a child table: of its row's) element in its message.
    fn row_index(&self, part: &TableRows, row: usize) -> i32 {
        let column = self.all.get(usize::from(part.table)).and_then(|table| part.rows.column_by_name(&table.row_index));
        column.and_then(|column| column.as_primitive_opt::<Int32Type>()).map_or(-1, |column| column.value(row))
    }

    /// Takes out the rows that are not kept, and those of messages that are spoiled as a whole; verdicts follow.
    fn keep(
        &self,
        tables: Vec<TableRows>,
        kept: &mut [Vec<bool>],
        spoiled: &[bool],
        verdicts: &mut [Verdict],
    ) -> Result<Vec<TableRows>, Fault> {
        let mut result = Vec::with_capacity(tables.len());
        for (part, good) in tables.into_iter().zip(kept) {
            let is_child = self.is_child(part.table);
            for (is_good, message) in good.iter_mut().zip(&part.message) {
                *is_good &= spoiled.get(*message as usize) != Some(&true);
                if !*is_good
                    && !is_child
                    && let Some(verdict) = verdicts.get_mut(*message as usize)
                {
                    verdict.rows = verdict.rows.saturating_sub(1);
                    verdict.outcome = if verdict.rows == 0 { Outcome::Quarantined } else { Outcome::Partial };
                }
            }
            if good.iter().all(|is_good| *is_good) {
                result.push(part);
                continue;
            }
            let message: Vec<u32> =
                part.message.iter().zip(&*good).filter(|(_, good)| **good).map(|(message, _)| *message).collect();
            let rows = without(part.rows, std::mem::take(good))
                .map_err(|error| Fault::internal("validate.filter", format!("rows cannot be taken out: {error}")))?;
            if rows.num_rows() > 0 {
                result.push(TableRows { table: part.table, rows, message });
            }
        }
        Ok(result)
    }
}

/// The good ones of some rows. Column by column, each of which goes as soon as its good values are copied: they may be
/// many.
fn without(rows: RecordBatch, good: Vec<bool>) -> Result<RecordBatch, ArrowError> {
    let good = BooleanArray::from(good);
    let (schema, columns, _) = rows.into_parts();
    let columns = columns.into_iter().map(|column| filter(&column, &good));
    RecordBatch::try_new(schema, columns.collect::<Result<_, _>>()?)
}

/// Ledger rows for all messages, dead letters for the bad ones.
fn sort(raw: &RawBatch, verdicts: Vec<Verdict>) -> (Vec<LedgerRow>, Vec<DeadLetter>) {
    let mut ledger = Vec::with_capacity(verdicts.len());
    let mut dead_letters = Vec::new();
    for ((number, message), verdict) in (0_u32..).zip(&raw.messages).zip(verdicts) {
        ledger.push(LedgerRow {
            offset: message.offset,
            timestamp_us: message.timestamp_us,
            outcome: verdict.outcome,
            table: verdict.table,
            rows: verdict.rows,
            code: verdict.violations.first().map(|violation| violation.code),
        });
        if matches!(verdict.outcome, Outcome::Quarantined | Outcome::Partial) {
            dead_letters.push(DeadLetter { table: verdict.table, message: number, violations: verdict.violations });
        }
    }
    (ledger, dead_letters)
}
