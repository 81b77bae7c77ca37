//! What is wrong with a mapping, each problem with its key, its line and what would be right.

use super::*;

fn message_says(message: &str, what: &str) {
    assert_eq!(said(&with_message(message)), [format!("m.toml:5: message.{what}")], "{message}");
}

fn of_column(keys: &str, what: &str) {
    assert_eq!(column_says(keys), what, "{keys}");
}

#[test]
fn the_head_of_the_file() {
    let wrong = "version = 0\nformat = \"json\"\ncompatibility = \"full\"\nfields = 1\n[limits]\ndepth = 0\nbytes = \"2GiB\"\n\
                 text = -1\nrow = 1\n[on_error]\nfield = \"drop\"\n[namespaces]\nxml = \"urn:x\"\na = \" \"\nb = \"\"\n\
                 [[column]]\nname = \"c\"\npath = \"c\"\ntype = \"string\"\n";
    let expected = [
        "m.toml:1: version: 0 is out of bounds; take at least 1",
        "m.toml:2: format: format json is not available in this version; take xml",
        "m.toml:3: compatibility: \"full\" is not a choice; take backward or none",
        "m.toml:4: fields: unknown key; known here: child, column, compatibility, format, limits, message, namespaces, on_error, version",
        "m.toml:6: limits.depth: 0 is out of bounds; take at least 1",
        "m.toml:7: limits.bytes: 2GiB is out of bounds; take at most 1GiB",
        "m.toml:8: limits.text: expected a number of bytes, or a size such as \"64kB\", found -1",
        "m.toml:9: limits.row: unknown key; did you mean rows?",
        "m.toml:11: on_error.field: \"drop\" is not a choice; take quarantine or null",
        "m.toml:13: namespaces.xml: not a prefix; take a short name that does not begin with xml",
        "m.toml:15: namespaces.b: a prefix needs the URI it stands for; names in no namespace are written bare",
    ];
    assert_eq!(said(wrong), expected);
    let nothing = said("");
    assert_eq!(nothing.len(), 3, "{nothing:?}");
    assert!(nothing.iter().any(|problem| problem.contains("column: there is no column")), "{nothing:?}");
}

#[test]
fn the_message() {
    message_says("root = \"1x\"", "root: \"1x\" is not the name of an element or attribute");
    message_says("dtd = \"ignore\"", "dtd: \"ignore\" is not a choice; take refuse or ignore-external");
    message_says("unmapped = \"counts\"", "unmapped: \"counts\" is not a choice; did you mean count?");
    message_says(
        "unmapped = \"collect\"",
        "unmapped: \"collect\" is not a choice; write collect(COLUMN), such as collect(rest)",
    );
    message_says(
        "unmapped = \"collect(row_index)\"",
        "unmapped: row_index is a column that forebay adds; take another name, or give that of forebay another in [table.lineage] of the configuration",
    );
    message_says("xsd = \"\"", "xsd: is empty; write the path of the schema, from the folder of this file");
    message_says("row = \"b\"", "row: unknown key; did you mean rows?");
    let taken = said(&with_message("unmapped = \"collect(C)\""));
    assert_eq!(taken, ["m.toml:7: column.name: c is the column that collects what is unmapped; take another name"]);
}

#[test]
fn several_rows_only_where_one_lies_inside_the_other() {
    let why = "rows of both would multiply each other; write \"book/…\" if it does lie there (each path begins below the \
               root), or take one as rows and the other as a [[child]]";
    message_says("rows = [\"book\", \"magazine\"]", &format!("rows: magazine does not lie inside book, and {why}"));
    message_says("rows = [\"book\", \"book\"]", "rows: book stands twice; name it once");
    message_says("rows = []", "rows: there is no path; write the path of the row element, or leave the key out");
    message_says("rows = [\"a\", 1]", "rows: expected a text in quotes, found 1");
    message_says("rows = 1", "rows: expected a list in brackets, found 1");
    let deep = said(&format!("{HEAD}[limits]\ndepth = 2\n[message]\nrows = \"a/b\"\n{COLUMN}"));
    assert_eq!(deep, ["m.toml:7: message.rows: lies 3 elements deep, and limits.depth is 2; raise limits.depth"]);
}

