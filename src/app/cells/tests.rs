use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use serde_json::json;

use super::*;

fn shown(column: impl Array + 'static) -> Vec<Value> {
    let column = Arc::new(column) as ArrayRef;
    (0..column.len()).map(|row| super::json(column.as_ref(), row)).collect()
}

#[test]
fn values_are_shown_without_loss() {
    assert_eq!(shown(Int64Array::from(vec![Some(i64::MAX), None])), [json!(i64::MAX), Value::Null]);
    assert_eq!(shown(BooleanArray::from(vec![true])), [json!(true)]);
    assert_eq!(shown(Float32Array::from(vec![0.1])), [json!(0.1)]);
    assert_eq!(shown(Float64Array::from(vec![f64::NAN, 1.5])), [json!("NaN"), json!(1.5)]);
    let decimals = Decimal128Array::from(vec![1795, -5]).with_precision_and_scale(9, 2).unwrap();
    assert_eq!(shown(decimals), [json!("17.95"), json!("-0.05")]);
    assert_eq!(
        shown(Date32Array::from(vec![0, -1, 20_000])),
        [json!("1970-01-01"), json!("1969-12-31"), json!("2024-10-04")]
    );
    let times = TimestampMicrosecondArray::from(vec![0, 1_760_553_720_000_001]).with_timezone("UTC");
    assert_eq!(shown(times), [json!("1970-01-01T00:00:00Z"), json!("2025-10-15T18:42:00.000001Z")]);
    let local = TimestampMicrosecondArray::from(vec![0, 1_760_553_720_000_001]);
    assert_eq!(type_name(local.data_type()), "timestamp_ntz");
    assert_eq!(shown(local), [json!("1970-01-01T00:00:00"), json!("2025-10-15T18:42:00.000001")]);
    assert_eq!(shown(BinaryArray::from(vec![&b"\x00\xff"[..]])), [json!("AP8=")]);
    let words: DictionaryArray<Int32Type> = [Some("a"), None, Some("b")].into_iter().collect();
    assert_eq!(shown(words), [json!("a"), Value::Null, json!("b")]);
}

#[test]
fn what_jiff_cannot_hold_is_still_shown() {
    let times = TimestampMicrosecondArray::from(vec![i64::MAX]).with_timezone("UTC");
    assert_eq!(shown(times), [json!("9223372036854775807 since 1970")]);
    assert_eq!(shown(Date32Array::from(vec![i32::MAX])), [json!("2147483647 days since 1970")]);
}

#[test]
fn lists_and_structs_are_shown_whole() {
    let codes = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None])) as ArrayRef;
    let members = StructArray::from(vec![(Arc::new(Field::new("code", DataType::Utf8, true)), codes)]);
    let field = Arc::new(Field::new("element", members.data_type().clone(), false));
    let lists = ListArray::new(field, OffsetBuffer::from_lengths([2, 0, 1]), Arc::new(members), None);
    assert_eq!(type_name(lists.data_type()), "list<struct<code string>>");
    assert_eq!(text(&lists, 0), r#"[{"code":"a"},{"code":"b"}]"#);
    assert_eq!(shown(lists), [json!([{"code": "a"}, {"code": "b"}]), json!([]), json!([{"code": null}])]);
}

#[test]
fn people_see_bytes_that_are_text_as_text() {
    let payloads = BinaryArray::from(vec![&b"<a/>"[..], b"\xff"]);
    assert_eq!((cell(&payloads, 0).as_str(), cell(&payloads, 1).as_str()), ("<a/>", "/w=="));
    assert_eq!(text(&payloads, 0), "PGEvPg==");
}
