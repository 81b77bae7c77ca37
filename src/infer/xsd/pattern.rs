//! Regular expressions of XML Schema, written as those of a mapping.
//!
//! Both match the whole text. What differs: `^` and `$` are ordinary characters in XML Schema, `\i` and `\c` are the
//! characters of names, and one class is subtracted from another by `[a-z-[aeiou]]`. What has no counterpart (blocks
//! such as `\p{IsBasicLatin}`) is left to a comment.

use regex::Regex;

const NAME_START: &str = "_:A-Za-z\\p{L}";
const NAME: &str = "_:.\\-A-Za-z0-9\\p{L}\\p{N}\\p{M}\u{B7}";

/// Longest pattern that is taken over.
const MAX_LENGTH: usize = 2000;

/// Each pattern as its equivalent; a text has to match one of them. None when there is no equivalent.
pub(super) fn translate(patterns: &[String]) -> Option<String> {
    let all: Option<Vec<String>> = patterns.iter().map(|pattern| one(pattern)).collect();
    let joined = match all?.as_slice() {
        [] => return None,
        [only] => only.clone(),
        many => many.iter().map(|pattern| format!("(?:{pattern})")).collect::<Vec<_>>().join("|"),
    };
    Regex::new(&format!("^(?:{joined})$")).is_ok().then_some(joined)
}

fn one(pattern: &str) -> Option<String> {
    if pattern.len() > MAX_LENGTH {
        return None;
    }
    let mut out = String::with_capacity(pattern.len());
    let mut depth = 0_usize;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next()?;
                let class = |inside: &str, negated: bool| match (depth > 0, negated) {
                    (true, false) => Some(inside.to_owned()),
                    (true, true) => Some(format!("[^{inside}]")),
                    (false, false) => Some(format!("[{inside}]")),
                    (false, true) => Some(format!("[^{inside}]")),
                };
                match escaped {
                    'i' => out.push_str(&class(NAME_START, false)?),
                    'I' => out.push_str(&class(NAME_START, true)?),
                    'c' => out.push_str(&class(NAME, false)?),
                    'C' => out.push_str(&class(NAME, true)?),
                    // White space in XML Schema is these four and no other.
                    's' => out.push_str(&class("\\x20\\t\\n\\r", false)?),
                    'S' => out.push_str(&class("\\x20\\t\\n\\r", true)?),
                    // Characters that are neither punctuation, separators nor others.
                    'w' => out.push_str(&class("\\p{L}\\p{M}\\p{N}\\p{S}", false)?),
                    'W' => out.push_str(&class("\\p{P}\\p{Z}\\p{C}", false)?),
                    'p' | 'P' => {
                        let name: String = characters.by_ref().take_while(|&c| c != '}').collect();
                        let name = name.strip_prefix('{')?;
                        if name.starts_with("Is") {
                            return None;
                        }
                        out.push_str(&format!("\\{escaped}{{{name}}}"));
                    }
                    'd' | 'D' | 'n' | 'r' | 't' => out.extend(['\\', escaped]),
                    other if !other.is_alphanumeric() => out.extend(['\\', other]),
                    _ => return None,
                }
            }
            '[' if depth == 0 => {
                depth = 1;
                out.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            '-' if depth > 0 && characters.peek() == Some(&'[') => {
                characters.next();
                depth += 1;
                out.push_str("--[");
                if characters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            '[' => return None,
            ']' if depth > 0 => {
                depth -= 1;
                out.push(']');
            }
            '&' | '~' | '^' if depth > 0 => out.extend(['\\', character]),
            '-' if depth > 0 && matches!(characters.peek(), Some(']')) => out.push_str("\\-"),
            '-' if depth > 0 && out.ends_with(['[', '^']) => out.push_str("\\-"),
            '^' | '$' if depth == 0 => out.extend(['\\', character]),
            // Not available in XML Schema: groups that are not plain, and lazy quantifiers.
            '(' if characters.peek() == Some(&'?') => return None,
            other => out.push(other),
        }
    }
    (depth == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let joined = translate(&[pattern.to_owned()]).unwrap();
        Regex::new(&format!("^(?:{joined})$")).unwrap().is_match(text)
    }

    #[test]
    fn a_pattern_means_what_xml_schema_means() {
        assert!(matches("[A-Z]{2}[0-9]{2}", "CH29") && !matches("[A-Z]{2}", "xCH"));
        assert!(matches("$^", "$^") && matches("[a^]", "^") && matches("[-a]", "-") && matches("[a-]", "-"));
        assert!(matches("[a-z-[aeiou]]+", "xyz") && !matches("[a-z-[aeiou]]+", "xya"));
        assert!(matches("\\i\\c*", "a-1.b") && !matches("\\i\\c*", "1a") && matches("[\\i-[:]][\\c-[:]]*", "ab"));
        assert!(matches("\\d{3}\\.\\d", "123.4") && matches("a&&b", "a&&b") && matches("[&&~]", "&"));
        assert!(matches("\\w+", "aé1+") && !matches("\\w+", "a b") && matches("[\\w\\s]+", "a b"));
        assert!(matches("\\p{Lu}+", "ABÉ") && matches("A|B", "B") && !matches("A|B", "AB"));
    }

    #[test]
    fn what_has_no_equivalent_is_left_alone() {
        for pattern in ["\\p{IsBasicLatin}*", "[a", "(", "a\\", "(?i)a", "\\1", "[a[b]]"] {
            assert!(translate(&[pattern.to_owned()]).is_none(), "{pattern}");
        }
        let either = translate(&["a".to_owned(), "b+".to_owned()]).unwrap();
        assert_eq!(either, "(?:a)|(?:b+)");
    }
}
