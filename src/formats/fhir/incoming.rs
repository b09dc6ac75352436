//! What a laboratory posts in FHIR, seen from outside: which resources, under which names, asking for what.
//!
//! Only what an answer needs is looked at; what the results mean is for the mapping. A [`Bundle`] must be of a kind that
//! carries results to a server, and must carry at least one DiagnosticReport.

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::tree::Node;

/// Entries of one Bundle. A day's results of a large laboratory are far fewer; more is a dump.
pub const ENTRIES_MAX: usize = 5_000;

/// What was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Batch,
    Collection,
    Message,
    /// A DiagnosticReport on its own, with what it contains.
    Resource,
    Transaction,
}

/// Something posted, as far as it is looked at.
pub struct Incoming {
    pub kind: Kind,
    /// The sender's own name for it: Bundle.identifier, else MessageHeader.id; empty where there is none.
    pub control_id: String,
    /// MessageHeader.source.endpoint: who the sender says it is.
    pub source: Option<String>,
    /// The identifiers of its reports, as `system|value`.
    pub identifiers: Vec<String>,
    /// The conditions of its reports, where every report has one.
    pub conditions: Vec<String>,
    /// The type of each resource, in the order sent.
    pub types: Vec<String>,
}

type Refused = Box<Diagnostic>;

/// Looks at a decoded resource.
///
/// # Errors
/// Why it cannot be read as a message of results.
pub fn read(root: &Node) -> Result<Incoming, Refused> {
    match root.get("resourceType").and_then(Node::text) {
        Some("Bundle") => bundle(root),
        Some("DiagnosticReport") => Ok(Incoming {
            kind: Kind::Resource,
            control_id: String::new(),
            source: None,
            identifiers: identifiers(root),
            conditions: Vec::new(),
            types: vec!["DiagnosticReport".to_owned()],
        }),
        Some(_) => Err(refused("F052", "resourceType", "a resource of this type carries no results")),
        None => Err(refused("F051", "", "this is no FHIR resource: it has no resourceType")),
    }
}

fn bundle(root: &Node) -> Result<Incoming, Refused> {
    let kind = match root.get("type").and_then(Node::text) {
        Some("batch") => Kind::Batch,
        Some("collection") => Kind::Collection,
        Some("message") => Kind::Message,
        Some("transaction") => Kind::Transaction,
        _ => return Err(refused("F052", "Bundle.type", "a Bundle of this type is not taken here")),
    };
    let entries = root.get("entry").map(Node::items).unwrap_or_default();
    if entries.len() > ENTRIES_MAX {
        return Err(refused(
            "F056",
            "Bundle.entry",
            format!("the Bundle has more than {ENTRIES_MAX} entries"),
        ));
    }
    let mut read = Incoming {
        kind,
        control_id: bundle_identifier(root).unwrap_or_default(),
        source: None,
        identifiers: Vec::new(),
        conditions: Vec::new(),
        types: Vec::with_capacity(entries.len()),
    };
    let mut reports = 0;
    for (index, entry) in entries.iter().enumerate() {
        let at = |rest: &str| format!("Bundle.entry[{index}].{rest}");
        let resource = entry.get("resource");
        let Some(name) = resource.and_then(|it| it.get("resourceType")).and_then(Node::text) else {
            return Err(refused("F051", at("resource"), "an entry holds no resource"));
        };
        let request = entry.get("request");
        let method = request.and_then(|it| it.get("method")).and_then(Node::text);
        if matches!(kind, Kind::Batch | Kind::Transaction)
            && method.is_some_and(|it| !matches!(it, "POST" | "PUT"))
        {
            return Err(refused("F055", at("request.method"), "results can only be created here"));
        }
        read.types.push(name.to_owned());
        if name == "DiagnosticReport" {
            reports += 1;
            read.identifiers.extend(resource.map(identifiers).unwrap_or_default());
            let condition = request.and_then(|it| it.get("ifNoneExist")).and_then(Node::text);
            read.conditions.extend(condition.map(str::to_owned));
        }
    }
    if reports == 0 {
        return Err(refused("F053", "Bundle.entry", "the Bundle holds no DiagnosticReport, so no results"));
    }
    if read.conditions.len() != reports {
        read.conditions.clear();
    }
    if kind == Kind::Message {
        message_header(entries, &mut read)?;
    }
    Ok(read)
}

/// A message begins with its header, which names the message and its sender (R4, 2.26).
fn message_header(entries: &[Node], read: &mut Incoming) -> Result<(), Refused> {
    let first = entries.first().and_then(|entry| entry.get("resource"));
    let header = first.filter(|it| it.get("resourceType").and_then(Node::text) == Some("MessageHeader"));
    let Some(header) = header else {
        return Err(refused(
            "F054",
            "Bundle.entry[0].resource",
            "a message Bundle begins with no MessageHeader",
        ));
    };
    if read.control_id.is_empty() {
        header.get("id").and_then(Node::text).unwrap_or_default().clone_into(&mut read.control_id);
    }
    let endpoint = header.get("source").and_then(|it| it.get("endpoint"));
    read.source = endpoint.and_then(Node::text).map(str::to_owned);
    Ok(())
}

