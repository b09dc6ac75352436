//! Decoding HL7 v2: our index over the untouched bytes beside hl7-parser's tree, on the same messages.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod generator;
mod measure;
mod processor;

use std::hint::black_box;

use haemosync_gateway::formats::hl7v2;

const RESULTS: [usize; 3] = [5, 14, 30];

fn main() {
    let is_quick = measure::is_quick();
    println!("decode: messages a second of processor time, medians; load {}", measure::load());
    println!("{:>7} {:>7} {:>12} {:>12} {:>7}", "results", "bytes", "hl7-parser", "ours", "ratio");
    for results in RESULTS {
        let message = generator::oru("B1", "F1", results);
        let text = str::from_utf8(&message).expect("the generator writes ASCII");
        check(&message, text);
        let [theirs, ours] = processor::rates(
            is_quick,
            [&mut || drop(black_box(hl7_parser::Message::parse(black_box(text)))), &mut || {
                drop(black_box(hl7v2::decode(black_box(&message))));
            }],
        );
        println!("{results:>7} {:>7} {theirs:>12.0} {ours:>12.0} {:>7.1}", message.len(), ours / theirs);
    }
    println!("load {} after", measure::load());
}

/// Both must have read the whole message, or the figures compare nothing.
fn check(message: &[u8], text: &str) {
    let segments = text.matches('\r').count();
    let ours = hl7v2::decode(message).message.map_or(0, |it| it.segments().len());
    let theirs = hl7_parser::Message::parse(text).map_or(0, |it| it.segments().count());
    assert_eq!((ours, theirs), (segments, segments), "segments read");
}
