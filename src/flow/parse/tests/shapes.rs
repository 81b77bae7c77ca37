//! Any document of a shape, under any policies: its rows are those that a plain model of the policies makes of it, and
//! bad rows and bad messages leave no trace.

use proptest::prelude::*;

use super::*;
use crate::model::batch::Outcome;
use crate::model::mapping::{Child, Repeat, Unmapped};

#[derive(Debug, Clone)]
struct Order {
    /// None is missing, an error is not a number.
    id: Option<Result<i32, ()>>,
    notes: Vec<Option<String>>,
    authors: Vec<Author>,
    items: Vec<Item>,
    order: u8,
}

#[derive(Debug, Clone)]
struct Author {
    name: Option<String>,
    tags: Vec<String>,
}

#[derive(Debug, Clone)]
struct Item {
    n: Option<Result<i32, ()>>,
    subs: Vec<String>,
}

fn number() -> impl Strategy<Value = Option<Result<i32, ()>>> {
    prop_oneof![2 => Just(None), 8 => any::<i32>().prop_map(|number| Some(Ok(number))), 1 => Just(Some(Err(())))]
}

fn word() -> impl Strategy<Value = String> {
    "[a-z]{1,5}"
}

prop_compose! {
    fn orders()(
        id in number(),
        notes in proptest::collection::vec(proptest::option::of(word()), 0..4),
        authors in proptest::collection::vec(
            (proptest::option::of(word()), proptest::collection::vec(word(), 0..3)), 0..4),
        items in proptest::collection::vec((number(), proptest::collection::vec(word(), 0..3)), 0..4),
        order in any::<u8>(),
    ) -> Order {
        let authors = authors.into_iter().map(|(name, tags)| Author { name, tags }).collect();
        let items = items.into_iter().map(|(n, subs)| Item { n, subs }).collect();
        Order { id, notes, authors, items, order }
    }
}

fn message(branch: &str, orders: &[Order]) -> String {
    let number = |number: &Option<Result<i32, ()>>, name: &str| match number {
        None => String::new(),
        Some(Ok(number)) => format!(" {name}='{number}'"),
        Some(Err(())) => format!(" {name}='none'"),
    };
    let mut out = String::from("<m><unmapped>x</unmapped>");
    for order in orders {
        let mut parts = Vec::new();
        for note in &order.notes {
            parts.push(note.as_ref().map_or("<note/>".to_owned(), |note| format!("<note>{note}</note>")));
        }
        for Author { name, tags } in &order.authors {
            let name = name.as_ref().map_or(String::new(), |name| format!("<name>{name}</name>"));
            let tags: String = tags.iter().map(|tag| format!("<tag>{tag}</tag>")).collect();
            parts.push(format!("<author>{tags}{name}<other/></author>"));
        }
        for Item { n, subs } in &order.items {
            let subs: String = subs.iter().map(|sub| format!("<sub>{sub}</sub>")).collect();
            parts.push(format!("<items><item{}>{subs}</item></items>", number(n, "n")));
        }
        // Turned, not mixed: occurrences of one name keep their order, or which is first would change.
        let turn = usize::from(order.order) % (parts.len() + 1);
        let mut kinds: Vec<Vec<String>> = Vec::new();
        for part in parts {
            let name = part[1..5].to_owned();
            match kinds.iter_mut().find(|kind| kind[0][1..5] == name) {
                Some(kind) => kind.push(part),
                None => kinds.push(vec![part]),
            }
        }
        let by = turn % kinds.len().max(1);
        kinds.rotate_left(by);
        out.push_str(&format!("<order{}>{}</order>\n", number(&order.id, "id"), kinds.concat().concat()));
    }
    out + &format!("<branch>{branch}</branch></m>")
}

fn mapping_of(notes: Repeat, authors: Repeat) -> Mapping {
    let list = |name: &str| Column { repeat: Repeat::List, ..column(name, name.trim_end_matches('s'), Kind::String) };
    let mut author =
        column("author", "author", Kind::Struct(vec![column("name", "name", Kind::String), list("tags")].into()));
    author.repeat = authors;
    author.path.take = Take::Element;
    let columns = vec![
        column("id", "@id", Kind::Int32),
        column("branch", "/branch", Kind::String),
        Column { repeat: notes, ..column("notes", "note", Kind::String) },
        author,
    ];
    let subs = Child {
        name: "subs".to_owned(),
        rows: vec![name("sub").into()],
        columns: vec![column("sub", "text()", Kind::String)],
        children: vec![],
    };
    let items = Child {
        name: "items".to_owned(),
        rows: vec![name("items").into(), name("item").into()],
        columns: vec![
            column("n", "@n", Kind::Int32),
            column("branch", "/branch", Kind::String),
            column("order", "/order @id", Kind::Int32),
        ],
        children: vec![subs],
    };
    Mapping { children: vec![items], ..mapping(Some("m"), "order", columns) }
}

