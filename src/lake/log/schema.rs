//! Columns as the table log holds them: its types, and the feature that a timestamp without a zone asks for.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use delta_kernel::SnapshotRef;
use delta_kernel::schema::{ArrayType, DataType as LogType, PrimitiveType, StructField, StructType};
use delta_kernel::table_features::TableFeature;
use serde_json::json;

use super::ENGINE;
use crate::lake::columns::{ColumnSpec, type_name};

/// The log's type for one of ours; none: it has no such type.
pub(super) fn log_type(kind: &DataType) -> Option<LogType> {
    Some(match kind {
        DataType::Utf8 => LogType::STRING,
        DataType::Boolean => LogType::BOOLEAN,
        DataType::Int8 => LogType::BYTE,
        DataType::Int16 => LogType::SHORT,
        DataType::Int32 => LogType::INTEGER,
        DataType::Int64 => LogType::LONG,
        DataType::Float32 => LogType::FLOAT,
        DataType::Float64 => LogType::DOUBLE,
        DataType::Date32 => LogType::DATE,
        DataType::Binary => LogType::BINARY,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => LogType::TIMESTAMP,
        DataType::Timestamp(TimeUnit::Microsecond, None) => LogType::TIMESTAMP_NTZ,
        DataType::Decimal128(precision, scale) => LogType::decimal(*precision, u8::try_from(*scale).ok()?).ok()?,
        DataType::List(item) => ArrayType::new(log_type(item.data_type())?, true).into(),
        DataType::Struct(fields) => {
            let fields =
                fields.iter().map(|field| Some(StructField::nullable(field.name(), log_type(field.data_type())?)));
            StructType::try_new(fields.collect::<Option<Vec<_>>>()?).ok()?.into()
        }
        _ => return None,
    })
}

/// A column of the log as a plan has it. A type that no plan has keeps the log's name for it.
pub(super) fn column(field: &StructField) -> ColumnSpec {
    let kind = arrow_type(field.data_type()).map_or_else(|| field.data_type().to_string(), |kind| type_name(&kind));
    ColumnSpec { name: field.name().clone(), kind }
}

fn arrow_type(kind: &LogType) -> Option<DataType> {
    Some(match kind {
        LogType::Primitive(primitive) => match primitive {
            PrimitiveType::String => DataType::Utf8,
            PrimitiveType::Boolean => DataType::Boolean,
            PrimitiveType::Byte => DataType::Int8,
            PrimitiveType::Short => DataType::Int16,
            PrimitiveType::Integer => DataType::Int32,
            PrimitiveType::Long => DataType::Int64,
            PrimitiveType::Float => DataType::Float32,
            PrimitiveType::Double => DataType::Float64,
            PrimitiveType::Date => DataType::Date32,
            PrimitiveType::Binary => DataType::Binary,
            PrimitiveType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            PrimitiveType::TimestampNtz => DataType::Timestamp(TimeUnit::Microsecond, None),
            PrimitiveType::Decimal(decimal) => {
                DataType::Decimal128(decimal.precision(), i8::try_from(decimal.scale()).ok()?)
            }
            _ => return None,
        },
        LogType::Array(array) => {
            DataType::List(Arc::new(Field::new("element", arrow_type(array.element_type())?, true)))
        }
        LogType::Struct(fields) => {
            let fields =
                fields.fields().map(|field| Some(Field::new(field.name(), arrow_type(field.data_type())?, true)));
            DataType::Struct(fields.collect::<Option<Vec<_>>>()?.into())
        }
        _ => return None,
    })
}

/// Whether a type is, or has in it, a timestamp without a zone.
fn has_local_times(kind: &DataType) -> bool {
    match kind {
        DataType::Timestamp(_, None) => true,
        DataType::List(item) => has_local_times(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_local_times(field.data_type())),
        _ => false,
    }
}

/// What a log must be told before it may have `columns`.
pub(super) enum Readiness {
    /// Nothing.
    Ready,
    /// That its readers and writers need to know timestamps without a zone: an entry of its own, as JSON lines.
    Entry(String),
    /// It cannot be told: its protocol is of a form that this log never had.
    Foreign,
}

/// Whether the log may have these new columns. A log that was created without timestamps without a zone does not ask
/// its readers to know them.
pub(super) fn readiness(snapshot: &SnapshotRef, columns: &[DataType], now_ms: i64) -> Readiness {
    let protocol = snapshot.table_configuration().protocol();
    let feature = TableFeature::TimestampWithoutTimezone;
    let known = protocol.writer_features().unwrap_or_default();
    if known.contains(&feature) || !columns.iter().any(has_local_times) {
        return Readiness::Ready;
    }
    // In-commit timestamps would have to be kept ascending, and nobody but another engine can have asked for them.
    let (Some(reader), false) = (protocol.reader_features(), known.contains(&TableFeature::InCommitTimestamp)) else {
        return Readiness::Foreign;
    };
    let with = |known: &[TableFeature]| known.iter().chain([&feature]).map(ToString::to_string).collect::<Vec<_>>();
    let info = json!({ "commitInfo": {
        "timestamp": now_ms, "operation": "UPGRADE PROTOCOL", "operationParameters": {}, "engineInfo": ENGINE,
    } });
    let protocol = json!({ "protocol": {
        "minReaderVersion": protocol.min_reader_version(), "minWriterVersion": protocol.min_writer_version(),
        "readerFeatures": with(reader), "writerFeatures": with(known),
    } });
    Readiness::Entry(format!("{info}\n{protocol}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_a_plan_has_its_type_in_the_log_and_back() {
        let kinds =
            ["string", "bool", "int8", "int16", "int32", "int64", "float32", "float64", "decimal(38,0)", "date"];
        let nested = ["list<binary>", "struct<a:timestamp_ntz,b:list<struct<c:decimal(38,38)>>>"];
        for kind in kinds.into_iter().chain(["timestamp", "timestamp_ntz", "binary"]).chain(nested) {
            let spec = ColumnSpec { name: "c".into(), kind: kind.into() };
            let field = StructField::nullable("c", log_type(&spec.data_type().unwrap()).unwrap());
            assert_eq!(column(&field), spec);
        }
        assert_eq!(log_type(&DataType::Time64(TimeUnit::Nanosecond)), None);
    }
}
