//! JSON and tables: what each member or column may be, by its name and by what stands in it.

use std::collections::BTreeSet;

use crate::clinical::mapping::draft::Sections;
use crate::clinical::mapping::draft::Shape;
use crate::clinical::mapping::draft::Tightness;
use crate::clinical::mapping::draft::evidence::Tally;
use crate::clinical::mapping::draft::names::Meaning;
use crate::clinical::mapping::draft::names::meanings;
use crate::clinical::mapping::draft::names::plain;
use crate::clinical::mapping::draft::page::Page;
use crate::clinical::mapping::draft::page::list;
use crate::clinical::mapping::draft::page::quoted;
use crate::clinical::mapping::draft::page::words;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Kind;
use crate::clinical::terminology::nhs_number;
use crate::formats::csv;
use crate::formats::json;
use crate::formats::tree::Node;

/// Sections in the order in which they are written.
const SECTIONS: [&str; 7] = ["message", "patient", "report", "panel", "result", "specimen", "note"];
/// How dates are written, the likelier first; of two that fit, a person must say.
const DATE_FORMS: [&str; 12] = [
    "DD/MM/YYYY HH:mm:ss",
    "DD/MM/YYYY HH:mm",
    "DD/MM/YYYY",
    "MM/DD/YYYY HH:mm",
    "MM/DD/YYYY",
    "YYYY/MM/DD HH:mm:ss",
    "YYYY/MM/DD",
    "DD-MM-YYYY",
    "DD.MM.YYYY",
    "YYYYMMDDHHmmss",
    "YYYYMMDDHHmm",
    "YYYYMMDD",
];
/// Words of statuses that mean the same everywhere.
const STATUSES: [(&str, &str); 12] = [
    ("final", "final"),
    ("f", "final"),
    ("complete", "final"),
    ("completed", "final"),
    ("resultsavailable", "final"),
    ("corrected", "corrected"),
    ("c", "corrected"),
    ("preliminary", "preliminary"),
    ("p", "preliminary"),
    ("partialresultsavailable", "preliminary"),
    ("cancelled", "cancelled"),
    ("x", "cancelled"),
];

/// A member that is no object, or a column: the names that lead to it, and what stood there.
struct Leaf {
    names: Vec<String>,
    values: Vec<String>,
}

/// What was found, and where results begin.
struct Seen {
    is_json: bool,
    leaves: Vec<Leaf>,
    /// Of JSON, the names of the list of results, and of the list it stands in.
    results: Vec<String>,
    panels: Vec<String>,
    reports: Vec<String>,
    chosen: Vec<(Meaning, usize)>,
}

pub(super) fn sections(lab: &str, shape: Shape, samples: &[&[u8]], tightness: Tightness) -> Sections {
    let is_json = shape == Shape::Json;
    let mut seen = Seen {
        is_json,
        leaves: Vec::new(),
        results: Vec::new(),
        panels: Vec::new(),
        reports: Vec::new(),
        chosen: Vec::new(),
    };
    for sample in samples {
        seen.add(sample);
    }
    seen.lists();
    seen.choose();
    let format = if is_json { "json" } else { "csv" };
    let about =
        format!("Drafted from {} files. Each line marked `guess` rests on them alone.", samples.len());
    let mut page = Page::new(lab, format, &about);
    let mut questions = Vec::new();
    for section in SECTIONS {
        let mut lines = Page::default();
        seen.begins(section, &mut lines);
        for field in Field::ALL.iter().filter(|it| it.section() == section) {
            seen.rule(*field, tightness, &mut lines, &mut questions);
        }
        if section == "report" {
            lines.guess("whether times without an offset are London time, the laboratory must say");
            lines.rule("time_zone", "\"Europe/London\"");
        }
        if !lines.text().is_empty() {
            page.section(section);
            page.line(lines.text().trim_end());
        }
    }
    page.line("");
    Sections { page, questions }
}