fn policies() -> impl Strategy<Value = Repeat> {
    proptest::sample::select(vec![
        Repeat::First,
        Repeat::Last,
        Repeat::List,
        Repeat::Count,
        Repeat::Index(1),
        Repeat::Index(2),
        Repeat::Join("+".into()),
        Repeat::Json,
    ])
}

fn or_null(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

/// What a policy makes of occurrences; null ones are none.
fn apply(repeat: &Repeat, all: &[Option<String>]) -> String {
    if let Repeat::Count = repeat {
        return all.len().to_string();
    }
    let inside = |value: &Option<String>| value.clone().unwrap_or_default();
    let given: Vec<String> = all.iter().flatten().cloned().collect();
    or_null(match repeat {
        Repeat::First => all.first().cloned().flatten(),
        Repeat::Last => all.last().cloned().flatten(),
        Repeat::Index(number) => all.get(*number as usize - 1).cloned().flatten(),
        Repeat::List if all.is_empty() => None,
        Repeat::List => Some(format!("[{}]", all.iter().map(inside).collect::<Vec<_>>().join(", "))),
        Repeat::Join(separator) => Some(given.join(separator)).filter(|_| !given.is_empty()),
        Repeat::Json if all.is_empty() => None,
        _ => Some(serde_json::to_string(all).unwrap()),
    })
}

/// Rows of the three tables, with `row_index` and ordinals.
fn expected(orders: &[Order], branch: &str, notes: &Repeat, authors: &Repeat) -> [Vec<String>; 3] {
    let [mut rows, mut items, mut subs] = [const { Vec::new() }; 3];
    for (row_index, order) in orders.iter().enumerate() {
        let id = match order.id {
            Some(Err(())) => continue,
            Some(Ok(id)) => id.to_string(),
            None => "-".to_owned(),
        };
        let shown: Vec<Option<String>> = order
            .authors
            .iter()
            .map(|Author { name, tags }| {
                let tags = if tags.is_empty() { String::new() } else { format!("[{}]", tags.join(", ")) };
                Some(format!("{{name: {}, tags: {tags}}}", name.clone().unwrap_or_default()))
            })
            .collect();
        let (notes, authors) = (apply(notes, &order.notes), apply(authors, &shown));
        rows.push(format!("{id}|{branch}|{notes}|{authors}|{row_index}"));
        let mut sub_ordinal = 0;
        for (ordinal, item) in order.items.iter().enumerate() {
            let n = match item.n {
                Some(Err(())) => None,
                Some(Ok(n)) => Some(n.to_string()),
                None => Some("-".to_owned()),
            };
            for sub in &item.subs {
                if n.is_some() {
                    subs.push(format!("{sub}|{row_index}|{sub_ordinal}|{ordinal}"));
                }
                sub_ordinal += 1;
            }
            items.extend(n.map(|n| format!("{n}|{branch}|{id}|{row_index}|{ordinal}")));
        }
    }
    [rows, items, subs]
}

fn is_bad(order: &Order) -> bool {
    order.id == Some(Err(())) || order.items.iter().any(|item| item.n == Some(Err(())))
}

fn rows_of(parsed: &ParsedBatch) -> [Vec<String>; 3] {
    let mut all = [const { Vec::new() }; 3];
    for (table, rows) in super::groups::tables(parsed) {
        all[usize::from(table)].extend(rows);
    }
    all
}

proptest! {
    #[test]
    fn rows_are_what_the_policies_say(
        messages in proptest::collection::vec((word(), proptest::collection::vec(orders(), 0..4), any::<bool>()), 1..5),
        cut in any::<prop::sample::Index>(),
        notes in policies(),
        authors in policies().prop_filter("text only", |policy| !matches!(policy, Repeat::Join(_) | Repeat::Json)),
        keeps_good_rows in any::<bool>(),
    ) {
        let mut mapping = mapping_of(notes.clone(), authors.clone());
        if keeps_good_rows {
            mapping.on_bad_message = OnBadMessage::KeepGoodRows;
        }
        let mut payloads = Vec::new();
        let mut wanted = [const { Vec::new() }; 3];
        for (branch, orders, is_broken) in &messages {
            let whole = message(branch, orders);
            let end = if *is_broken { cut.index(whole.len() - 1) } else { whole.len() };
            payloads.push(whole[..end].to_owned());
            if !is_broken && (keeps_good_rows || !orders.iter().any(is_bad)) {
                let rows = expected(orders, branch, &notes, &authors);
                wanted.iter_mut().zip(rows).for_each(|(wanted, rows)| wanted.extend(rows));
            }
        }
        let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
        let parsed = parse(&mapping, &payloads);
        prop_assert_eq!(rows_of(&parsed), wanted, "{:#?}", payloads);
        for (verdict, (_, orders, is_broken)) in parsed.verdicts.iter().zip(&messages) {
            let is_good = !is_broken && !orders.iter().any(is_bad);
            prop_assert_eq!(verdict.outcome == Outcome::Rows, is_good);
            prop_assert_eq!(verdict.violations.is_empty(), is_good);
        }
    }

    #[test]
    fn any_damage_to_any_shape_has_a_clean_verdict_and_leaves_the_neighbours_alone(
        orders in proptest::collection::vec(orders(), 1..4),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), piece(), 0_u8..3), 1..4),
        notes in policies(),
        authors in policies().prop_filter("text only", |policy| !matches!(policy, Repeat::Join(_) | Repeat::Json)),
        unmapped in proptest::sample::select(
            vec![Unmapped::Ignore, Unmapped::Count, Unmapped::Reject, Unmapped::Collect("rest".to_owned())]),
        (keeps_good_rows, nulls_bad_fields, has_groups) in any::<(bool, bool, bool)>(),
    ) {
        let mut mapping = Mapping { unmapped, ..mapping_of(notes, authors) };
        for (kind, path, repeat) in
            [(Kind::Xml, "author", Repeat::List), (Kind::Json, "author", Repeat::Last), (Kind::Json, "/branch", Repeat::Json)]
        {
            let mut column = column(&format!("{kind:?}{repeat:?}"), path, kind);
            (column.path.take, column.repeat) = (Take::Element, repeat);
            mapping.columns.push(column);
        }
        mapping.columns.push(column("all", "string()", Kind::String));
        if has_groups {
            mapping.rows.push(vec![name("author").into()]);
            mapping.children.clear();
        }
        if keeps_good_rows {
            mapping.on_bad_message = OnBadMessage::KeepGoodRows;
        }
        if nulls_bad_fields {
            mapping.on_bad_field = OnBadField::Null;
        }
        let good = message("b", &orders);
        let mut bad = good.clone();
        for (at, piece, how) in damage {
            let at = at.index(bad.len());
            match how {
                0 => bad.replace_range(at..=at, ""),
                1 => bad.insert_str(at, piece),
                _ => bad.replace_range(at..=at, piece),
            }
        }
        let alone = parse(&mapping, &[&good]);
        let parsed = parse(&mapping, &[&good, &bad, &good]);
        super::properties::is_conserved(&parsed);
        prop_assert_eq!(&parsed.verdicts[0], &alone.verdicts[0]);
        prop_assert_eq!(&parsed.verdicts[2], &alone.verdicts[0]);
        for part in &alone.tables {
            let all = parsed.tables.iter().find(|all| all.table == part.table).unwrap();
            let of = |wanted: u32| -> Vec<String> {
                let rows = super::shown(&all.rows);
                rows.into_iter().zip(&all.message).filter(|(_, message)| **message == wanted).map(|(row, _)| row).collect()
            };
            prop_assert_eq!(of(0), super::shown(&part.rows));
            prop_assert_eq!(of(2), super::shown(&part.rows));
        }
    }
}

/// Something to damage a message with.
fn piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "<",
        ">",
        "/",
        "&",
        "&amp;",
        " ",
        "x",
        "<order>",
        "</order>",
        "<author/>",
        "<item n='1'/>",
        "<!---->",
        "<note>",
        "'",
        "<branch>b</branch>",
        " i:nil='true' xmlns:i='http://www.w3.org/2001/XMLSchema-instance'",
        " id='2'",
        " xmlns='u'",
    ])
}
