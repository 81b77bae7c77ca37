use std::collections::VecDeque;
use std::sync::Mutex;

use proptest::prelude::*;

use super::faults::OFFSETS_WENT_BACK;
use super::*;
use crate::fault::Verdict;

/// What a scripted source answers, in order; then nothing.
#[derive(Debug, Clone)]
enum Answer {
    Message(i64, Option<&'static str>, Option<Vec<u8>>),
    Eof(i64),
    Failed(Fault),
}

struct Script(VecDeque<Answer>, Option<Answer>);

impl Script {
    fn of(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(answers.into_iter().collect(), None)
    }
}

impl Fetch for Script {
    fn poll(&mut self, _timeout: Duration) -> Fetched<'_> {
        self.1 = self.0.pop_front();
        match &self.1 {
            None => Fetched::Nothing,
            Some(Answer::Eof(offset)) => Fetched::Eof(*offset),
            Some(Answer::Failed(fault)) => Fetched::Failed(fault.clone()),
            Some(Answer::Message(offset, key, payload)) => Fetched::Message(MessageView {
                offset: *offset,
                timestamp_us: Some(offset * 1000),
                key: key.map(str::as_bytes),
                payload: payload.as_deref(),
                headers: key.map(|key| (b"h".as_slice(), Some(key.as_bytes()))).into_iter().collect(),
            }),
        }
    }
}

#[derive(Clone, Copy)]
enum Refuse {
    Blocked,
    Closed,
}

#[derive(Clone, Default)]
struct Sink {
    taken: Arc<Mutex<Vec<RawBatch>>>,
    refuse: Arc<Mutex<Option<Refuse>>>,
}

impl RawSink for Sink {
    fn try_send(&mut self, batch: RawBatch, _timeout: Duration) -> Result<(), Refusal> {
        match *self.refuse.lock().unwrap() {
            Some(Refuse::Blocked) => return Err(Refusal::Blocked(batch)),
            Some(Refuse::Closed) => return Err(Refusal::Closed),
            None => {}
        }
        self.taken.lock().unwrap().push(batch);
        Ok(())
    }
}

fn message(offset: i64) -> Answer {
    Answer::Message(offset, Some("k"), Some(format!("payload {offset}").into_bytes()))
}

fn spec(position: i64, stop_at: Option<i64>) -> ReaderSpec {
    let limits = BatchLimits { bytes: 100, messages: 4, linger: Duration::ZERO, weight: 2 };
    ReaderSpec { source: TopicPartition::new("t", 0), generation: 7, position, known: None, stop_at, limits }
}

fn reader(spec: ReaderSpec, script: Script, budget: &MemoryBudget) -> (KafkaReaderStep<Script, Sink>, Sink) {
    let sink = Sink::default();
    (KafkaReaderStep::new(spec, script, sink.clone(), budget.clone(), Arc::default()), sink)
}

fn budget() -> MemoryBudget {
    MemoryBudget::new(64 << 20)
}

/// Steps until the reader ends or has found nothing to do.
fn run(reader: &mut KafkaReaderStep<Script, Sink>) -> Result<(), Exit> {
    loop {
        if reader.step()? == Progress::Idle {
            return Ok(());
        }
    }
}

fn ranges(sink: &Sink) -> Vec<(i64, i64, Vec<i64>)> {
    let offsets = |batch: &RawBatch| batch.messages.iter().map(|message| message.offset).collect();
    sink.taken.lock().unwrap().iter().map(|batch| (batch.range.from(), batch.range.to(), offsets(batch))).collect()
}

#[test]
fn a_batch_holds_what_was_sent_in_one_buffer() {
    let answers = [
        Answer::Message(5, Some("k"), Some(b"abc".to_vec())),
        Answer::Message(6, None, None),
        Answer::Message(7, None, Some(Vec::new())),
    ];
    let mut spec = spec(5, None);
    spec.limits.linger = Duration::from_secs(60);
    spec.limits.messages = 3;
    let (mut reader, sink) = reader(spec, Script::of(answers), &budget());
    run(&mut reader).unwrap();
    let taken = sink.taken.lock().unwrap();
    let batch = &taken[0];
    assert_eq!((batch.generation, batch.seq, batch.range.from(), batch.range.to()), (7, 0, 5, 8));
    let part = |span: &Option<Span>| span.as_ref().map(|span| batch.slice(span).to_vec());
    assert_eq!(part(&batch.messages[0].key).unwrap(), b"k");
    assert_eq!(part(&batch.messages[0].payload).unwrap(), b"abc");
    assert_eq!(batch.messages[0].timestamp_us, Some(5000));
    let (name, value) = &batch.messages[0].headers[0];
    assert_eq!((batch.slice(name), part(value).unwrap().as_slice()), (b"h".as_slice(), b"k".as_slice()));
    assert_eq!(part(&batch.messages[1].payload), None, "a tombstone has no payload");
    assert_eq!(part(&batch.messages[2].payload), Some(Vec::new()), "an empty payload is not a tombstone");
}

