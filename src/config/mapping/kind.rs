//! Types as a mapping writes them: `int64`, `decimal(10,2)`.

use crate::config::problem::similar;
use crate::model::mapping::{Kind, Precision};

/// Types without parameters.
const PLAIN: [(&str, Kind); 10] = [
    ("string", Kind::String),
    ("bool", Kind::Bool),
    ("int8", Kind::Int8),
    ("int16", Kind::Int16),
    ("int32", Kind::Int32),
    ("int64", Kind::Int64),
    ("float32", Kind::Float32),
    ("float64", Kind::Float64),
    ("date", Kind::Date),
    ("timestamp", Kind::Timestamp(Precision::Micro)),
];

/// Types that a later version will know.
const LATER: [&str; 6] = ["time", "binary", "json", "xml", "struct", "list"];

/// What people write who come from SQL, Spark or Java.
const FOREIGN: [(&str, &str); 14] = [
    ("str", "string"),
    ("text", "string"),
    ("varchar", "string"),
    ("boolean", "bool"),
    ("int", "int32"),
    ("integer", "int32"),
    ("short", "int16"),
    ("long", "int64"),
    ("bigint", "int64"),
    ("float", "float32"),
    ("double", "float64"),
    ("datetime", "timestamp"),
    ("numeric", "decimal(38,2)"),
    ("number", "decimal(38,2)"),
];

/// The kind of that name, or what is wrong with it and what would be right.
pub(super) fn parse(text: &str) -> Result<Kind, (String, String)> {
    let text = text.trim();
    if let Some((_, kind)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Ok(kind.clone());
    }
    let name = text.split(['(', '<']).next().unwrap_or_default().trim();
    if name == "decimal" {
        return parse_decimal(text);
    }
    if LATER.contains(&name) {
        return Err((format!("type {text:?} is not available in this version"), available()));
    }
    let lower = name.to_lowercase();
    let meant = FOREIGN.iter().find(|(foreign, _)| *foreign == lower).map(|(_, ours)| *ours);
    let meant = meant.or_else(|| similar(name, PLAIN.iter().map(|(name, _)| *name).chain(["decimal"])));
    let help = meant.map_or_else(available, |name| format!("did you mean {name}?"));
    Err((format!("{text:?} is not a type"), help))
}

fn parse_decimal(text: &str) -> Result<Kind, (String, String)> {
    let parameters =
        text.strip_prefix("decimal").map(str::trim).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
    let numbers = parameters.and_then(|parameters| {
        let (precision, scale) = parameters.split_once(',')?;
        Some((precision.trim().parse::<u8>().ok()?, scale.trim().parse::<i8>().ok()?))
    });
    let right = "write decimal(precision,scale), such as decimal(18,2)".to_owned();
    let Some((precision, scale)) = numbers else {
        return Err((format!("{text:?} is not a type"), right));
    };
    if !(1..=38).contains(&precision) {
        return Err((
            format!("a decimal of {precision} digits is not possible"),
            "take a precision of 1 to 38".to_owned(),
        ));
    }
    if scale < 0 || scale.unsigned_abs() > precision {
        let message = format!("scale {scale} does not fit precision {precision}");
        return Err((message, format!("take a scale of 0 to {precision}")));
    }
    Ok(Kind::Decimal(precision, scale))
}

fn available() -> String {
    let names: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).collect();
    format!("take {} or decimal(precision,scale)", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_this_version() {
        assert_eq!(parse("int64"), Ok(Kind::Int64));
        assert_eq!(parse("decimal(10,2)"), Ok(Kind::Decimal(10, 2)));
        assert_eq!(parse("decimal( 38 , 0 )"), Ok(Kind::Decimal(38, 0)));
    }

    #[test]
    fn a_wrong_type_comes_with_what_would_be_right() {
        let help = |text: &str| parse(text).unwrap_err().1;
        assert_eq!(help("long"), "did you mean int64?");
        assert_eq!(help("timestmap"), "did you mean timestamp?");
        assert_eq!(help("decimal"), "write decimal(precision,scale), such as decimal(18,2)");
        assert_eq!(help("decimal(39,2)"), "take a precision of 1 to 38");
        assert_eq!(help("decimal(5,6)"), "take a scale of 0 to 5");
        assert!(help("list<string>").starts_with("take string, bool"));
    }
}
