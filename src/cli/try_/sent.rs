//! The results that a message brings, found without its reader, so that one which goes missing shows.
//!
//! Other parsers than those of `formats`, and none of a mapping's paths but the names of what holds a value: a mistake is
//! not shared by both sides. Bytes that these parsers cannot read are taken as bringing none; a reader that maps such
//! bytes all the same shows as more results out than in.

use std::collections::BTreeSet;

use quick_xml::events::BytesStart;
use quick_xml::events::Event;
use serde_json::Value;

use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::language::Format;
use crate::formats::hl7v2::xml::looks_like_xml;

/// What stands between two cells, in no order.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// Elements of an Observation that make it a panel of what they hold or point at.
const MEMBERS: [&str; 2] = ["component", "hasMember"];

/// Where each result of a message stands, as positions in diagnostics name it.
pub(super) fn results(mapping: &Mapping, raw: &[u8]) -> BTreeSet<String> {
    match mapping.format() {
        Format::Csv => of_table(mapping, raw),
        Format::Fhir if starts_with_bracket(raw) => of_fhir_xml(raw),
        Format::Fhir => of_fhir_json(raw),
        Format::Hl7v2 if looks_like_xml(raw) => of_hl7_xml(raw),
        Format::Hl7v2 => of_er7(raw),
        Format::Json => of_json(mapping, raw),
    }
}

/// A position without the places of only items, which XML cannot tell from those of lists.
pub(super) fn plain(position: &str) -> String {
    position.replace("[0]", "")
}

fn starts_with_bracket(raw: &[u8]) -> bool {
    raw.iter().find(|byte| byte.is_ascii() && !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// Lines that begin with OBX, in whatever way they end.
fn of_er7(raw: &[u8]) -> BTreeSet<String> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C);
    let is_margin = |byte: &u8| matches!(byte, b' ' | b'\t');
    // In UTF-16 every other byte of ASCII is zero.
    let text: Vec<u8> = raw.iter().copied().filter(|byte| *byte != 0).collect();
    let named = text.split(is_end).filter(|line| {
        let margin = line.iter().take_while(|byte| is_margin(byte)).count();
        let line = line.get(margin..).unwrap_or_default();
        line.strip_prefix(b"OBX")
            .is_some_and(|rest| rest.first().is_none_or(|it| !it.is_ascii_alphanumeric()))
    });
    named.zip(1..).map(|(_, number): (&[u8], usize)| format!("OBX[{number}]")).collect()
}

fn of_hl7_xml(raw: &[u8]) -> BTreeSet<String> {
    let mut count = 0;
    let mut reader = quick_xml::Reader::from_reader(raw);
    loop {
        match reader.read_event() {
            Ok(Event::Start(it) | Event::Empty(it)) if it.local_name().as_ref() == "OBX" => count += 1,
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    (1..=count).map(|number| format!("OBX[{number}]")).collect()
}

fn of_fhir_json(raw: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Ok(document) = serde_json::from_slice::<Value>(raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw)) {
        let kind = document.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        observations(&document, kind, &mut found);
    }
    found
}

fn observations(node: &Value, at: &str, found: &mut BTreeSet<String>) {
    match node {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                observations(item, &format!("{at}[{index}]"), found);
            }
        }
        Value::Object(members) => {
            if members.get("resourceType").and_then(Value::as_str) == Some("Observation") {
                let count = |name: &str| members.get(name).and_then(Value::as_array).map_or(0, Vec::len);
                let has_value = members.keys().any(|name| name.starts_with("value"));
                observation(at, has_value, MEMBERS.map(count), found);
            }
            for (name, member) in members {
                observations(member, &format!("{at}.{name}"), found);
            }
        }
        _ => {}
    }
}

/// An Observation is a result itself unless it is a panel without a value; its components are results always.
fn observation(at: &str, has_value: bool, [components, members]: [usize; 2], found: &mut BTreeSet<String>) {
    if has_value || components + members == 0 {
        found.insert(plain(at));
    }
    found.extend((0..components).map(|index| plain(&format!("{at}.component[{index}]"))));
}

/// An element of FHIR in XML that is still open.
#[derive(Default)]
struct Open {
    at: String,
    is_observation: bool,
    has_value: bool,
    /// How many of each name were inside so far.
    names: Vec<(String, usize)>,
}

impl Open {
    /// The next element of this name: its place.
    fn next(&mut self, name: &str) -> usize {
        if let Some((_, count)) = self.names.iter_mut().find(|(known, _)| known == name) {
            *count += 1;
            return *count - 1;
        }
        self.names.push((name.to_owned(), 1));
        0
    }

    fn count(&self, name: &str) -> usize {
        self.names.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
    }
}

