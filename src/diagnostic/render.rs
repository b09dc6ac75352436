//! Diagnostics for a terminal, in the shape compilers have taught people to read.

use annotate_snippets::AnnotationKind;
use annotate_snippets::Level;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;

/// Renders one diagnostic as plain text, ending in a line break.
///
/// `subject` names what it speaks of: a file, or a message's id.
pub fn plain(diagnostic: &Diagnostic, subject: &str) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.as_str());
    let mut group = if let Some(span) = &diagnostic.span {
        let start = span.text.char_indices().nth(span.column - 1).map_or(span.text.len(), |(at, _)| at);
        let end =
            span.text.char_indices().nth(span.column - 1 + span.length).map_or(span.text.len(), |(at, _)| at);
        title.element(
            Snippet::source(span.text.as_str())
                .path(span.file.as_str())
                .line_start(span.line)
                .annotation(AnnotationKind::Primary.span(start..end.max(start)).label(span.label.as_str())),
        )
    } else {
        title.elements(Vec::<annotate_snippets::Message<'_>>::new())
    };
    let place = match (subject.is_empty(), diagnostic.position.is_empty()) {
        (false, false) => format!("in: {subject}, {}", diagnostic.position),
        (false, true) => format!("in: {subject}"),
        (true, false) => format!("in: {}", diagnostic.position),
        (true, true) => String::new(),
    };
    if !place.is_empty() {
        group = group.element(Level::NOTE.no_name().message(place));
    }
    for fact in &diagnostic.facts {
        group = group.element(Level::NOTE.no_name().message(fact.as_str()));
    }
    if !diagnostic.help.is_empty() {
        group = group.element(Level::HELP.message(diagnostic.help.as_str()));
    }
    let mut text = Renderer::plain().render(&[group]);
    text.push('\n');
    text
}
