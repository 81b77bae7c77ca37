//! What the README says is what the code has.

use forebay::model::violation::Code;

#[test]
fn the_readme_lists_every_violation_code() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let expected: String = Code::ALL.iter().map(|(code, what)| format!("| `{code}` | {what} |\n")).collect();
    let head = "| code | what is wrong |\n|---|---|\n";
    let (_, table) = readme.split_once(head).unwrap();
    let end = table.find("\n\n").unwrap();
    assert_eq!(&table[..=end], expected, "the table of codes in README.md has to be\n{head}{expected}");
}
