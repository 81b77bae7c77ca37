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

#[test]
fn the_list_of_tests_has_every_fault_of_scripts_chaos() {
    let list = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/README.md")).unwrap();
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/chaoslib")).unwrap();
    let modules = folder.map(|entry| entry.unwrap().path());
    let mut count = 0;
    for module in modules.filter(|path| path.extension().is_some_and(|ending| ending == "py")) {
        let text = std::fs::read_to_string(module).unwrap();
        // Its name is the first argument.
        for name in text.split("\n@fault(").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
            assert!(list.contains(&format!("| `{name}` |")), "tests/README.md has no row for the fault `{name}`");
            count += 1;
        }
    }
    assert!(count > 40, "{count} faults found");
}
