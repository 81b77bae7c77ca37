//! What became of one message, for a person: its rows as tables, its violations as a compiler tells them.

use std::io::{self, Write};

use super::answer::{Answer, AnswerTable, ShownColumn};
use super::excerpt;
use crate::app::cells;
use crate::app::glyphs::tamed;
use crate::app::grid::{Cell, Paint, painted_grid};
use crate::flow::parse::{Excerpt, excerpts};
use crate::model::batch::Outcome;
use crate::model::violation::Violation;

/// Shows one answer after another.
#[derive(Debug)]
pub(super) struct People {
    colours: bool,
    /// What was shown last: nothing, a line, or more than that.
    last: Option<bool>,
}

impl People {
    /// With `colours` the eye finds what is wrong.
    pub(super) fn new(colours: bool) -> Self {
        Self { colours, last: None }
    }

    /// Writes an answer, apart from the one before where either is longer than a line.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub(super) fn write(&mut self, answer: &Answer<'_>, out: &mut dyn Write) -> io::Result<()> {
        let is_long = has_rows(answer) || !answer.violations.is_empty();
        if self.last.is_some_and(|was_long| was_long || is_long) {
            writeln!(out)?;
        }
        self.last = Some(is_long);
        write(answer, self.colours, out)
    }
}

fn write(answer: &Answer<'_>, colours: bool, out: &mut dyn Write) -> io::Result<()> {
    let paint = |paint: Paint, text: &str| if colours { paint.on(text) } else { text.to_owned() };
    let name = name(answer);
    let first = answer.tables.first();
    let rows = count(first.map_or(0, AnswerTable::len));
    match answer.outcome {
        Outcome::Quarantined => {}
        Outcome::Partial => writeln!(out, "{name}: {}, {rows}", paint(Paint::Unusual, "partial"))?,
        Outcome::Rows | Outcome::Filtered | Outcome::Tombstone => {
            let what = if first.is_some() { rows } else { "well-formed".to_owned() };
            writeln!(out, "{name}: {}", paint(Paint::Good, &what))?;
        }
    }
    let has_children = answer.tables.iter().skip(1).any(|table| table.len() > 0);
    for table in answer.tables.iter().filter(|table| table.len() > 0) {
        if let Some(child) = &table.layout.child {
            writeln!(out, "\n{child}: {}", count(table.len()))?;
        }
        out.write_all(rows_of(table, has_children, colours).as_bytes())?;
    }
    if has_rows(answer) && !answer.violations.is_empty() {
        writeln!(out)?;
    }
    let offsets: Vec<u64> = answer.violations.iter().map(|violation| violation.byte_offset.unwrap_or(0)).collect();
    for (violation, excerpt) in answer.violations.iter().zip(excerpts(answer.payload, &offsets)) {
        write_violation(answer, violation, &excerpt, colours, out)?;
    }
    Ok(())
}

fn has_rows(answer: &Answer<'_>) -> bool {
    answer.tables.iter().any(|table| table.len() > 0)
}

fn name(answer: &Answer<'_>) -> String {
    let input = tamed(answer.input);
    answer.line.map_or_else(|| input.clone(), |line| format!("{input}:{line}"))
}

fn count(rows: usize) -> String {
    format!("{rows} row{}", if rows == 1 { "" } else { "s" })
}

/// Rows under a heading; with the place of each where rows of other tables refer to it.
fn rows_of(table: &AnswerTable<'_>, has_children: bool, colours: bool) -> String {
    let layout = table.layout;
    let places = layout.places.iter().filter(|_| has_children);
    let columns: Vec<&ShownColumn> = places.chain(&layout.columns).collect();
    let heading: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let line = |(batch, row): (&arrow::record_batch::RecordBatch, usize)| {
        columns.iter().map(|column| Cell::from(cells::cell(batch.column(column.index).as_ref(), row))).collect()
    };
    let lines: Vec<Vec<Cell>> = table.each().map(line).collect();
    painted_grid(&heading, &lines, &|index| columns.get(index).is_some_and(|column| column.is_number), colours)
}

/// `FILE:LINE:COLUMN: CODE: SENTENCE`, the line with a caret, and what it concerns.
fn write_violation(
    answer: &Answer<'_>,
    violation: &Violation,
    excerpt: &Excerpt,
    colours: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let paint = |paint: Paint, text: &str| if colours { paint.on(text) } else { text.to_owned() };
    let place = match (answer.line, violation.line) {
        (Some(line), _) => format!(":{line}:{}", excerpt.column),
        (None, Some(line)) => format!(":{line}:{}", excerpt.column),
        (None, None) => String::new(),
    };
    let code = paint(Paint::Bad, violation.code.name());
    writeln!(out, "{}{place}: {code}: {}", tamed(answer.input), tamed(&violation.message))?;
    let line = answer.line.or(violation.line.map(u64::from)).unwrap_or(1);
    if violation.byte_offset.is_some() {
        excerpt::write(excerpt, line, colours, out)?;
    }
    let column = violation.column.as_ref().map(|column| format!("column {}", tamed(column)));
    let path = violation.path.as_deref().map(tamed);
    let value = violation.value.as_ref().map(|value| format!("value {:?}", tamed(value)));
    let concerns: Vec<String> = column.into_iter().chain(path).chain(value).collect();
    if !concerns.is_empty() {
        writeln!(out, "  {}", paint(Paint::Faint, &concerns.join(", ")))?;
    }
    Ok(())
}
