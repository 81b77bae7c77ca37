//! Every type, rule and message, through the public face.

mod decimals;
mod moments;
mod numbers;
mod patterns;
mod plain;
mod properties;
mod spell;
mod steps;
mod wrong;
mod zones;

use super::{Caster, Memory, Value, Wrong};
use crate::model::mapping::{Kind, ValueRules};

/// A column of that type whose rules are the usual ones but for what `set` changes.
fn caster(kind: &Kind, set: impl FnOnce(&mut ValueRules)) -> Caster {
    Caster::new(kind, &rules(set)).unwrap_or_else(|wrong| panic!("{kind:?}: {wrong:?}"))
}

fn rules(set: impl FnOnce(&mut ValueRules)) -> ValueRules {
    let mut rules = ValueRules::default();
    set(&mut rules);
    rules
}

/// What is wrong with rules, each as `key: message; help`.
fn wrong(kind: &Kind, set: impl FnOnce(&mut ValueRules)) -> Vec<String> {
    let shown = |Wrong { key, message, help }: Wrong| format!("{key}: {message}; {}", help.unwrap_or_default());
    Caster::new(kind, &rules(set)).err().unwrap_or_default().into_iter().map(shown).collect()
}

/// The value of a text as `Int(5)`, or why it is refused as `type.int: not a whole number`.
fn shown(caster: &Caster, text: &str) -> String {
    match caster.cast(text, &mut Memory::default()) {
        Ok(value) => format!("{value:?}"),
        Err(refused) => format!("{}: {}", refused.code, refused.what),
    }
}

/// Casts each text and compares.
fn table(caster: &Caster, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(shown(caster, text), *expected, "{text:?}");
    }
}

/// Each text is refused with that code and a reason that begins so.
fn refused(caster: &Caster, reason: &str, texts: &[&str]) {
    for text in texts {
        let answer = shown(caster, text);
        assert!(answer.starts_with(reason), "{text:?}: {answer}");
    }
}

/// The text has that value, or is refused.
fn gives(caster: &Caster, text: &str, expected: Option<Value<'_>>) {
    let mut memory = Memory::default();
    assert_eq!(caster.cast(text, &mut memory).ok(), expected, "{text:?}");
}

/// Whether the text is a value.
fn takes(caster: &Caster, text: &str) -> bool {
    caster.cast(text, &mut Memory::default()).is_ok()
}
