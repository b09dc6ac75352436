//! HL7 v2: the rules of any conformant report as far as these messages fill what they read, with their own words.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::draft::Sections;
use crate::clinical::mapping::draft::Tightness;
use crate::clinical::mapping::draft::evidence::Tally;
use crate::clinical::mapping::draft::page::Page;
use crate::clinical::mapping::draft::page::list;
use crate::clinical::mapping::draft::page::quoted;
use crate::clinical::mapping::draft::page::words;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Kind;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::model::Number;
use crate::clinical::terminology::nhs_number;
use crate::formats::hl7v2;

/// Whose rules are taken.
const TEMPLATE: &str = "standard";
const SECTIONS: [&str; 8] =
    ["patient", "report", "panel", "panel.extra", "result", "result.extra", "specimen", "specimen.extra"];
/// Where a patient's numbers stand.
const NUMBERS: [u32; 3] = [3, 2, 4];

/// What was seen in all messages.
#[derive(Default)]
struct Seen {
    messages: usize,
    /// In how many segments a field is filled, by `OBX-5`.
    fields: BTreeMap<String, usize>,
    segments: Tally,
    /// First components, of fields that hold a word of a table.
    words: BTreeMap<String, Tally>,
    /// NHS numbers whose check digit holds, by the type, else the authority, else nothing.
    numbers: Tally,
    with_offset: usize,
    without_offset: usize,
    /// An offset that no clock in London has, where times have one.
    other_offset: Option<String>,
    /// Values declared ST, and how many of them are numbers.
    texts: usize,
    numeric_texts: usize,
    /// Messages of several orders; and of them, those in which each order has a number of its own.
    several_orders: usize,
    own_numbers: usize,
}

pub(super) fn sections(lab: &str, samples: &[&[u8]], catalog: &Catalog, tightness: Tightness) -> Sections {
    let mut seen = Seen::default();
    for sample in samples {
        let converted =
            hl7v2::xml::looks_like_xml(sample).then(|| hl7v2::xml::convert(sample).ok()).flatten();
        let decoded = hl7v2::decode(converted.as_ref().map_or(sample, |it| it.er7.as_slice()));
        if let Some(message) = &decoded.message {
            seen.add(message);
        }
    }
    let about =
        format!("Drafted from {} messages. Each line marked `guess` rests on them alone.", seen.messages);
    let mut page = Page::new(lab, "hl7v2", &about);
    let mut questions = vec![
        "in which zone are times without an offset written? (`time_zone`)".to_owned(),
        "is `report.filler_number` what names a report again when it is corrected?".to_owned(),
    ];
    let Some(template) = catalog.lab(TEMPLATE) else { return Sections { page, questions } };
    for section in SECTIONS {
        let mut rules: Vec<&Rule> = template.rules.iter().filter(|it| section_of(it) == section).collect();
        // Of alternatives the first says what the field usually is.
        rules.dedup_by_key(|it| &it.name);
        let mut lines = Page::default();
        if section == "report" {
            seen.time_zone(&mut lines);
        }
        for rule in rules {
            seen.rule(rule, tightness, &mut lines, &mut questions);
        }
        if lines.text().is_empty() {
            continue;
        }
        page.section(section);
        if let Some(segment) = for_each(section) {
            page.rule("for_each", &quoted(segment));
        }
        page.line(lines.text().trim_end());
    }
    if seen.segments.count("NTE") > 0 {
        page.section("note");
        page.line("for_each = \"NTE\"\ntext     = \"NTE-3\"\nsource   = \"NTE-2\"");
    }
    page.line("");
    seen.ignores(template, &mut page);
    Sections { page, questions }
}

fn section_of(rule: &Rule) -> &str {
    rule.name.rsplit_once('.').map_or("", |(section, _)| section)
}

fn for_each(section: &str) -> Option<&'static str> {
    match section {
        "result" => Some("OBX"),
        "specimen" => Some("SPM"),
        _ => None,
    }
}

impl Seen {
    fn add(&mut self, message: &hl7v2::Message<'_>) {
        self.messages += 1;
        let mut fillers = Vec::new();
        for segment in message.segments() {
            let name = segment.name();
            self.segments.add(name, 1);
            for field in segment.fields().filter(hl7v2::Element::is_populated) {
                let number = field.location().field_number().unwrap_or_default();
                let path = format!("{name}-{number}");
                *self.fields.entry(path.clone()).or_default() += 1;
                let word = field.component(1).text().trim().to_owned();
                if matches!(path.as_str(), "OBX-11" | "OBX-2" | "OBR-25" | "PID-30") && !word.is_empty() {
                    self.words.entry(path).or_default().add(&word, 1);
                }
                self.time(&word);
            }
            match name {
                "PID" => NUMBERS.iter().for_each(|number| self.patient_numbers(segment.field(*number))),
                "OBR" => fillers.push(segment.field(3).component(1).text().into_owned()),
                "OBX" if segment.field(2).text() == "ST" => {
                    self.texts += 1;
                    let is_number = Number::parse(segment.field(5).text().trim()).is_some();
                    self.numeric_texts += usize::from(is_number);
                }
                _ => {}
            }
        }
        if fillers.len() > 1 {
            self.several_orders += 1;
            let apart: BTreeSet<&String> = fillers.iter().collect();
            self.own_numbers += usize::from(apart.len() == fillers.len());
        }
    }

