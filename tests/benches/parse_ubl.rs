//! Real UBL invoices, and mappings of them.

use std::path::PathBuf;

use forebay::model::mapping::{Child, Column, Kind, Mapping, Name, Path, Repeat, Step, Take};

const INVOICE: &str = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
const AGGREGATE: &str = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2";
const BASIC: &str = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2";

/// The invoices in `ubl` below a folder of real documents.
pub(crate) fn invoices(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let Ok(files) = std::fs::read_dir(folder.join("ubl")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort();
    let is_invoice = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.contains("UBL-Invoice-2") && !name.contains("Signature")
    };
    paths.iter().filter(|path| is_invoice(path)).filter_map(|path| std::fs::read(path).ok()).collect()
}

fn name(text: &str) -> Name {
    let (namespace, local) = match text.split_once(':') {
        Some(("cac", local)) => (Some(AGGREGATE.into()), local),
        Some(("cbc", local)) => (Some(BASIC.into()), local),
        _ => (None, text),
    };
    Name { namespace, local: local.into() }
}

fn column(title: &str, path: &str, kind: Kind) -> Column {
    let all = path.trim_start_matches('/').split('/').filter(|step| !step.is_empty());
    let (attributes, steps): (Vec<&str>, Vec<&str>) = all.partition(|step| step.starts_with('@'));
    let take = attributes.first().map_or(Take::Text, |attribute| Take::Attribute(name(&attribute[1..])));
    let steps = steps.into_iter().map(|step| Step::from(name(step))).collect();
    Column::new(title, Path { from_root: path.starts_with('/'), steps, take }, kind)
}

fn of_the_invoice() -> Vec<Column> {
    let party = |title: &str, path: &str| column(title, path, Kind::String);
    let mut columns = vec![
        column("invoice_id", "/cbc:ID", Kind::String),
        column("issued", "/cbc:IssueDate", Kind::Date),
        column("type_code", "/cbc:InvoiceTypeCode", Kind::String),
        column("currency", "/cbc:DocumentCurrencyCode", Kind::String),
        party("supplier", "/cac:AccountingSupplierParty/cac:Party/cac:PartyName/cbc:Name"),
        party("supplier_city", "/cac:AccountingSupplierParty/cac:Party/cac:PostalAddress/cbc:CityName"),
        party("customer", "/cac:AccountingCustomerParty/cac:Party/cac:PartyName/cbc:Name"),
        party("customer_city", "/cac:AccountingCustomerParty/cac:Party/cac:PostalAddress/cbc:CityName"),
        column("net", "/cac:LegalMonetaryTotal/cbc:LineExtensionAmount", Kind::Decimal(18, 2)),
        column("payable", "/cac:LegalMonetaryTotal/cbc:PayableAmount", Kind::Decimal(18, 2)),
    ];
    columns.iter_mut().for_each(|column| column.repeat = Repeat::First);
    columns
}

fn of_the_line() -> Vec<Column> {
    let mut columns = vec![
        column("line_id", "cbc:ID", Kind::String),
        column("quantity", "cbc:InvoicedQuantity", Kind::Decimal(18, 4)),
        column("unit", "cbc:InvoicedQuantity/@unitCode", Kind::String),
        column("amount", "cbc:LineExtensionAmount", Kind::Decimal(18, 2)),
        column("amount_currency", "cbc:LineExtensionAmount/@currencyID", Kind::String),
        column("item", "cac:Item/cbc:Name", Kind::String),
        column("seller_id", "cac:Item/cac:SellersItemIdentification/cbc:ID", Kind::String),
        column("price", "cac:Price/cbc:PriceAmount", Kind::Decimal(18, 4)),
        column("tax", "cac:TaxTotal/cbc:TaxAmount", Kind::Decimal(18, 4)),
        column("note", "cbc:Note", Kind::String),
    ];
    columns.iter_mut().for_each(|column| column.repeat = Repeat::First);
    columns
}

fn any(columns: Vec<Column>) -> Mapping {
    let root = Name { namespace: Some(INVOICE.into()), local: "Invoice".into() };
    let mut mapping = Mapping { root: Some(root), ..Mapping::new("invoices.toml", columns) };
    for (prefix, uri) in [("cac", AGGREGATE), ("cbc", BASIC)] {
        mapping.namespaces.insert(prefix.to_owned(), uri.to_owned());
    }
    mapping
}

/// 20 columns, and a row for each line.
pub(crate) fn mapping() -> Mapping {
    let columns = of_the_invoice().into_iter().chain(of_the_line()).collect();
    Mapping { rows: vec![vec![name("cac:InvoiceLine").into()]], ..any(columns) }
}

/// A row for each invoice, the lines in a table of their own.
pub(crate) fn with_children() -> Mapping {
    let rows = vec![name("cac:InvoiceLine").into()];
    let lines = Child { name: "lines".to_owned(), rows, columns: of_the_line(), children: Vec::new() };
    Mapping { children: vec![lines], ..any(of_the_invoice()) }
}
