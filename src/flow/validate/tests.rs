//! The validator through its public face.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use jiff::Timestamp;

use super::*;
use crate::clock::ManualClock;
use crate::flow::parse::tests::{batch, codes_of, column, library, mapping, name};
use crate::flow::parse::{Parser, ParserTable};
use crate::model::batch::{DRIFT_REST, DriftCount, DriftKind, Outcome, ParsedBatch, Piece, RawBatch, ValidBatch};
use crate::model::budget::MemoryBudget;
use crate::model::drift::Drift;
use crate::model::mapping::{Child, Kind, Mapping, OnBadMessage, Precision};
use crate::model::offset::OffsetRange;
use crate::model::table::{
    DateBound, OnBadDate, OnOutOfRange, PayloadKept, ProcessedSettings, QuarantineSettings, RawSettings, Retire,
    StartingOffsets, StopRule, Table, TopicChoice,
};
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step};

fn settings(date: &str) -> ProcessedSettings {
    ProcessedSettings {
        record_id: vec!["id".into()],
        version: None,
        date: date.into(),
        date_zone: "UTC".into(),
        on_bad_date: OnBadDate::Quarantine,
        date_min: DateBound::Date(jiff::civil::date(1970, 1, 1)),
        date_max: DateBound::Relative(1),
        retire: Retire::Immediate,
    }
}

fn table(mapping: Mapping, processed: Option<ProcessedSettings>) -> Table {
    Table {
        name: "books".into(),
        topics: TopicChoice::List(vec!["library".into()]),
        when: None,
        mapping: Arc::new(mapping),
        starting_offsets: StartingOffsets::Earliest,
        on_offset_out_of_range: OnOutOfRange::Fail,
        raw: RawSettings::default(),
        quarantine: QuarantineSettings::default(),
        stop_when: None,
        processed,
    }
}

fn dated() -> Mapping {
    let columns = vec![
        column("id", "id", Kind::Int64),
        column("day", "day", Kind::Date),
        column("at", "at", Kind::Timestamp(Precision::Micro)),
    ];
    mapping(Some("m"), "r", columns)
}

struct Bench {
    parser: Parser,
    rules: Arc<Rules>,
}

impl Bench {
    fn new(table: &Table) -> Self {
        let parsers: Arc<[ParserTable]> = Arc::from(vec![ParserTable::compile(&table.mapping).unwrap()]);
        let rules = Rules::new(std::slice::from_ref(table), Arc::clone(&parsers)).unwrap();
        Self { parser: Parser::new(parsers), rules: Arc::new(rules) }
    }

    fn parse(&mut self, raw: &Arc<RawBatch>) -> ParsedBatch {
        self.parser.parse(raw, Some(0)).unwrap()
    }

    /// Messages of 2023-11-14T22:13:20Z, validated.
    fn validate(&mut self, payloads: &[&str]) -> ValidBatch {
        let payloads: Vec<Option<&[u8]>> = payloads.iter().map(|payload| Some(payload.as_bytes())).collect();
        let parsed = self.parse(&batch(&payloads));
        check(&parsed, 100, |table| self.rules.top(table)).unwrap();
        self.rules.apply(parsed, Timestamp::UNIX_EPOCH).unwrap()
    }
}

fn outcomes(batch: &ValidBatch) -> Vec<(Outcome, u32)> {
    batch.ledger.iter().map(|row| (row.outcome, row.rows)).collect()
}

#[test]
fn good_rows_pass_untouched() {
    let mut bench = Bench::new(&table(dated(), Some(settings("day"))));
    let good = "<m><r><id>1</id><day>2023-11-14</day></r><r><id>2</id><day>2023-11-15</day></r></m>";
    let valid = bench.validate(&[good, "<m/>", "<x/>"]);
    assert_eq!(outcomes(&valid), [(Outcome::Rows, 2), (Outcome::Rows, 0), (Outcome::Quarantined, 0)]);
    assert_eq!(valid.ledger[0].offset, 100);
    assert_eq!(valid.ledger[2].code.unwrap().name(), "shape.root");
    assert_eq!((valid.tables[0].rows.num_rows(), valid.dead_letters.len(), valid.dead_letters[0].message), (2, 1, 2));
}