    fn time(&mut self, word: &str) {
        const TO_THE_MINUTE: usize = 12;
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        if digits < TO_THE_MINUTE || word.parse::<hl7v2::timestamp::Timestamp>().is_err() {
            return;
        }
        let Some(offset) = word.find(['+', '-']).and_then(|at| word.get(at..)) else {
            self.without_offset += 1;
            return;
        };
        self.with_offset += 1;
        if !matches!(offset, "+0000" | "-0000" | "+0100") {
            self.other_offset.get_or_insert_with(|| offset.to_owned());
        }
    }

    fn patient_numbers(&mut self, field: hl7v2::Element<'_>) {
        for repetition in field.repetitions() {
            if let nhs_number::Reading::Valid(_) = nhs_number::read(&repetition.component(1).text()) {
                let number = field.location().field_number().unwrap_or_default();
                let kind = repetition.component(5).text().trim().to_owned();
                let authority = repetition.component(4).subcomponent(1).text().trim().to_owned();
                let is_plain =
                    |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let path = match (is_plain(&kind), is_plain(&authority)) {
                    (true, _) => format!("PID-{number}[type={kind}].1"),
                    (false, true) => format!("PID-{number}[authority={authority}].1"),
                    (false, false) => format!("PID-{number}.1"),
                };
                self.numbers.add(&path, 1);
            }
        }
    }

    fn count(&self, path: &Path) -> usize {
        let Path::Hl7v2(path) = path else { return 0 };
        let field = path
            .field
            .map_or_else(|| path.segment().to_owned(), |field| format!("{}-{field}", path.segment()));
        self.fields
            .get(&field)
            .copied()
            .unwrap_or_else(|| if path.field.is_none() { self.segments.count(&field) } else { 0 })
    }

    fn time_zone(&self, lines: &mut Page) {
        let all = self.with_offset + self.without_offset;
        if self.without_offset == 0 && all > 0 {
            lines.comment(&format!("All {all} times say their offset from UTC."));
            return;
        }
        if let Some(offset) = &self.other_offset {
            lines.comment(&format!(
                "{} of {all} times have no offset, and others have `{offset}`, which London never has: until the \
                 laboratory says its zone (`time_zone = \"…\"`), only the date of such a time is certain.",
                self.without_offset
            ));
            return;
        }
        lines.guess(&format!(
            "{} of {all} times have no offset; the laboratory must say whether it writes London time",
            self.without_offset
        ));
        lines.rule("time_zone", "\"Europe/London\"");
    }

    /// One rule of the template, if these messages fill what it reads.
    fn rule(&self, rule: &Rule, tightness: Tightness, lines: &mut Page, questions: &mut Vec<String>) {
        let filled: Vec<String> =
            rule.sources.iter().filter(|it| self.count(it) > 0).map(ToString::to_string).collect();
        let name = rule.name.rsplit('.').next().unwrap_or_default();
        let field = rule.field();
        let needed = [Field::FillerNumber, Field::ResultCode, Field::ResultValue, Field::ResultStatus];
        if filled.is_empty() && !field.is_some_and(|it| needed.contains(&it)) {
            return;
        }
        let times: usize = rule.sources.iter().map(|it| self.count(it)).sum();
        let from = from(&filled, rule);
        match field.map(|it| (it, it.kind())) {
            Some((Field::NhsNumber, _)) => self.nhs_number(lines, questions),
            Some((Field::FillerNumber, _)) => self.filler_number(&filled, rule, lines),
            Some((Field::BirthDate, _)) => lines.rule(name, &format!("{{ {from}, as = \"date\" }}")),
            Some((_, Kind::Sex)) => lines.rule(name, &format!("{{ {from}, table = \"sex\" }}")),
            Some((Field::ResultCode, _)) => {
                lines.guess(&format!("{times} results say what was measured in {}", filled.join(", ")));
                lines.rule(name, &format!("{{ {}, {} }}", or(&from, "from = \"OBX-3\""), tightness.code()));
            }
            Some((_, Kind::Code)) => lines.rule(name, &format!("{{ {from}, unmapped = \"keep\" }}")),
            Some((_, Kind::Unit)) => lines.rule(name, &format!("{{ {from}, {} }}", tightness.unit())),
            Some((_, Kind::Value)) => self.value(&or(&from, "from = \"OBX-5\""), lines),
            Some((_, Kind::ReportStatus | Kind::ResultStatus | Kind::YesNo)) => {
                self.status(rule, &filled, lines, questions);
            }
            _ if filled.len() == 1 && from.starts_with("from") => {
                lines.rule(name, from.trim_start_matches("from = "));
            }
            _ => lines.rule(name, &format!("{{ {from} }}")),
        }
    }

