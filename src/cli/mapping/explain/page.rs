//! One page that shows message and output side by side, and lights up what belongs together.
//!
//! It is whole in itself: no script, style, font or picture comes from elsewhere, and it asks the network for nothing.
//! Every text of the message goes through [`escaped`]; the page holds the patient's data, and says so first.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::cli::mapping::explain::account::Account;
use crate::cli::mapping::explain::address;
use crate::cli::mapping::explain::told::FieldTold;
use crate::cli::mapping::explain::told::MadeTold;
use crate::cli::mapping::explain::told::Place;
use crate::cli::mapping::explain::told::RuleTold;
use crate::cli::mapping::explain::told::Value;
use crate::clinical::mapping::inbound::trace::influence::Made;
use crate::http::page::text as html;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// A longer text is a document; the page shows how it begins.
const TEXT_CHARS_MAX: usize = 400;

/// Writes markup; writing to a String cannot fail.
macro_rules! put {
    ($out:expr, $($text:tt)*) => { let _ = write!($out, $($text)*); };
}

/// The page of a file's messages.
pub(super) fn page(accounts: &[Account<'_>]) -> String {
    let file = accounts.first().map(|it| it.file).unwrap_or_default();
    let file = Path::new(file).file_name().and_then(OsStr::to_str).unwrap_or(file);
    let mut out = String::new();
    put!(
        out,
        "<!doctype html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>How {} was read</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escaped(file)
    );
    put!(
        out,
        "<p class=\"warning\" role=\"note\"><strong>This page holds a patient’s data.</strong> \
         Keep it, send it and delete it as you would the message itself.</p>\n"
    );
    put!(
        out,
        "<header>\n<h1>How <span class=\"file\">{}</span> was read</h1>\n{LEGEND}</header>\n<main>\n",
        escaped(file)
    );
    for (number, account) in accounts.iter().enumerate() {
        Article::of(number, account).write(&mut out);
    }
    put!(out, "</main>\n{STRIP}\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

const LEGEND: &str = "<ul class=\"legend\" aria-label=\"What the marks mean\">\n\
    <li><span class=\"leaf used\">used</span> a rule or the gateway reads it</li>\n\
    <li><span class=\"leaf ignored\">ignored</span> the mapping says why nothing reads it</li>\n\
    <li><span class=\"leaf unaccounted\">unaccounted</span> nothing reads it</li>\n\
    <li class=\"keys\">Point at a value to see its pair. Click or <kbd>Enter</kbd> pins it, <kbd>Esc</kbd> lets go, \
    arrow keys move, <kbd>Tab</kbd> changes the column.</li>\n</ul>\n";
const STRIP: &str = "<aside id=\"strip\" aria-live=\"polite\" aria-label=\"Where it comes from\">\
    <p class=\"hint\">Point at a value, or move to one, to see the rule and the table row that made it.</p></aside>";

/// One message with the links between its columns.
struct Article<'a> {
    number: usize,
    account: &'a Account<'a>,
    bundle: Vec<Made>,
    /// Of each value of the Bundle, the canonical values it comes from.
    sources: Vec<Vec<usize>>,
    /// Of each canonical value, the values of the Bundle that come from it.
    products: BTreeMap<usize, Vec<usize>>,
}

impl<'a> Article<'a> {
    fn of(number: usize, account: &'a Account<'a>) -> Self {
        let paths = address::all(account);
        let bundle = account.fhir(&paths);
        let places: HashMap<&str, usize> = paths.iter().enumerate().map(|(at, path)| (*path, at)).collect();
        let mut sources = Vec::with_capacity(bundle.len());
        let mut products: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, made) in bundle.iter().enumerate() {
            // What only decides it is told in words; lighting it up would hide what stands in it.
            let from = if made.holds.is_empty() { &made.follows } else { &made.holds };
            let from: Vec<usize> =
                from.iter().filter_map(|path| places.get(path.as_str()).copied()).collect();
            for value in &from {
                products.entry(*value).or_default().push(index);
            }
            sources.push(from);
        }
        Self { number, account, bundle, sources, products }
    }

    fn write(&self, out: &mut String) {
        let subject = self.account.subject_told();
        let counts = subject.counts;
        put!(
            out,
            "<article>\n<h2>Message {} <span class=\"status {status}\">{status}</span></h2>\n\
             <p class=\"meta\">mapping <b>{}</b> <span class=\"digest\" title=\"digest of the mapping and its tables\">{}</span></p>\n\
             <p class=\"counts\"><b>{}</b> populated fields: <b>{}</b> used, <b>{}</b> ignored, <b>{}</b> unaccounted</p>\n\
             <div class=\"panes\">\n",
            subject.index,
            escaped(subject.lab),
            escaped(subject.mapping),
            counts.used + counts.ignored + counts.unaccounted,
            counts.used,
            counts.ignored,
            counts.unaccounted,
            status = subject.status,
        );
        self.message(out);
        self.report(out);
        self.fhir(out);
        put!(out, "</div>\n</article>\n");
    }

    /// The message as it was sent, each populated leaf an element.
    fn message(&self, out: &mut String) {
        put!(
            out,
            "<section class=\"pane\" aria-label=\"Message as sent\">\n<h3>Message as sent</h3>\n<pre><span class=\"line\">"
        );
        for piece in &self.account.trace.source.pieces {
            let Some((at, field)) = piece.leaf.and_then(|at| Some((at, self.account.field(at)?))) else {
                put!(out, "{}", escaped(&shown(&piece.text)).replace('\n', "</span><span class=\"line\">"));
                continue;
            };
            let values = self.account.trace.values.get(at).map(Vec::as_slice).unwrap_or_default();
            let links = self.links(values, &[]);
            put!(
                out,
                "<span class=\"leaf {outcome}\" id=\"{}\" data-place=\"{}\" data-link=\"{links}\" data-told=\"{}\" {BUTTON} \
                 aria-label=\"{}, {outcome}: {}\">{}</span>",
                self.id('m', at),
                escaped(field.place.name),
                escaped(&field_told(&field)),
                escaped(field.place.name),
                escaped(&shown(field.place.text)),
                escaped(&shown(&piece.text)),
                outcome = field.outcome,
            );
        }
        put!(out, "</span></pre>\n</section>\n");
    }

    fn report(&self, out: &mut String) {
        put!(out, "<section class=\"pane\" aria-label=\"Canonical report\">\n<h3>Canonical report</h3>\n");
        let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
        for (at, origin) in self.account.trace.origins.iter().enumerate() {
            let group = group_of(&origin.path);
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, rows)) => rows.push(at),
                None => groups.push((group, vec![at])),
            }
        }
        groups.sort_by_key(|(group, _)| rank(group));
        for (group, rows) in groups {
            let title = self.title(group);
            put!(out, "<div class=\"group\"><h4>{}</h4>\n", escaped(&title));
            for at in rows {
                let Some(origin) = self.account.trace.origins.get(at) else { continue };
                let value = self.account.value(origin);
                let mut links = origin.from.iter().map(|leaf| self.id('m', *leaf)).collect::<Vec<_>>();
                links.extend(self.products.get(&at).into_iter().flatten().map(|it| self.id('b', *it)));
                let name = origin.path.strip_prefix(group).unwrap_or(&origin.path).trim_start_matches('.');
                row(out, &self.id('v', at), &links.join(" "), &value_told(&value), name, &origin.text);
            }
            put!(out, "</div>\n");
        }
        put!(out, "</section>\n");
    }

    fn fhir(&self, out: &mut String) {
        put!(out, "<section class=\"pane\" aria-label=\"FHIR Bundle\">\n<h3>FHIR Bundle</h3>\n");
        let mut open = None;
        for (at, made) in self.bundle.iter().enumerate() {
            let end =
                made.path.find(']').filter(|_| made.path.starts_with("Bundle.entry[")).map_or(6, |it| it + 1);
            let (group, name) = made.path.split_at(end);
            if open != Some(group) {
                put!(
                    out,
                    "{}<div class=\"group\"><h4>{}</h4>\n",
                    if open.is_some() { "</div>\n" } else { "" },
                    escaped(&self.resource(group))
                );
                open = Some(group);
            }
            let from = self.sources.get(at).map(Vec::as_slice).unwrap_or_default();
            let told = made_told(&self.account.made(made));
            let name = name.trim_start_matches('.').trim_start_matches("resource.");
            row(out, &self.id('b', at), &self.links(from, from), &told, name, &made.text);
        }
        put!(out, "{}</section>\n", if open.is_some() { "</div>\n" } else { "" });
    }

    /// The elements of these canonical values, of what comes of them, and of what `back` came from.
    fn links(&self, values: &[usize], back: &[usize]) -> String {
        let mut links: BTreeSet<String> = values.iter().map(|at| self.id('v', *at)).collect();
        if back.is_empty() {
            let made = values.iter().filter_map(|at| self.products.get(at)).flatten();
            links.extend(made.map(|at| self.id('b', *at)));
        }
        let origins = back.iter().filter_map(|at| self.account.trace.origins.get(*at));
        links.extend(origins.flat_map(|origin| &origin.from).map(|at| self.id('m', *at)));
        links.into_iter().collect::<Vec<_>>().join(" ")
    }

    fn id(&self, column: char, at: usize) -> String {
        format!("a{}{column}{at}", self.number)
    }

    /// What a group of the report is, and where it stands in the message.
    fn title(&self, group: &str) -> String {
        let kind = match group.rsplit('.').next().and_then(|it| it.split('[').next()) {
            Some("reports") => "Report",
            Some("patient") => "Patient",
            Some("origin") => "Message",
            Some("panels") => "Panel",
            Some("results") => "Result",
            Some("specimens") => "Specimen",
            Some("attachments") => "Document",
            _ => "Note",
        };
        let member = |name: &str| self.account.origin(&format!("{group}.{name}")).map(|it| it.text.clone());
        let label = member("code.codings[0].display").or_else(|| member("code.text"));
        [Some(kind.to_owned()), member("id"), label].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    fn resource(&self, group: &str) -> String {
        let kind = format!("{group}.resource.resourceType");
        let kind = self.bundle.iter().find(|it| it.path == kind).map_or("Bundle", |it| it.text.as_str());
        if group == "Bundle" {
            kind.to_owned()
        } else {
            format!("{kind} · {}", group.trim_start_matches("Bundle."))
        }
    }
}