#[test]
fn a_bad_date_is_quarantined_with_its_place() {
    let mut bench = Bench::new(&table(dated(), Some(settings("day"))));
    let bad = "<m>\n<r><id>1</id><day>2023-11-16</day></r><r><id>2</id><day>1969-12-31</day></r><r><id>3</id></r></m>";
    let good = "<m><r><id>4</id><day>1970-01-01</day></r></m>";
    let valid = bench.validate(&[good, bad, good]);
    assert_eq!(outcomes(&valid), [(Outcome::Rows, 1), (Outcome::Quarantined, 0), (Outcome::Rows, 1)]);
    assert_eq!(valid.tables[0].message, [0, 2]);
    assert_eq!(valid.tables[0].rows.num_rows(), 2);
    let told: Vec<_> = valid.dead_letters[0]
        .violations
        .iter()
        .map(|found| {
            (found.path.as_deref().unwrap(), found.line.unwrap(), found.value.as_deref(), found.message.as_str())
        })
        .collect();
    assert_eq!(codes_of(&valid.dead_letters[0].violations), ["rule.date"; 3]);
    assert_eq!(
        told,
        [
            ("/m/r[1]/day", 2, Some("2023-11-16"), "the date of the row (day) is after 2023-11-15"),
            ("/m/r[2]/day", 2, Some("1969-12-31"), "the date of the row (day) is before 1970-01-01"),
            ("/m/r[3]", 2, None, "the date of the row (day) is missing"),
        ]
    );
}

#[test]
fn good_rows_are_kept_when_the_mapping_says_so() {
    let mut mapping = dated();
    mapping.on_bad_message = OnBadMessage::KeepGoodRows;
    let mut bench = Bench::new(&table(mapping, Some(settings("day"))));
    let mixed = "<m><r><id>1</id><day>2023-11-14</day></r><r><id>2</id></r><r><day>2023-11-14</day></r></m>";
    let valid = bench.validate(&[mixed, "<m><r/></m>"]);
    assert_eq!(outcomes(&valid), [(Outcome::Partial, 1), (Outcome::Quarantined, 0)]);
    assert_eq!(valid.tables[0].message, [0]);
    assert_eq!(codes_of(&valid.dead_letters[0].violations), ["rule.date", "rule.required"]);
    assert_eq!(codes_of(&valid.dead_letters[1].violations), ["rule.required", "rule.date"]);
}

#[test]
fn a_bucket_for_bad_dates_lets_them_pass() {
    let bucket = ProcessedSettings { on_bad_date: OnBadDate::Bucket, ..settings("day") };
    let valid = Bench::new(&table(dated(), Some(bucket))).validate(&["<m><r><id>1</id></r></m>"]);
    assert_eq!(outcomes(&valid), [(Outcome::Rows, 1)]);
    let valid = Bench::new(&table(dated(), None)).validate(&["<m><r/></m>"]);
    assert_eq!(outcomes(&valid), [(Outcome::Rows, 1)]);
}

#[test]
fn a_timestamp_has_its_date_in_the_zone_of_the_table() {
    // 22:13 UTC is the 15th in Tokyo already, so the 16th is the last good day there.
    let tokyo = ProcessedSettings { date_zone: "Asia/Tokyo".into(), ..settings("at") };
    let mut bench = Bench::new(&table(dated(), Some(tokyo)));
    let row = |at: &str| format!("<m><r><id>1</id><at>{at}</at></r></m>");
    let valid = bench.validate(&[
        &row("2023-11-16T14:59:59.999999Z"),
        &row("2023-11-16T15:00:00Z"),
        &row("1969-12-31T15:00:00Z"),
        &row("1969-12-31T14:59:59Z"),
    ]);
    let good: Vec<bool> = valid.ledger.iter().map(|row| row.outcome == Outcome::Rows).collect();
    assert_eq!(good, [true, false, true, false]);
}