fn of_fhir_xml(raw: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<Open> = Vec::new();
    let mut reader = quick_xml::Reader::from_reader(raw);
    loop {
        match reader.read_event() {
            Ok(Event::Start(it)) => {
                let element = element(&it, open.last_mut());
                open.push(element);
            }
            Ok(Event::Empty(it)) => close(&element(&it, open.last_mut()), &mut found),
            Ok(Event::End(_)) => open.pop().into_iter().for_each(|it| close(&it, &mut found)),
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

fn element(start: &BytesStart<'_>, parent: Option<&mut Open>) -> Open {
    let name = start.local_name().as_ref().to_owned();
    let is_resource = name.starts_with(|first: char| first.is_ascii_uppercase());
    let at = match parent {
        None => name.clone(),
        // A resource stands in a wrapper, whose place is its own.
        Some(parent) if is_resource => parent.at.clone(),
        Some(parent) => {
            parent.has_value |= name.starts_with("value");
            let index = parent.next(&name);
            format!("{}.{name}[{index}]", parent.at)
        }
    };
    Open { at, is_observation: name == "Observation", ..Open::default() }
}

fn close(element: &Open, found: &mut BTreeSet<String>) {
    if element.is_observation {
        observation(&element.at, element.has_value, MEMBERS.map(|name| element.count(name)), found);
    }
}

/// Every row below the header; where a mapping reads columns, every cell of those that is filled.
fn of_table(mapping: &Mapping, raw: &[u8]) -> BTreeSet<String> {
    let header = raw.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.trim_ascii().is_empty());
    let count = |delimiter: &u8| header.map_or(0, |line| memchr::memchr_iter(*delimiter, line).count());
    let delimiter = DELIMITERS.into_iter().max_by_key(count).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(raw);
    let mut rows = reader.byte_records().filter_map(Result::ok);
    let header = rows.find(|row| !is_blank(row)).unwrap_or_default();
    let columns = mapping.value_columns();
    let mut found = BTreeSet::new();
    for row in rows.filter(|row| !is_blank(row)) {
        let line = line_of(raw, row.position().map_or(0, csv::Position::byte));
        if columns.is_empty() {
            found.insert(format!("line {line}"));
            continue;
        }
        for (name, cell) in header.iter().zip(row.iter()) {
            let name = String::from_utf8_lossy(name).trim().to_owned();
            if !cell.trim_ascii().is_empty() && columns.contains(&name) {
                found.insert(format!("line {line}, {name}"));
            }
        }
    }
    found
}

/// The line on which a row begins, whatever ends the lines before it.
fn line_of(raw: &[u8], byte: u64) -> usize {
    let from = usize::try_from(byte).unwrap_or(raw.len());
    let ends = raw.iter().skip(from).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let before = raw.get(..from + ends).unwrap_or(raw);
    let pairs = memchr::memmem::find_iter(before, b"\r\n").count();
    1 + memchr::memchr2_iter(b'\r', b'\n', before).count() - pairs
}

fn is_blank(row: &csv::ByteRecord) -> bool {
    row.iter().all(|cell| cell.trim_ascii().is_empty())
}

/// Every object that has the member in which the mapping looks for a value.
fn of_json(mapping: &Mapping, raw: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let (Some(name), Ok(document)) = (mapping.value_member(), serde_json::from_slice::<Value>(raw)) {
        objects_with(&name, &document, "", &mut found);
    }
    found
}

fn objects_with(name: &str, node: &Value, at: &str, found: &mut BTreeSet<String>) {
    match node {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects_with(name, item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            if members.contains_key(name) {
                found.insert(if at.is_empty() { "/".to_owned() } else { at.to_owned() });
            }
            for (member, node) in members {
                let member = member.replace('~', "~0").replace('/', "~1");
                objects_with(name, node, &format!("{at}/{member}"), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(positions: &[&str]) -> BTreeSet<String> {
        positions.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn each_obx_is_found_however_its_line_ends() {
        let message = b"\x0bMSH|^~\\&|A\r\nOBX|1|NM\n OBX|2\rOBXY|3\rNTE|1||OBX|\rOBX\r\x1c\r";
        assert_eq!(of_er7(message), set(&["OBX[1]", "OBX[2]", "OBX[3]"]));
        let wide: Vec<u8> = "MSH|^~\\&\rOBX|1\r".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(of_er7(&wide), set(&["OBX[1]"]));
        assert_eq!(of_hl7_xml(b"<a xmlns:h='x'><h:OBX/><OBX><OBX.1/></OBX></a>"), set(&["OBX[1]", "OBX[2]"]));
    }

    #[test]
    fn observations_are_found_alike_in_both_spellings() {
        let json = br#"{"resourceType":"Bundle","entry":[
            {"resource":{"resourceType":"Observation","valueString":"a"}},
            {"resource":{"resourceType":"Observation","hasMember":[{"reference":"x"}]}},
            {"resource":{"resourceType":"DiagnosticReport","contained":[
                {"resourceType":"Observation","component":[{"valueString":"a"},{}]}]}}]}"#;
        let xml = br#"<Bundle xmlns="http://hl7.org/fhir">
            <entry><resource><Observation><valueString value="a"/></Observation></resource></entry>
            <entry><resource><Observation><hasMember><reference value="x"/></hasMember></Observation></resource></entry>
            <entry><resource><DiagnosticReport><contained><Observation>
              <component><valueString value="a"/></component><component/></Observation></contained>
            </DiagnosticReport></resource></entry></Bundle>"#;
        let wanted = set(&[
            "Bundle.entry.resource",
            "Bundle.entry[2].resource.contained.component",
            "Bundle.entry[2].resource.contained.component[1]",
        ]);
        assert_eq!(of_fhir_json(json), wanted);
        assert_eq!(of_fhir_xml(xml), wanted);
    }

    #[test]
    fn objects_with_a_value_are_found_wherever_they_stand() {
        let document =
            serde_json::from_str(r#"{"a/b":[{"result":"1"},{"results":[{"result":null}]}]}"#).unwrap();
        let mut found = BTreeSet::new();
        objects_with("result", &document, "", &mut found);
        assert_eq!(found, set(&["/a~1b/0", "/a~1b/1/results/0"]));
    }
}