fn row(out: &mut String, id: &str, links: &str, told: &str, name: &str, text: &str) {
    let is_plain = if links.is_empty() { " alone" } else { "" };
    put!(
        out,
        "<div class=\"row{is_plain}\" id=\"{id}\" data-link=\"{links}\" data-told=\"{}\" {BUTTON}><span class=\"name\">{}</span> <span class=\"text\">{}</span></div>\n",
        escaped(told),
        // A path breaks after a point, not in a word.
        escaped(name).replace('.', ".<wbr>"),
        escaped(&shown(text)),
    );
}

/// What makes an element one that the keyboard reaches; the script moves the one tab stop of each column.
const BUTTON: &str = "role=\"button\" tabindex=\"-1\" aria-pressed=\"false\"";

/// The path of the object that a value is of: `reports[0].panels[0].results[3]`.
fn group_of(path: &str) -> &str {
    const OBJECTS: [&str; 8] =
        ["reports", "patient", "origin", "panels", "results", "specimens", "attachments", "notes"];
    let mut end = 0;
    let mut at = 0;
    for part in path.split('.') {
        at += part.len();
        let name = part.split('[').next().unwrap_or_default();
        if !OBJECTS.contains(&name) {
            break;
        }
        end = at;
        at += 1;
    }
    path.get(..end).unwrap_or(path)
}

