//! Which elements of R4 are primitives, by name: asked only of an element that has extensions and no value.

/// Names that are primitives wherever a result's resources have them. `code`, `name` and `type` are not here: they
/// are more often composed.
const NAMES: [&str; 63] = [
    "active",
    "authored",
    "authoredOn",
    "birthDate",
    "city",
    "comment",
    "comparator",
    "conclusion",
    "contentType",
    "country",
    "created",
    "creation",
    "data",
    "date",
    "description",
    "display",
    "district",
    "div",
    "doNotPerform",
    "end",
    "family",
    "fullUrl",
    "gender",
    "given",
    "hash",
    "implicitRules",
    "intent",
    "issued",
    "language",
    "lastUpdated",
    "line",
    "markdown",
    "mode",
    "patientInstruction",
    "postalCode",
    "preferred",
    "prefix",
    "priority",
    "profile",
    "rank",
    "receivedTime",
    "recorded",
    "reference",
    "size",
    "source",
    "start",
    "state",
    "status",
    "suffix",
    "system",
    "text",
    "time",
    "timestamp",
    "title",
    "unit",
    "uri",
    "url",
    "use",
    "userSelected",
    "value",
    "version",
    "versionId",
    "when",
];

/// The ends of names such as `valueString` and `effectiveDateTime`: R4's primitive types.
const TYPES: [&str; 19] = [
    "Base64Binary",
    "Boolean",
    "Canonical",
    "Code",
    "Date",
    "DateTime",
    "Decimal",
    "Id",
    "Instant",
    "Integer",
    "Markdown",
    "Oid",
    "PositiveInt",
    "String",
    "Time",
    "UnsignedInt",
    "Uri",
    "Url",
    "Uuid",
];

/// Whether R4 has a primitive of this name inside an element of that name.
pub(super) fn is_primitive(parent: &str, name: &str) -> bool {
    match name {
        "code" => ["coding", "Coding", "Quantity", "quantity"].iter().any(|it| parent.ends_with(it)),
        _ => NAMES.binary_search(&name).is_ok() || TYPES.iter().any(|it| name.ends_with(it)),
    }
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use super::is_primitive;

    #[test]
    fn tells_primitives_from_composed_elements() {
        assert!(NAMES.is_sorted());
        for (parent, name) in [
            ("Patient", "birthDate"),
            ("extension", "valueString"),
            ("coding", "code"),
            ("Observation", "effectiveDateTime"),
        ] {
            assert!(is_primitive(parent, name), "{name}");
        }
        for (parent, name) in [
            ("Observation", "code"),
            ("Patient", "name"),
            ("Observation", "subject"),
            ("Observation", "valueQuantity"),
            ("Observation", "referenceRange"),
        ] {
            assert!(!is_primitive(parent, name), "{name}");
        }
    }
}
