//! Rules that contradict each other or their type.

use super::*;

fn of(keys: &str, starts: &str) {
    let said = column_says(&format!("path = \"a\"\n{keys}"));
    assert!(said.starts_with(starts), "{keys}: {said}");
    assert!(said.contains("; "), "{said} says what would be right");
}

#[test]
fn a_rule_that_the_type_does_not_have() {
    of("type = \"string\"\nmin = 1", "9: column.min: ");
    of("type = \"int8\"\nmax_length = 1", "9: column.max_length: ");
    of("type = \"string\"\nformat = \"%Y\"", "9: column.format: ");
    of("type = \"int8\"\nzone = \"UTC\"", "9: column.zone: ");
    of("type = \"int8\"\ndecimal = \",\"", "9: column.decimal: ");
    of("type = \"string\"\ngroup = \",\"", "9: column.group: ");
    of("type = \"float64\"\nrounding = \"down\"", "9: column.rounding: ");
    of("type = \"xml\"\ntrim = \"both\"", "9: column.trim: type xml takes the element as it is");
    of("type = \"xml\"\nregex = \"a\"", "9: column.regex: ");
}

#[test]
fn texts_that_are_no_values_of_the_column() {
    of("type = \"int8\"\ndefault = 300", "9: column.default: ");
    of("type = \"int8\"\ndefault = 5\nmax = 4", "9: column.default: ");
    of("type = \"string\"\ndefault = \"x\"\nenum = [\"y\"]", "9: column.default: ");
    of("type = \"string\"\ndefault = \"x\"\nregex = \"y\"", "9: column.default: ");
    of("type = \"string\"\ndefault = \"xx\"\nmax_length = 1", "9: column.default: ");
    of("type = \"date\"\ndefault = \"15.10.2026\"", "9: column.default: ");
    of("type = \"int8\"\nenum = [1, \"x\"]", "9: column.enum: ");
    of("type = \"int8\"\nmin = \"one\"", "9: column.min: ");
    of("type = \"date\"\nmax = \"2026-02-30\"", "9: column.max: ");
    of("type = \"decimal(4,2)\"\nmin = 0.001", "9: column.min: ");
}

#[test]
fn bounds_that_leave_nothing() {
    of("type = \"int8\"\nmin = 2\nmax = 1", "9: column.min: ");
    of("type = \"string\"\nmin_length = 2\nmax_length = 1", "9: column.min_length: ");
    of("type = \"string\"\ntrim = \"both\"\nnull_values = [\" x\"]", "10: column.null_values: ");
}

#[test]
fn what_does_not_compile() {
    of("type = \"string\"\nregex = \"(\"", "9: column.regex: not a regular expression");
    of("type = \"string\"\nregex = '(a{1000}){1000}'", "9: column.regex: ");
    of("type = \"timestamp\"\nzone = \"Mars\"", "9: column.zone: ");
    of("type = \"date\"\nformat = \"%H:%M\"", "9: column.format: ");
    of("type = \"timestamp\"\nformat = \"%H:%M\"", "9: column.format: ");
    of("type = \"date\"\nformat = [\"%d/%m/%Y\", \"%Q\"]", "9: column.format: ");
}

#[test]
fn values_of_the_wrong_form() {
    of("type = \"string\"\nenum = []", "9: column.enum: the list is empty");
    of("type = \"string\"\nenum = [\"a\", \"a\"]", "9: column.enum: \"a\" stands twice");
    of("type = \"date\"\nformat = []", "9: column.format: the list is empty");
    of("type = \"float64\"\ndecimal = \"\"", "9: column.decimal: \"\" does not part digits");
    of("type = \"float64\"\ngroup = \"ab\"", "9: column.group: \"ab\" does not part digits");
    of("type = \"float64\"\ngroup = \"1\"", "9: column.group: \"1\" does not part digits");
    of("type = \"string\"\ntrim = \"left\"", "9: column.trim: \"left\" is not a choice");
    of("type = \"string\"\nmin_length = -1", "9: column.min_length: -1 is out of bounds");
    of("type = \"decimal(4,2)\"\nrounding = \"up\"", "9: column.rounding: \"up\" is not a choice");
}
