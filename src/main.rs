//! The `forebay` program: arguments in, exit code out.

use clap::Parser;

/// Many small buffers live and die on many threads: the system's allocator keeps arenas for each and grows.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    forebay::app::run(&forebay::cli::Cli::parse()).into()
}
