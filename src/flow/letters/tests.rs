//! The sender on a real lake and a topic that does as it is told.

mod fixture;

use std::time::Duration;

use serde_json::{Value, json};

use self::fixture::{Lake, Sending, Telegraph, raw_batch, violation};
use super::letter::{Extent, Rows, Sender};
use super::sender::Order;
use crate::flow::buffer::quarantine::quarantine_rows;
use crate::model::batch::DeadLetter;
use crate::model::table::PayloadKept;
use crate::stage::exit::Exit;
use crate::storage::Kind;
use crate::storage::faulty::{Injected, Operation};

fn keys(telegraph: &Telegraph) -> Vec<String> {
    telegraph.sent().into_iter().map(|sent| sent.key).collect()
}

#[test]
fn a_letter_says_what_kafka_connect_would_and_all_that_is_known() {
    let raw = raw_batch(7, &[b"<broken"]);
    let letters = [DeadLetter { table: Some(0), message: 0, violations: vec![violation(), violation()] }];
    let letters: Vec<&DeadLetter> = letters.iter().collect();
    let now = "2026-10-01T00:00:00Z".parse().unwrap();
    let of = |kept| quarantine_rows(&raw, &letters, None, kept, now).next().unwrap().unwrap();
    let sender = Sender { group: "forebay", table: "books" };
    let text = |letter: &super::letter::Letter<'_>, name: &str| {
        let found = letter.headers.iter().rev().find(|(header, _)| header == name);
        found.map(|(_, value)| String::from_utf8(value.as_deref().unwrap().to_vec()).unwrap())
    };

    let batch = of(PayloadKept::Keep);
    let rows = Rows::of(&batch).unwrap();
    let letter = rows.letter(0, sender, Extent::Whole).unwrap();
    assert_eq!((letter.key.as_str(), letter.value), ("library:3:7", &b"<broken"[..]));
    assert_eq!((letter.headers[0].0.as_ref(), letter.headers[0].1.as_deref()), ("type", Some(&b"book"[..])));
    for (name, value) in [
        ("__connect.errors.topic", "library"),
        ("__connect.errors.partition", "3"),
        ("__connect.errors.offset", "7"),
        ("__connect.errors.connector.name", "forebay"),
        ("__connect.errors.task.id", "3"),
        ("__connect.errors.stage", "VALUE_CONVERTER"),
        ("__connect.errors.class.name", "forebay"),
        ("__connect.errors.exception.class.name", "type.int"),
        ("__connect.errors.exception.message", "not a number"),
        ("forebay.table", "books"),
        ("forebay.payload", "keep"),
        ("forebay.quarantined_at", "2026-10-01T00:00:00Z"),
        ("forebay.kafka_timestamp", "2023-11-14T22:13:20Z"),
        ("forebay.kafka_key", "key"),
    ] {
        assert_eq!(text(&letter, name).as_deref(), Some(value), "{name}");
    }
    let line = "type.int at /m/r/id line 3: not a number";
    assert_eq!(text(&letter, "__connect.errors.exception.stacktrace").unwrap(), format!("{line}\n{line}"));
    let violations: Value = serde_json::from_str(&text(&letter, "forebay.violations").unwrap()).unwrap();
    assert_eq!(violations.as_array().unwrap().len(), 2);
    let expected = json!({"code": "type.int", "column": "id", "path": "/m/r/id", "line": 3, "byte_offset": 57,
                          "value": "one", "message": "not a number"});
    assert_eq!(violations[0], expected);

    let lean = rows.letter(0, sender, Extent::NoPayload).unwrap();
    assert_eq!((lean.value, text(&lean, "forebay.payload").as_deref()), (&b""[..], Some("too-large")));
    let bare = rows.letter(0, sender, Extent::Bare).unwrap();
    assert_eq!((bare.value, text(&bare, "forebay.payload").as_deref()), (&b""[..], Some("too-large")));
    assert_eq!(["type", "forebay.kafka_key"].map(|name| text(&bare, name)), [None, None]);
    let violations: Value = serde_json::from_str(&text(&bare, "forebay.violations").unwrap()).unwrap();
    assert_eq!(violations, json!([expected]));
    assert_eq!(text(&bare, "forebay.left_out").as_deref(), Some("headers,key,violations"));
    assert_eq!(text(&lean, "forebay.left_out"), None);
    let batch = of(PayloadKept::Digest);
    let rows = Rows::of(&batch).unwrap();
    let digest = rows.letter(0, sender, Extent::Whole).unwrap();
    assert_eq!((digest.value, text(&digest, "forebay.payload").as_deref()), (&b""[..], Some("digest")));
    assert_eq!(text(&digest, "forebay.payload_sha256").unwrap().len(), 64);
    let batch = of(PayloadKept::None);
    let rows = Rows::of(&batch).unwrap();
    let none = rows.letter(0, sender, Extent::Whole).unwrap();
    assert_eq!((none.value, text(&none, "forebay.payload").as_deref()), (&b""[..], Some("none")));
    assert_eq!(text(&none, "forebay.payload_sha256"), None);
}

