//! What a person may write for a value or a field, and what it names.

use crate::cli::mapping::explain::account::Account;
use crate::clinical::mapping::inbound::trace::influence::Made;

/// What was asked for.
pub(super) enum Asked {
    /// Leaves of the message.
    Message(Vec<usize>),
    /// Values of the canonical reports.
    Report(Vec<usize>),
    /// Values of the Bundle.
    Fhir(Vec<Made>),
    /// Values of the planned calls.
    Cliniko(Vec<Made>),
}

impl Asked {
    /// What an address names in a message: its own fields before what was made of them.
    pub(super) fn find(account: &Account<'_>, text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((stage, rest)) = text.split_once(':') {
            let rest = rest.trim();
            match stage {
                "message" => return Self::message(account, rest),
                "report" => return Self::report(account, rest),
                "fhir" => return Self::fhir(account, rest),
                "cliniko" => return Self::cliniko(account, rest),
                _ => {}
            }
        }
        Self::message(account, text)
            .or_else(|| Self::report(account, text))
            .or_else(|| text.starts_with("Bundle").then(|| Self::fhir(account, text)).flatten())
            .or_else(|| text.starts_with("calls").then(|| Self::cliniko(account, text)).flatten())
    }

    fn message(account: &Account<'_>, place: &str) -> Option<Self> {
        Some(account.trace.source.named(place)).filter(|found| !found.is_empty()).map(Self::Message)
    }

    fn report(account: &Account<'_>, text: &str) -> Option<Self> {
        let path = named(account, text).unwrap_or_else(|| text.to_owned());
        let origins = account.trace.origins.iter().enumerate();
        let found: Vec<usize> =
            origins.filter(|(_, it)| is_below(&it.path, &path)).map(|(at, _)| at).collect();
        (!found.is_empty()).then_some(Self::Report(found))
    }

    fn fhir(account: &Account<'_>, path: &str) -> Option<Self> {
        let found = below(account.fhir(&all(account)), path);
        (!found.is_empty()).then_some(Self::Fhir(found))
    }

    fn cliniko(account: &Account<'_>, path: &str) -> Option<Self> {
        let found = below(account.cliniko(&all(account)), path);
        (!found.is_empty()).then_some(Self::Cliniko(found))
    }
}

/// The paths of all canonical values.
pub(super) fn all<'t>(account: &'t Account<'_>) -> Vec<&'t str> {
    account.trace.origins.iter().map(|origin| origin.path.as_str()).collect()
}

/// Every address of a message's fields and canonical values, for whoever mistyped one.
pub(super) fn known(account: &Account<'_>) -> Vec<String> {
    let leaves = account.trace.source.leaves.iter().map(|leaf| leaf.place.clone());
    leaves.chain(all(account).into_iter().map(str::to_owned)).collect()
}

fn below(made: Vec<Made>, path: &str) -> Vec<Made> {
    made.into_iter().filter(|it| is_below(&it.path, path)).collect()
}

fn is_below(path: &str, asked: &str) -> bool {
    path.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// `result OBX[4] unit` as `reports[0].panels[0].results[3].unit`.
fn named(account: &Account<'_>, text: &str) -> Option<String> {
    let (what, rest) = text.split_once(' ')?;
    let list = match what {
        "patient" => {
            let member = rest.trim().replace(' ', ".");
            let known = account.trace.origins.iter().map(|it| it.path.as_str());
            let found =
                known.filter_map(|path| path.split_once(".patient.")).find(|(_, own)| is_below(own, &member));
            return found.map(|(report, _)| format!("{report}.patient.{member}"));
        }
        "panel" => "panels[",
        "result" => "results[",
        "specimen" => "specimens[",
        "note" => "notes[",
        _ => return None,
    };
    let rest = rest.trim();
    account.trace.origins.iter().find_map(|origin| {
        let owner = origin.path.strip_suffix(".id")?;
        let is_of_list = owner.rsplit('.').next()?.starts_with(list);
        let member = rest.strip_prefix(&origin.text).filter(|_| is_of_list)?;
        match member.trim() {
            "" => Some(owner.to_owned()),
            inner if member.starts_with(' ') => Some(format!("{owner}.{}", inner.replace(' ', "."))),
            _ => None,
        }
    })
}