#[test]
fn another_message_in_the_place_of_the_last_one_that_was_read_ends_the_reader() {
    let known = |offset, timestamp_us| Some(LastMessage { offset, timestamp_us });
    let read = |known, answers: &[i64]| {
        let script = Script::of(answers.iter().map(|offset| message(*offset)));
        let (mut reader, sink) = reader(ReaderSpec { known, ..spec(10, None) }, script, &budget());
        (run(&mut reader), ranges(&sink).len(), reader.counters.stale.load(Ordering::Relaxed))
    };
    let (ended, batches, stale) = read(known(8, Some(8000)), &[8, 10]);
    assert!(ended.is_ok() && (batches, stale) == (1, 0), "it is the same, and was to be expected: {ended:?}");
    let (ended, batches, _) = read(known(8, Some(7000)), &[8, 10]);
    let Err(Exit::Failed(fault)) = ended else { panic!("{ended:?}") };
    assert_eq!((fault.event, fault.verdict, batches), (OFFSETS_WENT_BACK, Verdict::Halt, 0));
    assert!(fault.message.contains("`forebay rewind t:0 --to 8`"), "{fault}");
    let (ended, batches, _) = read(known(8, Some(7000)), &[10]);
    assert!(ended.is_ok() && batches == 1, "compacted away: nothing can be said");
    assert!(read(known(8, None), &[8, 10]).0.is_err());
}

#[test]
fn messages_below_the_position_are_dropped_and_counted() {
    let answers = [message(3), message(9), message(10), message(9), message(11)];
    let (mut reader, sink) = reader(spec(10, None), Script::of(answers), &budget());
    run(&mut reader).unwrap();
    let all: Vec<i64> = ranges(&sink).into_iter().flat_map(|(_, _, offsets)| offsets).collect();
    assert_eq!(all, [10, 11]);
    assert_eq!(reader.counters.stale.load(Ordering::Relaxed), 3);
}

#[test]
fn holes_lie_inside_the_interval_and_an_end_without_messages_moves_the_position() {
    let (mut reader, sink) = reader(spec(0, None), Script::of([Answer::Eof(0), Answer::Eof(6), message(8)]), &budget());
    run(&mut reader).unwrap();
    assert_eq!(ranges(&sink), [(0, 6, vec![]), (6, 9, vec![8])]);
    assert_eq!(reader.counters.position.load(Ordering::Relaxed), 9);
}

#[test]
fn an_end_below_the_position_moves_nothing() {
    let (mut reader, sink) = reader(spec(50, None), Script::of([Answer::Eof(20)]), &budget());
    run(&mut reader).unwrap();
    assert_eq!((ranges(&sink).len(), reader.position()), (0, 50));
}

#[test]
fn a_bounded_run_ends_exactly_at_its_bound() {
    for answers in [
        vec![message(0), message(1), message(2)],
        vec![message(0), Answer::Eof(2)],
        vec![message(0), Answer::Eof(5)],
        vec![message(0), message(7)],
    ] {
        let (mut reader, sink) = reader(spec(0, Some(2)), Script::of(answers), &budget());
        assert_eq!(run(&mut reader), Err(Exit::Drained));
        assert_eq!(ranges(&sink).last().unwrap().1, 2);
        assert!(ranges(&sink).iter().all(|(_, _, offsets)| offsets.iter().all(|offset| *offset < 2)));
    }
    let (mut reader, _) = reader(spec(2, Some(2)), Script::of([message(2)]), &budget());
    assert_eq!(reader.step(), Err(Exit::Drained));
}

#[test]
fn a_fault_ends_the_reader_at_once() {
    let fault = Fault::halt("kafka.offset-out-of-range", "gone");
    let mut spec = spec(0, None);
    spec.limits.linger = Duration::from_secs(60);
    let (mut reader, sink) =
        reader(spec, Script::of([message(0), Answer::Failed(fault.clone()), message(9)]), &budget());
    assert_eq!(run(&mut reader), Err(Exit::Failed(fault)));
    assert!(ranges(&sink).is_empty());
}

#[test]
fn without_room_nothing_is_polled_and_nothing_is_lost() {
    let (mut reader, sink) = reader(spec(0, None), Script::of((0..9).map(message)), &budget());
    *sink.refuse.lock().unwrap() = Some(Refuse::Blocked);
    while reader.step() != Ok(Progress::Blocked) {}
    let left = reader.fetch.0.len();
    for _ in 0..3 {
        assert_eq!(reader.step(), Ok(Progress::Blocked));
    }
    assert_eq!(reader.fetch.0.len(), left, "a blocked reader polls nothing");
    *sink.refuse.lock().unwrap() = None;
    run(&mut reader).unwrap();
    let all: Vec<i64> = ranges(&sink).into_iter().flat_map(|(_, _, offsets)| offsets).collect();
    assert_eq!(all, (0..9).collect::<Vec<_>>());
    *sink.refuse.lock().unwrap() = Some(Refuse::Closed);
    reader.fetch.0.push_back(message(9));
    assert_eq!(run(&mut reader), Err(Exit::DownstreamClosed));
}

