//! Which values of a document come from which values of the canonical reports, found by trying.
//!
//! What makes a Bundle or a plan of calls is code, and an account of it kept beside it would drift. So one value of
//! the reports is changed, the document is made again, and what differs came from it. Values that can be changed to
//! something that nothing else holds are changed all of a kind at once, and tell by what they became which was which;
//! what cannot be told so is changed alone. The reports that go in are never any other than one laboratory's own.

mod compare;
mod mark;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use serde_json::Value;

use self::compare::Difference;
use self::mark::Mark;
use crate::clinical::mapping::inbound::trace::as_data;
use crate::clinical::model::Report;
use crate::formats::tree::Node;

/// One value of a document. It has no `Debug`: it may be a patient's.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// `Bundle.entry[3].resource.valueQuantity.code`
    pub path: String,
    pub text: String,
    /// Paths of canonical values that stand in it.
    pub holds: BTreeSet<String>,
    /// Paths of canonical values that changed it without standing in it.
    pub follows: BTreeSet<String>,
}

/// Every value of the document that `make` makes of the reports, in its order, with what it comes from.
///
/// `paths` are the values of the reports to try, and `root` is what the document is called.
pub fn influences(
    reports: &[Report],
    paths: &[&str],
    root: &str,
    make: &dyn Fn(&[Report]) -> Option<Node>,
) -> Vec<Made> {
    let Some(whole) = make(reports) else { return Vec::new() };
    let mut values: Vec<Made> = compare::leaves(&whole, root)
        .into_iter()
        .map(|(path, text)| Made { path, text, holds: BTreeSet::new(), follows: BTreeSet::new() })
        .collect();
    let places: HashMap<String, usize> =
        values.iter().enumerate().map(|(at, it)| (it.path.clone(), at)).collect();
    for at in 0..reports.len() {
        let Some(trial) = Trial::of(reports, at, root, make) else { continue };
        let own = format!("reports[{at}].");
        let own: Vec<&str> = paths.iter().copied().filter(|path| path.starts_with(&own)).collect();
        let names = compare::same(&trial.base, &whole, root);
        for (path, influences) in trial.run(&own) {
            let place = names.get(&path).and_then(|path| places.get(path));
            let Some(value) = place.and_then(|at| values.get_mut(*at)) else { continue };
            for (source, is_held) in influences {
                if is_held {
                    value.follows.remove(&source);
                    value.holds.insert(source);
                } else if !value.holds.contains(&source) {
                    value.follows.insert(source);
                }
            }
        }
    }
    values
}

/// Two words of a set are enough to see what follows any of them.
const WORDS_TRIED: usize = 2;

/// Of each path of the made document, the values it comes from, and whether they stand in it.
type Influences = BTreeMap<String, Vec<(String, bool)>>;

/// One report, and what is made of it alone: nothing of it reaches what is made of another.
struct Trial<'t> {
    reports: &'t [Report],
    data: Vec<Value>,
    /// The number of the first report in what the paths call it.
    first: usize,
    base: Node,
    root: &'t str,
    make: &'t dyn Fn(&[Report]) -> Option<Node>,
}

/// What is different where some values are marked, and what shows each of them.
struct Tried<'p> {
    differences: Vec<Difference>,
    tokens: Vec<(&'p str, String)>,
}

impl<'t> Trial<'t> {
    fn of(
        reports: &'t [Report],
        at: usize,
        root: &'t str,
        make: &'t dyn Fn(&[Report]) -> Option<Node>,
    ) -> Option<Self> {
        let report = reports.get(at)?;
        let alike = |it: &&Report| it.lab == report.lab && it.filler_number == report.filler_number;
        // Reports under one number are told apart by their order, and so only together.
        let (reports, first) = match reports.iter().filter(alike).count() {
            1 => (reports.get(at..=at)?, at),
            _ => (reports, 0),
        };
        Some(Self { reports, data: as_data(reports), first, base: make(reports)?, root, make })
    }

    fn run(&self, paths: &[&str]) -> Influences {
        let mut found = Influences::new();
        let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for path in paths {
            kinds.entry(kind_of(path)).or_default().push(path);
        }
        for paths in kinds.values().flat_map(|paths| paths.chunks(mark::DISTINCT_MAX)) {
            let first = paths.first().copied().unwrap_or_default();
            // What no mark fits, as the kind of a value, no other value of its kind takes either.
            let Some(usual) = mark::ALL.into_iter().find(|it| self.marked(*it, &[first]).is_some()) else {
                continue;
            };
            if !(usual.is_distinct() && self.together(usual, paths, &mut found)) {
                for path in paths {
                    self.alone(path, &mut found);
                }
            }
        }
        found
    }

    /// Changes many values at once. Whether all that followed could be told apart.
    fn together(&self, mark: Mark, paths: &[&str], found: &mut Influences) -> bool {
        let Some(Tried { differences, tokens }) = self.marked(mark, paths) else { return false };
        let mut is_told = true;
        for Difference { path, text } in differences {
            let text = text.unwrap_or_default();
            let mut holders = tokens.iter().filter(|(_, token)| text.contains(token.as_str())).peekable();
            if holders.peek().is_none() {
                match paths {
                    [only] => found.entry(path).or_default().push(((*only).to_owned(), false)),
                    _ => is_told = false,
                }
                continue;
            }
            let influences = found.entry(path).or_default();
            influences.extend(holders.map(|(path, _)| ((*path).to_owned(), true)));
        }
        is_told
    }