#[test]
fn columns_of_one_name() {
    let column = |name: &str| format!("[[column]]\nname = \"{name}\"\npath = \"c\"\ntype = \"strin\"\n");
    let text = format!("{HEAD}{}{}{}", column("price"), column("Price"), column("dt"));
    let expected = [
        "m.toml:7: column.type: \"strin\" is not a type; did you mean string?",
        "m.toml:9: column.name: a second column Price; take another name; engines compare names without regard to case",
        "m.toml:11: column.type: \"strin\" is not a type; did you mean string?",
        "m.toml:13: column.name: dt is a column that the folders of the table give; take another name",
        "m.toml:15: column.type: \"strin\" is not a type; did you mean string?",
    ];
    assert_eq!(said(&text), expected);
}

#[test]
fn what_a_column_needs() {
    let expected = [
        "m.toml:5: column.path: missing; write path = \"…\", steps from the row",
        "m.toml:5: column.type: missing; write type = \"string\", for example",
        "m.toml:6: column.name: \"1c\" is not the name of a column; take letters, digits and _, not beginning with a digit: every engine reads such names",
        "m.toml:7: column.requird: unknown key; did you mean required?",
    ];
    assert_eq!(said(&format!("{HEAD}[message]\n[[column]]\nname = \"1c\"\nrequird = true\n")), expected);
    of_column(
        "path = \"a\"\ntype = \"string\"\nrequired = \"yes\"",
        "9: column.required: expected true or false, found \"yes\"",
    );
    of_column(
        "path = \"a\"\ntype = \"string\"\ndefault = \"x\"\nrequired = true",
        "9: column.default: the column is required besides; keep one: a default stands for what is missing, so nothing ever is",
    );
}

#[test]
fn types() {
    for (text, what) in [
        ("long", "\"long\" is not a type; did you mean int64?"),
        ("timestmap", "\"timestmap\" is not a type; did you mean timestamp?"),
        ("decimal", "\"decimal\" is not a type; write decimal(precision,scale), such as decimal(18,2)"),
        ("decimal(39,2)", "a decimal of 39 digits is not possible; take a precision of 1 to 38"),
        ("decimal(5,6)", "scale 6 does not fit precision 5; take a scale of 0 to 5"),
        (
            "timestamp(s)",
            "\"timestamp(s)\" is not a type; take timestamp(ms), timestamp(us) or timestamp(ns); timestamp alone is timestamp(us)",
        ),
        ("time(9)", "\"time(9)\" is not a type; take time(ms), time(us) or time(ns); time alone is time(us)"),
        (
            "binary(utf8)",
            "\"binary(utf8)\" is not a type; take binary(base64) or binary(hex); binary alone is binary(base64)",
        ),
        ("string(10)", "\"string(10)\" is not a type; write string: it has no parameters"),
        (
            "list<list<int8>>",
            "\"list<list<int8>>\" is a list of lists; make it a list<struct> with a field that is a list",
        ),
        ("list<long>", "\"long\" is not a type; did you mean int64?"),
        ("list", "\"list\" is not a type; did you mean list<string>?"),
        (
            "struct<a: int8>",
            "\"struct<a: int8>\" is not a type; write type = \"struct\", and a [[column.field]] for each field",
        ),
        ("struct", "a struct without fields; write a [[….field]] with name, path and type for each"),
    ] {
        of_column(&format!("path = \"a\"\ntype = \"{text}\""), &format!("8: column.type: {what}"));
    }
    assert!(column_says("path = \"a\"\ntype = \"geometry\"").contains("take string, bool, int8"));
}