#[test]
fn every_committed_letter_is_sent_once_and_the_next_sender_knows() {
    let mut lake = Lake::new();
    lake.commit(20);
    let telegraph = Telegraph::default();
    let mut sending = Sending::new(&lake, &telegraph);
    sending.until_idle();
    assert_eq!(keys(&telegraph), (0..20).map(|offset| format!("library:3:{offset}")).collect::<Vec<_>>());
    lake.commit(3);
    sending.until_idle();
    assert_eq!(telegraph.len(), 20, "nobody has told the sender");
    sending.tell(Order::Committed(lake.lane()));
    sending.until_idle();
    assert_eq!((telegraph.len(), sending.observer.position()), (23, Some(23)));

    let mut next = Sending::new(&lake, &telegraph);
    next.tell(Order::Finish);
    assert_eq!(next.until_end(), Exit::Drained);
    assert_eq!(telegraph.len(), 23, "known to be sent");
}

#[test]
fn what_was_not_acknowledged_when_the_process_died_is_sent_again() {
    let mut lake = Lake::new();
    lake.commit(30);
    let telegraph = Telegraph::default();
    telegraph.hold_answers(true);
    let mut sending = Sending::new(&lake, &telegraph);
    (0..10).for_each(|_| drop(sending.step()));
    assert_eq!(telegraph.len(), 30, "all are with the topic");
    drop(sending);
    telegraph.hold_answers(false);
    let mut next = Sending::new(&lake, &telegraph);
    next.until_idle();
    assert_eq!(telegraph.len(), 60, "and none was known to be");
    assert_eq!(next.observer.position(), Some(30));
}

#[test]
fn a_topic_that_is_away_is_waited_for_and_nothing_is_lost() {
    let mut lake = Lake::new();
    lake.commit(5);
    let telegraph = Telegraph::default();
    telegraph.be_away(true);
    let mut sending = Sending::new(&lake, &telegraph);
    sending.until_idle();
    assert_eq!((telegraph.len(), sending.observer.faults().len()), (0, 1));
    let (fault, wait) = sending.observer.faults().remove(0);
    assert_eq!(fault.message, "dead letters of library:3 to dead: the topic is away");
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    lake.commit(5);
    sending.tell(Order::Committed(lake.lane()));
    sending.until_idle();
    assert_eq!(sending.observer.faults().len(), 1, "it rests");
    lake.clock.advance(Duration::from_secs(1));
    sending.until_idle();
    assert_eq!(sending.observer.faults().len(), 2, "and tries again");
    telegraph.be_away(false);
    lake.clock.advance(Duration::from_secs(60));
    sending.until_idle();
    assert_eq!(keys(&telegraph), (0..10).map(|offset| format!("library:3:{offset}")).collect::<Vec<_>>());
}

