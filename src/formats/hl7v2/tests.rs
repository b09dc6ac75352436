//! The codec as a whole: what it reports on odd input, and what holds for any input.

use proptest::prelude::*;

use super::*;
use crate::formats::hl7v2::encode::encode;
use crate::formats::hl7v2::encode::encode_with;

const HEADER: &str = "MSH|^~\\&|LAB|F|||20240101||ORU^R01|1|P|2.5.1\r";

/// Each deviation as `bytes kind location`, and the names of the segments.
fn check(input: &[u8], segments: &str, deviations: &[(std::ops::Range<usize>, Kind, &str)]) {
    let decoded = decode(input);
    let names = decoded
        .message
        .iter()
        .flat_map(|message| message.segments().map(|segment| segment.name().to_owned()).collect::<Vec<_>>());
    assert_eq!(names.collect::<Vec<_>>().join(" "), segments, "{}", input.escape_ascii());
    let found: Vec<_> = decoded
        .deviations
        .iter()
        .map(|Deviation { kind, position }| {
            let location = position.location.map(|location| location.to_string()).unwrap_or_default();
            (position.bytes.clone(), kind.clone(), location)
        })
        .collect();
    let expected: Vec<_> =
        deviations.iter().map(|(bytes, kind, at)| (bytes.clone(), kind.clone(), (*at).to_owned())).collect();
    assert_eq!(found, expected, "{}", input.escape_ascii());
}

#[test]
fn numbers_parts_as_hl7_does() {
    let text = format!("{HEADER}PID|1||A^^^X&Y~B||DOE^J\\S\\R|\"\"\rDSC\r");
    let decoded = decode(text.as_bytes());
    assert_eq!(decoded.deviations, []);
    let message = decoded.message.unwrap();
    let header = message.header();
    assert_eq!((header.field(1).raw(), header.field(2).raw(), header.field(3).raw()), ("|", "^~\\&", "LAB"));
    assert_eq!(message.message_type(), ["ORU", "R01", ""]);
    assert_eq!((message.control_id().as_ref(), message.version().as_ref()), ("1", "2.5.1"));
    let pid = message.first("PID").unwrap();
    assert_eq!(pid.field_count(), 6);
    assert_eq!(
        pid.field(3).repetitions().map(|repetition| repetition.raw()).collect::<Vec<_>>(),
        ["A^^^X&Y", "B"]
    );
    assert_eq!(pid.field(3).component(4).subcomponent(2).text(), "Y");
    assert_eq!(pid.field(3).repetition(2).component(1).location().to_string(), "PID[1]-3[2].1");
    assert_eq!(pid.field(5).component(2).text(), "J^R");
    assert!(pid.field(6).is_null() && !pid.field(6).is_empty() && pid.field(7).is_empty());
    let part = pid.field(3).component(4).subcomponent(2).position();
    assert_eq!((&text[part.bytes], part.line), ("Y", 2));
    assert_eq!(message.first("DSC").unwrap().field_count(), 0);
}

#[test]
fn reports_lines_that_are_no_segments() {
    let n = HEADER.len();
    check(b"", "", &[(0..0, Kind::NoHeader, "")]);
    check(b"PID|1\r", "", &[(0..6, Kind::NoHeader, "")]);
    check(
        format!("{HEADER}\r\rPID|1\r").as_bytes(),
        "MSH PID",
        &[(n..n + 1, Kind::BlankLine, ""), (n + 1..n + 2, Kind::BlankLine, "")],
    );
    check(
        format!("{HEADER}junk\rpid|1\rPIDX|1\rDSC\r").as_bytes(),
        "MSH DSC",
        &[
            (n..n + 5, Kind::NotASegment, ""),
            (n + 5..n + 11, Kind::NotASegment, ""),
            (n + 11..n + 18, Kind::NotASegment, ""),
        ],
    );
    check(format!("{HEADER}  PID|1\r").as_bytes(), "MSH PID", &[(n..n + 2, Kind::SegmentIndented, "")]);
    check(
        format!("{HEADER}MSH|^~\\&|X\r").as_bytes(),
        "MSH MSH",
        &[(n..n + 3, Kind::SecondHeader, "MSH[2]")],
    );
}

