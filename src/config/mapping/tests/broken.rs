//! Mappings that are broken at random: each ends in a mapping or in clear problems, soon.

use std::time::{Duration, Instant};

use fastrand::Rng;
use proptest::prelude::*;

use super::*;

/// Longest time for one mapping of some kilobytes, in a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(5);

/// What no problem may speak of.
const RUST: [&str; 12] =
    ["Some(", "None", "Err(", "Ok(", "Option<", "Result<", "Vec<", "usize", "u64", "i64", "unwrap", "ValueKind"];

/// Reads a text and judges what is said of it. Whether it is a mapping.
fn judge(text: &str) -> bool {
    let begin = Instant::now();
    let read = read_text(text, Path::new("m.toml"), &Lineage::default());
    let took = begin.elapsed();
    assert!(took < LONGEST, "{took:?} for {text}");
    let Err(problems) = read else { return true };
    assert!(!problems.is_empty(), "no mapping and no problem: {text}");
    let lines = text.lines().count().max(1);
    for problem in problems {
        let shown = problem.to_string();
        assert!(!problem.message.trim().is_empty() && !problem.message.contains('\n'), "{shown}\n{text}");
        assert!(problem.help.as_ref().is_none_or(|help| !help.trim().is_empty()), "{shown}\n{text}");
        // What the file as a whole lacks is in no line of it.
        let is_in_file = problem.line.is_none_or(|line| (1..=lines + 1).contains(&(line as usize)));
        let is_lacking = ["version", "format", "column"].contains(&problem.key.as_str());
        assert!(is_in_file && (problem.line.is_some() || is_lacking), "{shown}\n{text}");
        assert!(RUST.iter().all(|word| !shown.contains(word)), "{shown}\n{text}");
    }
    false
}

/// Values of the language, and what is none.
const VALUES: [&str; 58] = [
    "\"\"",
    "\"a\"",
    "\"A b\"",
    "0",
    "-1",
    "1.5",
    "1e400",
    "inf",
    "nan",
    "true",
    "[]",
    "[1, 2]",
    "[\"a\", [\"b\"]]",
    "{}",
    "{ a = 1 }",
    "2026-10-15",
    "2026-10-15T00:00:00Z",
    "\"int64\"",
    "\"decimal(0,0)\"",
    "\"decimal(38,38)\"",
    "\"decimal(999,1)\"",
    "\"list<struct>\"",
    "\"list<\"",
    "\"struct\"",
    "\"timestamp(ps)\"",
    "\"timestamp_ntz\"",
    "\"time\"",
    "\"binary(hex)\"",
    "\"xml\"",
    "\"json\"",
    "\"list\"",
    "\"join(\"",
    "\"index(99999999999)\"",
    "\"index(2)\"",
    "\"count\"",
    "\"@a\"",
    "\"/\"",
    "\"//\"",
    "\"a[@b='c']\"",
    "\"a[@b='c'\"",
    "\"*\"",
    "\"*/text()\"",
    "\"../a\"",
    "\"o:x/o:y\"",
    "\"p:x\"",
    "[\"a\", \"b\"]",
    "[\"o:order\", \"o:order/o:line\"]",
    "\"collect(x)\"",
    "\"collect(\"",
    "\"%Y-%m\"",
    "\"%\"",
    "[\"%d\", \"\"]",
    "\"Europe/Atlantis\"",
    "\"(\"",
    "'(a{900}){900}'",
    "'\\p{Foo}'",
    "\"10MiB\"",
    "9223372036854775808",
];

/// Characters that mean something somewhere.
const MARKS: [char; 18] =
    ['"', '\'', '[', ']', '(', ')', '{', '}', '=', '.', ',', ':', '@', '/', '*', '\\', '\u{0}', 'é'];

/// Lines that mean something somewhere.
const LINES: [&str; 22] = [
    "[[column]]",
    "[[child]]",
    "[[child.column]]",
    "[[child.child]]",
    "[[column.field]]",
    "[[column.field.field]]",
    "[column]",
    "[child]",
    "[message]",
    "[limits]",
    "[namespaces]",
    "[x]",
    "name = \"batch\"",
    "repeat = \"list\"",
    "repeat = \"count\"",
    "required = true",
    "default = 1",
    "min = 5",
    "max = 1",
    "regex = \"[\"",
    "path = \"/o:order/@x\"",
    "rows = [\"o:order\"]",
];