#[test]
fn without_a_kafka_timestamp_the_receipt_counts() {
    let mut bench = Bench::new(&table(dated(), Some(settings("day"))));
    let mut raw = Arc::into_inner(batch(&[Some(b"<m><r><id>1</id><day>2026-10-16</day></r></m>")])).unwrap();
    raw.messages[0].timestamp_us = None;
    let raw = Arc::new(raw);
    for (now, outcome) in [("2026-10-15T00:00:00Z", Outcome::Rows), ("2026-10-14T23:59:59Z", Outcome::Quarantined)] {
        let parsed = bench.parse(&raw);
        assert_eq!(bench.rules.apply(parsed, now.parse().unwrap()).unwrap().ledger[0].outcome, outcome);
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let parsers: Arc<[ParserTable]> = Arc::from(vec![]);
    for bad in [
        settings("nothing"),
        settings("id"),
        ProcessedSettings { date_zone: "Mars/Olympus".into(), ..settings("day") },
        ProcessedSettings { record_id: vec!["nothing".into()], ..settings("day") },
    ] {
        assert!(Rules::new(&[table(dated(), Some(bad))], Arc::clone(&parsers)).is_err());
    }
}

#[test]
fn every_breach_of_conservation_is_found() {
    let mut bench = Bench::new(&table(library(), None));
    let good = "<library><book><record_id>1</record_id></book></library>";
    type Breach = (&'static str, fn(&mut ParsedBatch));
    let breaches: [Breach; 8] = [
        ("a lost verdict", |parsed| drop(parsed.verdicts.pop())),
        ("a lost row", |parsed| drop(parsed.tables.pop())),
        ("a wrong count", |parsed| parsed.verdicts[0].rows = 2),
        ("a row of a bad message", |parsed| parsed.verdicts[0].outcome = Outcome::Quarantined),
        ("a strange message", |parsed| parsed.tables[0].message[0] = 9),
        ("a strange table", |parsed| parsed.tables[0].table = 4),
        ("a tombstone with a payload", |parsed| parsed.verdicts[1].outcome = Outcome::Tombstone),
        ("a row too many", |parsed| parsed.tables[0].message.push(1)),
    ];
    for (name, breach) in breaches {
        let mut parsed = bench.parse(&batch(&[Some(good.as_bytes()), Some(b"<x/>")]));
        assert_eq!(check(&parsed, 100, |table| bench.rules.top(table)), Ok(()));
        assert!(check(&parsed, 99, |table| bench.rules.top(table)).is_err());
        breach(&mut parsed);
        assert_eq!(
            check(&parsed, 100, |table| bench.rules.top(table)).unwrap_err().event,
            "validate.conservation",
            "{name}"
        );
    }
    for (from, to, offsets) in [(0, 2, [0, 2]), (0, 9, [3, 3]), (0, 9, [4, 3]), (5, 9, [4, 6])] {
        let mut raw = Arc::into_inner(batch(&[None, None])).unwrap();
        raw.range = OffsetRange::new(from, to).unwrap();
        for (message, offset) in raw.messages.iter_mut().zip(offsets) {
            message.offset = offset;
        }
        let parsed = bench.parse(&Arc::new(raw));
        assert!(check(&parsed, from, |table| bench.rules.top(table)).is_err(), "{offsets:?}");
    }
}

struct Lane {
    bench: Bench,
    issued: Arc<AtomicU64>,
    input: Sender<ParsedBatch>,
    output: Receiver<ValidBatch>,
    step: ValidatorStep,
}

fn validator(bench: &Bench, issued: &Arc<AtomicU64>, from: i64) -> Validator {
    Validator {
        generation: 7,
        from,
        rules: Arc::clone(&bench.rules),
        drift: Drift::default(),
        clock: Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)),
        issued: Arc::clone(issued),
        stop_when: StopRules::default(),
    }
}