impl Seen {
    fn add(&mut self, sample: &[u8]) {
        if self.is_json {
            if let Ok(root) = json::decode(sample) {
                self.node(&root, &mut Vec::new());
            }
        } else if let Ok(table) = csv::decode(sample, None) {
            for (at, name) in table.columns.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                for row in &table.rows {
                    self.value(std::slice::from_ref(name), row.cells.get(at).map_or("", String::as_str));
                }
            }
        }
    }

    fn node(&mut self, node: &Node, names: &mut Vec<String>) {
        match node {
            Node::List(items) => items.iter().for_each(|item| self.node(item, names)),
            Node::Object(members) => {
                for (name, member) in members {
                    names.push(name.clone());
                    self.node(member, names);
                    names.pop();
                }
            }
            Node::Null => {}
            scalar => self.value(names, scalar.text().unwrap_or_default()),
        }
        if let Node::List(items) = node
            && items.iter().any(|it| matches!(it, Node::Object(_)))
        {
            self.list(names);
        }
    }

    fn value(&mut self, names: &[String], value: &str) {
        match self.leaves.iter_mut().find(|leaf| leaf.names == names) {
            Some(leaf) => leaf.values.push(value.to_owned()),
            None => self.leaves.push(Leaf { names: names.to_vec(), values: vec![value.to_owned()] }),
        }
    }

    /// Remembers the deepest list of objects in which something like a value stands.
    fn list(&mut self, names: &[String]) {
        let says = |meaning: Field| {
            self.leaves.iter().any(|leaf| {
                leaf.names.len() == names.len() + 1
                    && leaf.names.starts_with(names)
                    && leaf.names.last().is_some_and(|it| {
                        meanings(it).iter().any(|(found, _)| *found == Meaning::Field(meaning))
                    })
            })
        };
        if says(Field::ResultValue) && names.len() >= self.results.len() {
            self.results = names.to_vec();
        } else if !self.panels.contains(&names.join("/")) {
            self.panels.push(names.join("/"));
        }
    }

    /// Which of the lists around results are panels, and which reports.
    fn lists(&mut self) {
        let around: Vec<String> = std::mem::take(&mut self.panels)
            .into_iter()
            .filter(|it| {
                self.results.join("/").starts_with(&format!("{it}/")) || it.is_empty() && self.is_json
            })
            .collect();
        let split = |text: &String| {
            text.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut around: Vec<Vec<String>> = around.iter().map(split).collect();
        around.sort_by_key(Vec::len);
        let is_of_patient = |names: &[String]| {
            self.leaves.iter().any(|leaf| {
                leaf.names.starts_with(names)
                    && leaf.names.last().is_some_and(|it| {
                        meanings(it).iter().any(|(found, _)| {
                            matches!(found, Meaning::Field(Field::BirthDate | Field::Family))
                        })
                    })
            })
        };
        if let Some(inner) = around.pop() {
            if !inner.is_empty() && is_of_patient(&inner) {
                self.reports = inner;
            } else {
                self.panels = inner;
                self.reports = around.pop().unwrap_or_default();
            }
        }
    }

    /// Gives each leaf the meaning of its name, and each meaning the leaf whose name is likeliest.
    fn choose(&mut self) {
        let mut candidates: Vec<(usize, usize, Meaning, usize)> = Vec::new();
        for (at, leaf) in self.leaves.iter().enumerate() {
            let last = leaf.names.last().cloned().unwrap_or_default();
            let parent = leaf.names.iter().rev().take(2).rev().cloned().collect::<String>();
            for (meaning, rank) in meanings(&parent).into_iter().chain(meanings(&last)) {
                candidates.push((rank, at, meaning, leaf.names.len()));
            }
            let numbers =
                leaf.values.iter().filter(|it| matches!(nhs_number::read(it), nhs_number::Reading::Valid(_)));
            let filled = leaf.values.iter().filter(|it| !it.trim().is_empty()).count();
            if filled > 0 && numbers.count() * 10 >= filled * 9 {
                candidates.push((0, at, Meaning::Field(Field::NhsNumber), 0));
            }
        }
        candidates.sort_by_key(|(rank, at, ..)| (*rank, *at));
        let mut taken = BTreeSet::new();
        for (_, at, meaning, _) in candidates {
            let is_many = matches!(
                meaning,
                Meaning::Field(Field::Identifiers | Field::Addresses | Field::Telecoms | Field::NoteText)
            );
            let is_given = self.chosen.iter().any(|(given, _)| *given == meaning);
            if self.is_in_place(meaning, at) && (is_many || !is_given) && taken.insert(at) {
                self.chosen.push((meaning, at));
            }
        }
    }

    /// Whether a leaf stands where its meaning can: what is of a result among results, what is of a patient outside.
    fn is_in_place(&self, meaning: Meaning, at: usize) -> bool {
        let Some(leaf) = self.leaves.get(at) else { return false };
        if !self.is_json {
            return true;
        }
        let is_result = !self.results.is_empty() && leaf.names.starts_with(&self.results);
        match meaning {
            Meaning::ResultName => is_result,
            Meaning::Field(Field::ResultStatus | Field::ResultObservedAt | Field::PerformingLab) => true,
            Meaning::Field(field) if matches!(field.section(), "result" | "note") => is_result,
            Meaning::Field(_) | Meaning::PanelName => !is_result,
        }
    }

    fn all(&self, meaning: Meaning) -> Vec<&Leaf> {
        let of = self.chosen.iter().filter(|(it, _)| *it == meaning);
        of.filter_map(|(_, at)| self.leaves.get(*at)).collect()
    }

    /// Where a section begins.
    fn begins(&self, section: &str, lines: &mut Page) {
        let path = |names: &[String]| quoted(&names.iter().map(|it| token(it)).collect::<Vec<_>>().join("/"));
        let below =
            |outer: &[String], names: &[String]| names.get(outer.len()..).unwrap_or_default().to_vec();
        match section {
            "report" if !self.reports.is_empty() => {
                lines.guess("a list in which each item has its own patient");
                lines.rule("for_each", &path(&self.reports));
            }
            "panel" if !self.panels.is_empty() => {
                lines.guess("a list of lists of results");
                lines.rule("for_each", &path(&below(&self.reports, &self.panels)));
            }
            "result" if !self.results.is_empty() => {
                let outer = if self.panels.is_empty() { &self.reports } else { &self.panels };
                lines.guess("the list whose items have values");
                lines.rule("for_each", &path(&below(outer, &self.results)));
            }
            "note" => {
                let notes = self.all(Meaning::Field(Field::NoteText));
                let paths: Vec<String> = notes.iter().map(|leaf| self.path(leaf, "result")).collect();
                if !paths.is_empty() {
                    lines.guess(&format!("by name, {}", evidence(&notes)));
                    lines.rule("for_each", &list(&paths));
                    lines.rule("text", "\".\"");
                }
            }
            _ => {}
        }
    }

    /// The path of a leaf as a section's rule writes it.
    fn path(&self, leaf: &Leaf, section: &str) -> String {
        if !self.is_json {
            return leaf.names.join("");
        }
        let place = match section {
            "result" | "note" if leaf.names.starts_with(&self.results) && !self.results.is_empty() => {
                &self.results
            }
            "panel" if leaf.names.starts_with(&self.panels) && !self.panels.is_empty() => &self.panels,
            _ => &self.reports,
        };
        let is_here =
            leaf.names.starts_with(place) && (!place.is_empty() || matches!(section, "patient" | "report"));
        let names = if is_here { leaf.names.get(place.len()..).unwrap_or_default() } else { &leaf.names };
        let path = names.iter().map(|it| token(it)).collect::<Vec<_>>().join("/");
        if is_here { path } else { format!("/{path}") }
    }

    fn rule(&self, field: Field, tightness: Tightness, lines: &mut Page, questions: &mut Vec<String>) {
        let leaves = self.all(Meaning::Field(field));
        let (name, section) = (field.name(), field.section());
        let paths: Vec<String> = leaves.iter().map(|leaf| self.path(leaf, section)).collect();
        let from = match paths.as_slice() {
            [] => String::new(),
            [one] => format!("from = {}", quoted(one)),
            several => format!("each_of = {}", list(several)),
        };
        let because = format!("by name, {}", evidence(&leaves));
        let rule = match field {
            Field::NoteText => return,
            Field::FillerNumber => self.filler_number(&from, questions),
            Field::ResultStatus => return status(&leaves, &from, lines, questions),
            Field::ResultCode | Field::PanelCode => match self.code(field, &from, tightness) {
                Some(rule) => rule,
                None if field == Field::ResultCode => {
                    questions
                        .push("which column or member says what was measured? (`result.code`)".to_owned());
                    format!("{{ from = \"code\", {} }}", tightness.code())
                }
                None => return,
            },
            Field::ResultValue => {
                if from.is_empty() {
                    questions.push("which column or member is the value? (`result.value`)".to_owned());
                }
                let from = if from.is_empty() { "from = \"value\"" } else { &from };
                format!("{{ {from}, unmapped = \"hold\" }}")
            }
            _ if from.is_empty() => return,
            Field::NhsNumber => format!("{{ {from}, check = \"nhs-number\" }}"),
            _ => match field.kind() {
                Kind::Unit => format!("{{ {from}, {} }}", tightness.unit()),
                Kind::Sex => format!("{{ {from}, table = \"sex\" }}"),
                Kind::Code => format!("{{ {from}, unmapped = \"keep\" }}"),
                Kind::Moment => moment(field, &leaves, &from, questions),
                _ if paths.len() == 1 => from.trim_start_matches("from = ").to_owned(),
                _ => format!("{{ {from} }}"),
            },
        };
        lines.guess(&because);
        lines.rule(name, &rule);
    }

    fn filler_number(&self, from: &str, questions: &mut Vec<String>) -> String {
        if !from.is_empty() {
            return format!("{{ {from}, required = true }}");
        }
        questions
            .push("what names a report, and again when it is corrected? (`report.filler_number`)".to_owned());
        let path = if self.is_json { "/report_number" } else { "report_number" };
        format!("{{ from = \"{path}\", required = true }}")
    }

    fn code(&self, field: Field, from: &str, tightness: Tightness) -> Option<String> {
        let names = if field == Field::ResultCode { Meaning::ResultName } else { Meaning::PanelName };
        let name = self.all(names).first().map(|leaf| quoted(&self.path(leaf, field.section())));
        let keys = if field == Field::ResultCode { tightness.code() } else { "unmapped = \"keep\"" };
        match (from, name) {
            ("", None) => None,
            ("", Some(name)) => Some(format!("{{ from = {name}, {keys} }}")),
            (from, Some(name)) => Some(format!("{{ {from}, display = {name}, {keys} }}")),
            (from, None) => Some(format!("{{ {from}, {keys} }}")),
        }
    }
}

fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The words that were seen, and those of which the meaning is the same everywhere.
fn status(leaves: &[&Leaf], from: &str, lines: &mut Page, questions: &mut Vec<String>) {
    let mut sent = Tally::default();
    for value in leaves.iter().flat_map(|it| &it.values).filter(|it| !it.trim().is_empty()) {
        sent.add(value.trim(), 1);
    }
    let meaning = |word: &str| {
        let word = plain(word);
        STATUSES.iter().find(|(it, _)| *it == word).map(|(_, ours)| *ours)
    };
    let mut known = Vec::new();
    for (word, count) in sent.most_first() {
        match meaning(&word) {
            Some(ours) => known.push((word, ours)),
            None => questions
                .push(format!("what does the status `{word}` mean? It was seen {count} times, and holds")),
        }
    }
    if known.is_empty() {
        known.push(("final".to_owned(), "final"));
    }
    if from.is_empty() {
        lines.guess(
            "nothing here says whether a result is final: every result holds until this names what does",
        );
        questions.push(
            "what says whether a result is final? Until `result.status` reads it, every result holds"
                .to_owned(),
        );
    } else {
        lines.guess(&format!(
            "by name, {}; words of no known meaning are left out, and hold",
            evidence(leaves)
        ));
    }
    let from = if from.is_empty() { "from = \"status\"" } else { from };
    lines.rule("status", &format!("{{ {from}, map = {}, unmapped = \"hold\" }}", words(&known)));
}