/// Of one report: itself, its patient, its panels, then the rest.
fn rank(group: &str) -> (String, usize) {
    let mut parts = group.split('.');
    let report = parts.next().unwrap_or_default().to_owned();
    let kind = match parts.next().and_then(|it| it.split('[').next()) {
        None => 0,
        Some("patient") => 1,
        Some("panels") => 2,
        Some("specimens") => 3,
        Some("origin") => 5,
        Some(_) => 4,
    };
    (report, kind)
}

fn field_told(field: &FieldTold<'_>) -> String {
    let mut told = format!("{} — {}", place(&field.place), field.outcome);
    if let Some(ignored) = &field.ignored {
        put!(told, "\n[[ignore]] path = \"{}\": {}", ignored.path, ignored.why);
    }
    for it in &field.rules {
        put!(told, "\n{}", rule(it));
    }
    for it in &field.report {
        put!(told, "\n→ {}: {}", it.path, it.how.words());
    }
    told
}

fn value_told(value: &Value<'_>) -> String {
    let mut told = format!("{} — {}", value.path, value.how.words());
    for it in &value.from {
        put!(told, "\n← {}", place(it));
    }
    if let Some(it) = &value.rule {
        put!(told, "\n{}", rule(it));
    }
    told
}

fn made_told(made: &MadeTold<'_>) -> String {
    let mut told = made.path.to_owned();
    for it in &made.holds {
        put!(told, "\n{}", value_told(it));
    }
    if !made.follows.is_empty() {
        put!(told, "\nfollows {}", made.follows.join(", "));
    }
    if made.holds.is_empty() && made.follows.is_empty() {
        told.push_str(" — the gateway’s own: no value of the report changes it");
    }
    told
}

fn rule(rule: &RuleTold<'_>) -> String {
    format!("{} at {}:{}\n    {}", rule.name, rule.file, rule.line, rule.text)
}

fn place(it: &Place<'_>) -> String {
    let mut text = it.name.to_owned();
    if let (Some(offset), Some(length)) = (it.offset, it.length) {
        put!(text, ", bytes {offset} to {} ({length})", offset + length);
    }
    if let Some(line) = it.line {
        put!(text, ", line {line}");
    }
    text
}

fn shown(text: &str) -> String {
    let count = text.chars().count();
    if count <= TEXT_CHARS_MAX {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(TEXT_CHARS_MAX).collect();
    format!("{beginning}… ({count} characters)")
}

/// Text as HTML, inside an element or a quoted attribute. HTML has no control characters; the message may.
fn escaped(text: &str) -> String {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    html(&text.replace(is_odd, "\u{FFFD}"))
}
