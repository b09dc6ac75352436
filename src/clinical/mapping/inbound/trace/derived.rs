//! What of a report no rule reads: the gateway's own part, and what is made of other values of the report.

use crate::clinical::mapping::inbound::trace::How;
use crate::clinical::mapping::inbound::trace::Origin;
use crate::clinical::mapping::inbound::trace::canonical::Canonical;
use crate::clinical::mapping::inbound::trace::canonical::Leaf;
use crate::clinical::mapping::inbound::trace::canonical::Owner;
use crate::clinical::mapping::inbound::trace::canonical::Part;
use crate::clinical::mapping::inbound::trace::source::Source;
use crate::clinical::mapping::inbound::trace::source::is_within;

/// What a value is made of, and why.
struct Derivation {
    why: &'static str,
    made_of: MadeOf,
}

enum MadeOf {
    Nothing,
    /// These places of the message.
    Places(Vec<String>),
    /// Other values of the report: those whose path begins so.
    Values(Vec<String>),
}

/// Fills in the origin of whatever no rule read.
pub(super) fn complete(
    known: Vec<Option<Origin>>,
    canonical: &Canonical,
    source: &Source,
    is_hl7v2: bool,
) -> Vec<Origin> {
    let mut origins: Vec<Option<Origin>> = known;
    // What a value is made of stands after it: a report before its panels, a panel before its results.
    for (at, leaf) in canonical.leaves.iter().enumerate().rev() {
        if origins.get(at).is_some_and(Option::is_some) {
            continue;
        }
        let derivation = canonical.owner(leaf).and_then(|it| derivation(it, leaf, canonical, is_hl7v2));
        let (from, how) = match derivation {
            Some(Derivation { why, made_of }) => (places(&made_of, &origins, source), How::Derived(why)),
            None => (Vec::new(), How::Unknown),
        };
        let origin = Origin { path: leaf.path.clone(), text: leaf.text.clone(), from, rule: None, how };
        if let Some(place) = origins.get_mut(at) {
            *place = Some(origin);
        }
    }
    origins.into_iter().flatten().collect()
}

fn places(made_of: &MadeOf, origins: &[Option<Origin>], source: &Source) -> Vec<usize> {
    let mut from: Vec<usize> = match made_of {
        MadeOf::Nothing => Vec::new(),
        MadeOf::Places(places) => places.iter().flat_map(|it| source.named(it)).collect(),
        MadeOf::Values(paths) => {
            let begins = |it: &&Origin| paths.iter().any(|path| is_within(&it.path, path));
            origins.iter().flatten().filter(begins).flat_map(|it| it.from.clone()).collect()
        }
    };
    from.sort_unstable();
    from.dedup();
    from
}

fn derivation(owner: &Owner, leaf: &Leaf, canonical: &Canonical, is_hl7v2: bool) -> Option<Derivation> {
    let derived = |why, made_of| Some(Derivation { why, made_of });
    // The same member of every part of this kind below an owner.
    let of_parts = |below: &Owner, part: Part, member: &str| {
        let parts = canonical.owners.iter().filter(|it| it.part == part && is_within(&it.path, &below.path));
        MadeOf::Values(parts.map(|it| format!("{}.{member}", it.path)).collect())
    };
    let own = |members: &[&str]| {
        MadeOf::Values(members.iter().map(|member| format!("{}.{member}", owner.path)).collect())
    };
    let around = owner.parent.and_then(|at| canonical.owners.get(at)).unwrap_or(owner);
    let here = || MadeOf::Places(vec![owner.id.clone()]);
    match (owner.part, leaf.member.as_str()) {
        (_, "id") => derived("where it stands in the message", MadeOf::Nothing),
        (Part::Report, "lab") => derived("the laboratory whose mapping this is", MadeOf::Nothing),
        (Part::Report, "status") => derived(
            "all its panels together: as final as the least final of them",
            of_parts(owner, Part::Panel, "status"),
        ),
        (Part::Message, "mapping_digest") => {
            derived("the digest of the mapping and the tables that read the message", MadeOf::Nothing)
        }
        (Part::Message, member) if is_hl7v2 => {
            derived("the header, which the gateway reads of every message", header(member))
        }
        (Part::Panel, "status") => derived(
            "all its results together, or `unknown` where nobody says",
            of_parts(owner, Part::Result, "status"),
        ),
        (Part::Panel, "received_at") => derived(
            "when the report's only specimen was received",
            of_parts(around, Part::Specimen, "received_at"),
        ),
        (Part::Panel, "collected_at" | "reported_at" | "requester") => {
            derived("what the panel around it says", of_parts(around, Part::Panel, &leaf.member))
        }
        (Part::Result, "code") => derived(
            "its panel's name: the result has no code of its own",
            MadeOf::Values(vec![format!("{}.code", around.path)]),
        ),
        (Part::Result, "specimen") => {
            derived("the specimen that stands before it, or the only one there is", MadeOf::Nothing)
        }
        (Part::Result, "not_interpreted") => {
            derived("rules may not speak of its code, its unit or its value", own(&["code", "unit", "value"]))
        }
        (Part::Result, "status") => derived("nothing was sent that says where it stands", MadeOf::Nothing),
        (Part::Result, "value") => derived("no value was sent", MadeOf::Nothing),
        (Part::Note, _) => derived("the note itself", here()),
        (Part::Attachment, _) => derived("taken from the document itself", here()),
        _ => None,
    }
}

fn header(member: &str) -> MadeOf {
    let fields: &[&str] = match member {
        "control_id" => &["MSH-10"],
        "sender" => &["MSH-3", "MSH-4"],
        _ => &["MSH-7"],
    };
    MadeOf::Places(fields.iter().map(|it| (*it).to_owned()).collect())
}
