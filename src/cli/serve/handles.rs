//! Every connection needs a file handle, and a process may have few of them unless it asks for more.

use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// Handles for what is no laboratory's connection: store, log, people's browsers, Cliniko.
const OTHERS: u64 = 1_024;

/// Raises the process's own limit as far as the system allows; says so if that is too few for `connections`.
pub(super) fn raise(connections: usize) -> Option<Diagnostic> {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // No limit is written as none.
    let allowed = maximum.unwrap_or(u64::MAX);
    if current.is_none_or(|current| current >= wanted) {
        return None;
    }
    let raised = Rlimit { current: Some(wanted.min(allowed)), maximum };
    let is_enough = setrlimit(Resource::Nofile, raised).is_ok() && allowed >= wanted;
    (!is_enough).then(|| too_few(allowed, wanted))
}

fn too_few(allowed: u64, wanted: u64) -> Diagnostic {
    let told = format!("the system allows {allowed} open files, and {wanted} may be needed");
    Diagnostic::warning(Code::new("C050"), told)
        .at("inbound.mllp.connections_max")
        .fact("going on: when handles run out, the connection that was silent longest is closed for a new one")
        .help("raise the limit of the service (`LimitNOFILE=` in systemd, `ulimit -Hn`), or lower connections_max")
}