/// One change at the level of lines, values or characters.
fn mutate(text: &str, random: &mut Rng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.usize(..lines.len());
    match random.u8(..10) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[random.usize(..lines.len())].clone()),
        2 => {
            let other = random.usize(..lines.len());
            lines.swap(at, other);
        }
        3 => lines.insert(at, LINES[random.usize(..LINES.len())].to_owned()),
        4 => lines.truncate(at.max(1)),
        5..=7 => {
            let keys: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(" = ")).collect();
            if let Some(&at) = keys.get(random.usize(..keys.len().max(1))) {
                let key = lines[at].split(" = ").next().unwrap_or_default().to_owned();
                lines[at] = format!("{key} = {}", VALUES[random.usize(..VALUES.len())]);
            }
        }
        8 => {
            // Another value of the same file.
            let value = lines[random.usize(..lines.len())].split_once(" = ").map(|(_, value)| value.to_owned());
            if let (Some(value), Some((key, _))) = (value, lines[at].split_once(" = ")) {
                lines[at] = format!("{key} = {value}");
            }
        }
        _ => {
            let mut characters: Vec<char> = lines[at].chars().collect();
            let place = random.usize(..=characters.len());
            match random.u8(..3) {
                0 if place < characters.len() => drop(characters.remove(place)),
                1 if place < characters.len() => characters[place] = random.char(' '..='~'),
                _ => characters.insert(place, MARKS[random.usize(..MARKS.len())]),
            }
            lines[at] = characters.into_iter().collect();
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines.join("\n") + "\n"
}

#[test]
fn a_thousand_broken_mappings_give_clear_problems() {
    let mut random = Rng::with_seed(4);
    let (mut good, mut bad) = (0, 0);
    for number in 0..1600 {
        let mut text = [ORDERS, ORDERS, BOOKS, INVOICE][number % 4].to_owned();
        for _ in 0..random.usize(1..4) {
            text = mutate(&text, &mut random);
        }
        if judge(&text) { good += 1 } else { bad += 1 }
    }
    assert!(bad >= 1000 && good >= 50, "{bad} broken, {good} good: the changes are not what they should be");
}

#[test]
fn large_mappings_are_read_in_time() {
    let column = |number: usize| format!("[[column]]\nname = \"c{number}\"\npath = \"a/b\"\ntype = \"int64\"\n");
    let many: String = (0..10_000).map(column).collect();
    assert!(judge(&format!("{HEAD}{many}")));
    assert!(!judge(&format!("{HEAD}{}", column(1).repeat(5_000))));
    assert!(!judge(&format!("{HEAD}[message]\nrows = \"{}\"\n{COLUMN}", "a/".repeat(200_000))));
    assert!(!judge(&format!("{HEAD}{}", "[".repeat(100_000))));
    assert!(!judge(&format!("{HEAD}x = {}", "[".repeat(100_000))));
    assert!(!judge(&format!("{HEAD}{}", "[[child]]\nname = \"a\"\n".repeat(3_000))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_change_gives_a_mapping_or_clear_problems(seed in any::<u64>(), changes in 1usize..12) {
        let mut random = Rng::with_seed(seed);
        let mut text = ORDERS.to_owned();
        for _ in 0..changes {
            text = mutate(&text, &mut random);
        }
        judge(&text);
    }

    #[test]
    fn any_value_of_any_key_of_a_column(
        key in prop::sample::select(vec![
            "name", "path", "type", "required", "repeat", "trim", "default", "null_values", "enum", "regex", "min", "max",
            "min_length", "max_length", "format", "zone", "decimal", "group", "rounding", "field",
        ]),
        kind in prop::sample::select(vec!["string", "int8", "decimal(9,2)", "timestamp", "date", "json", "binary", "float64", "list<bool>"]),
        value in "[a-z%@/*(){}<>\\[\\]0-9:,. =+-]{0,24}",
    ) {
        let base: String = [("name", "c"), ("path", "a"), ("type", kind)]
            .iter()
            .filter(|(other, _)| *other != key)
            .map(|(key, value)| format!("{key} = \"{value}\"\n"))
            .collect();
        judge(&format!("{HEAD}[[column]]\n{base}{key} = \"{value}\"\n"));
        judge(&format!("{HEAD}[[column]]\n{base}{key} = {value}\n"));
    }
}
