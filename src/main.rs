//! The `gateway` command: hands the arguments to [`haemosync_gateway::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    haemosync_gateway::cli::run(std::env::args_os())
}
