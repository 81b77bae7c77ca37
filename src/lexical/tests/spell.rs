//! Values as JSON.

use proptest::prelude::*;

use super::*;
use crate::lexical::{push_json, push_string};
use crate::model::mapping::{BinaryText, Precision};

fn json(value: Value<'_>, kind: &Kind) -> String {
    let mut out = String::new();
    push_json(value, kind, &mut out);
    out
}

#[test]
fn values_are_written_in_their_type() {
    let (milli, nano) = (Precision::Milli, Precision::Nano);
    for (value, kind, expected) in [
        (Value::Null, Kind::Int8, "null"),
        (Value::Bool(true), Kind::Bool, "true"),
        (Value::Int(-5), Kind::Int64, "-5"),
        (Value::Float64(0.1), Kind::Float64, "0.1"),
        (Value::Float64(1e300), Kind::Float64, "1e300"),
        (Value::Float64(-0.0), Kind::Float64, "-0.0"),
        (Value::Float32(0.1), Kind::Float32, "0.1"),
        (Value::Float32(f32::INFINITY), Kind::Float32, "\"INF\""),
        (Value::Float64(f64::NEG_INFINITY), Kind::Float64, "\"-INF\""),
        (Value::Float64(f64::NAN), Kind::Float64, "\"NaN\""),
        (Value::Decimal(-5), Kind::Decimal(10, 2), "-0.05"),
        (Value::Decimal(150), Kind::Decimal(10, 2), "1.50"),
        (Value::Decimal(150), Kind::Decimal(10, 0), "150"),
        (Value::Decimal(0), Kind::Decimal(10, 0), "0"),
        (Value::Decimal(i128::MIN + 1), Kind::Decimal(38, 38), "-1.70141183460469231731687303715884105727"),
        (Value::Int(0), Kind::Date, "\"1970-01-01\""),
        (Value::Int(-719_529), Kind::Date, "\"-0001-12-31\""),
        (Value::Int(2_932_897), Kind::Date, "\"10000-01-01\""),
        (Value::Int(i64::from(i32::MAX)), Kind::Date, "\"5881580-07-11\""),
        (Value::Int(3_723_045), Kind::Time(milli), "\"01:02:03.045\""),
        (Value::Int(-1), Kind::Timestamp(nano), "\"1969-12-31T23:59:59.999999999Z\""),
        (Value::Int(1_500), Kind::LocalTimestamp(milli), "\"1970-01-01T00:00:01.5\""),
        (Value::Bytes(b"\xff\x00"), Kind::Binary(BinaryText::Hex), "\"/wA=\""),
        (Value::Text("{ }"), Kind::Json, "{ }"),
        (Value::Text("a\"\\\u{1}\n\t\r\u{7f}é"), Kind::String, "\"a\\\"\\\\\\u0001\\n\\t\\r\u{7f}é\""),
    ] {
        assert_eq!(json(value, &kind), expected, "{value:?} {kind}");
        serde_json::from_str::<serde_json::Value>(expected).unwrap();
    }
}

fn back(value: Value<'_>, kind: &Kind) {
    let written = json(value, kind);
    let text = serde_json::from_str::<String>(&written).unwrap_or(written);
    gives(&caster(kind, |_| {}), &text, Some(value));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        whole in any::<i64>(),
        tenths in -99_999_999_999_999_999_999_i128..=99_999_999_999_999_999_999,
        scale in 0_i8..=20,
        float in any::<f64>().prop_filter("a number", |float| !float.is_nan()),
        precision in prop_oneof![Just(Precision::Milli), Just(Precision::Micro), Just(Precision::Nano)],
        text in any::<String>(),
    ) {
        back(Value::Int(whole), &Kind::Int64);
        back(Value::Decimal(tenths), &Kind::Decimal(20, scale));
        back(Value::Float64(float), &Kind::Float64);
        back(Value::Int(whole % i64::from(i32::MAX)), &Kind::Date);
        back(Value::Int(whole.rem_euclid(86_400 * 10_i64.pow(precision.digits()))), &Kind::Time(precision));
        back(Value::Int(whole), &Kind::Timestamp(precision));
        back(Value::Int(whole), &Kind::LocalTimestamp(precision));
        let mut out = String::new();
        push_string(&text, &mut out);
        prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }
}
