//! Which mapping reads which feed, and whether it can: a door that takes one format only needs a mapping of that format.

use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::language::Format;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::feeds::Door;
use crate::pipeline::feeds::Feed;
use crate::pipeline::feeds::Feeds;

/// Every feed that no message could be read for.
pub fn problems(feeds: &Feeds, catalog: &Catalog) -> Vec<Diagnostic> {
    let unknown = feeds.iter().filter(|it| catalog.lab(&it.mapping).is_none()).map(|it| unknown(it, catalog));
    unknown.chain(mismatches(feeds, catalog)).collect()
}

/// Every feed whose door takes another format than its mapping reads.
pub(super) fn mismatches<'a>(
    feeds: &'a Feeds,
    catalog: &'a Catalog,
) -> impl Iterator<Item = Diagnostic> + 'a {
    feeds.iter().filter_map(|feed| unreadable(feed, catalog.lab(&feed.mapping)?.format()))
}

fn unknown(feed: &Feed, catalog: &Catalog) -> Diagnostic {
    let known: Vec<&str> = catalog.names().collect();
    Diagnostic::error(Code::new("C016"), format!("there is no mapping `{}`", feed.mapping))
        .at(position(feed))
        .help(format!("name a folder under labs/ of the mappings, of which there are {}", known.join(", ")))
}

/// A feed of HTTP or of files takes what its mapping says; the others take one format whatever the mapping.
fn unreadable(feed: &Feed, format: Format) -> Option<Diagnostic> {
    let (kind, taken) = match feed.door {
        Door::Fhir => ("fhir", Format::Fhir),
        Door::Mllp => ("mllp", Format::Hl7v2),
        Door::Http | Door::Sftp | Door::SftpPoll => return None,
    };
    let (mapping, format, name) = (&feed.mapping, format.as_str(), taken.as_str());
    (format != name).then(|| {
        let what = format!(
            "a feed of kind `{kind}` takes {name}, and its mapping `{mapping}` reads {format}: nothing it takes could be read"
        );
        Diagnostic::error(Code::new("C072"), what).at(position(feed)).help(format!(
            "name a mapping whose `format` is \"{name}\" (`mapping = …` under the feed), or write kind = \"http\" or \"sftp\", which take what the mapping reads"
        ))
    })
}

fn position(feed: &Feed) -> String {
    format!("lab.feed `{}`", feed.name)
}
