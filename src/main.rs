//! The command line of a Kaopu node.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