#[test]
fn without_memory_nothing_is_polled_and_the_wait_is_counted() {
    let budget = MemoryBudget::new(1 << 20);
    let held = budget.take(1 << 20);
    let (mut reader, sink) = reader(spec(0, None), Script::of([message(0)]), &budget);
    assert_eq!(reader.step(), Ok(Progress::Blocked));
    assert_eq!(reader.fetch.0.len(), 1);
    assert!(reader.counters.waited_us.load(Ordering::Relaxed) > 10_000);
    drop(held);
    run(&mut reader).unwrap();
    assert_eq!(ranges(&sink).len(), 1);
}

#[test]
fn a_batch_holds_its_share_of_the_budget_until_it_is_dropped() {
    let budget = budget();
    let payload = vec![b'x'; 3 << 20];
    let (mut reader, sink) = reader(spec(0, None), Script::of([Answer::Message(0, None, Some(payload))]), &budget);
    run(&mut reader).unwrap();
    assert_eq!(budget.used(), 2 * (3 << 20));
    sink.taken.lock().unwrap().clear();
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_message_larger_than_the_whole_budget_passes() {
    let budget = MemoryBudget::new(1 << 20);
    let payload = vec![b'x'; 20 << 20];
    let (mut reader, sink) = reader(spec(0, None), Script::of([Answer::Message(0, None, Some(payload))]), &budget);
    assert_eq!(reader.step(), Ok(Progress::Worked));
    assert_eq!(sink.taken.lock().unwrap()[0].bytes.len(), 20 << 20);
    assert_eq!(reader.step(), Ok(Progress::Blocked), "until it is parsed, nothing more is taken");
}

#[test]
fn pause_hands_on_what_is_there_and_drain_ends_after_it() {
    let mut spec = spec(0, None);
    spec.limits.linger = Duration::from_secs(60);
    let (mut reader, sink) = reader(spec, Script::of([message(0)]), &budget());
    assert_eq!(reader.step(), Ok(Progress::Worked));
    assert!(ranges(&sink).is_empty(), "it lingers");
    reader.command(Command::Pause);
    run(&mut reader).unwrap();
    assert_eq!(ranges(&sink), [(0, 1, vec![0])]);
    reader.fetch.0.push_back(message(1));
    run(&mut reader).unwrap();
    assert_eq!(reader.fetch.0.len(), 1, "a paused reader polls nothing");
    reader.command(Command::Resume);
    assert_eq!(reader.step(), Ok(Progress::Worked));
    reader.command(Command::Drain);
    assert_eq!(run(&mut reader), Err(Exit::Drained));
    assert_eq!(ranges(&sink), [(0, 1, vec![0]), (1, 2, vec![1])]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever comes, in whatever batches: intervals are a chain, and each message is in it once.
    #[test]
    fn intervals_chain_and_messages_come_once(
        steps in proptest::collection::vec((0_i64..4, 0_usize..60, any::<bool>(), any::<bool>()), 0..60),
        blocked in proptest::collection::vec(any::<bool>(), 1..20),
    ) {
        let (mut answers, mut sent, mut next) = (Vec::new(), Vec::new(), 10_i64);
        for (hole, length, again, end) in steps {
            next += hole;
            answers.push(Answer::Message(next, None, Some(vec![b'x'; length])));
            sent.push(next);
            if again {
                answers.push(message(next - hole));
            }
            next += 1;
            if end {
                answers.push(Answer::Eof(next));
            }
        }
        let (mut reader, sink) = reader(spec(10, None), Script::of(answers), &budget());
        for refuse in blocked {
            *sink.refuse.lock().unwrap() = refuse.then_some(Refuse::Blocked);
            if !reader.fetch.0.is_empty() {
                reader.step().unwrap();
            }
        }
        *sink.refuse.lock().unwrap() = None;
        while !reader.fetch.0.is_empty() {
            reader.step().unwrap();
        }
        reader.command(Command::Drain);
        prop_assert_eq!(run(&mut reader), Err(Exit::Drained));
        let mut position = 10;
        let mut seen = Vec::new();
        for (index, batch) in sink.taken.lock().unwrap().iter().enumerate() {
            prop_assert_eq!(batch.range.from(), position);
            prop_assert_eq!(batch.seq, index as u64);
            position = batch.range.to();
            for message in &batch.messages {
                prop_assert!(batch.range.contains(message.offset));
                seen.push(message.offset);
            }
        }
        prop_assert_eq!(position, reader.position());
        prop_assert_eq!(seen, sent);
    }
}
