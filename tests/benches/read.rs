//! What a result costs from bytes to FHIR: decode, map by `standard`, and write the Bundle, beside hl7-parser merely
//! parsing the same message. The gateway must reach 0.8 of that.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod generator;
mod measure;
mod processor;

use std::hint::black_box;

use haemosync_gateway::app::Compiled;
use haemosync_gateway::clinical::fhir;
use haemosync_gateway::clinical::fhir::IdKey;
use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::clinical::mapping::Status;
use haemosync_gateway::formats::hl7v2;

const RESULTS: usize = 30;

fn main() {
    let is_quick = measure::is_quick();
    let compiled = Compiled::read(None).expect("the embedded mappings compile");
    let mapping = compiled.catalog.lab("standard").expect("`standard` is embedded");
    let message = generator::oru("B1", "F1", RESULTS);
    let text = str::from_utf8(&message).expect("the generator writes ASCII");
    let bundle_bytes = check(mapping, &message);

    println!(
        "read: {RESULTS} results, {} bytes in, {bundle_bytes} bytes of Bundle out; a second of processor time, medians; \
         load {}",
        message.len(),
        measure::load()
    );
    let decoded = hl7v2::decode(&message);
    let [theirs, whole, read, decode, map] = processor::rates(
        is_quick,
        [
            &mut || drop(black_box(hl7_parser::Message::parse(black_box(text)))),
            &mut || drop(black_box(bundle(mapping, black_box(&message)))),
            &mut || drop(black_box(mapping.read_bytes(black_box(&message)))),
            &mut || drop(black_box(hl7v2::decode(black_box(&message)))),
            &mut || drop(black_box(mapping.read_decoded(black_box(&decoded)))),
        ],
    );
    println!("{:<28} {:>10} {:>7}", "", "messages/s", "ratio");
    for (name, rate) in [
        ("hl7-parser, parse only", theirs),
        ("ours, decode + map + FHIR", whole),
        ("ours, decode + map", read),
        ("  of which decode", decode),
        ("  of which map", map),
    ] {
        println!("{name:<28} {rate:>10.0} {:>7.2}", rate / theirs);
    }
    println!("decode + map costs {:.2} times decode alone, at {RESULTS} results", decode / read);
    println!("load {} after", measure::load());
}

fn bundle(mapping: &Mapping, message: &[u8]) -> Vec<u8> {
    let reading = mapping.read_decoded(&hl7v2::decode(message));
    let bundle = fhir::collection(&reading.reports, &IdKey::PUBLIC_TEST);
    serde_json::to_vec(&bundle).expect("a Bundle has text keys and serialises")
}

/// The message must map whole, or the figures compare nothing. How long the Bundle is.
fn check(mapping: &Mapping, message: &[u8]) -> usize {
    let reading = mapping.read_decoded(&hl7v2::decode(message));
    for diagnostic in reading.diagnostics.iter().filter(|_| reading.status != Status::Mapped) {
        println!("{}: {} {:?}", diagnostic.code, diagnostic.message, diagnostic.position);
    }
    assert_eq!(reading.status, Status::Mapped, "the benchmark's message maps");
    let bundle = bundle(mapping, message);
    let written: serde_json::Value = serde_json::from_slice(&bundle).expect("what we write is JSON");
    let entries = written["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let observations =
        entries.iter().filter(|entry| entry["resource"]["resourceType"] == "Observation").count();
    assert_eq!(observations, RESULTS, "every result is an Observation");
    bundle.len()
}