#[test]
fn reports_line_ends_and_frame_bytes() {
    let n = HEADER.len();
    check(&HEADER.as_bytes()[..n - 1], "MSH", &[(n - 1..n - 1, Kind::LastSegmentOpen, "MSH")]);
    check(HEADER.replace('\r', "\n").as_bytes(), "MSH", &[(n - 1..n, Kind::LineEndsNotCr, "MSH")]);
    check(format!("{HEADER}\nPID|1\r\n").replace("\r\n", "\r").as_bytes(), "MSH PID", &[]);
    check(
        format!("{HEADER}NTE|1||a\nb\rPID|1\nPV1|1\r").as_bytes(),
        "MSH NTE PID PV1",
        &[(n + 8..n + 9, Kind::LineFeedInText, "NTE[1]"), (n + 16..n + 17, Kind::LineEndsMixed, "PID[1]")],
    );
    check(
        format!("\x0b{HEADER}\x1c\r").as_bytes(),
        "MSH",
        &[(0..1, Kind::StrayFrameByte, ""), (n + 1..n + 3, Kind::StrayFrameByte, "")],
    );
    check(
        format!("\u{feff}{HEADER}PID|\x01\r").as_bytes(),
        "MSH PID",
        &[(0..3, Kind::ByteOrderMark, ""), (n + 7..n + 8, Kind::ControlCharacter, "PID[1]")],
    );
}

#[test]
fn reports_delimiters_escapes_and_truncation() {
    check(b"MSH|^~\\\\&|A\r", "MSH", &[(4..9, Kind::DelimitersUnusable, "MSH-2")]);
    check(b"MSH|^~|A\r", "MSH", &[(4..6, Kind::DelimitersMissing, "MSH-2")]);
    check(b"MSH|^~\\&#|A|cut#|#1\r", "MSH", &[(15..16, Kind::ValueTruncated, "MSH-4")]);
    let n = HEADER.len();
    check(
        format!("{HEADER}OBX|1|ST|a^b&c||x~y^\\H\\z\\q\r").as_bytes(),
        "MSH OBX",
        &[
            (n + 20..n + 23, Kind::EscapeHighlight, "OBX[1]-5[2].2"),
            (n + 24..n + 25, Kind::EscapeUnterminated, "OBX[1]-5[2].2"),
        ],
    );
}

#[test]
fn positions_are_those_of_the_bytes_received() {
    let header = b"MSH|^~\\&|LAB||||||ORU|1|P|2.5||||||8859/1\r";
    let mut input = header.to_vec();
    input.extend_from_slice(b"NTE|1||\xB5\xB5\\\r");
    check(&input, "MSH NTE", &[(51..52, Kind::EscapeUnterminated, "NTE[1]-3")]);
    assert_eq!(input[51], b'\\');
}

#[test]
fn rewrites_in_other_delimiters() {
    let text = format!("{HEADER}OBX|1|ST|a^b&c||10\\S\\9#@\\H\\~x\r");
    let other = decode(b"MSH#!%*@\r").message.unwrap().delimiters();
    let bytes = encode_with(&decode(text.as_bytes()).message.unwrap(), other, Charset::UTF_8).unwrap();
    let again = decode(&bytes).message.unwrap();
    let obx = again.first("OBX").unwrap();
    assert_eq!(obx.raw(), "OBX#1#ST#a!b@c##10*S*9*F**T**H*%x");
    // An escape names a role, not a character, so the text is one of the new delimiters.
    assert_eq!(obx.field(5).repetition(1).text(), "10!9#@");
}

#[test]
fn bounds_the_list_of_deviations() {
    let decoded = decode(format!("{HEADER}{}", "junk\r".repeat(5000)).leak().as_bytes());
    assert_eq!(decoded.deviations.len(), decode::DEVIATIONS_MAX + 1);
    assert_eq!(decoded.deviations.last().unwrap().kind, Kind::More { count: 4000 });
}

