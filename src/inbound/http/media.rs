//! Media types: what a body is declared as, and what the answer is asked for as.

use axum::http::HeaderMap;
use axum::http::header;

/// What a body is declared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Csv,
    FhirJson,
    FhirXml,
    /// HL7 v2 in its own encoding, under whichever of its names the sender uses.
    Er7(&'static str),
    Hl7Xml(&'static str),
    Json,
}

/// The names HL7 v2 goes by: those of the HL7-over-HTTP draft, their `x-` forms, and what senders fall back on.
const ER7: [&str; 8] = [
    "application/hl7-v2",
    "application/hl7-v2+er7",
    "x-application/hl7-v2+er7",
    "x-application/hl7-v2",
    "application/edi-hl7",
    "application/edi-hl7v2",
    "text/hl7",
    "text/plain",
];
const HL7_XML: [&str; 2] = ["application/hl7-v2+xml", "x-application/hl7-v2+xml"];

impl Media {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let declared = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Self::from_name(declared)
    }

    fn from_name(declared: &str) -> Option<Self> {
        let name = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let among = |names: &[&'static str]| names.iter().copied().find(|it| *it == name);
        match name.as_str() {
            "application/fhir+json" | "application/json+fhir" => return Some(Self::FhirJson),
            "application/fhir+xml" | "application/xml+fhir" => return Some(Self::FhirXml),
            "application/json" => return Some(Self::Json),
            "text/csv" | "text/tab-separated-values" => return Some(Self::Csv),
            _ => {}
        }
        among(&ER7).map(Self::Er7).or_else(|| among(&HL7_XML).map(Self::Hl7Xml))
    }

    pub(super) fn is_hl7(self) -> bool {
        matches!(self, Self::Er7(_) | Self::Hl7Xml(_))
    }
}

/// How a FHIR answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FhirFormat {
    Json,
    Xml,
}

impl FhirFormat {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/fhir+json; charset=utf-8",
            Self::Xml => "application/fhir+xml; charset=utf-8",
        }
    }

    /// What the body is written in, and so what its answer is written in where nothing else is asked for. Plain JSON and
    /// XML pass for FHIR's (R4, 3.1.0.1.5); any character set but UTF-8 does not.
    pub(super) fn of_body(headers: &HeaderMap) -> Option<Self> {
        let declared = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
        let mut parts = declared.split(';').map(str::trim);
        let format = Self::from_name(parts.next().unwrap_or_default())?;
        let mut charsets = parts.filter_map(|it| it.strip_prefix("charset="));
        charsets.all(|it| it.trim_matches('"') == "utf-8").then_some(format)
    }

    /// What the answer is asked for as: `_format`, else `Accept`, else as the body. None where nothing asked for can
    /// be given.
    pub(super) fn asked(query: Option<&str>, headers: &HeaderMap, body: Self) -> Option<Self> {
        let asked = query.into_iter().flat_map(|it| it.split('&')).find_map(|it| it.strip_prefix("_format="));
        if let Some(asked) = asked {
            // The plus of a media type is a space where nobody escaped it.
            let name = asked.to_ascii_lowercase().replace("%2f", "/").replace("%2b", "+").replace(' ', "+");
            return match name.as_str() {
                "json" => Some(Self::Json),
                "xml" => Some(Self::Xml),
                name => Self::from_name(name.split(';').next().unwrap_or_default()),
            };
        }
        let accepted = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
        if accepted.trim().is_empty() {
            return Some(body);
        }
        let mut wanted: Vec<(i32, Self)> =
            accepted.to_ascii_lowercase().split(',').filter_map(|it| Self::wish(it, body)).collect();
        // A stable sort: among equals, the first named.
        wanted.sort_by_key(|(weight, _)| -weight);
        wanted.first().filter(|(weight, _)| *weight > 0).map(|(_, format)| *format)
    }

    /// One member of `Accept`, with its weight in thousandths.
    fn wish(text: &str, body: Self) -> Option<(i32, Self)> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let format = if matches!(name, "*/*" | "application/*") { body } else { Self::from_name(name)? };
        let weight = parts.find_map(|it| it.strip_prefix("q=")).map_or(1000, |it| {
            let (whole, rest) = it.split_once('.').unwrap_or((it, ""));
            let thousandths: String = rest.chars().chain("000".chars()).take(3).collect();
            whole.parse::<i32>().unwrap_or(0) * 1000 + thousandths.parse::<i32>().unwrap_or(0)
        });
        Some((weight, format))
    }

    fn from_name(name: &str) -> Option<Self> {
        match name.trim() {
            "application/fhir+json" | "application/json" | "application/json+fhir" | "text/json" => {
                Some(Self::Json)
            }
            "application/fhir+xml" | "application/xml" | "application/xml+fhir" | "text/xml" => {
                Some(Self::Xml)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use axum::http::HeaderName;
    use axum::http::header;

    use super::FhirFormat;
    use super::Media;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn each_name_of_a_format_is_known_and_no_other() {
        let media = |value: &str| Media::of(&headers(header::CONTENT_TYPE, value));
        assert_eq!(media("Application/HL7-v2; charset=utf-8"), Some(Media::Er7("application/hl7-v2")));
        assert_eq!(media("x-application/hl7-v2+xml"), Some(Media::Hl7Xml("x-application/hl7-v2+xml")));
        assert_eq!(media("application/json;charset=utf-8"), Some(Media::Json));
        assert_eq!(media("application/x-www-form-urlencoded"), None);
        assert_eq!(Media::of(&HeaderMap::new()), None);
    }

    #[test]
    fn the_answer_is_written_as_asked() {
        use FhirFormat::Json;
        use FhirFormat::Xml;
        let body = |value: &str| FhirFormat::of_body(&headers(header::CONTENT_TYPE, value));
        assert_eq!(body("application/fhir+json; charset=UTF-8"), Some(Json));
        assert_eq!(body("application/fhir+xml; fhirVersion=4.0"), Some(Xml));
        assert_eq!(body("application/fhir+json; charset=latin1"), None);
        let accept = |value: &str| FhirFormat::asked(None, &headers(header::ACCEPT, value), Json);
        assert_eq!(accept("*/*"), Some(Json));
        assert_eq!(accept("application/fhir+json;q=0.5, application/fhir+xml"), Some(Xml));
        assert_eq!(accept("application/fhir+xml;q=0.25, */*;q=0.1"), Some(Xml));
        assert_eq!(accept("text/html"), None);
        assert_eq!(accept("application/fhir+xml;q=0"), None);
        let format = |query: &str| FhirFormat::asked(Some(query), &HeaderMap::new(), Xml);
        assert_eq!(format("_format=json"), Some(Json));
        assert_eq!(format("_pretty=true&_format=application/fhir%2Bxml"), Some(Xml));
        assert_eq!(format("_format=turtle"), None);
    }
}
