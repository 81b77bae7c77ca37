//! From messages in memory to finished Arrow batches, on one core, beside a plain quick-xml event loop over the same
//! bytes that reads attributes and text and keeps nothing.
//!
//! `cargo bench --bench parse [-- SECONDS]`

#![expect(clippy::expect_used, reason = "a benchmark that cannot work has nothing better to do than to stop")]
#![expect(unsafe_code, reason = "an allocator that counts has no other way to be one")]

#[path = "parse_ubl.rs"]
mod ubl;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use forebay::flow::parse::{Parser, ParserTable};
use forebay::model::batch::{Outcome, RawBatch, RawMessage};
use forebay::model::budget::MemoryBudget;
use forebay::model::mapping::{Column, Kind, Mapping, Name, Path, Precision, Step, Take, Unmapped};
use forebay::model::offset::{OffsetRange, TopicPartition};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::Event;

/// Messages in a batch: about what a reader takes in one go.
const MESSAGES: usize = 450;
const BATCHES: usize = 8;

/// Counts what is allocated.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all work is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on as it came.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on as it came.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn main() {
    let seconds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(3.0);
    let library_batches: Vec<Arc<RawBatch>> = (0..BATCHES)
        .map(|number| {
            let first = (number * MESSAGES) as u64;
            batch(number, (first..first + MESSAGES as u64).map(message))
        })
        .collect();
    let mut counted = library();
    counted.unmapped = Unmapped::Count;
    compare(
        "library",
        seconds,
        &library_batches,
        &[("12 columns", library()), ("12 columns, unmapped counted", counted)],
    );
    let invoices = ubl::invoices();
    if invoices.is_empty() {
        println!("UBL invoices: left out, FOREBAY_MESSAGES names no folder with ubl/ in it");
        return;
    }
    let rounds = MESSAGES / invoices.len() + 1;
    let invoice_batches: Vec<Arc<RawBatch>> =
        (0..BATCHES).map(|number| batch(number, (0..rounds).flat_map(|_| invoices.iter().cloned()))).collect();
    let mut counted = ubl::mapping();
    counted.unmapped = Unmapped::Count;
    let mappings = [
        ("20 columns, lines as rows", ubl::mapping()),
        ("the same, unmapped counted", counted),
        ("lines as a child table", ubl::with_children()),
    ];
    compare("UBL invoice", seconds, &invoice_batches, &mappings);
}

/// The event loop, well-formedness alone, and mappings, over the same batches.
fn compare(name: &str, seconds: f64, batches: &[Arc<RawBatch>], mappings: &[(&str, Mapping)]) {
    let bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    let messages: usize = batches.iter().map(|batch| batch.messages.len()).sum();
    println!("{messages} {name} messages of {} bytes", bytes / messages);
    let plain = measure(seconds, batches, |batch| events(batch));
    println!("  {:<34} {plain:7.1} MB/s", "quick-xml events, attributes, text");
    let bare = Mapping::new("bare", Vec::new());
    for (what, mapping) in std::iter::once(&("well-formedness alone", bare)).chain(mappings) {
        let table = ParserTable::compile(mapping).expect("the mapping compiles");
        let mut parser = Parser::new(Arc::from(vec![table]));
        let speed = measure(seconds, batches, |batch| rows(&mut parser, batch));
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let rows: usize = batches.iter().map(|batch| rows(&mut parser, batch)).sum();
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        println!(
            "  {what:<34} {speed:7.1} MB/s, {:.2} of the event loop; {rows} rows, {:.3} allocations a message",
            speed / plain,
            allocations as f64 / messages as f64,
        );
    }
}

/// The best time of each batch in several rounds, in MB/s over all: what else the machine does counts as little as can be.
fn measure(seconds: f64, batches: &[Arc<RawBatch>], mut work: impl FnMut(&Arc<RawBatch>) -> usize) -> f64 {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut best = vec![f64::INFINITY; batches.len()];
    while Instant::now() < end {
        for (batch, best) in batches.iter().zip(&mut best) {
            let begun = Instant::now();
            black_box(work(batch));
            *best = best.min(begun.elapsed().as_secs_f64());
        }
    }
    let bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    bytes as f64 / best.iter().sum::<f64>() / 1e6
}

fn rows(parser: &mut Parser, batch: &Arc<RawBatch>) -> usize {
    let parsed = parser.parse(batch, Some(0)).expect("the parser works");
    let bad = parsed.verdicts.iter().find(|verdict| verdict.outcome != Outcome::Rows);
    assert_eq!(bad, None, "every message is good");
    parsed.tables.iter().map(|part| part.rows.num_rows()).sum()
}

