//! What buffers take comes back, also after some of it was forgotten.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int32Type};
use proptest::prelude::*;
use std::sync::Arc;

use super::super::compile::Shape;
use super::Buffers;
use crate::lexical::Value;
use crate::model::mapping::{BinaryText, Kind, Precision};

const MOMENTS: [Precision; 3] = [Precision::Milli, Precision::Micro, Precision::Nano];

#[test]
fn every_type_makes_an_array_of_its_own_type() {
    let mut cases = vec![
        (Kind::String, Value::Text("x")),
        (Kind::Json, Value::Text("{}")),
        (Kind::Xml, Value::Text("<a/>")),
        (Kind::Bool, Value::Bool(true)),
        (Kind::Int8, Value::Int(-128)),
        (Kind::Int16, Value::Int(300)),
        (Kind::Int32, Value::Int(70_000)),
        (Kind::Int64, Value::Int(1 << 40)),
        (Kind::Float32, Value::Float32(1.5)),
        (Kind::Float64, Value::Float64(2.5)),
        (Kind::Decimal(4, 2), Value::Decimal(125)),
        (Kind::Date, Value::Int(20_000)),
        (Kind::Binary(BinaryText::Hex), Value::Bytes(b"\xFF")),
    ];
    for precision in MOMENTS {
        let value = Value::Int(86_399_999);
        cases.extend([Kind::Time, Kind::Timestamp, Kind::LocalTimestamp].map(|kind| (kind(precision), value)));
    }
    for (kind, value) in cases {
        let mut buffers = Buffers::new(&[Shape::Leaf(kind.clone()), Shape::Leaf(kind.clone())]);
        buffers[0].push(value).unwrap();
        buffers.push_null(0);
        buffers.repeat(0, 0, 1, 2).unwrap();
        let array = buffers.finish(0).unwrap();
        assert_eq!((array.len(), array.null_count(), array.data_type()), (2, 1, &kind.data_type()));
        let repeated = buffers.finish(1).unwrap();
        assert_eq!(repeated.slice(0, 1).as_ref(), array.slice(0, 1).as_ref(), "{kind:?}");
        assert_eq!(repeated.slice(1, 1).as_ref(), array.slice(0, 1).as_ref(), "{kind:?}");
        assert_eq!((buffers[0].len(), buffers[1].len()), (0, 0));
    }
}

#[test]
fn a_value_that_does_not_fit_is_refused_and_one_of_another_type_is_null() {
    let mut buffers = Buffers::new(&[Shape::Leaf(Kind::Int8)]);
    assert!(buffers[0].push(Value::Int(128)).is_err());
    assert_eq!(buffers[0].len(), 0);
    buffers[0].push(Value::Text("1")).unwrap();
    assert_eq!(buffers.finish(0).unwrap().null_count(), 1);
}

/// Lists of structs of a number and a list of texts: what nests, nests.
fn nested() -> (Vec<Shape>, DataType) {
    let texts = Arc::new(Field::new("item", DataType::Utf8, true));
    let fields: arrow::datatypes::Fields =
        vec![Field::new("n", DataType::Int32, true), Field::new("t", DataType::List(Arc::clone(&texts)), true)].into();
    let item = Arc::new(Field::new("item", DataType::Struct(fields.clone()), true));
    let shapes = vec![
        Shape::Leaf(Kind::Int32),
        Shape::Leaf(Kind::String),
        Shape::List(texts, 1),
        Shape::Struct(fields, vec![0, 2]),
        Shape::List(Arc::clone(&item), 3),
    ];
    (shapes, DataType::List(item))
}

/// A list of structs, each null or a number and texts; or no list.
type Nest = Option<Vec<Option<(Option<i32>, Option<Vec<String>>)>>>;

fn push(buffers: &mut Buffers, base: u16, nest: &Nest) {
    let Some(items) = nest else { return buffers.push_null(base + 4) };
    for item in items {
        let Some((number, texts)) = item else {
            buffers.push_null(base + 3);
            continue;
        };
        match number {
            Some(number) => buffers[base].push(Value::Int((*number).into())).unwrap(),
            None => buffers.push_null(base),
        }
        match texts {
            Some(texts) => {
                texts.iter().for_each(|text| buffers[base + 1].push(Value::Text(text)).unwrap());
                buffers.push_list(base + 2).unwrap();
            }
            None => buffers.push_null(base + 2),
        }
        buffers.push_struct(base + 3);
    }
    buffers.push_list(base + 4).unwrap();
}

