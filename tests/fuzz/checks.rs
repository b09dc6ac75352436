//! What must hold of every decoder for any bytes: one function each, shared by the fuzz targets and the `it` tests.
//!
//! A check fails by panicking, and says which law broke, never with the bytes: those are the fuzzer's to keep.

use haemosync_gateway::formats::csv;
use haemosync_gateway::formats::fhir;
use haemosync_gateway::formats::hl7v2;
use haemosync_gateway::formats::hl7v2::timestamp::Time;
use haemosync_gateway::formats::hl7v2::timestamp::Timestamp;
use haemosync_gateway::formats::json;
use haemosync_gateway::formats::mllp;

/// Every value can be walked; a message without deviations is written as it was read.
pub fn check_hl7v2(data: &[u8]) {
    let decoded = hl7v2::decode(data);
    let Some(message) = decoded.message else {
        assert!(!decoded.deviations.is_empty(), "no message, and nothing said of it");
        return;
    };
    for segment in message.segments() {
        for field in segment.fields() {
            for repetition in field.repetitions() {
                for component in repetition.components() {
                    component.subcomponents().for_each(|leaf| drop(leaf.text()));
                }
            }
        }
    }
    if decoded.deviations.is_empty() {
        let written =
            hl7v2::encode::encode(&message).expect("what was read in a character set can be written in it");
        assert!(written == data, "a message without deviations is written otherwise than it was read");
    }
}

/// Each byte is in exactly one part, in order.
pub fn check_batch(data: &[u8]) {
    let split = hl7v2::batch::split(data);
    let end = split.parts.iter().fold(0, |end, part| {
        assert!(part.bytes.start == end, "parts leave a gap or overlap");
        part.bytes.end
    });
    assert!(end == data.len(), "the parts do not cover the file");
    for part in split.messages() {
        check_hl7v2(&data[part]);
    }
}

/// The same events come out whatever the chunks are.
pub fn check_mllp(data: &[u8]) {
    const FRAME_BYTES_MAX: usize = 64;
    let read = |chunk_bytes: usize| {
        let mut decoder = mllp::Decoder::new(FRAME_BYTES_MAX);
        let mut events: Vec<_> = data.chunks(chunk_bytes).flat_map(|chunk| decoder.push(chunk)).collect();
        events.extend(decoder.finish());
        events
    };
    assert!(read(data.len().max(1)) == read(1), "the chunks of the stream change what is read");
}

/// A time that is read can be said in FHIR and as a date.
pub fn check_timestamp(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(Time::parse(text));
    drop(Timestamp::parse_date(text));
    if let Ok(read) = text.parse::<Timestamp>() {
        drop(read.fhir());
        assert!(read.date().len() >= 4, "a date has a year");
    }
}

/// What is read is written, and reads back the same.
pub fn check_json(data: &[u8]) {
    match json::decode(data) {
        Ok(tree) => {
            let written = json::encode(&tree);
            assert!(json::decode(written.as_bytes()).as_ref() == Ok(&tree), "the tree does not come back");
        }
        Err(error) => drop(error.diagnostic()),
    }
}

/// What is read is written, and reads back the same.
pub fn check_fhir_xml(data: &[u8]) {
    match fhir::xml::decode(data) {
        Ok(tree) => {
            let written = fhir::xml::encode(&tree).expect("what was read from XML can be written as XML");
            assert!(
                fhir::xml::decode(written.as_bytes()).as_ref() == Ok(&tree),
                "the tree does not come back"
            );
        }
        Err(error) => drop(error.diagnostic()),
    }
}

/// What is converted is a message that begins with MSH.
pub fn check_v2xml(data: &[u8]) {
    match hl7v2::xml::convert(data) {
        Ok(converted) => {
            converted.deviations.iter().for_each(|it| drop(it.diagnostic()));
            let decoded = hl7v2::decode(&converted.er7);
            assert!(decoded.message.is_some(), "the converted message has no header");
            let unread = decoded.deviations.iter().any(|it| {
                matches!(
                    it.kind,
                    hl7v2::Kind::NotASegment | hl7v2::Kind::MalformedBytes | hl7v2::Kind::DelimitersUnusable
                )
            });
            assert!(!unread, "the converted message is not of segments in UTF-8");
        }
        Err(error) => drop(error.diagnostic()),
    }
}

/// Rows are numbered and stand in the order of their lines, and each that is not as long as the header is told.
pub fn check_csv(data: &[u8]) {
    let table = match csv::decode(data, None) {
        Ok(table) => table,
        Err(error) => return drop(error.diagnostic()),
    };
    assert!(table.rows.is_sorted_by_key(|row| row.line), "rows are out of order");
    let listed = !table.deviations.iter().any(|it| matches!(it.kind, csv::Kind::More { .. }));
    for (at, row) in table.rows.iter().enumerate() {
        assert!(row.number == at + 1, "rows are not numbered from one");
        let told = table.deviations.iter().any(|it| it.row == Some(row.number));
        assert!(
            row.cells.len() == table.columns.len() || told || !listed,
            "a row of another length is not told"
        );
        for damage in row.cells.iter().filter_map(|cell| csv::Damage::of(cell)) {
            drop(damage.diagnostic());
        }
    }
    table.deviations.iter().for_each(|it| drop(it.diagnostic()));
}
