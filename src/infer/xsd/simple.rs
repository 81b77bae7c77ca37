//! Simple types: the built-in ones, and what facets make of them.

use std::collections::HashSet;

use super::document::{Key, Piece, XS};
use super::load::Schema;
use super::pattern;
use crate::infer::declared::{Rules, Space};
use crate::infer::lexical::{decimal, is_whole};
use crate::model::mapping::{BinaryText, Kind, Precision};

/// Longest chain of types that is followed.
const MAX_CHAIN: usize = 64;
/// Most values of an enumeration that become a rule.
const MAX_ENUM: usize = 1000;
/// Digits of a decimal that nothing bounds: half before, half after the point, as far as 38 go.
const FREE_DECIMAL: Kind = Kind::Decimal(38, 18);

/// A simple type under way: the built-in it comes from, and the facets so far.
#[derive(Debug, Clone)]
pub(super) struct Simple {
    builtin: String,
    space: Space,
    allowed: Vec<String>,
    patterns: Vec<String>,
    min: Option<String>,
    max: Option<String>,
    min_exclusive: Option<String>,
    max_exclusive: Option<String>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    total_digits: Option<u64>,
    fraction_digits: Option<u64>,
    has_zone: Option<bool>,
    pub(super) notes: Vec<String>,
}

impl Simple {
    pub(super) fn builtin(local: &str) -> Self {
        let space = match local {
            "string" | "anySimpleType" | "anyAtomicType" | "normalizedString" => Space::Kept,
            "token" | "language" | "Name" | "NCName" | "NMTOKEN" | "ID" | "IDREF" | "ENTITY" | "anyURI" | "QName"
            | "NOTATION" | "NMTOKENS" | "IDREFS" | "ENTITIES" => Space::Collapsed,
            _ => Space::Trimmed,
        };
        let bound = |low: &str, high: &str| (Some(low.to_owned()), Some(high.to_owned()));
        let (min, max) = match local {
            "nonNegativeInteger" => (Some("0".to_owned()), None),
            "positiveInteger" => (Some("1".to_owned()), None),
            "nonPositiveInteger" => (None, Some("0".to_owned())),
            "negativeInteger" => (None, Some("-1".to_owned())),
            "unsignedByte" => bound("0", "255"),
            "unsignedShort" => bound("0", "65535"),
            "unsignedInt" => bound("0", "4294967295"),
            "unsignedLong" => bound("0", "18446744073709551615"),
            _ => (None, None),
        };
        Self {
            builtin: local.to_owned(),
            space,
            allowed: Vec::new(),
            patterns: Vec::new(),
            min,
            max,
            min_exclusive: None,
            max_exclusive: None,
            min_length: None,
            max_length: None,
            total_digits: None,
            fraction_digits: None,
            has_zone: (local == "dateTimeStamp").then_some(true),
            notes: Vec::new(),
        }
    }

    /// Takes the facets of a restriction over those of its base.
    pub(super) fn restrict(&mut self, restriction: &Piece) {
        let (mut allowed, mut seen) = (Vec::new(), HashSet::new());
        let mut patterns = Vec::new();
        for facet in restriction.children() {
            // The type that is restricted, and in simple content the attributes, stand among the facets.
            let Some(value) = facet.get("value").map(str::to_owned) else { continue };
            let trimmed = value.trim().to_owned();
            let count = trimmed.parse::<u64>().ok();
            match facet.element.local.as_str() {
                // A schema may name a value twice, a mapping may not.
                "enumeration" if !seen.insert(value.clone()) => {}
                "enumeration" => allowed.push(value),
                "pattern" => patterns.push(value),
                "minInclusive" => self.min = Some(trimmed),
                "maxInclusive" => self.max = Some(trimmed),
                "minExclusive" => self.min_exclusive = Some(trimmed),
                "maxExclusive" => self.max_exclusive = Some(trimmed),
                "length" => (self.min_length, self.max_length) = (count, count),
                "minLength" => self.min_length = count,
                "maxLength" => self.max_length = count,
                "totalDigits" => self.total_digits = count,
                "fractionDigits" => self.fraction_digits = count,
                "explicitTimezone" => match trimmed.as_str() {
                    "required" => self.has_zone = Some(true),
                    "prohibited" => self.has_zone = Some(false),
                    _ => {}
                },
                "whiteSpace" => match trimmed.as_str() {
                    "collapse" if self.space == Space::Kept => self.space = Space::Collapsed,
                    "replace" => self.notes.push("the schema makes tabs and line ends blanks".to_owned()),
                    _ => {}
                },
                other => self.notes.push(format!("the schema has a facet {other} that is not taken over")),
            }
        }
        if !allowed.is_empty() {
            self.allowed = allowed;
        }
        if !patterns.is_empty() {
            if !self.patterns.is_empty() {
                let earlier = self.patterns.join(" | ");
                self.notes.push(format!("the schema's base type has the pattern {earlier} besides"));
            }
            self.patterns = patterns;
        }
    }

