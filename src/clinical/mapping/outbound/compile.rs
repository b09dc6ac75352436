//! Reads an outbound mapping file into its types. Every problem is told, each at its place.

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::clinical::mapping::outbound::Answer;
use crate::clinical::mapping::outbound::Body;
use crate::clinical::mapping::outbound::Call;
use crate::clinical::mapping::outbound::Document;
use crate::clinical::mapping::outbound::Mapping;
use crate::clinical::mapping::outbound::Question;
use crate::clinical::mapping::outbound::Section;
use crate::clinical::mapping::outbound::When;
use crate::clinical::mapping::outbound::case::List;
use crate::clinical::mapping::outbound::case::Path;
use crate::clinical::mapping::outbound::text::BadText;
use crate::clinical::mapping::outbound::text::Text;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Span;
use crate::diagnostic::nearest;
use crate::formats::cliniko::write::QuestionKind;

/// More calls than any case can need; each is a write to a patient's record.
pub(super) const CALLS_MAX: usize = 10;
pub(super) const WHEN: [(&str, When); 4] = [
    ("always", When::Always),
    ("final", When::Final),
    ("patient_text", When::PatientText),
    ("supersedes", When::Supersedes),
];
pub(super) const DOCUMENTS: [(&str, Document); 2] =
    [("clinician_pdf", Document::ClinicianPdf), ("patient_pdf", Document::PatientPdf)];
const SCHEMA: &str = "1";
const BAD_SHAPE: Code = Code::new("D010");
const UNKNOWN_PATH: Code = Code::new("D011");
const BAD_CALL: Code = Code::new("D012");

type Value<'i> = Spanned<DeValue<'i>>;

