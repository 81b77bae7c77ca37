//! Columns of a Processed table as its plans and its log spell them.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Path partition of a Processed table, and a column of its log.
pub const DATE_PARTITION: &str = "dt";

/// One column: its name, and its type as the mapping file writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Name in files and log.
    pub name: String,
    /// `string`, `bool`, `int8` … `int64`, `float32`, `float64`, `decimal(p,s)`, `date`, `timestamp`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl ColumnSpec {
    /// The column that an Arrow field is, whether or not it is dictionary-encoded in memory.
    ///
    /// # Errors
    ///
    /// A type that no table of ours holds.
    pub fn of(field: &Field) -> Result<Self, Fault> {
        let plain = match field.data_type() {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        let kind = match plain {
            DataType::Utf8 => "string".to_owned(),
            DataType::Boolean => "bool".to_owned(),
            DataType::Int8 => "int8".to_owned(),
            DataType::Int16 => "int16".to_owned(),
            DataType::Int32 => "int32".to_owned(),
            DataType::Int64 => "int64".to_owned(),
            DataType::Float32 => "float32".to_owned(),
            DataType::Float64 => "float64".to_owned(),
            DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
            DataType::Date32 => "date".to_owned(),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp".to_owned(),
            _ => {
                return Err(Fault::halt(
                    "promote.schema",
                    format!(
                        "column {} has a type that a Processed table cannot hold; change it in the mapping",
                        field.name()
                    ),
                ));
            }
        };
        Ok(Self { name: field.name().clone(), kind })
    }

    /// Its Arrow type, plain.
    ///
    /// # Errors
    ///
    /// A type that this version does not know: the plan was written by a newer one.
    pub fn data_type(&self) -> Result<DataType, Fault> {
        let unknown = || {
            Fault::halt(
                "promote.schema",
                format!(
                    "column {} has type {}, which this version does not know; update forebay",
                    self.name, self.kind
                ),
            )
        };
        Ok(match self.kind.as_str() {
            "string" => DataType::Utf8,
            "bool" => DataType::Boolean,
            "int8" => DataType::Int8,
            "int16" => DataType::Int16,
            "int32" => DataType::Int32,
            "int64" => DataType::Int64,
            "float32" => DataType::Float32,
            "float64" => DataType::Float64,
            "date" => DataType::Date32,
            "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            decimal => {
                let inner = decimal.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
                let (precision, scale) = inner.and_then(|inner| inner.split_once(',')).ok_or_else(unknown)?;
                DataType::Decimal128(
                    precision.trim().parse().map_err(|_| unknown())?,
                    scale.trim().parse().map_err(|_| unknown())?,
                )
            }
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

/// What the table has after `wanted` is added to what it `has`: old columns keep their place, new ones follow.
///
/// # Errors
///
/// A column whose type would change.
pub fn grown(table: &str, has: &[ColumnSpec], wanted: &[ColumnSpec]) -> Result<Vec<ColumnSpec>, Fault> {
    let mut all = has.to_vec();
    for column in wanted {
        match has.iter().find(|old| old.name.eq_ignore_ascii_case(&column.name)) {
            Some(old) if old == column => {}
            Some(old) => {
                return Err(Fault::halt(
                    "promote.schema",
                    format!(
                        "column {} of table {table} is {} {} in Processed and {} {} in the mapping; \
                         give the column another name or the table",
                        column.name, old.kind, old.name, column.kind, column.name
                    ),
                ));
            }
            None => all.push(column.clone()),
        }
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
    fn every_type_comes_back_from_its_text() {
        let kinds = ["string", "bool", "int8", "int16", "int32", "int64", "float32", "float64", "decimal(10,2)"];
        for kind in kinds.into_iter().chain(["date", "timestamp"]) {
            let field = Field::new("c", spec("c", kind).data_type().unwrap(), true);
            assert_eq!(ColumnSpec::of(&field).unwrap(), spec("c", kind));
        }
        assert!(spec("c", "decimal(x)").data_type().is_err());
    }

    #[test]
    fn a_table_grows_at_its_end_and_never_changes_a_type() {
        let has = [spec("a", "int64"), spec("gone", "string")];
        let all = grown("t", &has, &[spec("b", "date"), spec("a", "int64")]).unwrap();
        assert_eq!(all, [spec("a", "int64"), spec("gone", "string"), spec("b", "date")]);
        assert!(grown("t", &has, &[spec("a", "string")]).is_err());
        assert!(grown("t", &has, &[spec("A", "int64")]).is_err());
    }
}
