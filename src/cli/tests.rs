use super::*;
use crate::model::offset::TopicPartition;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

fn command(line: &str) -> Command {
    parse(line).unwrap_or_else(|error| panic!("{error}")).command
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn a_requeue_names_a_table_and_may_choose() {
    let Command::Requeue(all) = command("forebay requeue books") else { panic!("not a requeue") };
    assert!(all.table == "books" && all.code.is_none() && all.from.is_none() && !all.dry_run);
    let some = "forebay requeue _unrouted --code rule.required --from 2026-10-01T00:00:00Z --reason late --dry-run";
    let Command::Requeue(some) = command(some) else { panic!("not a requeue") };
    assert_eq!((some.code.map(|code| code.name()), some.dry_run), (Some("rule.required"), true));
    assert!(matches!(some.from, Some(Since::Time(_))) && some.reason.is_some());
}

#[test]
fn a_rewind_names_a_partition_and_a_goal() {
    let Command::Rewind(rewind) = command("forebay rewind library:3 --to 1200 --expect 5000 --reason wrong --dry-run")
    else {
        panic!("not a rewind")
    };
    assert_eq!(rewind.lane, Lane(TopicPartition::new("library", 3)));
    assert_eq!((rewind.to, rewind.expect), (Some(RewindTo::Offset(1200)), Some(5000)));
    let Command::Rewind(rewind) = command("forebay rewind a:b:0 --to 2026-10-01T00:00:00Z") else {
        panic!("not a rewind")
    };
    assert_eq!(&*rewind.lane.0.topic, "a:b");
    assert!(matches!(rewind.to, Some(RewindTo::Time(_))) && !rewind.undo);
    let Command::Rewind(rewind) = command("forebay rewind library:3 --undo --expect 7 --reason late --dry-run") else {
        panic!("not a rewind")
    };
    assert!(rewind.undo && rewind.to.is_none() && rewind.dry_run && rewind.expect == Some(7));
    for wrong in [
        "forebay rewind library:3",
        "forebay rewind library:3 --to 5 --undo",
        "forebay rewind library --to 5",
        "forebay rewind library:3 --to -5",
        "forebay rewind library:-1 --to 5",
        "forebay rewind library:3 --to yesterday",
    ] {
        assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
    }
}

#[test]
fn a_loss_is_accepted_of_one_kafka_partition() {
    let Command::AcceptLoss(loss) = command("forebay accept-loss library:3 --reason gone --dry-run") else {
        panic!("not accept-loss")
    };
    assert_eq!((&*loss.lane.0.topic, loss.lane.0.partition), ("library", 3));
    assert!(loss.dry_run && loss.reason.as_deref() == Some("gone"));
    for wrong in ["forebay accept-loss", "forebay accept-loss library", "forebay accept-loss library:0 library:1"] {
        assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
    }
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in ["forebay --json -vv --socket /s status", "forebay status --json -vv --socket /s"] {
        let cli = parse(line).unwrap();
        assert!(cli.global.json && cli.global.verbose == 2 && cli.global.socket == Some(PathBuf::from("/s")), "{line}");
    }
    assert!(parse("forebay status -v -q").is_err());
}

#[test]
fn show_takes_a_zone_and_a_name() {
    let Command::Show(show) = command("forebay show ledger.my.topic --columns a,b --where outcome=rows --where x=")
    else {
        panic!("not a show")
    };
    assert_eq!(show.target, Target { zone: Zone::Ledger, name: "my.topic".into() });
    assert_eq!((show.columns.len(), show.filter.len(), show.filter[1].value.as_str()), (2, 2, ""));
    assert!(parse("forebay show books").is_err() && parse("forebay show silver.books").is_err());
}

#[test]
fn shares_ages_and_levels_are_checked() {
    assert!(parse("forebay produce --library 10 --broken 0.02 --resent 1").is_ok());
    assert!(parse("forebay produce --library 10 --broken 2").is_err());
    assert!(parse("forebay produce").is_err());
    let Command::Logs(logs) = command("forebay logs -f --since 1h --level warn --event storage") else {
        panic!("not logs")
    };
    let now: Timestamp = "2026-10-01T12:00:00Z".parse().unwrap();
    let query = logs.query(now);
    assert_eq!(query.since.unwrap().to_string(), "2026-10-01T11:00:00Z");
    assert_eq!((query.level, query.event.as_deref()), (Some(LogLevel::Warn), Some("storage")));
    assert!(parse("forebay logs --since soon").is_err());
}

#[test]
fn what_is_not_built_is_not_there() {
    for absent in ["try", "infer", "drift", "top", "tap", "compact", "retain", "requeue"] {
        let error = parse(&format!("forebay {absent}")).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{absent}");
    }
}

#[test]
fn every_option_has_a_help_text() {
    fn look(command: &clap::Command) {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(look);
    }
    look(&Cli::command());
}

#[test]
fn completions_and_the_manual_page_name_the_commands() {
    let (mut bash, mut manual) = (Vec::new(), Vec::new());
    write_completions(Shell::Bash, &mut bash).unwrap();
    write_manual(&mut manual).unwrap();
    for text in [bash, manual] {
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("rewind") && text.contains("promote"));
    }
}