impl Lane {
    fn new(room: usize) -> Self {
        let bench = Bench::new(&table(library(), None));
        let issued = Arc::new(AtomicU64::new(0));
        let (input, batches) = unbounded();
        let (out, output) = bounded(room);
        let step = ValidatorStep::new(validator(&bench, &issued, 0), batches, out);
        Self { bench, issued, input, output, step }
    }

    fn send(&mut self, generation: u64, seq: u64) {
        self.send_numbered(generation, seq, seq);
    }

    /// The batch that was read as the one of `place`, numbered as that of `seq`.
    fn send_numbered(&mut self, generation: u64, seq: u64, place: u64) {
        let from = i64::try_from(place).unwrap() * 10;
        let raw = RawBatch {
            source: batch(&[]).source.clone(),
            generation,
            piece: Piece::WHOLE,
            slot: None,
            seq,
            range: OffsetRange::new(from, from + 10).unwrap(),
            bytes: vec![],
            messages: vec![],
            permit: MemoryBudget::new(1).take(0),
        };
        self.input.send(self.bench.parse(&Arc::new(raw))).unwrap();
    }

    fn run(&mut self) -> Exit {
        loop {
            if let Err(exit) = self.step.step() {
                return exit;
            }
        }
    }
}

#[test]
fn batches_leave_in_order_once_and_of_their_generation() {
    let mut lane = Lane::new(10);
    for (generation, seq) in [(7, 2), (7, 0), (6, 1), (7, 0), (8, 3), (7, 1), (7, 1), (7, 2)] {
        lane.send(generation, seq);
    }
    lane.issued.store(3, Ordering::Release);
    lane.input = unbounded().0;
    assert_eq!(lane.run(), Exit::Drained);
    drop(lane.step);
    let order: Vec<_> = lane.output.iter().map(|batch| (batch.raw.generation, batch.raw.seq)).collect();
    assert_eq!(order, [(7, 0), (7, 1), (7, 2)]);
}

/// The resequencer left out: batches are numbered as they come from the parsers, so that it keeps each and changes no
/// order. Nothing wrong is handed on, but a lane whose parsers overtake each other or repeat one never gets anywhere.
#[test]
fn without_the_resequencer_a_lane_fails_where_its_parsers_overtake() {
    for (arrived, good) in [([0, 1, 2], 3), ([1, 0, 2], 0), ([0, 2, 1], 1), ([0, 0, 1], 1), ([0, 1, 0], 2)] {
        let mut lane = Lane::new(10);
        for (seq, place) in (0..).zip(arrived) {
            lane.send_numbered(7, seq, place);
        }
        lane.issued.store(3, Ordering::Release);
        lane.input = unbounded().0;
        let exit = lane.run();
        assert_eq!(exit == Exit::Drained, good == 3, "{arrived:?}: {exit:?}");
        drop(lane.step);
        assert_eq!(lane.output.iter().count(), good, "{arrived:?}");
    }
}

#[test]
fn a_missing_batch_is_not_taken_for_the_end() {
    for (sent, issued) in [(vec![0, 2], 3), (vec![0, 1], 3), (vec![], 1)] {
        let mut lane = Lane::new(10);
        for seq in sent {
            lane.send(7, seq);
        }
        lane.issued.store(issued, Ordering::Release);
        lane.input = unbounded().0;
        let Exit::Failed(fault) = lane.run() else { panic!("a gap was taken for the end") };
        assert_eq!(fault.event, "validate.gap");
    }
}

