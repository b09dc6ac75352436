//! Durable MLLP ingest as a share of the raw limit: the gateway beside a bare server that appends and group-flushes.
//!
//! Both are driven by the same laboratory in alternating rounds, on the same disk. The bare server's clock stops at the
//! last acknowledgement; the gateway's when the last message is mapped and its report stored. Each round begins with
//! an empty store and an empty file, so that no round pays for another's work.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::disallowed_types, reason = "rates and ratios are no clinical values")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod bare;
mod gateway;
mod generator;
mod lab;
mod measure;

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::bare::Bare;
use crate::gateway::Gateway;
use crate::measure::load;
use crate::measure::median;

/// When memory is looked at, after ready.
const SETTLED: Duration = Duration::from_secs(10);

/// What one round on one server came to.
struct Round {
    messages_per_second: f64,
    /// Each message's wait for its acknowledgement, shortest first.
    waits: Vec<Duration>,
}

fn main() {
    let is_quick = measure::is_quick();
    let rounds = if is_quick { 3 } else { 5 };
    start(&folder());
    let bytes = generator::oru("B0-0", "F0-0", lab::RESULTS).len();
    println!(
        "ingest: {} results ({bytes} bytes) a message, one outstanding a connection, {rounds} alternating rounds, \
         medians; load {}",
        lab::RESULTS,
        load()
    );
    println!(
        "{:>11} {:>8} {:>9} {:>11} {:>7} {:>15} {:>19}",
        "connections", "messages", "bare/s", "gateway/s", "ratio", "bare p50/p99", "gateway p50/p99 ms"
    );
    for (connections, count) in if is_quick { [(1, 300), (16, 3_000)] } else { [(1, 3_000), (16, 20_000)] } {
        compare(rounds, connections, count);
    }
    println!("load {} after", load());
}

/// Ready time and idle memory, before anything was sent.
fn start(folder: &TempDir) {
    let gateway = Gateway::start(folder.path());
    thread::sleep(SETTLED);
    let memory = gateway.resident_kb().map_or_else(|| "unknown".to_owned(), |it| format!("{} MB", it / 1024));
    println!("start: ready in {} ms, {memory} ten seconds later", gateway.ready_after.as_millis());
}

fn compare(rounds: usize, connections: usize, count: usize) {
    let (mut bare, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let pair = if round % 2 == 0 {
            let bare = bare_round(round, connections, count);
            (bare, gateway_round(round, connections, count))
        } else {
            let ours = gateway_round(round, connections, count);
            (bare_round(round, connections, count), ours)
        };
        ratios.push(pair.1.messages_per_second / pair.0.messages_per_second);
        bare.push(pair.0);
        ours.push(pair.1);
    }
    let rate = |rounds: &[Round]| median(&rounds.iter().map(|it| it.messages_per_second).collect::<Vec<_>>());
    println!(
        "{connections:>11} {count:>8} {:>9.0} {:>11.0} {:>6.1}% {:>15} {:>19}",
        rate(&bare),
        rate(&ours),
        median(&ratios) * 100.0,
        percentiles(&bare),
        percentiles(&ours)
    );
}

fn bare_round(round: usize, connections: usize, count: usize) -> Round {
    let folder = folder();
    let server = Bare::start(&folder.path().join("messages"));
    time(server.address, round, connections, count, || {})
}

fn gateway_round(round: usize, connections: usize, count: usize) -> Round {
    let folder = folder();
    let server = Gateway::start(folder.path());
    time(server.mllp, round, connections, count, || server.wait_until_mapped(count))
}

/// Sends one round, and stops the clock when `finish` returns.
fn time(address: SocketAddr, round: usize, connections: usize, count: usize, finish: impl FnOnce()) -> Round {
    let messages = lab::messages(round, count);
    let laboratory = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let laboratory: Runtime = laboratory.expect("a runtime starts");
    let start = Instant::now();
    let mut waits = laboratory.block_on(lab::send(address, messages, connections));
    finish();
    let count = u32::try_from(count).expect("a round has fewer messages than that");
    let messages_per_second = f64::from(count) / start.elapsed().as_secs_f64();
    waits.sort_unstable();
    Round { messages_per_second, waits }
}

/// The medians of the rounds' middle and 99th waits, in milliseconds.
fn percentiles(rounds: &[Round]) -> String {
    let at = |per_cent: usize| {
        let of = |round: &Round| round.waits[(round.waits.len() - 1) * per_cent / 100];
        median(&rounds.iter().map(of).collect::<Vec<_>>()).as_secs_f64() * 1000.0
    };
    format!("{:.2} / {:.2}", at(50), at(99))
}

/// A folder on the disk the project is built on: a temporary one may be in memory, where a flush costs nothing.
fn folder() -> TempDir {
    TempDir::new_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the target folder can be written")
}