    /// The rules of a mapping for this type.
    pub(super) fn rules(mut self) -> (Rules, Vec<String>) {
        let kind = self.kind();
        self.exclusive(&kind);
        let is_string = kind == Kind::String;
        let is_number = is_whole(&kind) || matches!(kind, Kind::Decimal(..) | Kind::Float32 | Kind::Float64);
        let mut notes = std::mem::take(&mut self.notes);
        if self.allowed.len() > MAX_ENUM || (!is_string && !self.allowed.is_empty()) {
            let shown: Vec<&str> = self.allowed.iter().take(20).map(String::as_str).collect();
            let more = if self.allowed.len() > 20 { ", …" } else { "" };
            notes.push(format!("the schema allows only: {}{more}", shown.join(", ")));
            self.allowed.clear();
        }
        let mut regex = if is_string { pattern::translate(&self.patterns) } else { None };
        if regex.is_none() && !self.patterns.is_empty() {
            notes.push(format!("the schema's pattern was not taken over: {}", self.patterns.join(" | ")));
        }
        if !self.allowed.is_empty() && regex.is_some() {
            // The values say more than the pattern.
            regex = None;
        }
        let keep_length = is_string || matches!(kind, Kind::Binary(_));
        if !is_number && (self.min.is_some() || self.max.is_some()) {
            let bound = |bound: &Option<String>| bound.clone().unwrap_or_else(|| "…".to_owned());
            notes.push(format!("the schema bounds it: {} to {}", bound(&self.min), bound(&self.max)));
        }
        let rules = Rules {
            kind,
            is_zone_open: self.builtin == "dateTime" && self.has_zone.is_none(),
            space: self.space,
            allowed: self.allowed,
            regex,
            min: self.min.filter(|_| is_number),
            max: self.max.filter(|_| is_number),
            min_length: self.min_length.filter(|_| keep_length),
            max_length: self.max_length.filter(|_| keep_length),
        };
        (rules, notes)
    }

    fn kind(&mut self) -> Kind {
        let mut say = |what: &str| self.notes.push(what.to_owned());
        match self.builtin.as_str() {
            "boolean" => Kind::Bool,
            "byte" => Kind::Int8,
            "short" | "unsignedByte" => Kind::Int16,
            "int" | "unsignedShort" => Kind::Int32,
            "long" | "unsignedInt" => Kind::Int64,
            "unsignedLong" => Kind::Decimal(20, 0),
            "integer" | "nonNegativeInteger" | "positiveInteger" | "nonPositiveInteger" | "negativeInteger" => {
                self.whole_kind()
            }
            "decimal" => self.decimal_kind(),
            "float" => Kind::Float32,
            "double" => Kind::Float64,
            "date" => Kind::Date,
            "time" => {
                say("a table with a Processed zone cannot hold a time: take string there");
                Kind::Time(Precision::Micro)
            }
            "dateTime" | "dateTimeStamp" => match self.has_zone {
                Some(false) => Kind::LocalTimestamp(Precision::Micro),
                Some(true) => Kind::Timestamp(Precision::Micro),
                None => {
                    say("the schema leaves open whether it has a zone");
                    Kind::Timestamp(Precision::Micro)
                }
            },
            "base64Binary" => Kind::Binary(BinaryText::Base64),
            "hexBinary" => Kind::Binary(BinaryText::Hex),
            "duration" | "gYear" | "gYearMonth" | "gMonth" | "gMonthDay" | "gDay" | "dayTimeDuration"
            | "yearMonthDuration" => {
                say(&format!("xs:{}, which no type of a mapping is", self.builtin));
                Kind::String
            }
            _ => Kind::String,
        }
    }

    fn whole_kind(&self) -> Kind {
        let fits = |bound: &Option<String>| bound.as_deref().is_some_and(|bound| bound.parse::<i64>().is_ok());
        match self.total_digits {
            Some(0..=18) => Kind::Int64,
            Some(digits @ 19..=38) => decimal(digits, 0),
            _ if fits(&self.min) && fits(&self.max) => Kind::Int64,
            _ => Kind::Decimal(38, 0),
        }
    }

