//! What all benchmarks print with their figures: medians, the size of the work, and the load of the machine.

#![expect(clippy::disallowed_methods, reason = "the machine's load is a file")]

/// Whether the short mode was asked for: enough to see that a benchmark runs, too little to quote.
pub(crate) fn is_quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}

/// The middle value; the upper one of two.
pub(crate) fn median<T: PartialOrd + Copy>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("a measured value is a number"));
    sorted[sorted.len() / 2]
}

/// The load average of the last minute, as the system writes it.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|it| !it.is_empty()).unwrap_or("unknown").to_owned()
}