fn read(array: &dyn Array) -> Vec<Nest> {
    let lists = array.as_list::<i32>();
    let of = |at: usize| -> Nest {
        if lists.is_null(at) {
            return None;
        }
        let items = lists.value(at);
        let items = items.as_struct();
        let numbers = items.column(0).as_primitive::<Int32Type>();
        let texts = items.column(1).as_list::<i32>();
        let read = |at: usize| {
            let texts = (!texts.is_null(at)).then(|| {
                texts.value(at).as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect::<Vec<_>>()
            });
            ((!numbers.is_null(at)).then(|| numbers.value(at)), texts)
        };
        Some((0..items.len()).map(|at| (!items.is_null(at)).then(|| read(at))).collect())
    };
    (0..lists.len()).map(of).collect()
}

fn nests() -> impl Strategy<Value = Nest> {
    let texts = proptest::collection::vec("[a-z]{0,3}", 0..3);
    let item = proptest::option::of((any::<Option<i32>>(), proptest::option::of(texts)));
    proptest::option::of(proptest::collection::vec(item, 0..4))
}

proptest! {
    #[test]
    fn what_was_truncated_is_gone_and_the_rest_is_exact(
        ops in proptest::collection::vec(
            prop_oneof![any::<Option<i32>>().prop_map(Ok), (0_usize..40).prop_map(Err)], 0..60)
    ) {
        let kinds = [Kind::String, Kind::Int32, Kind::Decimal(12, 2), Kind::Bool];
        let mut buffers = Buffers::new(&kinds.map(Shape::Leaf));
        let mut expected: Vec<Option<i32>> = Vec::new();
        for op in ops {
            match op {
                Ok(Some(value)) => {
                    buffers[0].push(Value::Text(&value.to_string())).unwrap();
                    buffers[1].push(Value::Int(value.into())).unwrap();
                    buffers[2].push(Value::Decimal(value.into())).unwrap();
                    buffers[3].push(Value::Bool(value > 0)).unwrap();
                    expected.push(Some(value));
                }
                Ok(None) => {
                    (0..4).for_each(|id| buffers.push_null(id));
                    expected.push(None);
                }
                Err(len) => {
                    (0..4).for_each(|id| buffers.truncate(id, len));
                    expected.truncate(len);
                }
            }
        }
        let text = buffers.finish(0).unwrap();
        let texts: Vec<Option<i32>> =
            text.as_string::<i32>().iter().map(|value| value.map(|value| value.parse().unwrap())).collect();
        prop_assert_eq!(&texts, &expected);
        let number = buffers.finish(1).unwrap();
        prop_assert_eq!(&number.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), &expected);
        let decimal = buffers.finish(2).unwrap();
        let wide: Vec<_> = expected.iter().map(|value| value.map(i128::from)).collect();
        prop_assert_eq!(decimal.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(), wide);
        let bits = buffers.finish(3).unwrap();
        let positive: Vec<_> = expected.iter().map(|value| value.map(|value| value > 0)).collect();
        prop_assert_eq!(bits.as_boolean().iter().collect::<Vec<_>>(), positive);
    }

    #[test]
    fn nested_values_come_back_after_truncation_and_repetition(
        ops in proptest::collection::vec(prop_oneof![4 => nests().prop_map(Ok), 1 => (0_usize..12).prop_map(Err)], 0..30),
        shared in nests(),
        count in 0_usize..4,
    ) {
        let (shapes, data_type) = nested();
        let second = shapes.iter().cloned().map(|shape| match shape {
            Shape::List(field, item) => Shape::List(field, item + 5),
            Shape::Struct(fields, ids) => Shape::Struct(fields, ids.into_iter().map(|id| id + 5).collect()),
            leaf => leaf,
        });
        let mut buffers = Buffers::new(&shapes.iter().cloned().chain(second).collect::<Vec<_>>());
        let mut expected = Vec::new();
        for op in ops {
            match op {
                Ok(nest) => {
                    push(&mut buffers, 0, &nest);
                    expected.push(nest);
                }
                Err(len) => {
                    buffers.truncate(4, len);
                    expected.truncate(len);
                }
            }
        }
        push(&mut buffers, 5, &None);
        push(&mut buffers, 5, &shared);
        buffers.repeat(9, 1, 4, count).unwrap();
        expected.extend(vec![shared; count]);
        let array = buffers.finish(4).unwrap();
        prop_assert_eq!(array.data_type(), &data_type);
        prop_assert_eq!(read(&array), expected);
    }
}
