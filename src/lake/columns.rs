//! Columns of a Processed table as its plans and its log spell them.

mod fit;
mod spelling;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

pub use fit::{fit, fits, united};
pub use spelling::type_name;

/// Path partition of a Processed table, and a column of its log.
pub const DATE_PARTITION: &str = "dt";

/// One column: its name, and its type as a mapping would write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Name in files and log.
    pub name: String,
    /// `string`, `bool`, `int8` … `int64`, `float32`, `float64`, `decimal(p,s)`, `date`, `timestamp`, `timestamp_ntz`,
    /// `binary`, `list<T>`, `struct<name:T,…>`; times are in microseconds.
    #[serde(rename = "type")]
    pub kind: String,
}

impl ColumnSpec {
    /// The column in which a Processed table holds what an Arrow field does: times in microseconds, everything
    /// nullable.
    ///
    /// # Errors
    ///
    /// A type that no table of ours holds.
    pub fn of(field: &Field) -> Result<Self, Fault> {
        let Some(held) = spelling::held(field.data_type()) else {
            let (name, kind) = (field.name(), type_name(field.data_type()));
            let message = format!(
                "column {name} is {kind}, which a Processed table cannot hold; see `forebay check` for what to take"
            );
            return Err(Fault::halt("promote.schema", message));
        };
        Ok(Self { name: field.name().clone(), kind: type_name(&held) })
    }

    /// Its Arrow type, plain.
    ///
    /// # Errors
    ///
    /// A type that this version does not know: the plan was written by a newer one.
    pub fn data_type(&self) -> Result<DataType, Fault> {
        spelling::read(&self.kind).ok_or_else(|| {
            let message = format!(
                "column {} has type {}, which this version does not know; update forebay",
                self.name, self.kind
            );
            Fault::halt("promote.schema", message)
        })
    }
}

/// The columns of an Arrow schema.
///
/// # Errors
///
/// As [`ColumnSpec::of`].
pub fn specs_of(schema: &Schema) -> Result<Vec<ColumnSpec>, Fault> {
    schema.fields().iter().map(|field| ColumnSpec::of(field)).collect()
}

/// The Arrow schema of these columns, plain, all nullable: a column that was added later is null in older rows.
///
/// # Errors
///
/// As [`ColumnSpec::data_type`].
pub fn schema_of(specs: &[ColumnSpec]) -> Result<SchemaRef, Fault> {
    let fields = specs.iter().map(|spec| Ok(Field::new(&spec.name, spec.data_type()?, true)));
    Ok(Schema::new(fields.collect::<Result<Vec<_>, Fault>>()?).into())
}

/// What the table has after `wanted` is added to what it `has`: old columns keep their place, new ones follow. A column
/// that is not wanted any more stays, and is null in new rows.
///
/// # Errors
///
/// A column whose type, or the case of whose name, would change.
pub fn grown(table: &str, has: &[ColumnSpec], wanted: &[ColumnSpec]) -> Result<Vec<ColumnSpec>, Fault> {
    let mut all = has.to_vec();
    for column in wanted {
        let Some(old) = has.iter().find(|old| old.name.eq_ignore_ascii_case(&column.name)) else {
            all.push(column.clone());
            continue;
        };
        let ColumnSpec { name, kind } = old;
        let what = if *name != column.name {
            format!("column {name} of table {table} is called {} in the mapping; call it {name} there", column.name)
        } else if *kind != column.kind {
            let is = &column.kind;
            format!(
                "column {name} of table {table} is {kind} in Processed and {is} in the mapping; keep {kind}, and add a \
                 column of another name beside it"
            )
        } else {
            continue;
        };
        return Err(Fault::halt("promote.schema", what));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, kind: &str) -> ColumnSpec {
        ColumnSpec { name: name.into(), kind: kind.into() }
    }

    #[test]
    fn a_type_that_no_table_holds_is_told_by_its_column() {
        let time = Field::new("at", DataType::Time64(arrow::datatypes::TimeUnit::Nanosecond), true);
        let fault = ColumnSpec::of(&time).unwrap_err();
        assert!(fault.message.starts_with("column at is time(ns), which"), "{fault}");
        assert!(spec("at", "time").data_type().is_err());
    }

    #[test]
    fn a_table_grows_at_its_end_and_never_changes_a_type() {
        let has = [spec("a", "int64"), spec("gone", "string")];
        let all = grown("t", &has, &[spec("b", "date"), spec("a", "int64")]).unwrap();
        assert_eq!(all, [spec("a", "int64"), spec("gone", "string"), spec("b", "date")]);
        let refusal = |name: &str, kind: &str| grown("t", &has, &[spec(name, kind)]).unwrap_err().message;
        assert!(
            refusal("a", "string").starts_with("column a of table t is int64 in Processed and string in the mapping")
        );
        assert!(refusal("A", "int64").starts_with("column a of table t is called A in the mapping"));
    }
}
