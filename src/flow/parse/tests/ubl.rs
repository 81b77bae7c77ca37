//! Real invoices, where they are present.

use std::path::PathBuf;

use super::*;
use crate::model::batch::Outcome;
use crate::model::mapping::{Child, Repeat, Unmapped};

const INVOICE: &str = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
const AGGREGATE: &str = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2";
const BASIC: &str = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2";

/// The folder of UBL documents: `FOREBAY_MESSAGES/ubl`.
fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("FOREBAY_MESSAGES")?).join("ubl");
    folder.is_dir().then_some(folder)
}

fn invoices() -> Mapping {
    let at = |path: &str| path.replace("cac:", &format!("{{{AGGREGATE}}}")).replace("cbc:", &format!("{{{BASIC}}}"));
    let mut columns = vec![
        column("invoice_id", &at("/cbc:ID"), Kind::String),
        column("issued", &at("/cbc:IssueDate"), Kind::Date),
        column("currency", &at("/cbc:DocumentCurrencyCode"), Kind::String),
        column("supplier", &at("/cac:AccountingSupplierParty cac:Party cac:PartyName cbc:Name"), Kind::String),
        column("customer", &at("/cac:AccountingCustomerParty cac:Party cac:PartyName cbc:Name"), Kind::String),
        column("payable", &at("/cac:LegalMonetaryTotal cbc:PayableAmount"), Kind::Decimal(18, 2)),
        column("line_id", &at("cbc:ID"), Kind::String),
        column("quantity", &at("cbc:InvoicedQuantity"), Kind::Decimal(18, 4)),
        column("unit", &at("cbc:InvoicedQuantity @unitCode"), Kind::String),
        column("amount", &at("cbc:LineExtensionAmount"), Kind::Decimal(18, 2)),
        column("amount_currency", &at("cbc:LineExtensionAmount @currencyID"), Kind::String),
        column("item", &at("cac:Item cbc:Name"), Kind::String),
        column("price", &at("cac:Price cbc:PriceAmount"), Kind::Decimal(18, 4)),
    ];
    columns[0].required = true;
    mapping(Some(&format!("{{{INVOICE}}}Invoice")), &at("cac:InvoiceLine"), columns)
}

#[test]
fn invoices_that_differ_only_in_prefixes_give_equal_rows() {
    let Some(folder) = folder() else {
        eprintln!("left out: FOREBAY_MESSAGES names no folder with ubl/ in it");
        return;
    };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (verdict, expected) = parse_one(&invoices(), &read("UBL-Invoice-2.0-Example.xml"));
    assert_eq!((verdict.outcome, verdict.violations), (Outcome::Rows, vec![]));
    assert!(!expected.is_empty());
    assert!(expected[0].starts_with("A00095678|2005-06-21|"), "{expected:?}");
    for number in 1..=4 {
        let (verdict, rows) = parse_one(&invoices(), &read(&format!("UBL-Invoice-2.0-Example-NS{number}.xml")));
        assert_eq!(verdict.violations, []);
        assert_eq!(rows, expected, "NS{number}");
    }
}

#[test]
fn every_real_document_is_read_to_its_end() {
    let Some(folder) = folder() else {
        eprintln!("left out: FOREBAY_MESSAGES names no folder with ubl/ in it");
        return;
    };
    let mut any = mapping(None, "", vec![]);
    any.limits.bytes = 1 << 30;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let (verdict, rows) = parse_one(&any, &text);
        assert_eq!((verdict.outcome, rows.len()), (Outcome::Rows, 1), "{}: {:?}", path.display(), verdict.violations);
    }
}

#[test]
fn children_lists_json_and_what_is_unmapped_do_not_hang_on_prefixes_either() {
    let Some(folder) = folder() else {
        eprintln!("left out: FOREBAY_MESSAGES names no folder with ubl/ in it");
        return;
    };
    let at = |path: &str| path.replace("cac:", &format!("{{{AGGREGATE}}}")).replace("cbc:", &format!("{{{BASIC}}}"));
    let mut party = column("supplier", &at("cac:AccountingSupplierParty"), Kind::Json);
    party.path.take = Take::Element;
    let mut notes = column("notes", &at("cbc:Note"), Kind::String);
    notes.repeat = Repeat::List;
    let mut lines = invoices();
    lines.columns.retain(|column| !column.path.from_root);
    let child = Child { name: "lines".to_owned(), rows: lines.rows.concat(), columns: lines.columns, children: vec![] };
    let root = format!("{{{INVOICE}}}Invoice");
    let mut mapping = mapping(Some(&root), "", vec![column("id", &at("cbc:ID"), Kind::String), notes, party]);
    mapping.children.push(child);
    for (prefix, uri) in [("cac", AGGREGATE), ("cbc", BASIC)] {
        mapping.namespaces.insert(prefix.to_owned(), uri.to_owned());
    }
    let read = |mapping: &Mapping, name: &str| {
        let parsed = parse(mapping, &[&std::fs::read_to_string(folder.join(name)).unwrap()]);
        assert_eq!(parsed.verdicts[0].violations, []);
        let drift = parsed.drift.iter().map(|count| (count.path.clone(), count.count)).collect::<Vec<_>>();
        (super::groups::tables(&parsed), drift)
    };
    for unmapped in [Unmapped::Count, Unmapped::Collect("rest".to_owned())] {
        mapping.unmapped = unmapped;
        let expected = read(&mapping, "UBL-Invoice-2.0-Example.xml");
        assert_eq!(expected.0.len(), 2);
        assert!(expected.0[0].1[0].contains(r#""cac:Party":{"cac:PartyName":{"cbc:Name":"#), "{expected:?}");
        assert_eq!(
            expected.1.iter().any(|(path, _)| &**path == "cac:Delivery/cbc:ActualDeliveryDate"),
            !expected.1.is_empty()
        );
        for number in 1..=4 {
            assert_eq!(read(&mapping, &format!("UBL-Invoice-2.0-Example-NS{number}.xml")), expected, "NS{number}");
        }
    }
}