    fn nhs_number(&self, lines: &mut Page, questions: &mut Vec<String>) {
        let found = self.numbers.most_first();
        let paths: Vec<String> = found.iter().map(|(path, _)| path.clone()).collect();
        match paths.as_slice() {
            [] => {
                lines.comment(
                    "No number with the check digit of an NHS number was seen in PID-2, PID-3 or PID-4.",
                );
                questions.push("where is the NHS number, if the laboratory sends it?".to_owned());
            }
            paths => {
                lines.guess(&format!(
                    "{} numbers there have the check digit of an NHS number",
                    self.numbers.total()
                ));
                let from = match paths {
                    [one] => format!("from = {}", quoted(one)),
                    several => format!("each_of = {}", list(several)),
                };
                lines.rule("nhs_number", &format!("{{ {from}, check = \"nhs-number\" }}"));
            }
        }
    }

    fn filler_number(&self, filled: &[String], rule: &Rule, lines: &mut Page) {
        let orders = self.segments.count("OBR");
        let with = self.fields.get("OBR-3").copied().unwrap_or_default();
        lines.guess(&format!(
            "{with} of {orders} orders have a number of the laboratory's own. In {} messages of several orders {} give each its own: orders of one number are one report, else say `group_by`",
            self.several_orders, self.own_numbers
        ));
        let fallback: Vec<String> =
            rule.fallback.iter().filter(|it| self.count(it) > 0).map(ToString::to_string).collect();
        let fallback = if with < orders && !fallback.is_empty() {
            format!(", fallback = {}", list(&fallback))
        } else {
            String::new()
        };
        let first = if filled.is_empty() { vec!["OBR-3".to_owned()] } else { filled.to_vec() };
        lines.rule("filler_number", &format!("{{ first_of = {}{fallback}, required = true }}", list(&first)));
    }

    fn value(&self, from: &str, lines: &mut Page) {
        let mut retype = "";
        if self.numeric_texts > 0 {
            lines.guess(&format!(
                "{} of {} values declared ST are numbers, and are read as such; anything else stays text",
                self.numeric_texts, self.texts
            ));
            retype = ", retype = { ST = \"NM\" }";
        }
        lines.rule("value", &format!("{{ {from}, type = \"OBX-2\"{retype}, unmapped = \"hold\" }}"));
    }

    /// The words that were seen and of which the standard's tables say the meaning.
    fn status(&self, rule: &Rule, filled: &[String], lines: &mut Page, questions: &mut Vec<String>) {
        let name = rule.name.rsplit('.').next().unwrap_or_default();
        let Lookup::Map(meanings) = &rule.lookup else { return };
        let source = filled.first().cloned().or_else(|| rule.sources.first().map(ToString::to_string));
        let source = source.unwrap_or_default();
        let seen = self.words.get(&source).cloned().unwrap_or_default();
        let mut known = Vec::new();
        let mut evidence = Vec::new();
        for (word, count) in seen.most_first() {
            if let Some((_, ours)) = meanings.iter().find(|(sent, _)| *sent == word) {
                known.push((word.clone(), ours.as_str()));
                evidence.push(format!("{word} {count} times"));
            } else {
                questions.push(format!(
                    "what does `{word}` mean in {source}? It was seen {count} times, and holds"
                ));
                evidence.push(format!("{word} {count} times, of no known meaning: it holds"));
            }
        }
        if known.is_empty() {
            known.extend(
                meanings
                    .iter()
                    .find(|(_, ours)| ours == "final" || ours == "yes")
                    .map(|(sent, ours)| (sent.clone(), ours.as_str())),
            );
        }
        lines
            .guess(&format!("{source} says {}; the meanings are HL7's", or(&evidence.join(", "), "nothing")));
        lines.rule(
            name,
            &format!("{{ from = {}, map = {}, unmapped = \"hold\" }}", quoted(&source), words(&known)),
        );
    }

    /// What the template ignores and these messages have.
    fn ignores(&self, template: &Mapping, page: &mut Page) {
        for ignore in &template.ignores {
            let count = self.count(&ignore.path);
            if count > 0 {
                page.guess(&format!("seen {count} times"));
                page.ignore(&ignore.path.to_string(), &format!("guess: {}", ignore.why));
            }
        }
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

fn from(filled: &[String], rule: &Rule) -> String {
    match filled {
        [] => String::new(),
        [one] => format!("from = {}", quoted(one)),
        several if rule.each => format!("each_of = {}", list(several)),
        several => format!("first_of = {}", list(several)),
    }
}
