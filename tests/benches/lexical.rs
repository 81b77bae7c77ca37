//! From text to typed values: nanoseconds a value, by type, on one core.
//!
//! `cargo bench --bench lexical [-- ROUNDS]`

#![expect(clippy::expect_used, reason = "a benchmark that cannot work has nothing better to do than to stop")]

use std::hint::black_box;
use std::time::Instant;

use forebay::lexical::{Caster, Memory};
use forebay::model::mapping::{Kind, Precision, Trim, ValueRules};

/// Texts of each type: more than a branch predictor learns by heart.
const TEXTS: u64 = 20_000;

fn main() {
    let rounds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(60);
    let micro = Kind::Timestamp(Precision::Micro);
    let plain = |kind: &Kind, text: fn(u64) -> String| measure(rounds, kind, |_| {}, text);
    println!("string                 {:6.1} ns", plain(&Kind::String, |n| format!("river and stone {n}")));
    println!("int64                  {:6.1} ns", plain(&Kind::Int64, |n| (mixed(n) % 100_000_007).to_string()));
    println!("decimal(18,2)          {:6.1} ns", plain(&Kind::Decimal(18, 2), |n| price(n, '.')));
    println!("float64                {:6.1} ns", plain(&Kind::Float64, |n| price(n, '.')));
    println!("date                   {:6.1} ns", plain(&Kind::Date, date));
    println!(
        "timestamp              {:6.1} ns",
        plain(&micro, |n| format!("{}T{:02}:42:{:02}Z", date(n), n % 24, n % 60))
    );
    let ruled = |kind: &Kind, rules: fn(&mut ValueRules), text: fn(u64) -> String| measure(rounds, kind, rules, text);
    let zoned = |rules: &mut ValueRules| rules.zone = Some("Europe/Paris".into());
    println!("timestamp, zone        {:6.1} ns", ruled(&micro, zoned, |n| format!("{}T12:42:{:02}", date(n), n % 60)));
    let pattern = |rules: &mut ValueRules| rules.formats = vec!["%d %b %Y".into()];
    println!("date, pattern          {:6.1} ns", ruled(&Kind::Date, pattern, |n| format!("{} oct 2026", n % 28 + 1)));
    let comma = |rules: &mut ValueRules| (rules.decimal, rules.group) = (Some(','), Some('.'));
    println!("decimal, comma         {:6.1} ns", ruled(&Kind::Decimal(18, 2), comma, |n| price(n, ',')));
    let bounds = |rules: &mut ValueRules| (rules.min, rules.max) = (Some("0".into()), Some("1000000000".into()));
    println!("int64, range           {:6.1} ns", ruled(&Kind::Int64, bounds, |n| (mixed(n) % 100_000_007).to_string()));
    let form = |rules: &mut ValueRules| rules.regex = Some("[A-Z]{2}[0-9]+".into());
    println!("string, regex          {:6.1} ns", ruled(&Kind::String, form, |n| format!("AB{n}")));
}

/// Nanoseconds a value in the best round: what else the machine does counts as little as can be.
fn measure(rounds: u32, kind: &Kind, set: impl FnOnce(&mut ValueRules), text: impl Fn(u64) -> String) -> f64 {
    let mut rules = ValueRules { trim: Trim::Both, ..ValueRules::default() };
    set(&mut rules);
    let caster = Caster::new(kind, &rules).expect("the rules are good");
    let texts: Vec<String> = (0..TEXTS).map(text).collect();
    let mut memory = Memory::default();
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let begun = Instant::now();
        for text in &texts {
            black_box(caster.cast(black_box(text), &mut memory)).expect("the text is a value");
        }
        best = best.min(begun.elapsed().as_secs_f64());
    }
    best * 1e9 / texts.len() as f64
}

fn mixed(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761)
}

fn price(number: u64, mark: char) -> String {
    format!("{}{mark}{:02}", mixed(number) % 100_007, number % 100)
}

fn date(number: u64) -> String {
    format!("20{:02}-{:02}-{:02}", number % 100, number % 12 + 1, number % 28 + 1)
}
