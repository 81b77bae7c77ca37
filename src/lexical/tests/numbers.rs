//! Numbers as other countries write them.

use super::{caster, refused, table};
use crate::model::mapping::Kind;

#[test]
fn a_comma_can_be_the_decimal_mark() {
    let german = caster(&Kind::Decimal(12, 2), |rules| (rules.decimal, rules.group) = (Some(','), Some('.')));
    table(
        &german,
        &[
            ("1.234,56", "Decimal(123456)"),
            ("-1.234.567,8", "Decimal(-123456780)"),
            ("1234,5", "Decimal(123450)"),
            ("+0,5", "Decimal(50)"),
            (",5", "Decimal(50)"),
            ("5,", "Decimal(500)"),
            ("12.345", "Decimal(1234500)"),
            ("1,005", "type.decimal: not exact in decimal(12,2): it has more than 2 digits after the point"),
        ],
    );
    refused(
        &german,
        "type.decimal: not a decimal",
        &[
            "1.5", "1,234.56", "1.23", "1..234", ".123", "1.", "1.234.", "1,2,3", "1.2345", "1234.567", "1,5e3", "-",
            ",", ".",
        ],
    );
    let comma = caster(&Kind::Float64, |rules| rules.decimal = Some(','));
    table(&comma, &[("1,5e-3", "Float64(0.0015)"), ("NaN", "Float64(NaN)"), ("-INF", "Float64(-inf)")]);
    refused(&comma, "type.float: not a number", &["1.5", "1.5,2", "1,5.2", "1e3,5", "e,"]);
}

#[test]
fn a_point_may_stand_between_the_groups_of_whole_numbers() {
    let german = caster(&Kind::Int32, |rules| rules.group = Some('.'));
    table(&german, &[("1.234", "Int(1234)"), ("-12.345.678", "Int(-12345678)"), ("12", "Int(12)")]);
    refused(
        &german,
        "type.int: not a whole number, or its digits are not in groups of three",
        &["1.5", "1.234.5", "1,234"],
    );
}

#[test]
fn groups_are_of_three_or_as_in_india() {
    let int = caster(&Kind::Int64, |rules| rules.group = Some(','));
    table(
        &int,
        &[
            ("1,234", "Int(1234)"),
            ("-12,345,678", "Int(-12345678)"),
            ("123,456,789,012", "Int(123456789012)"),
            ("12,34,56,789", "Int(123456789)"),
            ("1,23,456", "Int(123456)"),
            ("1234567", "Int(1234567)"),
            ("001,234", "Int(1234)"),
        ],
    );
    refused(
        &int,
        "type.int: not a whole number, or its digits are not in groups of three",
        &[
            "1,5",
            "1,50",
            "1,2345",
            "1234,567",
            "1,234,56",
            "12,345,67",
            "1,2,345",
            "123,45,678",
            "1,234,56,789",
            "1,23,456,789",
            ",123",
            "1,,234",
            "1,234,",
            "1,23a",
            "1, 234",
            "1 234",
        ],
    );
    refused(&int, "type.int: not a whole number", &["1,234.0", "1.0", "+", "1,234e3"]);
}

#[test]
fn a_blank_group_is_any_of_three_blanks() {
    for group in [' ', '\u{a0}', '\u{202f}'] {
        let french = caster(&Kind::Decimal(12, 2), |rules| (rules.decimal, rules.group) = (Some(','), Some(group)));
        table(
            &french,
            &[
                ("1 234,5", "Decimal(123450)"),
                ("1\u{a0}234\u{202f}567,8", "Decimal(123456780)"),
                ("1234", "Decimal(123400)"),
            ],
        );
        refused(&french, "type.decimal: not a decimal", &["1  234", " 234", "1 23", "1,234 5", "1\u{2003}234", "- 1"]);
    }
    let swiss = caster(&Kind::Decimal(12, 2), |rules| rules.group = Some('\u{2019}'));
    table(&swiss, &[("1\u{2019}234.50", "Decimal(123450)")]);
}
