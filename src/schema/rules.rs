//! uppsala says in a sentence what is wrong; here it is told which rule of XML Schema that is, and the value in it is
//! taken out: a piece of a payload does not belong into the text of a violation.

/// Where the value stands in a sentence.
#[derive(Clone, Copy)]
enum Value {
    /// In none.
    None,
    /// Between the quotes that begin the sentence and this, which follows them.
    First,
    /// Between `Value '` and this.
    Second,
    /// After this, between quotes that end the sentence.
    Last,
    /// From here to this, or to the end of the sentence.
    Until(&'static str),
}

/// What stands in a sentence, which rule that is (XML Schema 1.0 part 1, appendix C; part 2), and where the value is.
/// The first that fits counts.
const RULES: [(&str, &str, Value); 33] = [
    ("' does not match pattern ", "cvc-pattern-valid", Value::Second),
    ("' is less than minInclusive ", "cvc-minInclusive-valid", Value::Second),
    ("' exceeds maxInclusive ", "cvc-maxInclusive-valid", Value::Second),
    ("' is not greater than minExclusive ", "cvc-minExclusive-valid", Value::Second),
    ("' is not less than maxExclusive ", "cvc-maxExclusive-valid", Value::Second),
    ("' is not one of the allowed values", "cvc-enumeration-valid", Value::First),
    ("' is not valid ", "cvc-datatype-valid.1", Value::First),
    ("' is not a valid ", "cvc-datatype-valid.1", Value::First),
    ("less than minLength", "cvc-minLength-valid", Value::None),
    ("exceeds maxLength", "cvc-maxLength-valid", Value::None),
    ("does not match length", "cvc-length-valid", Value::None),
    ("expected length", "cvc-length-valid", Value::None),
    ("exceeds totalDigits", "cvc-totalDigits-valid", Value::None),
    ("exceeds fractionDigits", "cvc-fractionDigits-valid", Value::None),
    ("has fixed value '", "cvc-elt.5.2.2", Value::Last),
    (": duplicate value ", "cvc-identity-constraint.4.1", Value::Until("\0")),
    (": no matching key value ", "cvc-identity-constraint.4.3", Value::Until(" in referred constraint")),
    ("Required attribute", "cvc-complex-type.4", Value::None),
    ("Attribute '", "cvc-complex-type.3.2", Value::None),
    ("Key '", "cvc-identity-constraint.4.2", Value::None),
    ("KeyRef '", "cvc-identity-constraint.4.3", Value::None),
    ("is abstract", "cvc-elt.2", Value::None),
    ("xsi:nil", "cvc-elt.3", Value::None),
    ("xsi:type", "cvc-elt.4", Value::None),
    ("No element declaration found", "cvc-elt.1", Value::None),
    ("No global element declaration found", "cvc-elt.1", Value::None),
    ("simple type", "cvc-type.3.1.2", Value::None),
    ("should have empty content", "cvc-complex-type.2.1", Value::None),
    ("contains text", "cvc-complex-type.2.3", Value::None),
    ("element", "cvc-complex-type.2.4", Value::None),
    ("Element", "cvc-complex-type.2.4", Value::None),
    ("Sequence", "cvc-complex-type.2.4", Value::None),
    ("choice", "cvc-complex-type.2.4", Value::None),
];

/// What no rule of the table is found for: a part of the recommendation that names none.
const OTHER: &str = "cvc-assess";

/// The rule, the value, and the sentence without the value.
pub(super) fn read(sentence: &str) -> (&'static str, Option<&str>, String) {
    let Some((sign, rule, value)) = RULES.iter().find(|(sign, ..)| sentence.contains(sign)) else {
        return (OTHER, None, lower(sentence));
    };
    let (before, after) = sentence.rsplit_once(sign).unwrap_or((sentence, ""));
    let rest = sign.trim_start_matches('\'');
    match value {
        Value::None => (rule, None, lower(sentence)),
        Value::First => {
            let value = before.strip_prefix('\'').unwrap_or(before);
            // The allowed values are the schema's, not the message's.
            (rule, Some(value), format!("the value{rest}{after}"))
        }
        Value::Second => {
            let value = before.strip_prefix("Value '").unwrap_or(before);
            (rule, Some(value), format!("the value{rest}{after}"))
        }
        Value::Until(end) => {
            let (value, after) = after.split_at(after.rfind(end).unwrap_or(after.len()));
            (rule, Some(value), format!("{}{}{after}", lower(before), sign.trim_end()))
        }
        Value::Last => {
            let (fixed, content) = after.split_once("' but content is '").unwrap_or((after, ""));
            let value = content.strip_suffix('\'').unwrap_or(content);
            (
                rule,
                Some(value),
                format!("{} has the fixed value '{fixed}', and another content", lower(before).trim_end()),
            )
        }
    }
}

fn lower(sentence: &str) -> String {
    let mut characters = sentence.chars();
    match characters.next() {
        // Names such as KeyRef and QName keep their form.
        Some(first) if characters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_taken_out_of_the_sentence() {
        for (sentence, expected) in [
            ("'12:00x' is not a valid time", ("cvc-datatype-valid.1", Some("12:00x"), "the value is not a valid time")),
            (
                "'it's a '' mess' is not valid base64Binary",
                ("cvc-datatype-valid.1", Some("it's a '' mess"), "the value is not valid base64Binary"),
            ),
            (
                "Value 'ab' does not match pattern '[0-9]+'",
                ("cvc-pattern-valid", Some("ab"), "the value does not match pattern '[0-9]+'"),
            ),
            (
                "Value '5' exceeds maxInclusive 4",
                ("cvc-maxInclusive-valid", Some("5"), "the value exceeds maxInclusive 4"),
            ),
            (
                "'x' is not one of the allowed values: [\"a\"]",
                ("cvc-enumeration-valid", Some("x"), "the value is not one of the allowed values: [\"a\"]"),
            ),
            (
                "Element 'v' has fixed value '1' but content is '2'",
                ("cvc-elt.5.2.2", Some("2"), "element 'v' has the fixed value '1', and another content"),
            ),
            ("Required attribute 'id' is missing", ("cvc-complex-type.4", None, "required attribute 'id' is missing")),
            (
                "Unexpected element 'b' in sequence",
                ("cvc-complex-type.2.4", None, "unexpected element 'b' in sequence"),
            ),
            (
                "Key 'k': duplicate value [\"a\"]",
                ("cvc-identity-constraint.4.1", Some("[\"a\"]"), "key 'k': duplicate value"),
            ),
            (
                "KeyRef 'k': no matching key value [\"a\"] in referred constraint 'p'",
                (
                    "cvc-identity-constraint.4.3",
                    Some("[\"a\"]"),
                    "keyRef 'k': no matching key value in referred constraint 'p'",
                ),
            ),
            ("KeyRef 'k': no", ("cvc-identity-constraint.4.3", None, "keyRef 'k': no")),
            ("Something new", ("cvc-assess", None, "something new")),
        ] {
            let (rule, value, what) = read(sentence);
            assert_eq!((rule, value, what.as_str()), expected, "{sentence}");
        }
    }
}
