//! Types in the words of a mapping: what plans and messages call them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// The type in which a Processed table holds values of an Arrow type: plain, times in microseconds, everything
/// nullable. None: it cannot hold them without a loss, or the table log has no name for them.
pub(super) fn held(kind: &DataType) -> Option<DataType> {
    Some(match kind {
        DataType::Dictionary(_, values) => return held(values),
        DataType::Utf8
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Binary => kind.clone(),
        DataType::Decimal128(_, 0..) => kind.clone(),
        DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, zone) => micros(zone.is_some()),
        DataType::List(item) => list(held(item.data_type())?),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| Some(Field::new(field.name(), held(field.data_type())?, true)));
            DataType::Struct(fields.collect::<Option<Vec<_>>>()?.into())
        }
        _ => return None,
    })
}

fn micros(is_instant: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, is_instant.then(|| "UTC".into()))
}

/// A list as Parquet names its parts.
fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", item, true)))
}

/// Any type, in the words of a mapping.
pub fn type_name(kind: &DataType) -> String {
    let timed = |name: &str, unit: &TimeUnit| match unit {
        TimeUnit::Second => format!("{name}(s)"),
        TimeUnit::Millisecond => format!("{name}(ms)"),
        TimeUnit::Microsecond => name.to_owned(),
        TimeUnit::Nanosecond => format!("{name}(ns)"),
    };
    match kind {
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
        DataType::Time32(unit) | DataType::Time64(unit) => timed("time", unit),
        DataType::Timestamp(unit, Some(_)) => timed("timestamp", unit),
        DataType::Timestamp(unit, None) => timed("timestamp_ntz", unit),
        DataType::Binary => "binary".to_owned(),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{}:{}", field.name(), type_name(field.data_type())));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
        _ => "of another type".to_owned(),
    }
}

/// The type of a Processed table that [`type_name`] calls so; none where it holds no such type.
pub(super) fn read(text: &str) -> Option<DataType> {
    match read_first(text)? {
        (kind, "") => Some(kind),
        _ => None,
    }
}

/// The type that a text begins with, and what follows it.
fn read_first(text: &str) -> Option<(DataType, &str)> {
    if let Some(rest) = text.strip_prefix("list<") {
        let (item, rest) = read_first(rest)?;
        return Some((list(item), rest.strip_prefix('>')?));
    }
    if let Some(mut rest) = text.strip_prefix("struct<") {
        let mut fields = Vec::new();
        loop {
            let (name, after) = rest.split_once(':')?;
            let (kind, after) = read_first(after)?;
            fields.push(Field::new(name, kind, true));
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return Some((DataType::Struct(fields.into()), after.strip_prefix('>')?)),
            }
        }
    }
    if let Some(rest) = text.strip_prefix("decimal(") {
        let (inner, rest) = rest.split_once(')')?;
        let (precision, scale) = inner.split_once(',')?;
        let decimal = DataType::Decimal128(precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        return Some((decimal, rest));
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let kind = match word {
        "string" => DataType::Utf8,
        "bool" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" => micros(true),
        "timestamp_ntz" => micros(false),
        "binary" => DataType::Binary,
        _ => return None,
    };
    Some((kind, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_held_comes_back_from_its_name() {
        let names = [
            "string",
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "float32",
            "float64",
            "decimal(38,37)",
            "date",
            "timestamp",
            "timestamp_ntz",
            "binary",
            "list<decimal(10,2)>",
            "struct<a:int8>",
            "list<struct<a:string,b:list<struct<c:decimal(3,0),d:timestamp_ntz>>,e:binary>>",
        ];
        for name in names {
            let kind = read(name).unwrap();
            assert_eq!((type_name(&kind).as_str(), held(&kind)), (name, Some(kind.clone())));
        }
        let bad = [
            "",
            "list<",
            "list<int8",
            "int8>",
            "struct<>",
            "struct<a>",
            "struct<a:int8",
            "decimal(3)",
            "time",
            "decimal(x,y)",
        ];
        assert!(bad.iter().all(|name| read(name).is_none()));
    }

    #[test]
    fn what_is_held_is_plain_nullable_and_in_microseconds() {
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert_eq!(held(&text), Some(DataType::Utf8));
        let at = DataType::Timestamp(TimeUnit::Millisecond, None);
        let fields = DataType::Struct(vec![Field::new("at", at, false)].into());
        let items = DataType::List(Arc::new(Field::new("item", fields, false)));
        let want = held(&items).unwrap();
        assert_eq!(
            (type_name(&items), type_name(&want)),
            ("list<struct<at:timestamp_ntz(ms)>>".into(), "list<struct<at:timestamp_ntz>>".into())
        );
        assert_eq!(read("list<struct<at:timestamp_ntz>>"), Some(want));
        for unit in [TimeUnit::Microsecond, TimeUnit::Nanosecond] {
            assert_eq!(held(&DataType::Time64(unit)), None);
        }
        assert_eq!(held(&list(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())))), None);
        assert_eq!(held(&DataType::Decimal128(3, -1)), None);
    }
}