#[test]
fn repeats() {
    let of = |rest: &str, what: &str| of_column(&format!("path = \"a\"\n{rest}"), what);
    of("type = \"int8\"\nrepeat = \"index(0)\"", "9: column.repeat: index(0) is never there; the first is index(1)");
    of(
        "type = \"int8\"\nrepeat = \"index\"",
        "9: column.repeat: \"index\" is not a choice; write index(N), the first being index(1)",
    );
    of("type = \"int8\"\nrepeat = \"frist\"", "9: column.repeat: \"frist\" is not a choice; did you mean first?");
    of(
        "type = \"string\"\nrepeat = \"join\"",
        "9: column.repeat: \"join\" is not a choice; write join(SEPARATOR), such as join(; )",
    );
    of(
        "type = \"int8\"\nrepeat = \"join(,)\"",
        "9: column.repeat: only text is joined, and the type is int8; take type = \"string\", or repeat = \"list\"",
    );
    of(
        "type = \"xml\"\nrepeat = \"json\"",
        "9: column.repeat: the values of a JSON array are made of elements as they are, and not of type xml; \
         take type = \"string\", or repeat = \"list\"",
    );
    of(
        "type = \"int8\"\nrepeat = \"count\"",
        "8: column.type: repeat = \"count\" gives int64, and not int8; take type = \"int64\"",
    );
    of(
        "type = \"int64\"\nrepeat = \"count\"\nmin = 1",
        "10: column.min: repeat = \"count\" counts, and reads no text; remove it",
    );
    of(
        "type = \"list<int8>\"\nrepeat = \"first\"",
        "9: column.repeat: type list<int8> takes all of them, and this does not; take \"list\", or type = \"int8\"",
    );
    of(
        "type = \"string\"\nrepeat = \"child\"",
        "9: column.repeat: \"child\" is not a choice; write a [[child]] with name, rows and columns of its own",
    );
    of("type = \"string\"\nrepeat = 1", "9: column.repeat: expected a text in quotes, found 1");
    of_column(
        "path = \"@a\"\ntype = \"string\"\nrepeat = \"index(2)\"",
        "9: column.repeat: index(2) is never there: the path leads to one place in each row; remove it",
    );
}

#[test]
fn elements_and_texts() {
    of_column(
        "path = \"a\"\ntype = \"string\"\nrepeat = \"json\"\nmax_length = 3",
        "10: column.max_length: repeat = \"json\" takes the element with all that is in it; end the path with text() to take its text alone",
    );
    column("path = \"a/text()\"\ntype = \"string\"\nrepeat = \"json\"\nmax_length = 3");
    of_column(
        "path = \"a/@b\"\ntype = \"xml\"",
        "7: column.path: leads to an attribute, and type xml needs an element; end the path with the element",
    );
    of_column(
        "path = \"a/text()\"\ntype = \"xml\"",
        "7: column.path: leads to a text, and type xml needs an element; end the path with the element",
    );
    of_column(
        "path = \"string()\"\ntype = \"struct\"\n[[column.field]]\nname = \"f\"\npath = \"f\"\ntype = \"int8\"",
        "7: column.path: leads to a text, and type struct needs an element; end the path with the element",
    );
}

#[test]
fn structs() {
    let field = "[[column.field]]\nname = \"f\"\npath = \"f\"\ntype = \"int8\"\n";
    of_column(
        &format!("path = \"a\"\ntype = \"int8\"\n{field}"),
        "9: column.field: a column of type int8 has no fields; write type = \"struct\" (or \"list<struct>\"), or take the fields away",
    );
    of_column(
        &format!("path = \"a\"\ntype = \"struct\"\n{field}{}", field.replace("\"f\"\np", "\"F\"\np")),
        "14: column.field.name: a second column F; take another name; engines compare names without regard to case",
    );
    of_column(
        &format!("path = \"a\"\ntype = \"struct\"\n{}", field.replace("path = \"f\"", "path = \"/f\"")),
        "11: column.field.path: a field begins at the element of its struct; write it from the element of the struct, or make it a column",
    );
    of_column(
        &format!("path = \"a\"\ntype = \"struct\"\ndefault = \"x\"\n{field}"),
        "9: column.default: a struct has no text of its own; write it at its fields",
    );
    // A name that Forebay has is free inside a struct.
    let inside =
        column(&format!("path = \"a\"\ntype = \"struct\"\n{}", field.replace("\"f\"\np", "\"kafka_offset\"\np")));
    assert_eq!(inside.type_name(), "struct");
    let nest = |depth: usize| {
        let mut text = with_column("path = \"a\"\ntype = \"struct\"");
        for level in 1..=depth {
            let kind = if level == depth { "int8" } else { "struct" };
            text += &format!("[[column{}]]\nname = \"f\"\npath = \"f\"\ntype = \"{kind}\"\n", ".field".repeat(level));
        }
        text
    };
    good(&nest(15));
    let deep = said(&nest(16));
    assert!(deep.len() == 1 && deep[0].contains("more than 15 structs inside each other"), "{deep:?}");
    assert!(!said(&nest(75)).is_empty());
    assert!(said(&nest(5000))[0].contains("recursion limit"));
}

