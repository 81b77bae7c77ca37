use std::collections::BTreeSet;

use super::*;

fn library() -> Library {
    Library {
        seed: 7,
        books: BOOKS,
        broken: 0.09,
        resent: 0.05,
        changed: 0.05,
        repeated: REPEATED,
        last_date: jiff::civil::date(2026, 10, 28),
    }
}

#[test]
fn a_message_is_about_as_long_as_a_real_one() {
    let sizes: usize = (0..1000).map(|n| library().books(n)).map(|books| render("L1", &books).len()).sum();
    assert!((1050..1250).contains(&(sizes / 1000)), "{}", sizes / 1000);
}

#[test]
fn the_same_seed_gives_the_same_messages_and_another_one_does_not() {
    let other = Library { seed: 8, ..library() };
    assert!((0..500).all(|number| library().message(number) == library().message(number)));
    assert!((0..500).any(|number| library().message(number) != other.message(number)));
}

#[test]
fn shares_are_kept_and_each_flaw_comes_with_a_code_that_exists() {
    let library = library();
    let messages: Vec<Message> = (0..5000).map(|number| library.message(number)).collect();
    let count = |test: &dyn Fn(u64) -> bool| (0..5000).filter(|number| test(*number)).count();
    assert!((400..500).contains(&count(&|number| matches!(library.kind(number), Kind::Broken(_)))));
    assert!((200..300).contains(&count(&|number| matches!(library.kind(number), Kind::Resent(_)))));
    assert!((200..300).contains(&count(&|number| matches!(library.kind(number), Kind::Changed(_)))));
    for (number, message) in messages.iter().enumerate() {
        match library.kind(number as u64) {
            Kind::Resent(earlier) => assert_eq!(*message, messages[usize::try_from(earlier).unwrap()]),
            Kind::Changed(earlier) => {
                let before = &messages[usize::try_from(earlier).unwrap()];
                for (old, new) in before.rows.iter().zip(&message.rows) {
                    assert_eq!(old.record_id, new.record_id);
                    assert!(old.title != new.title && old.price != new.price && old.added <= new.added);
                }
            }
            Kind::Broken(flaw) => assert_eq!((message.codes, message.rows.len()), (flaw.codes(), 0)),
            Kind::Fresh => assert_eq!(message.outcome, Outcome::Rows),
        }
    }
    assert!(crate::produce::broken::codes_exist());
    let flaws: BTreeSet<_> = messages.iter().filter(|m| m.outcome == Outcome::Quarantined).map(|m| m.codes).collect();
    assert_eq!(flaws.len(), Flaw::ALL.len() - 1, "every flaw but the tombstone is in quarantine");
    assert!(messages.iter().any(|message| message.outcome == Outcome::Tombstone && message.payload.is_none()));
}

#[test]
fn changed_records_move_to_another_date_now_and_then() {
    let library = Library { changed: 0.5, ..library() };
    let moved = (0..1000).filter_map(|number| match library.kind(number) {
        Kind::Changed(earlier) => Some((library.books(earlier), library.message(number).rows)),
        _ => None,
    });
    let pairs: Vec<_> = moved.flat_map(|(old, new)| old.into_iter().zip(new)).collect();
    let moves = pairs.iter().filter(|(old, new)| old.added[..10] != new.added[..10]).count();
    assert!(moves * 2 > pairs.len() && moves < pairs.len());
}

#[test]
fn about_three_in_a_hundred_ids_come_again_unless_said_otherwise() {
    let percent = |repeated| {
        let library = Library { broken: 0.0, resent: 0.0, changed: 0.0, repeated, ..library() };
        let ids: Vec<String> = (0..10_000).flat_map(|n| library.message(n).rows).map(|book| book.record_id).collect();
        let distinct: BTreeSet<&String> = ids.iter().collect();
        100 * (ids.len() - distinct.len()) / ids.len()
    };
    assert!((2..=3).contains(&percent(REPEATED)), "{}", percent(REPEATED));
    assert_eq!(percent(0.0), 0);
}
