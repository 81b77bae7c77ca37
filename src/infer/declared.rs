//! What a schema says of one path, and how far the samples keep to it. The daemon's own value steps judge both.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::quote;
use super::lexical::{is_kept_apart, is_whole};
use super::xsd::Piece;
use crate::lexical::{Caster, Memory};
use crate::model::mapping::{Kind, Trim, ValueRules};

/// Characters kept of a value that breaks a rule.
const SHOWN: usize = 40;

/// What happens to white space before a value is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Kept,
    Trimmed,
    Collapsed,
}

/// A rule of the schema that samples may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Type,
    Enum,
    Pattern,
    Min,
    Max,
    MinLength,
    MaxLength,
}

/// Every rule but the type, with its key in a mapping.
pub(super) const RULES: [(Rule, &str); 6] = [
    (Rule::Enum, "enum"),
    (Rule::Pattern, "regex"),
    (Rule::Min, "min"),
    (Rule::Max, "max"),
    (Rule::MinLength, "min_length"),
    (Rule::MaxLength, "max_length"),
];

/// The rules for a value.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) kind: Kind,
    /// It is a timestamp, and the schema leaves open whether it has a zone.
    pub(super) is_zone_open: bool,
    pub(super) space: Space,
    pub(super) allowed: Vec<String>,
    /// Linear-time regular expression for the whole text, as written in a mapping.
    pub(super) regex: Option<String>,
    pub(super) min: Option<String>,
    pub(super) max: Option<String>,
    pub(super) min_length: Option<u64>,
    pub(super) max_length: Option<u64>,
}

impl Rules {
    /// What a mapping says about white space, if it does not go without saying.
    pub(super) fn trim(&self) -> Trim {
        match self.space {
            _ if self.kind != Kind::String => Trim::Both,
            Space::Kept => Trim::None,
            Space::Trimmed => Trim::Both,
            Space::Collapsed => Trim::Collapse,
        }
    }

    /// A rule as a mapping writes it, if there is one.
    pub(super) fn written(&self, rule: Rule) -> Option<String> {
        let number = |bound: &String| match bound.parse::<i64>() {
            Ok(bound) if is_whole(&self.kind) => bound.to_string(),
            _ => quote(bound),
        };
        match rule {
            Rule::Type => Some(self.kind.to_string()),
            Rule::Enum => {
                (!self.allowed.is_empty()).then(|| super::draft::quote_list(self.allowed.iter().map(String::as_str)))
            }
            Rule::Pattern => self.regex.as_deref().map(quote),
            Rule::Min => self.min.as_ref().map(number),
            Rule::Max => self.max.as_ref().map(number),
            Rule::MinLength => self.min_length.map(|length| length.to_string()),
            Rule::MaxLength => self.max_length.map(|length| length.to_string()),
        }
    }

    fn drop(&mut self, rule: Rule) {
        match rule {
            Rule::Type => {}
            Rule::Enum => self.allowed.clear(),
            Rule::Pattern => self.regex = None,
            Rule::Min => self.min = None,
            Rule::Max => self.max = None,
            Rule::MinLength => self.min_length = None,
            Rule::MaxLength => self.max_length = None,
        }
    }

    /// The value steps of a mapping with those of these rules that are wanted.
    fn steps(&self, is_wanted: impl Fn(Rule) -> bool) -> (Kind, ValueRules) {
        let wanted = |rule, text: &Option<String>| text.clone().filter(|_| is_wanted(rule));
        let rules = ValueRules {
            trim: self.trim(),
            allowed: if is_wanted(Rule::Enum) { self.allowed.clone() } else { Vec::new() },
            regex: wanted(Rule::Pattern, &self.regex),
            min: wanted(Rule::Min, &self.min),
            max: wanted(Rule::Max, &self.max),
            min_length: self.min_length.filter(|_| is_wanted(Rule::MinLength)),
            max_length: self.max_length.filter(|_| is_wanted(Rule::MaxLength)),
            ..ValueRules::default()
        };
        (self.kind.clone(), rules)
    }
}

/// What judges the samples of one path: one step of the daemon after the other, so that each can be told apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Judges(Arc<[(Rule, Caster)]>);

impl Judges {
    /// Takes those rules away that a mapping could not have, and says so.
    fn new(rules: &mut Rules, notes: &mut Vec<String>) -> Self {
        let mut judges = Vec::new();
        if let Ok(caster) = compile(rules.steps(|_| false)) {
            judges.push((Rule::Type, caster));
        }
        for (rule, key) in RULES {
            let Some(written) = rules.written(rule) else { continue };
            match compile(rules.steps(|wanted| wanted == rule)) {
                Ok(caster) => judges.push((rule, caster)),
                Err(why) => {
                    notes.push(format!("the schema's {key} = {written} was not taken over: {why}"));
                    rules.drop(rule);
                }
            }
        }
        for pair in [[Rule::Min, Rule::Max], [Rule::MinLength, Rule::MaxLength]] {
            if let Err(why) = compile(rules.steps(|wanted| pair.contains(&wanted))) {
                notes.push(format!("the schema's bounds were not taken over: {why}"));
                pair.into_iter().for_each(|rule| rules.drop(rule));
                judges.retain(|(rule, _)| !pair.contains(rule));
            }
        }
        Self(judges.into())
    }
}