fn bundle_identifier(root: &Node) -> Option<String> {
    root.get("identifier")?.get("value")?.text().map(str::to_owned)
}

fn identifiers(resource: &Node) -> Vec<String> {
    let part = |it: &Node, name: &str| it.get(name).and_then(Node::text).unwrap_or_default().to_owned();
    let items = resource.get("identifier").map(Node::items).unwrap_or_default().iter();
    let named = items.filter(|it| it.get("value").is_some());
    named.map(|it| format!("{}|{}", part(it, "system"), part(it, "value"))).collect()
}

/// The identifier a condition asks for, as `system|value`: of all searches, the one this server knows for a create.
pub fn asked_identifier(condition: &str) -> Option<String> {
    let query = condition.rsplit('?').next()?;
    let value = query.strip_prefix("identifier=")?;
    let text = percent_decoded(value)?;
    (!text.contains('&') && text.contains('|') && !text.ends_with('|')).then_some(text)
}

/// Percent-decoding of a query's value; none where the escapes are broken.
pub fn percent_decoded(text: &str) -> Option<String> {
    if text.contains('&') {
        return None;
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |it: Option<u8>| char::from(it?).to_digit(16);
                u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn refused(code: &'static str, at: impl Into<String>, what: impl Into<String>) -> Refused {
    let help = match code {
        "F051" => "post a FHIR R4 resource whose every entry holds one",
        "F052" => "post a Bundle of type transaction, batch, message or collection, or a DiagnosticReport",
        "F053" => "put the DiagnosticReport beside the Observations it names, in the same Bundle",
        "F054" => "make the MessageHeader the first entry, or post the Bundle as a transaction",
        "F055" => "send each entry with the method POST or PUT; a correction is a new version of the report",
        _ => "send the results in several Bundles, each with whole reports",
    };
    Box::new(Diagnostic::error(Code::new(code), what).at(at).help(help))
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use super::asked_identifier;
    use super::read;
    use crate::formats::tree::Node;

    fn text(it: &str) -> Node {
        Node::Text(it.to_owned())
    }

    fn object(members: Vec<(&str, Node)>) -> Node {
        Node::Object(members.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
    }

    fn entry(kind: &str, method: &str) -> Node {
        let identifier = object(vec![("system", text("urn:lab")), ("value", text("F1"))]);
        object(vec![
            ("resource", object(vec![("resourceType", text(kind)), ("identifier", identifier)])),
            (
                "request",
                object(vec![("method", text(method)), ("ifNoneExist", text("identifier=urn:lab|F1"))]),
            ),
        ])
    }

    fn bundle(kind: &str, entries: Vec<Node>) -> Node {
        object(vec![
            ("resourceType", text("Bundle")),
            ("type", text(kind)),
            ("identifier", object(vec![("value", text("B1"))])),
            ("entry", Node::List(entries)),
        ])
    }

    fn code_of(root: &Node) -> String {
        read(root).err().map(|it| it.code.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_bundle_tells_its_name_its_reports_and_its_conditions() {
        let read =
            read(&bundle("transaction", vec![entry("Patient", "POST"), entry("DiagnosticReport", "POST")]));
        let read = read.ok().unwrap();
        assert_eq!((read.kind, read.control_id.as_str()), (Kind::Transaction, "B1"));
        assert_eq!(read.identifiers, ["urn:lab|F1"]);
        assert_eq!(read.conditions.len(), 1);
        assert_eq!(read.types, ["Patient", "DiagnosticReport"]);
    }

    #[test]
    fn what_carries_no_results_is_refused_by_name() {
        let report = || vec![entry("DiagnosticReport", "POST")];
        assert_eq!(code_of(&bundle("searchset", report())), "F052");
        assert_eq!(code_of(&bundle("batch", vec![entry("Patient", "POST")])), "F053");
        assert_eq!(code_of(&bundle("message", report())), "F054");
        assert_eq!(code_of(&bundle("batch", vec![entry("DiagnosticReport", "DELETE")])), "F055");
        assert_eq!(code_of(&object(vec![("resourceType", text("Patient"))])), "F052");
        assert_eq!(code_of(&Node::Null), "F051");
        assert_eq!(code_of(&bundle("batch", vec![Node::Null])), "F051");
    }

    #[test]
    fn a_condition_is_an_identifier_and_nothing_else() {
        let asked = |text| asked_identifier(text).unwrap_or_default();
        assert_eq!(asked("identifier=urn:lab|F1"), "urn:lab|F1");
        assert_eq!(asked("DiagnosticReport?identifier=urn%3Alab%7CF%201"), "urn:lab|F 1");
        for refused in [
            "",
            "status=final",
            "identifier=F1",
            "identifier=a|",
            "identifier=a|b&status=final",
            "identifier=%zz|1",
        ] {
            assert_eq!(asked(refused), "", "{refused}");
        }
    }
}
