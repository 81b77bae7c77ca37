//! The composition root and the commands: alone knows every part.

mod ask;
pub mod audit;
pub mod cells;
pub mod daemon;
pub mod demo;
pub mod drift;
mod fsck;
mod glyphs;
pub mod grid;
mod identity;
mod infer;
mod look;
mod produce;
pub mod reload;
pub mod render;
mod requeue;
pub mod say;
pub mod serve;
pub mod show;
pub mod steering;
mod trial;

use crate::cli::{self, Cli, Command};
use crate::exit::ExitCode;
use crate::fault::Fault;

/// Carries out a command.
pub fn run(cli: &Cli) -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _armed = crate::failpoint::arm();
    let global = &cli.global;
    let answer = match &cli.command {
        Command::Run(order) => return serve::run(order, global),
        Command::Check(order) => return look::check(order, global),
        Command::Audit(order) => audit::run(order, global),
        Command::Fsck(order) => fsck::run(order, global),
        Command::Try(order) => trial::run(order, global),
        Command::Infer(order) => infer::run(order, global),
        Command::Demo(order) => demo::run(order, global),
        Command::Show(order) => look::show(order, global),
        Command::Logs(order) => look::logs(order, global),
        Command::Status => ask::status(global),
        Command::Drift(order) => ask::drift(order, global),
        Command::Pause(lanes) => ask::pause(lanes, global),
        Command::Resume(lanes) => ask::resume(lanes, global),
        Command::Rewind(order) => ask::rewind(order, global),
        Command::Requeue(order) => ask::requeue(order, global),
        Command::AcceptTopic(order) => ask::accept_topic(order, global),
        Command::AcceptLoss(order) => ask::accept_loss(order, global),
        Command::Promote(order) => ask::promote(order, global),
        Command::Reload => ask::reload(global),
        Command::Drain => ask::drain(global),
        Command::Produce(order) => produce::produce(order, global),
        Command::Topic(order) => produce::topic(order, global),
        Command::Completions { shell } => written(|out| cli::write_completions(*shell, out)),
        Command::Man => written(|out| cli::write_manual(out)),
    };
    answer.unwrap_or_else(|fault| {
        say::problem(&fault.message);
        ExitCode::of(&fault)
    })
}

fn written(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<ExitCode, Fault> {
    let mut out = std::io::stdout().lock();
    say::finish(write(&mut out))?;
    Ok(ExitCode::Done)
}