    /// Changes one value, and where it is a word, to each of two.
    fn alone(&self, path: &str, found: &mut Influences) {
        let tried = mark::ALL.into_iter().filter_map(|mark| Some((mark, self.marked(mark, &[path])?)));
        for (mark, Tried { differences, tokens }) in tried.take(WORDS_TRIED) {
            for Difference { path: made, text } in differences {
                let is_held = tokens.iter().any(|(_, token)| {
                    text.as_ref().is_some_and(|text| !token.is_empty() && text.contains(token.as_str()))
                });
                found.entry(made).or_default().push((path.to_owned(), is_held));
            }
            if mark.is_distinct() {
                break;
            }
        }
    }

    /// `None` where no report can hold the marked values.
    fn marked<'p>(&self, mark: Mark, paths: &[&'p str]) -> Option<Tried<'p>> {
        let mut data = self.data.clone();
        let mut tokens = Vec::with_capacity(paths.len());
        for (number, path) in paths.iter().enumerate() {
            let value = value_at(&mut data, path, self.first)?;
            let (marked, token) = mark.of(value, number, path)?;
            *value = marked;
            tokens.push((*path, token));
        }
        let made = (self.make)(&self.restored(data)?)?;
        Some(Tried { differences: compare::differences(&self.base, &made, self.root), tokens })
    }

    /// Reports of changed data, with the documents that their data leaves out.
    fn restored(&self, data: Vec<Value>) -> Option<Vec<Report>> {
        let mut reports = Vec::with_capacity(data.len());
        for (value, original) in data.into_iter().zip(self.reports) {
            let mut report: Report = serde_json::from_value(value).ok()?;
            for (attachment, known) in report.attachments.iter_mut().zip(&original.attachments) {
                attachment.document.clone_from(&known.document);
            }
            reports.push(report);
        }
        Some(reports)
    }
}

fn value_at<'d>(data: &'d mut [Value], path: &str, first: usize) -> Option<&'d mut Value> {
    let rest = path.strip_prefix("reports[")?;
    let (number, rest) = rest.split_once(']')?;
    let report = data.get_mut(number.parse::<usize>().ok()?.checked_sub(first)?)?;
    let pointer = rest.replace('[', ".").replace(']', "").replace('.', "/");
    report.pointer_mut(&pointer)
}

/// A path without the numbers of what a report has many of: values of one kind are tried together.
fn kind_of(path: &str) -> String {
    const MANY: [&str; 5] = ["panels", "results", "specimens", "attachments", "notes"];
    let parts = path.split('.').map(|part| match part.split_once('[') {
        Some((name, _)) if MANY.contains(&name) => name,
        _ => part,
    });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::influences;
    use super::kind_of;
    use crate::clinical::fhir;
    use crate::clinical::fhir::IdKey;
    use crate::clinical::mapping::inbound::trace::tests::standard;
    use crate::clinical::model::Report;
    use crate::formats::json;
    use crate::formats::tree::Node;

    fn bundle(reports: &[Report]) -> Option<Node> {
        let text = serde_json::to_string(&fhir::collection(reports, &IdKey::PUBLIC_TEST)).ok()?;
        json::decode(text.as_bytes()).ok()
    }

    /// The canonical values in a value of the Bundle, without the report's number.
    fn held<'m>(made: &'m [super::Made], ending: &str) -> Vec<&'m str> {
        let one = made.iter().find(|it| it.path.ends_with(ending)).expect("the Bundle has it");
        one.holds.iter().map(|path| path.strip_prefix("reports[0].").unwrap()).collect()
    }

    #[test]
    fn numbers_codes_dates_and_words_are_followed_into_the_bundle() {
        let trace = standard();
        let paths: Vec<&str> = trace.origins.iter().map(|it| it.path.as_str()).collect();
        let made = influences(&trace.reading.reports, &paths, "Bundle", &bundle);
        let second = made.iter().filter(|it| it.path.ends_with("valueQuantity.value")).nth(1).unwrap();
        assert_eq!(second.holds.iter().collect::<Vec<_>>(), ["reports[0].panels[0].results[1].value.number"]);
        assert_eq!(held(&made, "valueQuantity.code"), ["panels[0].results[0].unit.ucum"]);
        assert_eq!(held(&made, "resource.birthDate"), ["patient.birth_date.iso"]);
        assert_eq!(held(&made, "referenceRange[0].low.value"), ["panels[0].results[0].range.low"]);
        assert!(held(&made, "referenceRange[0].text").contains(&"panels[0].results[0].range.sent"));
        let status = made.iter().filter(|it| it.path.ends_with("resource.status"));
        let follows: Vec<_> = status.flat_map(|it| it.follows.iter().chain(&it.holds)).collect();
        assert!(follows.contains(&&"reports[0].panels[0].results[1].status".to_owned()));
        let gender = made.iter().find(|it| it.path.ends_with("resource.gender")).unwrap();
        assert!(
            gender.follows.contains("reports[0].patient.sex")
                || gender.holds.contains("reports[0].patient.sex")
        );
    }

    #[test]
    fn ids_follow_the_filler_number_and_nothing_else_moves_with_it() {
        let trace = standard();
        let paths: Vec<&str> = trace.origins.iter().map(|it| it.path.as_str()).collect();
        let made = influences(&trace.reading.reports, &paths, "Bundle", &bundle);
        let moved = made.iter().filter(|it| it.follows.contains("reports[0].filler_number"));
        for it in moved {
            let is_id = ["fullUrl", ".id", ".reference"].iter().any(|name| it.path.ends_with(name));
            assert!(is_id, "{}", it.path);
        }
        let url = made.iter().find(|it| it.path == "Bundle.entry[0].fullUrl").unwrap();
        assert!(url.follows.contains("reports[0].filler_number"));
    }

    #[test]
    fn a_kind_leaves_out_which_result_and_keeps_which_coding() {
        let path = "reports[0].panels[2].results[13].code.codings[1].display";
        assert_eq!(kind_of(path), "reports[0].panels.results.code.codings[1].display");
    }
}
