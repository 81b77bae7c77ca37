//! From messages in memory to finished and validated Arrow batches, and to a verdict on well-formedness alone, on one
//! core, beside a plain quick-xml event loop over the same bytes that reads attributes and text and keeps nothing.
//!
//! `cargo bench --bench parse [-- SECONDS]`; with FOREBAY_MESSAGES a folder of real documents is judged as well.

#![expect(clippy::expect_used, reason = "a benchmark that cannot work has nothing better to do than to stop")]

#[path = "../common/counting.rs"]
mod counting;
#[path = "parse_stages.rs"]
mod stages;
#[path = "parse_ubl.rs"]
mod ubl;

use std::hint::black_box;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay::flow::parse::WellFormed;
use forebay::model::batch::{Piece, RawBatch, RawMessage};
use forebay::model::budget::MemoryBudget;
use forebay::model::mapping::{Column, Dtd, Kind, Limits, Mapping, Name, Precision, Step, Take, Unmapped};
use forebay::model::offset::{OffsetRange, TopicPartition};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::Event;
use stages::{Stages, ruled};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Messages in a batch: about what a reader takes in one go.
const MESSAGES: usize = 450;
const BATCHES: usize = 8;

fn main() {
    let seconds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(3.0);
    let batches: Vec<Arc<RawBatch>> = (0..BATCHES).map(batch).collect();
    let mappings = [
        ("12 columns", library()),
        ("the same, rules on 6 of them", ruled(library())),
        ("the same, unmapped counted", counted(ruled(library()))),
    ];
    flattened("library", seconds, &batches, &mappings, Some(("record_id", "added")));
    well_formed("library messages", seconds, &batches);
    let Some(folder) = std::env::var_os("FOREBAY_MESSAGES") else {
        println!("left out: FOREBAY_MESSAGES names no folder of real documents");
        return;
    };
    let invoices = ubl::invoices(FilePath::new(&folder));
    let invoices: Vec<Vec<u8>> = (0..5).flat_map(|_| invoices.iter().cloned()).collect();
    let batches: Vec<Arc<RawBatch>> = (0..BATCHES).map(|number| gather(number, &invoices)).collect();
    let mappings = [
        ("20 columns, lines as rows", ubl::mapping()),
        ("the same, unmapped counted", counted(ubl::mapping())),
        ("lines as a child table", ubl::with_children()),
    ];
    flattened("UBL invoice", seconds, &batches, &mappings, None);
    let documents = documents(FilePath::new(&folder));
    well_formed(&format!("{} real documents", documents.len()), seconds, &[gather(0, &documents)]);
}

fn counted(mapping: Mapping) -> Mapping {
    Mapping { unmapped: Unmapped::Count, ..mapping }
}

/// Mappings over the same batches.
fn flattened(
    name: &str,
    seconds: f64,
    batches: &[Arc<RawBatch>],
    mappings: &[(&str, Mapping)],
    key: Option<(&str, &str)>,
) {
    let bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    let messages: usize = batches.iter().map(|batch| batch.messages.len()).sum();
    let mut all: Vec<Stages> = mappings.iter().map(|(_, mapping)| Stages::of(mapping, key)).collect();
    let works = all.iter_mut().map(|stages| {
        let work: Work<'_> = Box::new(|batch| stages.rows(batch));
        work
    });
    let plain: Work<'_> = Box::new(|batch| events(batch));
    let speeds = measure(seconds, batches, [plain].into_iter().chain(works).collect());
    let plain = speeds[0];
    println!("{messages} {name} messages of {} bytes; event loop {plain:.1} MB/s", bytes / messages);
    for (((what, _), speed), stages) in mappings.iter().zip(&speeds[1..]).zip(&mut all) {
        let mut rows_made = 0;
        let cost = counting::count(|| rows_made = stages.rows(&batches[0]));
        println!("  {what}: {speed:.1} MB/s, {:.2} of the event loop", speed / plain);
        let taken = cost.allocations;
        println!("    memory taken {taken} times for {} messages and {rows_made} rows", batches[0].messages.len());
        println!("    1,000,000 messages: {:.2} CPU seconds", bytes as f64 / messages as f64 / speed);
    }
}

