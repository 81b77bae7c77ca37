//! Values of one type in another that holds the same values: what lets files of several versions of a mapping be read
//! together.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::error::ArrowError;

/// Whether every value of one type has its equal in the other: text is text whether or not it is dictionary-encoded,
/// milliseconds become microseconds, what was required may be null, a struct may have more fields. Nothing is ever cut,
/// rounded or read as something else.
pub fn fits(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::List(from), DataType::List(to)) => item_fits(from, to),
        (DataType::Struct(from), DataType::Struct(to)) => {
            let is_known = |field: &Arc<Field>| to.iter().any(|other| other.name() == field.name());
            from.iter().all(is_known)
                && to.iter().all(|to| match from.iter().find(|from| from.name() == to.name()) {
                    Some(from) => item_fits(from, to),
                    None => to.is_nullable(),
                })
        }
        (DataType::Timestamp(from, from_zone), DataType::Timestamp(to, to_zone)) => {
            from_zone.is_some() == to_zone.is_some()
                && (from == to || (*from == TimeUnit::Millisecond && *to == TimeUnit::Microsecond))
        }
        _ => from == to || (is_text(from) && is_text(to)),
    }
}

fn item_fits(from: &Field, to: &Field) -> bool {
    (to.is_nullable() || !from.is_nullable()) && fits(from.data_type(), to.data_type())
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => **values == DataType::Utf8,
        other => *other == DataType::Utf8,
    }
}

/// The values of `array` in a type that it [`fits`].
///
/// # Errors
///
/// It does not fit, or a time is too far off for microseconds.
pub fn fit(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), to) {
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let values = fit(list.values(), item.data_type())?;
            let list = ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, list.nulls().cloned())?;
            Ok(Arc::new(list))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let whole = array.as_struct();
            let parts = fields.iter().map(|field| match whole.column_by_name(field.name()) {
                Some(part) => fit(part, field.data_type()),
                None => Ok(new_null_array(field.data_type(), whole.len())),
            });
            let (parts, nulls) = (parts.collect::<Result<Vec<_>, _>>()?, whole.nulls().cloned());
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), parts, nulls, whole.len())?))
        }
        (DataType::Timestamp(..), DataType::Timestamp(..)) if fits(array.data_type(), to) => {
            cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
        }
        (from, to) if is_text(from) && is_text(to) => cast(array, to),
        (from, to) => {
            let (from, to) = (super::type_name(from), super::type_name(to));
            Err(ArrowError::CastError(format!("{from} is not {to}")))
        }
    }
}

/// The one type that holds the values of both, where there is one: it differs from each only in what may be null.
pub fn united(one: &DataType, other: &DataType) -> Option<DataType> {
    let field = |one: &Field, other: &Field| {
        let kind = united(one.data_type(), other.data_type())?;
        Some(Field::new(one.name(), kind, one.is_nullable() || other.is_nullable()))
    };
    match (one, other) {
        (DataType::List(one), DataType::List(other)) => Some(DataType::List(Arc::new(field(one, other)?))),
        (DataType::Struct(one), DataType::Struct(other)) => {
            let same = |(one, other): (&Arc<Field>, &Arc<Field>)| {
                if one.name() == other.name() { field(one, other) } else { None }
            };
            let fields =
                (one.len() == other.len()).then(|| one.iter().zip(other).map(same).collect::<Option<Vec<_>>>());
            Some(DataType::Struct(fields??.into()))
        }
        _ if is_text(one) && is_text(other) => Some(DataType::Utf8),
        _ => (one == other).then(|| one.clone()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray};
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::Int32Type;

    use super::*;
    use crate::lake::columns::ColumnSpec;

    fn kind(name: &str) -> DataType {
        ColumnSpec { name: "c".into(), kind: name.into() }.data_type().unwrap()
    }

    #[test]
    fn only_what_loses_nothing_fits() {
        let millis = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        assert!(fits(&millis, &kind("timestamp")));
        assert!(!fits(&millis, &kind("timestamp_ntz")) && !fits(&nanos, &kind("timestamp")));
        assert!(!fits(&kind("timestamp"), &millis));
        assert!(!fits(&kind("int32"), &kind("int64")) && !fits(&kind("string"), &kind("binary")));
        assert!(fits(&kind("struct<b:int8,a:string>"), &kind("struct<a:string,b:int8,c:date>")));
        assert!(!fits(&kind("struct<a:string,b:int8>"), &kind("struct<a:string>")));
        assert!(!fits(&kind("list<string>"), &kind("list<int8>")) && !fits(&kind("string"), &kind("list<string>")));
        let required = DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)));
        assert!(fits(&required, &kind("list<string>")) && !fits(&kind("list<string>"), &required));
    }

    #[test]
    fn lists_of_structs_keep_their_values_their_nulls_and_their_slices() {
        let at = Arc::new(TimestampMillisecondArray::from(vec![Some(1), None, Some(-3), Some(4)]).with_timezone("UTC"));
        let name = Arc::new(["a", "b", "a", "c"].into_iter().collect::<arrow::array::DictionaryArray<Int32Type>>());
        let fields =
            vec![Field::new("name", name.data_type().clone(), false), Field::new("at", at.data_type().clone(), true)];
        let nulls = NullBuffer::from(vec![true, true, false, true]);
        let structs = StructArray::new(fields.into(), vec![name, at], Some(nulls));
        let item = Arc::new(Field::new("item", structs.data_type().clone(), true));
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let lists = ListArray::new(item, OffsetBuffer::from_lengths([1, 0, 2, 1]), Arc::new(structs), Some(nulls));
        let lists: ArrayRef = Arc::new(lists.slice(1, 3));
        let to = kind("list<struct<at:timestamp,name:string,more:decimal(38,2)>>");
        assert!(fits(lists.data_type(), &to));
        let fitted = fit(&lists, &to).unwrap();
        assert_eq!((fitted.data_type(), fitted.len(), fitted.is_null(0)), (&to, 3, true));
        let first = fitted.as_list::<i32>().value(1);
        let first = first.as_struct();
        assert_eq!((first.is_valid(0), first.is_null(1)), (true, true));
        assert!(first.column(0).is_null(0));
        let last = fitted.as_list::<i32>().value(2);
        let last = last.as_struct();
        let times = last.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap();
        let names = last.column(1).as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!((times.value(0), names.value(0), last.column(2).is_null(0)), (4_000, "c", true));
    }

    #[test]
    fn what_does_not_fit_is_told_and_never_made_null() {
        let far: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![i64::MAX]));
        assert!(fit(&far, &kind("timestamp_ntz")).is_err());
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert_eq!(fit(&numbers, &DataType::Utf8).unwrap_err().to_string(), "Cast error: int64 is not string");
    }

    #[test]
    fn types_are_united_when_they_differ_in_nulls_alone() {
        let strict = DataType::Struct(vec![Field::new("a", DataType::Int8, false)].into());
        assert_eq!(united(&strict, &kind("struct<a:int8>")), Some(kind("struct<a:int8>")));
        assert_eq!(united(&strict, &kind("struct<b:int8>")), None);
        assert_eq!(united(&kind("struct<a:int8,b:int8>"), &strict), None);
        assert_eq!(united(&kind("list<int8>"), &kind("list<int16>")), None);
    }
}