pub(super) fn compile(file: &str, text: &str) -> Result<Mapping, Vec<Diagnostic>> {
    let mut reader = Reader { file, text, found: Vec::new() };
    let calls = match DeTable::parse(text) {
        Ok(table) => reader.file(&table),
        Err(error) => {
            let at = error.span().unwrap_or(0..0);
            reader.tell(BAD_SHAPE, at, error.message(), "not TOML here");
            None
        }
    };
    match calls {
        Some(calls) if reader.found.is_empty() => Ok(Mapping { calls }),
        _ => {
            reader.found.sort_by_key(|it| it.span.as_ref().map(|span| (span.line, span.column)));
            Err(reader.found)
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn file(&mut self, table: &Spanned<DeTable<'_>>) -> Option<Vec<Call>> {
        let fields = table.get_ref();
        self.only(fields, &["schema", "destination", "call"]);
        let schema = self.required(fields, "schema", 0..0)?;
        if !matches!(schema.get_ref(), DeValue::Integer(number) if number.as_str() == SCHEMA) {
            self.tell(BAD_SHAPE, schema.span(), "the schema of an outbound mapping is 1", "not 1");
        }
        if let Some(destination) = self.required(fields, "destination", 0..0)
            && destination.get_ref().as_str() != Some("cliniko")
        {
            self.tell(
                BAD_SHAPE,
                destination.span(),
                "the only destination is `cliniko`",
                "unknown destination",
            );
        }
        let calls = self.required(fields, "call", 0..0)?;
        let list = self.array(calls, CALLS_MAX)?;
        let calls: Vec<Call> = list.iter().filter_map(|call| self.call(call)).collect();
        for (i, call) in calls.iter().enumerate() {
            if calls.iter().take(i).any(|earlier| earlier.id == call.id) {
                let at = list.get(i).map_or(0..0, Spanned::span);
                self.tell(BAD_CALL, at, &format!("two calls have the id `{}`", call.id), "each id once");
            }
        }
        Some(calls)
    }

    fn call(&mut self, value: &Value<'_>) -> Option<Call> {
        let at = value.span();
        let fields = self.table(value)?;
        self.only(fields, &["id", "when", "method", "path", "body"]);
        let id = self.constant_of(fields, "id", at.clone());
        let when = match fields.get("when") {
            None => Some(When::Always),
            Some(when) => self.word(when, "condition", &WHEN),
        };
        let method = self.constant_of(fields, "method", at.clone());
        let path = self.constant_of(fields, "path", at.clone());
        let body = self.required(fields, "body", at.clone());
        let (id, method, path, body) = (id?, method?, path?, body?);
        let body = match (method.as_str(), path.as_str()) {
            ("POST", "/patient_attachments") => self.attachment(body),
            ("POST", "/treatment_notes") => self.note(body),
            _ => {
                let what = format!("`{method} {path}` is not a call the gateway may make");
                self.tell(
                    BAD_CALL,
                    at,
                    &what,
                    "neither `POST /patient_attachments` nor `POST /treatment_notes`",
                );
                None
            }
        };
        Some(Call { id, when: when?, body: body? })
    }

    fn attachment(&mut self, value: &Value<'_>) -> Option<Body> {
        let at = value.span();
        let fields = self.table(value)?;
        self.only(fields, &["patient_id", "upload_url", "description"]);
        self.patient(fields, at.clone());
        let upload = self.required(fields, "upload_url", at.clone()).and_then(|it| self.upload(it));
        let description = self.marked(fields, "description", at);
        let ((document, filename), description) = (upload?, description?);
        Some(Body::Attachment { document, filename, description })
    }

    /// `{ upload = "patient_pdf", filename = "…{marker}.pdf" }`
    fn upload(&mut self, value: &Value<'_>) -> Option<(Document, Text)> {
        let at = value.span();
        let fields = self.table(value)?;
        self.only(fields, &["upload", "filename"]);
        let document =
            self.required(fields, "upload", at.clone()).and_then(|it| self.word(it, "document", &DOCUMENTS));
        let filename = self.required(fields, "filename", at).and_then(|it| self.text(it));
        Some((document?, filename?))
    }

    fn note(&mut self, value: &Value<'_>) -> Option<Body> {
        let at = value.span();
        let fields = self.table(value)?;
        self.only(fields, &["patient_id", "treatment_note_template_id", "title", "draft", "content"]);
        self.patient(fields, at.clone());
        if let Some(draft) = self.required(fields, "draft", at.clone())
            && !matches!(draft.get_ref(), DeValue::Boolean(false))
        {
            self.tell(BAD_SHAPE, draft.span(), "a note is sent finished", "must be `false`");
        }
        let template = match fields.get("treatment_note_template_id") {
            None => None,
            Some(leaf) => Some(self.string(leaf).and_then(|name| self.path(leaf, &name))?),
        };
        let title = self.marked(fields, "title", at.clone());
        let content = self.required(fields, "content", at.clone()).and_then(|it| self.table(it));
        let sections = content.and_then(|content| {
            self.only(content, &["sections"]);
            let sections = self.required(content, "sections", at)?;
            let list = self.array(sections, crate::formats::cliniko::write::PARTS_MAX)?;
            list.iter().map(|it| self.section(it)).collect::<Option<Vec<Section>>>()
        });
        Some(Body::Note { title: title?, template, sections: sections? })
    }

    fn section(&mut self, value: &Value<'_>) -> Option<Section> {
        let at = value.span();
        let fields = self.table(value)?;
        self.only(fields, &["name", "questions"]);
        let name = self.constant_of(fields, "name", at.clone());
        let questions = self.required(fields, "questions", at)?;
        let list = self.array(questions, crate::formats::cliniko::write::PARTS_MAX)?;
        let questions = list.iter().map(|it| self.question(it)).collect::<Vec<_>>();
        Some(Section { name: name?, questions: questions.into_iter().collect::<Option<_>>()? })
    }

    fn question(&mut self, value: &Value<'_>) -> Option<Question> {
        let at = value.span();
        let fields = self.table(value)?;
        self.only(fields, &["name", "type", "answer"]);
        let name = self.constant_of(fields, "name", at.clone());
        let kind = self
            .required(fields, "type", at.clone())
            .and_then(|it| self.word(it, "type", &QuestionKind::ALL))?;
        let answer = self.required(fields, "answer", at)?;
        let answer = match answer.get_ref() {
            DeValue::Array(parts) if kind == QuestionKind::Paragraph => {
                parts.iter().map(|part| self.answer(part, kind)).collect::<Option<Vec<_>>>()
            }
            _ => self.answer(answer, kind).map(|part| vec![part]),
        };
        Some(Question { name: name?, kind, answer: answer? })
    }

    /// A path, `{ path = …, optional = true }`, `{ text = … }`, or in a paragraph `{ lines = … }`.
    fn answer(&mut self, value: &Value<'_>, kind: QuestionKind) -> Option<Answer> {
        if let DeValue::String(name) = value.get_ref() {
            return Some(Answer::Path { path: self.path(value, name)?, optional: false });
        }
        let fields = self.table(value)?;
        let optional = matches!(fields.get("optional").map(Spanned::get_ref), Some(DeValue::Boolean(true)));
        if let Some(lines) = fields.get("lines") {
            self.only(fields, &["lines"]);
            if kind != QuestionKind::Paragraph {
                self.tell(BAD_SHAPE, value.span(), "several lines need a paragraph", "in a one-line answer");
            }
            return self.word(lines, "list", &List::ALL).map(Answer::Lines);
        }
        if let Some(path) = fields.get("path") {
            self.only(fields, &["path", "optional"]);
            let name = self.string(path)?;
            return Some(Answer::Path { path: self.path(path, &name)?, optional });
        }
        self.only(fields, &["text", "optional"]);
        let text = self.required(fields, "text", value.span())?;
        Some(Answer::Text { text: self.text(text)?, optional })
    }

    /// The patient is the case's and cannot be another.
    fn patient(&mut self, fields: &DeTable<'_>, at: std::ops::Range<usize>) {
        if let Some(leaf) = self.required(fields, "patient_id", at)
            && leaf.get_ref().as_str() != Some("patient.id")
        {
            self.tell(BAD_SHAPE, leaf.span(), "a call is for the case's patient", "must be `patient.id`");
        }
    }

    /// A text leaf that carries the marker always.
    fn marked(&mut self, fields: &DeTable<'_>, name: &str, at: std::ops::Range<usize>) -> Option<Text> {
        let leaf = self.required(fields, name, at)?;
        let table = self.table(leaf)?;
        self.only(table, &["text"]);
        let text = self.required(table, "text", leaf.span())?;
        let parsed = self.text(text)?;
        if !parsed.is_marked() {
            let what = format!("`{name}` must hold `[{{marker}}]`, or the call could not be found again");
            self.tell(BAD_SHAPE, text.span(), &what, "no `[{marker}]` here");
        }
        Some(parsed)
    }

    fn text(&mut self, value: &Value<'_>) -> Option<Text> {
        let string = self.string(value)?;
        match Text::parse(&string) {
            Ok(text) => Some(text),
            Err(BadText::Brace) => {
                self.tell(
                    BAD_SHAPE,
                    value.span(),
                    "a brace has no partner",
                    "slots are written `{report.status}`",
                );
                None
            }
            Err(BadText::Unknown(name)) => {
                self.unknown_path(value, &name);
                None
            }
        }
    }

    fn path(&mut self, value: &Value<'_>, name: &str) -> Option<Path> {
        let path = Path::find(name);
        if path.is_none() {
            self.unknown_path(value, name);
        }
        path
    }

    fn unknown_path(&mut self, value: &Value<'_>, name: &str) {
        let known = || Path::ALL.into_iter().map(Path::as_str);
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a case has: {}", known().collect::<Vec<_>>().join(", ")),
        };
        let span = self.span(value.span(), "no such path");
        let what = format!("a case has no `{name}`");
        self.found.push(Diagnostic::error(UNKNOWN_PATH, what).spanning(span).help(help));
    }

    fn word<T: Copy>(&mut self, value: &Value<'_>, what: &str, known: &[(&str, T)]) -> Option<T> {
        let word = self.string(value)?;
        let found = known.iter().find(|(name, _)| *name == word).map(|(_, it)| *it);
        if found.is_none() {
            let names = known.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.tell(
                BAD_SHAPE,
                value.span(),
                &format!("there is no {what} `{word}`"),
                &format!("one of {names}"),
            );
        }
        found
    }

    fn constant_of(
        &mut self,
        fields: &DeTable<'_>,
        name: &str,
        at: std::ops::Range<usize>,
    ) -> Option<String> {
        let value = self.required(fields, name, at)?;
        self.string(value)
    }

    fn string(&mut self, value: &Value<'_>) -> Option<String> {
        let string = value.get_ref().as_str().map(str::to_owned);
        if string.is_none() {
            self.tell(BAD_SHAPE, value.span(), "text is needed here", "not text");
        }
        string
    }

    fn array<'v, 'i>(&mut self, value: &'v Value<'i>, max: usize) -> Option<&'v [Value<'i>]> {
        match value.get_ref() {
            DeValue::Array(list) if (1..=max).contains(&list.len()) => Some(list),
            _ => {
                self.tell(
                    BAD_SHAPE,
                    value.span(),
                    &format!("a list of 1 to {max} is needed here"),
                    "not such a list",
                );
                None
            }
        }
    }

    fn table<'v, 'i>(&mut self, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.tell(BAD_SHAPE, value.span(), "a table is needed here", "not a table");
        None
    }

    fn required<'v, 'i>(
        &mut self,
        fields: &'v DeTable<'i>,
        name: &str,
        at: std::ops::Range<usize>,
    ) -> Option<&'v Value<'i>> {
        let value = fields.get(name);
        if value.is_none() {
            self.tell(BAD_SHAPE, at, &format!("`{name}` is missing"), "in this table");
        }
        value
    }

    /// Tells every key that the language does not have here.
    fn only(&mut self, fields: &DeTable<'_>, known: &[&str]) {
        for key in fields.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let span = self.span(key.span(), "unknown key");
            self.found.push(
                Diagnostic::error(BAD_SHAPE, format!("there is no `{name}` here")).spanning(span).help(help),
            );
        }
    }

    fn tell(&mut self, code: Code, at: std::ops::Range<usize>, what: &str, label: &str) {
        let span = self.span(at, label);
        let help = format!("run `gateway explain {code}`");
        self.found.push(Diagnostic::error(code, what).spanning(span).help(help));
    }

    fn span(&self, at: std::ops::Range<usize>, label: &str) -> Span {
        let before = self.text.get(..at.start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        let line = self.text.get(line_start..).unwrap_or("").lines().next().unwrap_or("");
        let marked = self.text.get(at).unwrap_or("").lines().next().unwrap_or("");
        Span {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
            length: marked.chars().count().max(1),
            text: line.to_owned(),
            label: label.to_owned(),
        }
    }
}
