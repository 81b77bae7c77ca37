//! Schemas that nobody would write, with documents that keep to them, or do not: the mapping takes them all the same.

use forebay::infer::{RowChoice, Samples};
use proptest::prelude::*;

use super::generated::{escaped, value};
use super::schema::around;
use super::{assert_takes, infer, reader};

const BUILTINS: &[&str] = &[
    "string",
    "token",
    "normalizedString",
    "boolean",
    "byte",
    "short",
    "int",
    "long",
    "integer",
    "positiveInteger",
    "nonPositiveInteger",
    "unsignedByte",
    "unsignedLong",
    "decimal",
    "float",
    "double",
    "date",
    "time",
    "dateTime",
    "dateTimeStamp",
    "base64Binary",
    "hexBinary",
    "duration",
    "gYear",
    "anyURI",
    "NMTOKENS",
    "ID",
    "anySimpleType",
];

/// A facet, most of which make no sense for most types.
fn facet() -> impl Strategy<Value = String> {
    let number = prop_oneof!["-?[0-9]{1,3}", "[0-9]{1,2}\\.[0-9]{1,2}", Just("INF".to_owned()), Just("x".to_owned())];
    let count = (0..60_u32).prop_map(|count| count.to_string());
    let of = |name: &'static str, value: BoxedStrategy<String>| {
        value.prop_map(move |value| format!("<xs:{name} value=\"{}\"/>", escaped(&value)))
    };
    let pattern =
        prop_oneof!["[a-c]{1,3}\\*?", Just("[A-Z-[X]]+".to_owned()), Just("(".to_owned()), Just("\\i\\c*".to_owned())];
    prop_oneof![
        of("minInclusive", number.clone().boxed()),
        of("maxInclusive", number.clone().boxed()),
        of("minExclusive", number.clone().boxed()),
        of("maxExclusive", number.boxed()),
        of("totalDigits", count.clone().boxed()),
        of("fractionDigits", count.clone().boxed()),
        of("minLength", count.clone().boxed()),
        of("maxLength", count.clone().boxed()),
        of("length", count.boxed()),
        of("enumeration", value().boxed()),
        of("pattern", pattern.boxed()),
        of("whiteSpace", prop_oneof![Just("collapse".to_owned()), Just("replace".to_owned())].boxed()),
    ]
}

fn simple() -> impl Strategy<Value = String> {
    (prop::sample::select(BUILTINS), prop::collection::vec(facet(), 0..4)).prop_map(|(base, facets)| {
        format!(
            "<xs:simpleType><xs:restriction base=\"xs:{base}\">{}</xs:restriction></xs:simpleType>",
            facets.concat()
        )
    })
}

/// `minOccurs` and the like.
fn occurs() -> impl Strategy<Value = String> {
    let most = prop::sample::select(vec!["0", "1", "1", "2", "unbounded"]);
    (0..2, most, any::<bool>()).prop_map(|(least, most, nillable)| {
        format!(" minOccurs=\"{least}\" maxOccurs=\"{most}\" nillable=\"{nillable}\"")
    })
}

fn attribute() -> impl Strategy<Value = String> {
    let more = prop_oneof![
        3 => Just(String::new()),
        1 => Just(" use=\"required\"".to_owned()),
        1 => value().prop_map(|value| format!(" default=\"{}\"", escaped(&value))),
    ];
    ("[a-c]", more, simple())
        .prop_map(|(name, more, simple)| format!("<xs:attribute name=\"{name}\"{more}>{simple}</xs:attribute>"))
}

/// Elements that are declared within others.
fn elements() -> impl Strategy<Value = String> {
    let leaf = ("[a-d]", occurs(), simple())
        .prop_map(|(name, occurs, simple)| format!("<xs:element name=\"{name}\"{occurs}>{simple}</xs:element>"));
    leaf.prop_recursive(3, 12, 4, |inner| {
        let attributes = prop::collection::vec(attribute(), 0..2);
        let group = prop::sample::select(vec!["sequence", "choice", "all"]);
        ("[a-d]", occurs(), group, prop::collection::vec(inner, 1..4), attributes, any::<bool>()).prop_map(
            |(name, occurs, group, inner, attributes, is_mixed)| {
                format!(
                    "<xs:element name=\"{name}\"{occurs}><xs:complexType mixed=\"{is_mixed}\"><xs:{group}>{}</xs:{group}>{}</xs:complexType></xs:element>",
                    inner.concat(),
                    attributes.concat()
                )
            },
        )
    })
}

/// A document with names as those schemas have them.
fn document() -> impl Strategy<Value = String> {
    let leaf = ("[a-e]", prop::option::of(("[a-c]", value())), value()).prop_map(|(name, attribute, text)| {
        let attribute = attribute.map_or_else(String::new, |(key, value)| format!(" {key}=\"{}\"", escaped(&value)));
        format!("<{name}{attribute}>{}</{name}>", escaped(&text))
    });
    let element = leaf.prop_recursive(3, 16, 4, |inner| {
        ("[a-e]", prop::collection::vec(inner, 0..4))
            .prop_map(|(name, inner)| format!("<{name}>{}</{name}>", inner.concat()))
    });
    prop::collection::vec(element, 0..5).prop_map(|all| format!("<r>{}</r>", all.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_schema_says_the_samples_are_taken(
        declared in prop::collection::vec(elements(), 1..4),
        attributes in prop::collection::vec(attribute(), 0..2),
        documents in prop::collection::vec(document(), 1..4),
    ) {
        let (declared, attributes) = (declared.concat(), attributes.concat());
        assert_takes(&infer(Some(around(&declared, &attributes)), &documents, None), &documents, true);
        assert_takes(&infer(Some(around(&declared, &attributes)), &documents, Some(".")), &documents, true);
        // Without samples it is a mapping all the same.
        if let Ok(mapping) = Samples::new(Some(around(&declared, &attributes))).mapping(&RowChoice::Proposed) {
            reader::assert_takes(&mapping, &[] as &[String]);
        }
    }
}
