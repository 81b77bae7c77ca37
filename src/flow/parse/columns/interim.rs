//! Casts until the value steps have a module of their own.

use std::borrow::Cow;

use super::super::chars::trim;
use super::super::text::collapse;
use super::{cast, iso};
use crate::model::mapping::{Kind, Trim, ValueRules};
use crate::model::violation::Code;

/// A value as it is in its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'t> {
    Null,
    Text(&'t str),
    Bool(bool),
    Int(i64),
    Float32(f32),
    Float64(f64),
    Decimal(i128),
    Bytes(&'t [u8]),
}

#[derive(Debug)]
pub struct Refused {
    pub code: Code,
    pub what: Cow<'static, str>,
}

#[derive(Debug, Default)]
pub struct Memory {
    collapsed: String,
}

#[derive(Debug)]
pub struct Caster {
    kind: Kind,
    rules: ValueRules,
}

impl Caster {
    pub fn new(kind: &Kind, rules: &ValueRules) -> Result<Self, Vec<()>> {
        Ok(Self { kind: kind.clone(), rules: rules.clone() })
    }

    pub fn missing(&self) -> Value<'_> {
        Value::Null
    }

    #[inline]
    pub fn cast<'t>(&'t self, text: &'t str, memory: &'t mut Memory) -> Result<Value<'t>, Refused> {
        let value = match self.rules.trim {
            Trim::None => text,
            Trim::Both => trim(text),
            Trim::Collapse => collapse(text, &mut memory.collapsed).unwrap_or(text),
        };
        if value.is_empty() || self.rules.null_values.iter().any(|null| null == value) {
            return Ok(Value::Null);
        }
        let raw = value.as_bytes();
        let cast = match self.kind {
            Kind::Bool => cast::boolean(raw).map(Value::Bool),
            Kind::Int8 => cast::integer::<i8>(raw).map(|value| Value::Int(value.into())),
            Kind::Int16 => cast::integer::<i16>(raw).map(|value| Value::Int(value.into())),
            Kind::Int32 => cast::integer::<i32>(raw).map(|value| Value::Int(value.into())),
            Kind::Int64 => cast::integer(raw).map(Value::Int),
            Kind::Float32 => cast::float(value).map(Value::Float32),
            Kind::Float64 => cast::float(value).map(Value::Float64),
            Kind::Decimal(precision, scale) => cast::decimal(raw, precision, scale).map(Value::Decimal),
            Kind::Date => iso::date(raw).map(|value| Value::Int(value.into())),
            Kind::Timestamp(_) => iso::timestamp(raw).map(Value::Int),
            _ => Ok(Value::Text(value)),
        };
        cast.map_err(|reason| {
            let (code, kind) = describe(&self.kind);
            let what = match reason {
                "out of the range" => format!("{reason} of {kind}").into(),
                "too long for" | "more digits after the point than" | "more digits before the point than" => {
                    format!("{reason} {kind}").into()
                }
                other => Cow::Borrowed(other),
            };
            Refused { code, what }
        })
    }
}

fn describe(kind: &Kind) -> (Code, String) {
    match *kind {
        Kind::Bool => (Code::TYPE_BOOL, "bool".to_owned()),
        Kind::Int8 => (Code::TYPE_INT, "int8".to_owned()),
        Kind::Int16 => (Code::TYPE_INT, "int16".to_owned()),
        Kind::Int32 => (Code::TYPE_INT, "int32".to_owned()),
        Kind::Int64 => (Code::TYPE_INT, "int64".to_owned()),
        Kind::Float32 => (Code::TYPE_FLOAT, "float32".to_owned()),
        Kind::Float64 => (Code::TYPE_FLOAT, "float64".to_owned()),
        Kind::Decimal(precision, scale) => (Code::TYPE_DECIMAL, format!("decimal({precision},{scale})")),
        Kind::Date => (Code::TYPE_DATE, "date".to_owned()),
        Kind::Timestamp(_) => (Code::TYPE_TIMESTAMP, "timestamp".to_owned()),
        _ => (Code::LIMIT_BYTES, "string".to_owned()),
    }
}
