//! The request form: what the clinic asks the laboratory for, and the order number as a barcode.
//!
//! The barcode carries the order number alone, never a patient's field.

use serde::Serialize;
use serde_json::json;

use crate::clinical::document::Clinic;
use crate::clinical::document::Error;
use crate::clinical::document::PatientFacts;
use crate::clinical::document::barcode;
use crate::clinical::document::typeset;
use crate::clinical::document::typeset::Template;
use crate::clinical::document::words;
use crate::clinical::document::words::Clock;
use crate::clinical::document::words::NOT_KNOWN;
use crate::clinical::model::Sensitive;

/// What a request form shows.
#[derive(Debug, Clone, Serialize)]
pub struct RequestForm {
    pub clinic: Clinic,
    pub patient: PatientFacts,
    /// Printable ASCII, at most [`crate::clinical::document::BARCODE_CHARS_MAX`] characters.
    pub order_number: String,
    pub tests: Vec<String>,
    /// ISO 8601 with offset.
    pub ordered_at: String,
    pub requester: String,
    /// For whoever takes the sample, such as fasting or the tubes; one paragraph each.
    pub instructions: Vec<String>,
}

/// Renders the request form as PDF.
pub fn request_form(form: &RequestForm) -> Result<Vec<u8>, Error> {
    let clock = Clock::new(&form.clinic.time_zone)?;
    let bars = barcode::code128(&form.order_number).ok_or_else(|| Error::Barcode {
        chars: form.order_number.chars().count(),
        max: barcode::TEXT_CHARS_MAX,
    })?;
    let patient = &form.patient;
    let known = |field: &Option<Sensitive<String>>, words: fn(&str) -> String| {
        field.as_ref().map_or_else(|| NOT_KNOWN.to_owned(), |it| words(it.expose()))
    };
    let view = json!({
        "clinic": form.clinic,
        "order_number": form.order_number,
        "bars": bars,
        "patient": [
            ("Name", patient.name.expose().clone()),
            ("Date of birth", known(&patient.birth_date, words::day)),
            ("NHS number", known(&patient.nhs_number, words::nhs_number)),
            ("Sex", known(&patient.sex, str::to_owned)),
        ],
        "order": [
            ("Requested by", form.requester.clone()),
            ("Ordered", clock.when(&form.ordered_at)),
            ("Clinic reference", patient.cliniko_reference.clone().unwrap_or_else(|| NOT_KNOWN.to_owned())),
        ],
        "tests": form.tests,
        "instructions": form.instructions,
    });
    typeset::pdf(Template::Form, view, words::utc(&form.ordered_at))
}