#[test]
fn a_batch_without_room_is_kept() {
    let mut lane = Lane::new(1);
    lane.send(7, 1);
    lane.send(7, 0);
    lane.issued.store(2, Ordering::Release);
    assert_eq!(lane.step.step(), Ok(Progress::Worked));
    assert_eq!(lane.step.step(), Ok(Progress::Worked));
    assert_eq!(lane.step.step(), Ok(Progress::Blocked));
    assert_eq!(lane.output.recv().unwrap().raw.seq, 0);
    assert_eq!(lane.step.step(), Ok(Progress::Worked));
    assert_eq!(lane.output.recv().unwrap().raw.seq, 1);
    assert_eq!(lane.step.step(), Ok(Progress::Idle));
    lane.output = bounded(1).1;
    lane.send(7, 2);
    assert_eq!(lane.step.step(), Err(Exit::DownstreamClosed));
}

#[test]
fn ranges_must_follow_each_other() {
    let mut lane = Lane::new(10);
    let (out, _output) = bounded(1);
    let (input, batches) = unbounded();
    lane.step = ValidatorStep::new(validator(&lane.bench, &lane.issued, 5), batches, out);
    lane.input = input;
    lane.send(7, 0);
    let Err(Exit::Failed(fault)) = lane.step.step() else { panic!("a gap between ranges was not found") };
    assert_eq!(fault.event, "validate.conservation");
}

#[test]
fn rows_of_a_child_table_go_with_the_row_they_belong_to() {
    let mut dated = dated();
    let columns = vec![column("tag", "text()", Kind::String)];
    dated.children.push(Child { name: "tags".into(), rows: vec![name("tag").into()], columns, children: vec![] });
    dated.on_bad_message = OnBadMessage::KeepGoodRows;
    let mut settings = settings("day");
    let row = |id: &str, day: &str| format!("<r>{id}<day>{day}</day><tag>a</tag><tag>b</tag></r>");
    let good = row("<id>1</id>", "2023-11-14");
    let messages = [
        format!("<m>{good}{}</m>", row("<id>2</id>", "1900-01-01")),
        format!("<m>{}{good}</m>", row("", "2023-11-14")),
    ];
    let messages = messages.each_ref().map(String::as_str);
    let shown = |valid: &ValidBatch| -> Vec<_> {
        valid.tables.iter().map(|part| (part.table, part.rows.num_rows(), part.message.clone())).collect()
    };
    let valid = Bench::new(&table(dated.clone(), Some(settings.clone()))).validate(&messages);
    assert_eq!(outcomes(&valid), [(Outcome::Partial, 1), (Outcome::Partial, 1)]);
    assert_eq!(shown(&valid), [(0, 2, vec![0, 1]), (1, 4, vec![0, 0, 1, 1])]);
    let index = valid.tables[1].rows.column_by_name("row_index").unwrap().as_primitive::<Int32Type>().values().to_vec();
    assert_eq!(index, [0, 0, 1, 1]);
    dated.on_bad_message = OnBadMessage::Quarantine;
    let valid =
        Bench::new(&table(dated.clone(), Some(settings.clone()))).validate(&[messages[0], &format!("<m>{good}</m>")]);
    assert_eq!(shown(&valid), [(0, 1, vec![1]), (1, 2, vec![1, 1])]);
    settings.on_bad_date = OnBadDate::Bucket;
    let valid = Bench::new(&table(dated, Some(settings))).validate(&messages[..1]);
    assert_eq!(shown(&valid), [(0, 2, vec![0, 0]), (1, 4, vec![0; 4])]);
}

#[test]
fn a_child_row_of_a_message_without_rows_is_a_breach() {
    let mut dated = dated();
    let columns = vec![column("tag", "text()", Kind::String)];
    dated.children.push(Child { name: "tags".into(), rows: vec![name("tag").into()], columns, children: vec![] });
    let mut bench = Bench::new(&table(dated, None));
    let mut parsed = bench.parse(&batch(&[Some(b"<m><r><tag>a</tag></r></m>")]));
    let top = |table| bench.rules.top(table);
    check(&parsed, 100, top).unwrap();
    parsed.tables.remove(0);
    parsed.verdicts[0].rows = 0;
    assert!(check(&parsed, 100, top).unwrap_err().to_string().contains("has none"));
}

