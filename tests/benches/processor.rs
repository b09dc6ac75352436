//! Rates by the processor time of this thread, which other work on the machine disturbs least.

#![expect(clippy::disallowed_methods, reason = "the processor time of a thread is a file")]
#![expect(clippy::disallowed_types, reason = "rates and ratios are no clinical values")]

use std::hint::black_box;
use std::time::Duration;

use crate::measure::median;

/// One rate is measured over at least so much processor time: far above the scheduler's tick of a few milliseconds.
const SLICE: Duration = Duration::from_millis(200);
const SLICE_QUICK: Duration = Duration::from_millis(50);

/// How often each piece of work is done in a second: medians of alternating rounds.
pub(crate) fn rates<const N: usize>(is_quick: bool, work: [&mut dyn FnMut(); N]) -> [f64; N] {
    let (rounds, slice) = if is_quick { (3, SLICE_QUICK) } else { (7, SLICE) };
    let mut rates = [(); N].map(|()| Vec::new());
    let mut work = work;
    let _top = room_on_the_heap();
    for _ in 0..rounds {
        for (work, rates) in work.iter_mut().zip(&mut rates) {
            rates.push(rate(slice, work));
        }
    }
    rates.map(|it| median(&it))
}

/// Frees memory below a block that stays, so that the allocator keeps it for the work to come.
///
/// Otherwise it may give its top back to the system after each message and ask for it again, which halves one rate or
/// the other by where a block happens to lie.
fn room_on_the_heap() -> Option<Vec<u8>> {
    const BLOCK_BYTES: usize = 64 * 1024;
    const BLOCKS: usize = 256;
    let mut blocks: Vec<Vec<u8>> = (0..BLOCKS).map(|_| black_box(vec![1; BLOCK_BYTES])).collect();
    blocks.pop()
}

fn rate(slice: Duration, work: &mut dyn FnMut()) -> f64 {
    let mut count = 1_u32;
    loop {
        let start = thread_time();
        for _ in 0..count {
            work();
        }
        let spent = thread_time().saturating_sub(start);
        if spent >= slice {
            return f64::from(count) / spent.as_secs_f64();
        }
        count *= 2;
    }
}

/// Processor time this thread has had (Linux, `Documentation/scheduler/sched-stats.rst`: the first number).
fn thread_time() -> Duration {
    let text =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps scheduler statistics");
    let nanoseconds = text.split(' ').next().and_then(|it| it.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number is the processor time"))
}