#[test]
fn a_letter_that_is_too_large_goes_without_its_payload_and_the_others_with_theirs() {
    let mut lake = Lake::new();
    let large = vec![b'x'; 5000];
    let payloads: Vec<&[u8]> = vec![b"<a", &large, b"<b", b"<c", &large];
    lake.commit_these(&payloads);
    let telegraph = Telegraph::default();
    telegraph.take_at_most(4000);
    let mut sending = Sending::new(&lake, &telegraph);
    sending.until_idle();
    let accepted: Vec<_> =
        telegraph.sent().into_iter().map(|sent| (sent.key, sent.value.len(), sent.payload)).collect();
    let expected = [(0, 2, "keep"), (1, 0, "too-large"), (2, 2, "keep"), (3, 2, "keep"), (4, 0, "too-large")];
    let expected = expected.map(|(offset, length, kept)| (format!("library:3:{offset}"), length, kept.to_owned()));
    assert_eq!(accepted, expected);
    assert_eq!((sending.observer.position(), sending.observer.faults().len()), (Some(5), 0));
    assert_eq!(sending.observer.sent(), 5, "each counts once");

    // A topic that does not even take the headers.
    lake.commit(1);
    telegraph.take_at_most(100);
    sending.tell(Order::Committed(lake.lane()));
    sending.until_idle();
    assert_eq!((sending.observer.position(), sending.observer.faults().len()), (Some(5), 1));
}

#[test]
fn a_letter_that_is_too_large_without_its_payload_goes_without_what_else_may_be_long() {
    let mut lake = Lake::new();
    lake.commit(1);
    lake.commit_keyed(&[b'k'; 5000]);
    lake.commit(1);
    let telegraph = Telegraph::default();
    telegraph.take_at_most(4000);
    let mut sending = Sending::new(&lake, &telegraph);
    sending.until_idle();
    let accepted: Vec<_> = telegraph.sent().into_iter().map(|sent| (sent.key, sent.payload)).collect();
    let expected = [(0, "keep"), (1, "too-large"), (2, "keep")];
    assert_eq!(accepted, expected.map(|(offset, kept)| (format!("library:3:{offset}"), kept.to_owned())));
    assert_eq!((sending.observer.position(), sending.observer.faults().len()), (Some(3), 0));
    assert_eq!(sending.observer.sent(), 3);
}

#[test]
fn a_lake_that_is_away_is_waited_for() {
    let mut lake = Lake::new();
    lake.commit(5);
    let fail = Injected::Fail(Kind::Unavailable);
    lake.faulty.inject(fail, |call| call.operation == Operation::Read && call.path.as_str().starts_with("quarantine"));
    let telegraph = Telegraph::default();
    let mut sending = Sending::new(&lake, &telegraph);
    sending.until_idle();
    assert_eq!((telegraph.len(), sending.observer.faults().len()), (0, 1));
    lake.faulty.heal();
    lake.clock.advance(Duration::from_secs(60));
    sending.until_idle();
    assert_eq!(telegraph.len(), 5);
}

#[test]
fn a_lane_that_somebody_else_has_is_left_to_him() {
    let mut lake = Lake::new();
    lake.commit(5);
    let telegraph = Telegraph::default();
    let mut sending = Sending::new(&lake, &telegraph);
    lake.take_over();
    sending.until_idle();
    // It could not know before it tried to say how far it was.
    assert_eq!((telegraph.len(), sending.observer.faults().len()), (5, 0));
    sending.tell(Order::Finish);
    assert_eq!(sending.until_end(), Exit::Drained);
    let mut next = Sending::new(&lake, &telegraph);
    next.until_idle();
    assert_eq!((telegraph.len(), next.observer.position()), (10, Some(5)));
}

#[test]
fn a_lane_that_was_let_go_is_not_waited_for() {
    let mut lake = Lake::new();
    lake.commit(5);
    let telegraph = Telegraph::default();
    telegraph.hold_answers(true);
    let mut sending = Sending::new(&lake, &telegraph);
    (0..5).for_each(|_| drop(sending.step()));
    sending.tell(Order::LetGo(lake.lane()));
    sending.tell(Order::Finish);
    assert_eq!(sending.until_end(), Exit::Drained);
}
