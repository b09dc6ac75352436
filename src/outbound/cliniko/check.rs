//! The check made before anything is delivered: is this the clinic's account, and can the key do what it must?
//! (reference, section 3.1)

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::cliniko::Id;
use crate::formats::cliniko::read;
use crate::outbound::cliniko::Client;
use crate::outbound::cliniko::Error;

/// What the clinic's settings say its account is.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    pub account_id: Option<Id>,
    pub subdomain: Option<String>,
    /// ISO 3166-1, such as `GB`.
    pub country_code: Option<String>,
    /// Notes are written, so the key's owner must be a practitioner.
    pub notes: bool,
    pub note_template: Option<Id>,
    /// The token of the custom field that holds the NHS number.
    pub nhs_number_field: Option<String>,
}

/// Everything that would stop delivery, told at once. Empty means ready.
pub async fn check(client: &Client, expected: &Expectations) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let user = match client.user().await {
        Ok(user) => user,
        // Without a user the key is no good, and every further call would say the same.
        Err(error) => return vec![failed("the key's owner cannot be read", &error)],
    };
    if user.active == Some(false) || user.user_active == Some(false) {
        found.push(wrong("the key's owner is not active", "make a key for an active user of the clinic"));
    }
    match client.settings_public().await {
        Ok(settings) => check_account(&settings, expected, &mut found),
        Err(error) => found.push(failed("the account's settings cannot be read", &error)),
    }
    if expected.notes {
        match client.practitioners_of(&user.id).await {
            Ok(rows) if rows.iter().any(|row| row.active != Some(false)) => {}
            Ok(_) => found.push(wrong(
                "the key's owner is not an active practitioner, and Cliniko lets nobody else write notes",
                "use the key of a practitioner, or switch notes off for this clinic",
            )),
            Err(error) => found.push(failed("the practitioners cannot be read", &error)),
        }
    }
    if let Some(template) = &expected.note_template {
        match client.note_template(template).await {
            Ok(template) if template.archived_at.is_none() => {}
            Ok(_) => found
                .push(wrong("the note template is archived", "choose another under the clinic's settings")),
            Err(error) => found.push(failed("the note template cannot be read", &error)),
        }
    }
    found
}

fn check_account(settings: &read::Settings, expected: &Expectations, found: &mut Vec<Diagnostic>) {
    let account = &settings.account;
    let differs =
        |expected: &Option<String>, actual: &Option<String>| expected.is_some() && expected != actual;
    if expected.account_id.as_ref().is_some_and(|id| *id != account.id)
        || differs(&expected.subdomain, &account.subdomain)
    {
        found.push(wrong(
            "the key belongs to another account than this clinic's",
            "use a key of the clinic's account",
        ));
    }
    if differs(&expected.country_code, &account.country_code) {
        found.push(wrong(
            "the account is in another country than this clinic",
            "use a key of the clinic's account",
        ));
    }
    if let Some(token) = &expected.nhs_number_field {
        let live = settings.custom_field(token).is_some_and(|field| field.archived != Some(true));
        if !live {
            found.push(wrong(
                "the custom field for the NHS number is missing or archived",
                "set `nhs_number_field` to the token of a live field",
            ));
        }
    }
}

fn wrong(what: &str, help: &str) -> Diagnostic {
    Diagnostic::error(Code::new("D009"), what).help(help)
}

fn failed(what: &str, error: &Error) -> Diagnostic {
    Diagnostic::error(Code::new(error.code()), format!("{what}: {error}"))
        .help(format!("run `gateway explain {}`", error.code()))
}
