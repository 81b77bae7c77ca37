//! What a message goes through on the way to finished batches: the parser, the look at what it made, and the rules.

use std::sync::Arc;

use forebay::flow::parse::{Parser, ParserTable};
use forebay::flow::validate::{self, Rules};
use forebay::model::batch::{Outcome, RawBatch};
use forebay::model::mapping::{Mapping, ValueRules};
use forebay::model::table::{
    DateBound, OnBadDate, OnOutOfRange, ProcessedSettings, QuarantineSettings, RawSettings, Retire, StartingOffsets,
    Table, TopicChoice,
};

/// Parser and validator of one table.
pub(crate) struct Stages {
    parser: Parser,
    rules: Rules,
}

impl Stages {
    /// Those of a mapping; with `key`, columns of the record's id and date, also those of a table that is promoted.
    pub(crate) fn of(mapping: &Mapping, key: Option<(&str, &str)>) -> Self {
        let compiled = ParserTable::compile(mapping).expect("the mapping compiles");
        let tables: Arc<[ParserTable]> = Arc::from(vec![compiled]);
        let rules = Rules::new(&[table(mapping, key)], Arc::clone(&tables)).expect("the rules fit the mapping");
        Self { parser: Parser::new(tables), rules }
    }

    /// The rows of a batch, all of whose messages are good.
    pub(crate) fn rows(&mut self, batch: &Arc<RawBatch>) -> usize {
        let parsed = self.parser.parse(batch, Some(0)).expect("the parser works");
        validate::check(&parsed, batch.range.from(), |table| self.rules.top(table)).expect("nothing is lost");
        let valid = self.rules.apply(parsed, jiff::Timestamp::UNIX_EPOCH).expect("the rules work");
        let bad = valid.ledger.iter().find(|row| row.outcome != Outcome::Rows);
        assert_eq!(bad.map(|row| row.outcome), None, "every message is good");
        valid.tables.iter().map(|part| part.rows.num_rows()).sum()
    }
}

/// The mapping with rules on values of each kind.
pub(crate) fn ruled(mut mapping: Mapping) -> Mapping {
    for column in &mut mapping.columns {
        let text = |text: &str| Some(text.to_owned());
        column.rules = match column.name.as_str() {
            "branch" => ValueRules { regex: text("L[0-9]{1,2}"), ..ValueRules::default() },
            "book_id" => ValueRules { min_length: Some(10), max_length: Some(10), ..ValueRules::default() },
            "lang" => ValueRules { allowed: vec!["de".into(), "en".into(), "fr".into()], ..ValueRules::default() },
            "title" => ValueRules { max_length: Some(200), ..ValueRules::default() },
            "price" => ValueRules { min: text("0"), max: text("1000"), ..ValueRules::default() },
            "publication_year" => ValueRules { min: text("1450"), max: text("2100"), ..ValueRules::default() },
            _ => continue,
        };
    }
    mapping
}

fn table(mapping: &Mapping, key: Option<(&str, &str)>) -> Table {
    let processed = key.map(|(record_id, date)| ProcessedSettings {
        record_id: vec![record_id.to_owned()],
        version: None,
        date: date.to_owned(),
        date_zone: "UTC".to_owned(),
        on_bad_date: OnBadDate::Quarantine,
        date_min: DateBound::Date(jiff::civil::date(1970, 1, 1)),
        date_max: DateBound::Relative(1),
        retire: Retire::Immediate,
    });
    Table {
        name: Arc::from(mapping.name.as_str()),
        topics: TopicChoice::List(Vec::new()),
        when: None,
        mapping: Arc::new(mapping.clone()),
        starting_offsets: StartingOffsets::Earliest,
        on_offset_out_of_range: OnOutOfRange::Fail,
        raw: RawSettings::default(),
        quarantine: QuarantineSettings::default(),
        stop_when: None,
        processed,
    }
}