/// The value steps, or what is wrong with them.
fn compile((kind, rules): (Kind, ValueRules)) -> Result<Caster, String> {
    Caster::new(&kind, &rules).map_err(|wrong| {
        let all: Vec<&str> = wrong.iter().map(|wrong| wrong.message.as_str()).collect();
        all.join("; ")
    })
}

/// What the schema says of one path.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    /// The value, if it has one.
    pub(super) rules: Option<Rules>,
    pub(super) judges: Judges,
    /// The complex type, if it has one.
    pub(super) complex: Option<Piece>,
    pub(super) min: u64,
    /// None: any number.
    pub(super) most: Option<u64>,
    pub(super) is_nillable: bool,
    pub(super) is_mixed: bool,
    /// What stands for an attribute that is not there.
    pub(super) default: Option<String>,
    /// What else has to be told.
    pub(super) notes: Vec<String>,
    /// How often samples break a rule, and the first value that does.
    pub(super) broken: BTreeMap<Rule, (u64, String)>,
}

impl Declared {
    /// Whether one parent may have more than one.
    pub(super) fn repeats(&self) -> bool {
        self.most.is_none_or(|most| most > 1)
    }

    /// Takes over the rules for its value, as far as a mapping can have them.
    pub(super) fn set_rules(&mut self, mut rules: Rules, notes: Vec<String>) {
        self.notes.extend(notes);
        self.judges = Judges::new(&mut rules, &mut self.notes);
        self.rules = Some(rules);
    }

    /// Judges a sample's value.
    pub(super) fn check(&mut self, text: &str) {
        let Some(rules) = &self.rules else { return };
        let mut memory = Memory::default();
        for (rule, caster) in self.judges.0.iter() {
            let is_held =
                caster.cast(text, &mut memory).is_ok() && (*rule != Rule::Type || is_kept_apart(&rules.kind, text));
            if is_held {
                continue;
            }
            let shown = || text.trim().chars().take(SHOWN).collect::<String>();
            self.broken.entry(*rule).or_insert_with(|| (0, shown())).0 += 1;
            if *rule == Rule::Type {
                return;
            }
        }
    }

    /// Whether the schema's default is a value of a column of that type, by those rules that samples keep: none where
    /// the type is theirs.
    pub(super) fn is_default_good(&self, kind: &Kind, default: &str) -> bool {
        let Some(rules) = &self.rules else { return false };
        let steps = match self.broken.contains_key(&Rule::Type) {
            true => ValueRules::default(),
            false => rules.steps(|rule| !self.broken.contains_key(&rule)).1,
        };
        let steps = ValueRules { default: Some(default.to_owned()), ..steps };
        !default.is_empty() && compile((kind.clone(), steps)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(rules: Rules) -> Declared {
        let mut declared = Declared::default();
        declared.set_rules(rules, Vec::new());
        declared
    }

    fn rules(kind: Kind) -> Rules {
        let (min, max) = (None, None);
        let (min_length, max_length) = (None, None);
        Rules {
            kind,
            is_zone_open: false,
            space: Space::Collapsed,
            allowed: Vec::new(),
            regex: None,
            min,
            max,
            min_length,
            max_length,
        }
    }

    #[test]
    fn values_are_judged_as_the_daemon_judges_them() {
        let mut amount =
            declared(Rules { min: Some("0.5".into()), max: Some("10".into()), ..rules(Kind::Decimal(6, 2)) });
        for text in ["7", " 0.50 ", "", "10.00", "0.25", "11", "1.234", "x"] {
            amount.check(text);
        }
        let broken: Vec<_> =
            amount.broken.iter().map(|(rule, (count, first))| (*rule, *count, first.as_str())).collect();
        assert_eq!(broken, [(Rule::Type, 2, "1.234"), (Rule::Min, 1, "0.25"), (Rule::Max, 1, "11")]);
        let mut code = declared(Rules { max_length: Some(3), allowed: vec!["a b".into()], ..rules(Kind::String) });
        code.check(" a\n b ");
        assert!(code.broken.is_empty(), "white space is collapsed first: {:?}", code.broken);
        let mut instant = declared(rules(Kind::Timestamp(crate::model::mapping::Precision::Micro)));
        instant.check("2026-10-15T10:00:00");
        assert_eq!(instant.broken.len(), 1, "which zone is meant is not in the sample");
    }

    #[test]
    fn what_no_mapping_could_say_is_told_and_left_out() {
        let odd = declared(Rules {
            regex: Some("(".into()),
            allowed: vec![" a".into()],
            min_length: Some(9),
            max_length: Some(3),
            ..rules(Kind::String)
        });
        let left = odd.rules.as_ref().unwrap();
        assert!(RULES.iter().all(|(rule, _)| left.written(*rule).is_none()), "{left:?}");
        assert_eq!(odd.notes.len(), 3, "{:?}", odd.notes);
        assert!(!odd.is_default_good(&Kind::String, "") && odd.is_default_good(&Kind::String, "a"));
    }
}