/// The verdict alone.
fn well_formed(name: &str, seconds: f64, batches: &[Arc<RawBatch>]) {
    let mut judge = WellFormed::new(Limits::default(), Dtd::Refuse);
    let mut all = |batch: &Arc<RawBatch>| {
        let payloads = batch.messages.iter().filter_map(|message| message.payload.as_ref());
        payloads.map(|span| judge.check(batch.slice(span)).expect("the message is well-formed")).count()
    };
    let speeds = measure(seconds, batches, vec![Box::new(|batch| events(batch)), Box::new(&mut all)]);
    let (plain, judged) = (speeds[0], speeds[1]);
    let cost = counting::count(|| {
        black_box(all(&batches[0]));
    });
    let (messages, elements) =
        (batches[0].messages.len(), batches[0].bytes.iter().filter(|&&byte| byte == b'<').count());
    println!("well-formedness of {name}: {judged:7.1} MB/s, {:.2} of the event loop ({plain:.1} MB/s)", judged / plain);
    println!("  memory taken {} times for {messages} messages with {elements} pieces of markup", cost.allocations);
}

/// Every XML file below a folder that is well-formed.
fn documents(folder: &FilePath) -> Vec<Vec<u8>> {
    let mut judge = WellFormed::new(Limits::default(), Dtd::Refuse);
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "xml") {
                found.push(std::fs::read(path).expect("the file can be read"));
            }
        }
    }
    // quick-xml's loop knows UTF-8 alone.
    found.retain(|document| judge.check(document).is_ok() && std::str::from_utf8(document).is_ok());
    found
}

/// Something done to a batch.
type Work<'w> = Box<dyn FnMut(&Arc<RawBatch>) -> usize + 'w>;

/// The best time of each work with each batch in several rounds, in MB/s over all: what else the machine does counts as
/// little as can be. All works have turns in each round, so that it counts for all of them alike.
fn measure(seconds: f64, batches: &[Arc<RawBatch>], mut works: Vec<Work<'_>>) -> Vec<f64> {
    let end = Instant::now() + Duration::from_secs_f64(seconds * works.len() as f64);
    let mut best = vec![vec![f64::INFINITY; batches.len()]; works.len()];
    while Instant::now() < end {
        for (number, batch) in batches.iter().enumerate() {
            for (work, best) in works.iter_mut().zip(&mut best) {
                let begun = Instant::now();
                black_box(work(batch));
                best[number] = best[number].min(begun.elapsed().as_secs_f64());
            }
        }
    }
    let bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    best.iter().map(|best| bytes as f64 / best.iter().sum::<f64>() / 1e6).collect()
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

fn batch(number: usize) -> Arc<RawBatch> {
    let first = number * MESSAGES;
    let messages: Vec<Vec<u8>> = (first..first + MESSAGES).map(|offset| message(offset as u64).into_bytes()).collect();
    gather(number, &messages)
}

fn gather(number: usize, payloads: &[Vec<u8>]) -> Arc<RawBatch> {
    let (mut bytes, mut messages) = (Vec::new(), Vec::new());
    let first = (number * payloads.len()) as i64;
    for (offset, payload) in (first..).zip(payloads) {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(payload);
        let payload = Some(start..bytes.len() as u32);
        messages.push(RawMessage {
            offset,
            timestamp_us: Some(1_793_600_000_000_000),
            key: None,
            payload,
            headers: vec![],
        });
    }
    Arc::new(RawBatch {
        source: TopicPartition::new("library", 0),
        generation: 0,
        seq: number as u64,
        piece: Piece::WHOLE,
        slot: None,
        range: OffsetRange::new(first, first + payloads.len() as i64).expect("a range"),
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
        let path = forebay::model::mapping::Path {
            from_root: path.starts_with('/'),
            steps: steps.into_iter().map(step).collect(),
            take,
        };
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