fn events(batch: &RawBatch) -> usize {
    let mut seen = 0;
    for message in &batch.messages {
        let mut reader = Reader::from_reader(message.payload.as_ref().map_or(&[][..], |span| batch.slice(span)));
        loop {
            match reader.read_event().expect("the message is well-formed") {
                Event::Start(tag) | Event::Empty(tag) => {
                    for attribute in tag.attributes() {
                        let attribute = attribute.expect("the attribute is well-formed");
                        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                        seen += value.expect("the value is well-formed").len();
                    }
                }
                Event::Text(text) => seen += text.xml10_content().len(),
                Event::Eof => break,
                _ => {}
            }
        }
    }
    seen
}

fn batch(number: usize, payloads: impl Iterator<Item = String>) -> Arc<RawBatch> {
    let (mut bytes, mut messages) = (Vec::new(), Vec::new());
    let first = (number * 100_000) as i64;
    for (offset, payload) in (first..).zip(payloads) {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(payload.as_bytes());
        let payload = Some(start..bytes.len() as u32);
        messages.push(RawMessage {
            offset,
            timestamp_us: Some(1_790_000_000_000_000),
            key: None,
            payload,
            headers: vec![],
        });
    }
    Arc::new(RawBatch {
        source: TopicPartition::new("library", 0),
        generation: 0,
        seq: number as u64,
        slot: None,
        range: OffsetRange::new(first, first + messages.len() as i64).expect("a range"),
        permit: MemoryBudget::new(u64::MAX).take(bytes.len() as u64),
        bytes,
        messages,
    })
}

fn message(number: u64) -> String {
    let mut random = fastrand::Rng::with_seed(number);
    let words = ["river", "stone", "winter", "glass", "silent", "harbour", "forest", "amber", "northern", "quiet"];
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<library branch=\"L{}\">\n", number % 50);
    for book in 0..3 {
        let id = number * 3 + book;
        let mut word = || words[random.usize(..words.len())];
        let title = format!("{} {} &amp; {} {}", word(), word(), word(), word());
        let author = format!("{} {}", word(), word());
        let genre = word();
        text.push_str(&format!(
            "  <book id=\"B{id:09}\" lang=\"en\">\n    <record_id>{id}</record_id>\n    <title>{title}</title>\n    \
             <author><name>{author}</name><country>India</country></author>\n    <genre>{genre}</genre>\n    \
             <price currency=\"EUR\">{}.{:02}</price>\n    <publication_year>{}</publication_year>\n    \
             <added>2026-10-{:02}T{:02}:42:00Z</added>\n  </book>\n",
            random.u32(5..90),
            random.u32(..100),
            random.u32(1950..2026),
            random.u32(1..29),
            random.u32(..24),
        ));
    }
    text + "</library>\n"
}

fn library() -> Mapping {
    let name = |text: &str| Name { namespace: None, local: text.into() };
    let step = |text: &str| Step::from(name(text));
    let column = |title: &str, path: &str, kind: Kind| {
        let steps = path.trim_start_matches('/').split('/').filter(|step| !step.is_empty());
        let (attributes, steps): (Vec<&str>, Vec<&str>) = steps.partition(|step| step.starts_with('@'));
        let take = attributes.first().map_or(Take::Text, |attribute| Take::Attribute(name(&attribute[1..])));
        let path = Path { from_root: path.starts_with('/'), steps: steps.into_iter().map(step).collect(), take };
        Column { required: title == "record_id", ..Column::new(title, path, kind) }
    };
    let columns = vec![
        column("record_id", "record_id", Kind::Int64),
        column("branch", "/@branch", Kind::String),
        column("book_id", "@id", Kind::String),
        column("lang", "@lang", Kind::String),
        column("title", "title", Kind::String),
        column("author_name", "author/name", Kind::String),
        column("author_country", "author/country", Kind::String),
        column("genre", "genre", Kind::String),
        column("price", "price", Kind::Decimal(10, 2)),
        column("currency", "price/@currency", Kind::String),
        column("publication_year", "publication_year", Kind::Int32),
        column("added", "added", Kind::Timestamp(Precision::Micro)),
    ];
    Mapping { root: Some(name("library")), rows: vec![vec![step("book")]], ..Mapping::new("books.toml", columns) }
}