    fn decimal_kind(&mut self) -> Kind {
        match (self.total_digits, self.fraction_digits) {
            (Some(total), Some(fraction)) if total <= 38 => {
                // The schema lets all digits stand before the point. Where that is the usual case (a rate of 18 digits,
                // 17 of them after the point, if need be) the type has room for it; else it is told.
                let (total, fraction) = (total.max(1), fraction.min(total));
                let wide = decimal(total + fraction, fraction);
                if total - fraction < fraction {
                    return wide;
                }
                if fraction > 0 {
                    let before = total - fraction;
                    self.notes
                        .push(format!("more than {before} digits before the point, which the schema allows: {wide}"));
                }
                decimal(total, fraction)
            }
            (_, Some(fraction)) => decimal(38, fraction.min(18)),
            (Some(total @ 1..=19), None) => {
                self.notes.push("the schema leaves open how many digits stand after the point".to_owned());
                decimal(total * 2, total)
            }
            _ => {
                self.notes.push("the schema does not bound its digits".to_owned());
                FREE_DECIMAL
            }
        }
    }

    /// A mapping has inclusive bounds: those of whole numbers move by one, others are told.
    fn exclusive(&mut self, kind: &Kind) {
        let is_whole = is_whole(kind) || matches!(kind, Kind::Decimal(_, 0));
        let moved = |bound: &Option<String>, by: i128| {
            let whole = bound.as_ref().filter(|_| is_whole)?.parse::<i128>().ok()?;
            whole.checked_add(by).map(|bound| bound.to_string())
        };
        if let Some(bound) = self.min_exclusive.take() {
            match moved(&Some(bound.clone()), 1) {
                Some(inclusive) => self.min = Some(inclusive),
                None => self.notes.push(format!("the schema wants more than {bound}")),
            }
        }
        if let Some(bound) = self.max_exclusive.take() {
            match moved(&Some(bound.clone()), -1) {
                Some(inclusive) => self.max = Some(inclusive),
                None => self.notes.push(format!("the schema wants less than {bound}")),
            }
        }
    }
}

impl Schema {
    /// The simple type of that name.
    pub(super) fn simple_named(&self, key: &Key, depth: usize) -> Simple {
        let (namespace, local) = key;
        if namespace == XS {
            return Simple::builtin(local);
        }
        match self.types.get(key) {
            Some(piece) if depth < MAX_CHAIN && piece.is("simpleType") => self.simple(piece, depth + 1),
            Some(piece) if depth < MAX_CHAIN => self.simple_content(piece, depth + 1),
            _ => {
                let mut simple = Simple::builtin("string");
                simple.notes.push(format!("the schema names a type {local} that was not found"));
                simple
            }
        }
    }

    /// The type of a `simpleType` element.
    pub(super) fn simple(&self, piece: &Piece, depth: usize) -> Simple {
        if depth > MAX_CHAIN || !self.step() {
            return Simple::builtin("string");
        }
        if let Some(restriction) = piece.child("restriction") {
            let mut base = match (restriction.key("base"), restriction.child("simpleType")) {
                (Some(key), _) => self.simple_named(&key, depth + 1),
                (None, Some(inline)) => self.simple(&inline, depth + 1),
                (None, None) => Simple::builtin("string"),
            };
            base.restrict(&restriction);
            return base;
        }
        if let Some(list) = piece.child("list") {
            let mut simple = Simple::builtin("token");
            let of = list.key("itemType").map_or_else(|| "an unnamed type".to_owned(), |(_, local)| local);
            simple.notes.push(format!("the schema has a list of {of} here, written in one text with blanks between"));
            return simple;
        }
        let Some(union) = piece.child("union") else { return Simple::builtin("string") };
        let mut members: Vec<Simple> =
            union.keys("memberTypes").iter().map(|key| self.simple_named(key, depth + 1)).collect();
        members.extend(
            union.children().filter(|child| child.is("simpleType")).map(|child| self.simple(&child, depth + 1)),
        );
        let names: Vec<String> = members.iter().map(|member| member.builtin.clone()).collect();
        let mut simple = Simple::builtin("string");
        simple.notes.push(format!("the schema has a union here, of {}", names.join(" and ")));
        simple
    }
}
