//! Types as a mapping writes them: `int64`, `decimal(10,2)`, `timestamp(ms)`, `list<string>`.

use std::sync::Arc;

use crate::config::problem::similar;
use crate::config::section::{Wrong, quoted};
use crate::model::mapping::{BinaryText, Kind, Precision};

/// Types without parameters.
const PLAIN: [(&str, Kind); 15] = [
    ("string", Kind::String),
    ("bool", Kind::Bool),
    ("int8", Kind::Int8),
    ("int16", Kind::Int16),
    ("int32", Kind::Int32),
    ("int64", Kind::Int64),
    ("float32", Kind::Float32),
    ("float64", Kind::Float64),
    ("date", Kind::Date),
    ("time", Kind::Time(Precision::Micro)),
    ("timestamp", Kind::Timestamp(Precision::Micro)),
    ("timestamp_ntz", Kind::LocalTimestamp(Precision::Micro)),
    ("binary", Kind::Binary(BinaryText::Base64)),
    ("json", Kind::Json),
    ("xml", Kind::Xml),
];

const UNITS: [(&str, Precision); 3] = [("ms", Precision::Milli), ("us", Precision::Micro), ("ns", Precision::Nano)];

/// What people write who come from SQL, Spark, Arrow or Java.
const FOREIGN: [(&str, &str); 40] = [
    ("str", "string"),
    ("text", "string"),
    ("char", "string"),
    ("varchar", "string"),
    ("utf8", "string"),
    ("uuid", "string"),
    ("boolean", "bool"),
    ("tinyint", "int8"),
    ("byte", "int8"),
    ("smallint", "int16"),
    ("short", "int16"),
    ("uint8", "int16"),
    ("int", "int32"),
    ("integer", "int32"),
    ("uint16", "int32"),
    ("long", "int64"),
    ("bigint", "int64"),
    ("uint32", "int64"),
    ("uint64", "decimal(20,0)"),
    ("float", "float32"),
    ("real", "float32"),
    ("double", "float64"),
    ("datetime", "timestamp"),
    ("instant", "timestamp"),
    ("timestamptz", "timestamp"),
    ("timestamp_ltz", "timestamp"),
    ("localtimestamp", "timestamp_ntz"),
    ("numeric", "decimal(38,2)"),
    ("number", "decimal(38,2)"),
    ("money", "decimal(18,2)"),
    ("bytes", "binary"),
    ("blob", "binary"),
    ("base64", "binary(base64)"),
    ("hex", "binary(hex)"),
    ("array", "list<string>"),
    ("list", "list<string>"),
    ("map", "json"),
    ("variant", "json"),
    ("object", "struct"),
    ("record", "struct"),
];

/// A type as it stands in the file.
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    /// Type of a value, or of the items of a list; a struct is without its fields.
    pub(super) kind: Kind,
    /// Whether it is `list<…>`.
    pub(super) is_list: bool,
}

/// The type of that text, or what is wrong with it and what would be right.
pub(super) fn parse(text: &str) -> Result<Written, Wrong> {
    let text = text.trim();
    let Some(item) = parameter(text, "list", '<', '>') else {
        return Ok(Written { kind: parse_item(text)?, is_list: false });
    };
    if item.trim_start().starts_with("list<") {
        let help = "make it a list<struct> with a field that is a list".to_owned();
        return Err((format!("{} is a list of lists", quoted(text)), Some(help)));
    }
    Ok(Written { kind: parse_item(item.trim())?, is_list: true })
}

fn parse_item(text: &str) -> Result<Kind, Wrong> {
    let name = text.split(['(', '<']).next().unwrap_or_default().trim();
    let inner = || parameter(text, name, '(', ')').map(str::trim);
    let unit = |kind: fn(Precision) -> Kind| {
        let unit = inner().and_then(|inner| UNITS.iter().find(|(unit, _)| *unit == inner));
        let help = || Some(format!("take {name}(ms), {name}(us) or {name}(ns); {name} alone is {name}(us)"));
        unit.map(|(_, unit)| kind(*unit)).ok_or_else(|| (format!("{} is not a type", quoted(text)), help()))
    };
    if name == "decimal" {
        return parse_decimal(text, inner());
    }
    if let Some((_, kind)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Ok(kind.clone());
    }
    match name {
        "struct" if text == "struct" => return Ok(Kind::Struct(Arc::default())),
        "struct" => {
            let help = "write type = \"struct\", and a [[column.field]] for each field".to_owned();
            return Err((format!("{} is not a type", quoted(text)), Some(help)));
        }
        "time" => return unit(Kind::Time),
        "timestamp" => return unit(Kind::Timestamp),
        "timestamp_ntz" => return unit(Kind::LocalTimestamp),
        "binary" => match inner() {
            Some("base64") => return Ok(Kind::Binary(BinaryText::Base64)),
            Some("hex") => return Ok(Kind::Binary(BinaryText::Hex)),
            _ => {
                let help = "take binary(base64) or binary(hex); binary alone is binary(base64)".to_owned();
                return Err((format!("{} is not a type", quoted(text)), Some(help)));
            }
        },
        _ => {}
    }
    if let Some((plain, _)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
        return Err((format!("{} is not a type", quoted(text)), Some(format!("write {plain}: it has no parameters"))));
    }
    let lower = name.to_lowercase();
    let meant = FOREIGN.iter().find(|(foreign, _)| *foreign == lower).map(|(_, ours)| *ours);
    let meant = meant.or_else(|| similar(name, PLAIN.iter().map(|(name, _)| *name).chain(["decimal", "struct"])));
    let help = meant.map_or_else(available, |name| format!("did you mean {name}?"));
    Err((format!("{} is not a type", quoted(text)), Some(help)))
}

/// What stands in brackets after a name, where nothing follows them.
fn parameter<'t>(text: &'t str, name: &str, open: char, close: char) -> Option<&'t str> {
    text.strip_prefix(name)?.trim_start().strip_prefix(open)?.strip_suffix(close)
}

fn parse_decimal(text: &str, parameters: Option<&str>) -> Result<Kind, Wrong> {
    let numbers = parameters.and_then(|parameters| {
        let (precision, scale) = parameters.split_once(',')?;
        Some((precision.trim().parse::<u8>().ok()?, scale.trim().parse::<i8>().ok()?))
    });
    let right = "write decimal(precision,scale), such as decimal(18,2)".to_owned();
    let Some((precision, scale)) = numbers else {
        return Err((format!("{} is not a type", quoted(text)), Some(right)));
    };
    if !(1..=38).contains(&precision) {
        let message = format!("a decimal of {precision} digits is not possible");
        return Err((message, Some("take a precision of 1 to 38".to_owned())));
    }
    if scale < 0 || scale.unsigned_abs() > precision {
        let message = format!("scale {scale} does not fit precision {precision}");
        return Err((message, Some(format!("take a scale of 0 to {precision}"))));
    }
    Ok(Kind::Decimal(precision, scale))
}

fn available() -> String {
    let names: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).collect();
    format!("take {}, decimal(precision,scale), list<…> or struct", names.join(", "))
}
