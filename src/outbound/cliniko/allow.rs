//! The exact methods and paths that may be asked of Cliniko. Every request passes here, and nothing else is possible.
//!
//! "Only GET and POST" would not do: archiving and unarchiving are POSTs (reference, section 10).

use hyper::Method;

use crate::formats::cliniko::Id;

/// `{id}` stands for one Cliniko id.
const ALLOWED: [(&Method, &str); 15] = [
    (&Method::GET, "/user"),
    (&Method::GET, "/settings/public"),
    (&Method::GET, "/practitioners"),
    (&Method::GET, "/patients"),
    (&Method::GET, "/patients/{id}"),
    (&Method::GET, "/patients/{id}/attachment_presigned_post"),
    (&Method::GET, "/treatment_note_templates/{id}"),
    (&Method::GET, "/patient_attachments"),
    (&Method::GET, "/patient_attachments/{id}"),
    (&Method::GET, "/patient_attachments/{id}/content"),
    (&Method::GET, "/treatment_notes"),
    (&Method::GET, "/treatment_notes/{id}"),
    (&Method::GET, "/businesses"),
    (&Method::POST, "/patient_attachments"),
    (&Method::POST, "/treatment_notes"),
];

/// The pattern a request matches, if it may be made. `path` is below the API's version and holds no query.
pub(super) fn pattern(method: &Method, path: &str) -> Option<&'static str> {
    let fits = |pattern: &str| {
        let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
        loop {
            match (pattern.next(), path.next()) {
                (None, None) => return true,
                (Some("{id}"), Some(segment)) if segment.parse::<Id>().is_ok() => {}
                (Some(expected), Some(segment)) if expected == segment => {}
                _ => return false,
            }
        }
    };
    ALLOWED.iter().find(|(allowed, pattern)| *allowed == method && fits(pattern)).map(|(_, pattern)| *pattern)
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::pattern;

    #[test]
    fn the_calls_of_the_reference_are_possible() {
        for path in ["/user", "/patients/1203948571203948576", "/patients/7/attachment_presigned_post"] {
            assert!(pattern(&Method::GET, path).is_some(), "{path}");
        }
        assert_eq!(pattern(&Method::POST, "/treatment_notes"), Some("/treatment_notes"));
    }

    #[test]
    fn r08_calls_that_must_be_impossible() {
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS] {
            for path in
                ["/user", "/patients/7", "/patient_attachments/7", "/treatment_notes/7", "/treatment_notes"]
            {
                assert_eq!(pattern(&method, path), None, "{method} {path}");
            }
        }
        for path in [
            "/patients",
            "/patients/7/archive",
            "/patients/7/unarchive",
            "/patient_attachments/7/archive",
            "/treatment_notes/7",
            "/treatment_notes/7/archive",
            "/treatment_notes/7/unarchive",
            "/treatment_note_templates",
            "/treatment_note_templates/7/archive",
            "/medical_alerts",
            "/medical_alerts/7/archive",
            "/communications",
            "/patient_cases",
            "/patient_forms",
            "/contacts",
            "/individual_appointments",
            "/businesses/7/unarchive",
            "/treatment_notes/",
            "//treatment_notes",
            "/treatment_notes/../patients",
            "/treatment%5Fnotes",
        ] {
            assert_eq!(pattern(&Method::POST, path), None, "POST {path}");
        }
        for path in [
            "/settings",
            "/users/7",
            "/patients/7/",
            "/patients/07",
            "/patients/7a",
            "/patients/%37",
            "",
            "/",
        ] {
            assert_eq!(pattern(&Method::GET, path), None, "GET {path}");
        }
    }
}
