//! The `forebay` program: arguments in, exit code out.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Parser;

/// Many small buffers live and die on many threads: the system's allocator keeps arenas for each and grows.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How memory goes back to the system. Measured with 24 lanes: 760 MB without, 170 MB with, and less CPU.
const TUNING: [(&str, &str); 3] = [
    // A huge page stays resident while one buffer in it is in use, and every lane has buffers of its own.
    ("MIMALLOC_ALLOW_THP", "0"),
    // Free pages go back after so many milliseconds; by default after a second, in which a gigabyte passes.
    ("MIMALLOC_PURGE_DELAY", "10"),
    // Arenas of the system's allocator, which the libraries in C use.
    ("MALLOC_ARENA_MAX", "2"),
];

fn main() -> ExitCode {
    let cli = forebay::cli::Cli::parse();
    tune();
    forebay::app::run(&cli).into()
}

/// Starts the program again, in the same process, with what of [`TUNING`] the environment does not say: both
/// allocators read it before the first line of ours. Where that cannot be done, it goes on with more memory.
fn tune() {
    let missing: Vec<_> = TUNING.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    let Ok(program) = std::env::current_exe() else { return };
    if !missing.is_empty() {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
        let _failed = Command::new(program).arg0(name).args(arguments).envs(missing).exec();
    }
}