#[test]
fn a_lane_stops_with_the_batch_in_which_too_many_messages_have_failed() {
    let mut lane = Lane::new(10);
    let (out, output) = bounded(10);
    let (input, batches) = unbounded();
    let rule = StopRule { failed_ppm: 500_000, of: 4 };
    let stop_when = StopRules { tables: BTreeMap::from([(0, rule)]), unrouted: None };
    let with_rule = Validator { stop_when, ..validator(&lane.bench, &lane.issued, 0) };
    lane.step = ValidatorStep::new(with_rule, batches, out);
    (lane.input, lane.output) = (input, output);
    let good = "<library branch=\"L1\"/>";
    for (seq, payloads) in
        [[good, "<", good], [good, "<", "<"], ["<", good, good], [good, good, good]].iter().enumerate()
    {
        let payloads: Vec<Option<&[u8]>> = payloads.iter().map(|payload| Some(payload.as_bytes())).collect();
        let mut raw = Arc::into_inner(batch(&payloads)).unwrap();
        let from = 3 * i64::try_from(seq).unwrap();
        (raw.generation, raw.seq, raw.range) = (7, seq as u64, OffsetRange::new(from, from + 3).unwrap());
        raw.messages.iter_mut().zip(from..).for_each(|(message, offset)| message.offset = offset);
        lane.input.send(lane.bench.parse(&Arc::new(raw))).unwrap();
    }
    let Exit::Stopped(fault) = lane.run() else { panic!("the rule was not heard") };
    drop(lane.step);
    assert_eq!(lane.output.iter().map(|batch| batch.raw.range.to()).collect::<Vec<_>>(), [3, 6, 9]);
    assert_eq!((fault.event, fault.verdict), (TOO_MANY_FAILED, crate::fault::Verdict::Halt));
    let said = "library:3: 3 of the last 4 messages of table books failed, and its stop_when allows 0.5 of 4, the last at \
                offset 6; ";
    assert!(fault.message.starts_with(said), "{}", fault.message);
    assert!(fault.message.ends_with("forebay resume library:3"), "{}", fault.message);
}

#[test]
fn a_table_that_keeps_no_payloads_is_told_nothing_of_them() {
    for (payload, is_redacted) in [(PayloadKept::Keep, false), (PayloadKept::Digest, true), (PayloadKept::None, true)] {
        let quarantine = QuarantineSettings { payload, ..QuarantineSettings::default() };
        let mut bench = Bench::new(&Table { quarantine, ..table(dated(), Some(settings("day"))) });
        let messages = [
            "<m><r><id>sesame</id><day>2023-11-14</day></r></m>",
            "<m><r><id>1</id><day>1066-10-14</day></r></m>",
            "<m><r><sesame><sesame>",
        ];
        let valid = bench.validate(&messages);
        let violations: Vec<_> = valid.dead_letters.iter().flat_map(|letter| &letter.violations).collect();
        let codes: Vec<_> = violations.iter().map(|found| found.code.name()).collect();
        assert_eq!(codes, ["type.int", "rule.date", "xml.unclosed"]);
        assert!(violations.iter().all(|found| found.line == Some(1)), "{violations:?}");
        let told = format!("{violations:?}");
        assert_eq!(!told.contains("sesame") && !told.contains("1066"), is_redacted, "{payload:?}: {told}");
        assert_eq!(violations[0].path.as_deref(), Some("/m/r/id"));
        let found =
            DriftCount { table: 0, kind: DriftKind::Text, path: "open".into(), count: 3, examples: vec!["me".into()] };
        let told = bench.rules.tell(&found);
        assert_eq!((told.count, told == found, &*told.path == DRIFT_REST), (3, !is_redacted, is_redacted));
        assert_eq!(told.examples.is_empty(), is_redacted);
    }
}
