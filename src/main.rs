//! The `forebay` program: arguments in, exit code out.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Parser;

fn main() -> ExitCode {
    let cli = forebay::cli::Cli::parse();
    tune();
    forebay::app::run(&cli).into()
}

/// Caps the arenas of the system's allocator at one a core: every lane has threads of its own, and what one thread
/// frees in its arena the others cannot use. Measured with 24 lanes on two cores: 380 MB instead of 760, and less CPU.
///
/// What is larger than two megabytes goes back to the system as soon as it is freed: left to itself, the allocator
/// keeps larger and larger pieces in an arena, and the columns of a message with very many rows stay there after they
/// are gone. Measured with messages of 250,000 rows of 200 columns: 303 MB, and up to 524 MB without, since each
/// parser's arena kept its own. Half a megabyte is less than a batch of Kafka: a million messages then cost 12 CPU
/// seconds instead of 8, all of it for pages that the system takes and gives.
///
/// The allocator reads its environment before the first line of ours, so the program starts itself again, in the same
/// process, unless the environment has the setting. Where that cannot be done, it goes on with more memory.
fn tune() {
    const ARENAS: &str = "MALLOC_ARENA_MAX";
    const LARGE: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "2097152");
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
    let mut again = Command::new(program);
    again.arg0(name).args(arguments).env(ARENAS, cores.to_string());
    if std::env::var_os(LARGE.0).is_none() {
        again.env(LARGE.0, LARGE.1);
    }
    let _failed = again.exec();
}