/// `12 of 14 values in "Result"`
fn evidence(leaves: &[&Leaf]) -> String {
    let one = |leaf: &&Leaf| {
        let filled = leaf.values.iter().filter(|it| !it.trim().is_empty()).count();
        format!("{filled} of {} filled in {}", leaf.values.len(), quoted(&leaf.names.join("/")))
    };
    leaves.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A date, in the form that all of its values have.
fn moment(field: Field, leaves: &[&Leaf], from: &str, questions: &mut Vec<String>) -> String {
    let filled: Vec<&str> =
        leaves.iter().flat_map(|it| &it.values).map(|it| it.trim()).filter(|it| !it.is_empty()).collect();
    let is_iso = |it: &&str| it.get(4..5) == Some("-") && it.get(7..8).is_none_or(|mark| mark == "-");
    // A few values that are written otherwise hold; a form that hardly any has is none.
    let have = |form: &str| filled.iter().filter(|it| has_form(it, form)).count();
    let fits = |form: &&str| have(form) * 10 >= filled.len() * 6 && !filled.is_empty();
    let fitting: Vec<&str> = DATE_FORMS.into_iter().filter(fits).collect();
    let most = fitting.iter().copied().rev().max_by_key(|form| have(form));
    let form = match most {
        _ if filled.iter().all(is_iso) => String::new(),
        None => {
            questions.push(format!("how are the dates of `{}` written? (`format`)", field.path()));
            String::new()
        }
        Some(form) => {
            let is_open = fitting.iter().any(|it| it.starts_with("MM/") && have(it) == have(form));
            if is_open && form.starts_with("DD/") {
                questions.push(format!(
                    "do the dates of `{}` begin with the day? No sample shows it",
                    field.path()
                ));
            }
            format!(", format = \"{form}\"")
        }
    };
    let decision = if field == Field::BirthDate { "" } else { ", unmapped = \"hold\"" };
    format!("{{ {from}{form}{decision} }}")
}

fn has_form(text: &str, form: &str) -> bool {
    let (mut text, mut form) = (text, form);
    while !form.is_empty() {
        let part =
            [("YYYY", 1900, 2100), ("DD", 1, 31), ("MM", 1, 12), ("HH", 0, 23), ("mm", 0, 59), ("ss", 0, 59)];
        if let Some((name, low, high)) = part.into_iter().find(|(name, ..)| form.starts_with(name)) {
            let digits = text.bytes().take(name.len()).take_while(u8::is_ascii_digit).count();
            let Some((number, rest)) = text.split_at_checked(digits) else { return false };
            if !number.parse::<u16>().is_ok_and(|it| (low..=high).contains(&it)) {
                return false;
            }
            (text, form) = (rest, form.get(name.len()..).unwrap_or_default());
        } else {
            let literal = form.chars().next().unwrap_or_default();
            let Some(rest) = text.strip_prefix(literal) else { return false };
            (text, form) = (rest, form.get(literal.len_utf8()..).unwrap_or_default());
        }
    }
    text.is_empty()
}