#[test]
fn paths_belong_to_the_row_they_lead_through() {
    let with = |rows: &str, path: &str, more: &str| {
        said(&format!(
            "{HEAD}[message]\nrows = {rows}\n[[column]]\nname = \"c\"\npath = \"{path}\"\ntype = \"string\"\n{more}"
        ))
    };
    let good = |rows: &str, path: &str| assert_eq!(with(rows, path, ""), Vec::<String>::new(), "{rows} {path}");
    good("\"book\"", "/book/title");
    good("\"book\"", "/magazine/title");
    good("\"book[@k='a']\"", "/book[@k='b']/title");
    good("\"book[@k='a']\"", "/book[@k='a']/title");
    good("[\"order\", \"order/line\"]", "/order/@id");
    good("\"order/line\"", "/order/@id");
    let mixed = |rows: &str, path: &str, shown: &str| {
        let what = format!(
            "m.toml:8: column.path: leads into elements that may be rows ({shown}) or not; \
             begin it with \"/{shown}\", or with steps that no row has"
        );
        assert_eq!(with(rows, path, ""), [what], "{rows} {path}");
    };
    mixed("\"book\"", "/*/title", "book");
    mixed("\"*\"", "/book/title", "*");
    mixed("\"book[@k='a']\"", "/book/title", "book[@k='a']");
    mixed("\"book[@k='a']\"", "/book[@j='a']/title", "book[@k='a']");
    mixed("[\"order\", \"order/line\"]", "/order/*/@id", "order/line");
    // What occurs once is told by the row that the path belongs to.
    let index = "repeat = \"index(2)\"\n";
    assert_eq!(with("\"book\"", "/book/@id", index).len(), 1);
    assert_eq!(with("\"book\"", "/@id", index).len(), 1);
    assert_eq!(with("\"order/line\"", "/order/@id", index), Vec::<String>::new());
    let deep = said(&format!("{HEAD}[limits]\ndepth = 2\n{}", COLUMN.replace("path = \"c\"", "path = \"a/b/@c\"")));
    assert_eq!(
        deep,
        [
            "m.toml:8: column.path: lies 3 elements deep, and limits.depth is 2; raise limits.depth, or take a shorter path"
        ]
    );
}

#[test]
fn child_tables() {
    let child = |name: &str, rows: &str, column: &str| {
        format!(
            "[[child]]\nname = \"{name}\"\nrows = \"{rows}\"\n[[child.column]]\nname = \"{column}\"\npath = \"@a\"\ntype = \"string\"\n"
        )
    };
    let with = |children: &str| said(&format!("{HEAD}{COLUMN}{children}"));
    assert_eq!(with(&child("notes", "note", "c")), Vec::<String>::new());
    let expected = [
        "m.toml:9: child.name: \"Notes\" is not the name of a table; take small letters, digits and _",
        "m.toml:10: child.rows: is the row itself, once for each; name an element below it, or put the columns into the table of the row",
        "m.toml:12: child.column.name: Ordinal is a column that forebay adds; take another name, or give that of forebay another in [table.lineage] of the configuration",
        "m.toml:17: child.rows: begins with a slash; write \"a\": it begins below the root element anyway",
        "m.toml:23: child.name: a second child table notes; take another name",
    ];
    let three = [child("Notes", ".", "Ordinal"), child("notes", "/a", "c"), child("notes", "b", "c")].concat();
    assert_eq!(with(&three), expected);
    let nested = child("notes", "note", "c").replace("[[child", "[[child.child").replace("notes", "outer");
    let both = child("outer", "a", "c") + &nested;
    let said = with(&both);
    assert!(
        said.len() == 1 && said[0].starts_with("m.toml:16: child.child.name: a second child table outer"),
        "{said:?}"
    );
}

#[test]
fn a_mapping_that_no_program_could_number() {
    let steps = vec!["a"; 200].join("/");
    let columns: String = (0..400)
        .map(|number| format!("[[column]]\nname = \"c{number}\"\npath = \"{steps}\"\ntype = \"int8\"\n"))
        .collect();
    let said = said(&format!("{HEAD}{columns}"));
    assert!(
        said.len() == 1
            && said[0].contains("columns and the steps of their paths are 80800, and a mapping holds 60000"),
        "{said:?}"
    );
}