/// Every byte is in a segment or in a deviation.
fn covered(input: &[u8]) -> bool {
    let decoded = decode(input);
    let mut seen = vec![false; input.len()];
    let segments = decoded
        .message
        .iter()
        .flat_map(|message| message.segments().map(|segment| segment.position().bytes).collect::<Vec<_>>());
    for span in segments.chain(decoded.deviations.iter().map(|deviation| deviation.position.bytes.clone())) {
        seen[span].fill(true);
    }
    // Walking all of it must not panic either.
    for segment in decoded.message.iter().flat_map(Message::segments) {
        for field in segment.fields() {
            for part in field.repetitions().flat_map(|repetition| repetition.components().collect::<Vec<_>>())
            {
                part.subcomponents().for_each(|leaf| drop(leaf.text()));
            }
        }
    }
    seen.into_iter().all(|seen| seen)
}

fn leaf() -> impl Strategy<Value = String> {
    let pieces = [
        "", "5.10", "<0.1", "µmol/L", "a b", "{F}", "{S}", "{T}", "{R}", "{E}", "{X0D0A}", "{.br}",
        "{.sp+2}", "\"\"", "日本",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..3).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    /// A message without deviations, in delimiters of any kind.
    fn clean()(
        order in Just(b"|^~\\&#!%*@;:$+=?`/".to_vec()).prop_shuffle(),
        truncation in any::<bool>(),
        segments in prop::collection::vec((
            prop::sample::select(vec!["PID", "OBX", "NTE", "ZX1"]),
            prop::collection::vec(prop::collection::vec(prop::collection::vec(
                prop::collection::vec(leaf(), 1..3), 1..4), 1..3), 0..6),
        ), 0..6),
    ) -> String {
        let [field, component, repetition, escape, subcomponent, cut] = [0, 1, 2, 3, 4, 5].map(|at| char::from(order[at]).to_string());
        let mut text = format!("MSH{field}{component}{repetition}{escape}{subcomponent}{}", if truncation { &cut } else { "" });
        text += &[field.as_str(), "LAB", &field.repeat(15), "UNICODE UTF-8\r"].concat();
        for (name, fields) in segments {
            text += name;
            for value in fields {
                let repetitions = value.iter().map(|components| {
                    let components = components.iter().map(|leaves| leaves.join(&subcomponent));
                    components.collect::<Vec<_>>().join(&component)
                });
                text += &field;
                let value = repetitions.collect::<Vec<_>>().join(&repetition);
                text += &value;
            }
            text.push('\r');
        }
        text.replace(['{', '}'], &escape)
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_covered(input in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(covered(&input));
        batch::split(&input);
    }

    #[test]
    fn mutated_messages_are_read_and_covered(
        text in clean(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\r\n|\\^&~\x0b\x1c \xE9\x00A#".to_vec())), 0..12),
    ) {
        let mut input = text.into_bytes();
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] = byte;
        }
        prop_assert!(covered(&input), "{}", input.escape_ascii());
        let split = batch::split(&input);
        let end = split.parts.iter().fold(0, |at, part| if part.bytes.start == at { part.bytes.end } else { usize::MAX });
        prop_assert_eq!(end, input.len());
    }

    #[test]
    fn encoding_undoes_decoding(text in clean()) {
        let decoded = decode(text.as_bytes());
        if decoded.deviations.is_empty() {
            prop_assert_eq!(encode(&decoded.message.unwrap()).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn text_reads_back_as_it_was_written(text in "[ -~\r\n\u{b5}\u{65e5}]{0,40}", order in Just(b"|^~\\&#!%*@".to_vec()).prop_shuffle()) {
        let (delimiters, sound) = Delimiters::read(order[0], &order[1..6]);
        prop_assert!(sound);
        let mut writer = encode::Writer::new(delimiters);
        writer.segment("MSH").field(&text);
        let (bytes, _) = writer.finish(Charset::UTF_8);
        let decoded = decode(&bytes);
        let message = decoded.message.unwrap();
        prop_assert_eq!(message.header().field(3).text(), text.as_str());
        prop_assert!(!message.header().field(3).is_divided());
    }

    #[test]
    fn bytes_of_other_character_sets_are_covered(text in clean(), little in any::<bool>()) {
        let units = text.encode_utf16();
        let input: Vec<u8> = if little { units.flat_map(u16::to_le_bytes).collect() } else { units.flat_map(u16::to_be_bytes).collect() };
        prop_assert!(covered(&input));
        let decoded = decode(&input);
        prop_assert_eq!(decoded.message.unwrap().segments().count(), decode(text.as_bytes()).message.unwrap().segments().count());
    }
}
