//! The JSON Schemas of mapping files and blocks, made of the words of the language.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::language::Head;
use crate::clinical::mapping::language::SCHEMA;
use crate::clinical::mapping::language::SECTIONS;
use crate::clinical::mapping::language::Setting;
use crate::clinical::mapping::language::Verb;
use crate::clinical::mapping::language::verb::ALTERNATIVES_MAX;
use crate::clinical::mapping::language::verb::CONDITION;
use crate::clinical::mapping::language::verb::CONDITIONS_MAX;
use crate::clinical::mapping::language::verb::Shape;
use crate::clinical::mapping::transform;
use crate::clinical::mapping::transform::Argument;
use crate::clinical::mapping::transform::STEPS_MAX;
use crate::clinical::terminology::TableKind;
use crate::clinical::terminology::table::column;

/// The JSON Schema of a laboratory's mapping file.
pub fn json_schema() -> Value {
    let mut schema = file_schema(false);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".into(), json!("Inbound mapping of one laboratory"));
        schema.insert("required".into(), json!(["schema", "lab", "format"]));
    }
    schema
}

/// The JSON Schema of a block that mappings extend.
pub fn block_json_schema() -> Value {
    let mut schema = file_schema(true);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".into(), json!("Block of an inbound mapping, for laboratories to extend"));
        schema.insert("required".into(), json!(["schema", "format"]));
    }
    schema
}

fn file_schema(is_block: bool) -> Value {
    let mut properties = Map::new();
    for key in Head::ALL.iter().filter(|key| Format::ALL.iter().any(|it| key.takes(is_block, *it))) {
        let schema = if *key == Head::Schema { json!({ "const": SCHEMA }) } else { shape(key.shape()) };
        properties.insert(key.name().into(), described(schema, key.about()));
    }
    for section in SECTIONS {
        properties.insert(section.into(), section_schema(section));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": definitions(),
    })
}

fn definitions() -> Value {
    let mut defs = Map::new();
    defs.insert("condition".into(), condition_schema());
    defs.insert("step".into(), step_schema());
    for (name, kind) in [("code_row", TableKind::Codes), ("unit_row", TableKind::Units)] {
        defs.insert(name.into(), column::row_schema(kind));
    }
    for field in Field::ALL {
        defs.insert(field.path(), rule_schema(*field));
    }
    Value::Object(defs)
}

fn section_schema(section: &str) -> Value {
    let mut properties = Map::new();
    for setting in
        Setting::ALL.iter().filter(|it| Format::ALL.iter().any(|format| it.takes(section, *format)))
    {
        properties.insert(setting.name().into(), described(shape(setting.shape()), setting.about()));
    }
    for field in Field::ALL.iter().filter(|field| field.section() == section) {
        properties.insert(field.name().into(), described(reference(&field.path()), field.about()));
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// One column of results, where each row is a patient: any rule of a result but its value, which is the column.
fn column_schema() -> Value {
    let mut properties = Map::new();
    properties
        .insert("column".into(), json!({ "type": "string", "description": "the column of its values" }));
    properties.insert(Verb::When.name().into(), described(shape(Shape::Conditions), Verb::When.about()));
    for field in
        Field::ALL.iter().filter(|field| field.section() == "result" && **field != Field::ResultValue)
    {
        properties.insert(field.name().into(), described(reference(&field.path()), field.about()));
    }
    json!({ "type": "array", "items": {
        "type": "object", "additionalProperties": false, "required": ["column"], "properties": properties } })
}

fn rule_schema(field: Field) -> Value {
    let mut properties = Map::new();
    let has = |verb: &&Verb| Format::ALL.iter().any(|format| verb.takes(field.kind(), *format));
    for verb in Verb::ALL.iter().filter(has) {
        properties.insert(verb.name().into(), described(shape(verb.shape()), verb.about()));
    }
    let table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    json!({ "anyOf": [
        { "type": "string" },
        table,
        { "type": "array", "minItems": 1, "maxItems": ALTERNATIVES_MAX, "items": { "type": "object" },
          "description": "rules of which the first whose `when` holds is read" },
    ] })
}

fn condition_schema() -> Value {
    let properties: Map<String, Value> = CONDITION
        .iter()
        .map(|(name, shape_of, about)| ((*name).to_owned(), described(shape(*shape_of), about)))
        .collect();
    json!({ "type": "object", "additionalProperties": false, "required": ["path"], "properties": properties,
            "minProperties": 2, "maxProperties": 2 })
}

fn step_schema() -> Value {
    let steps = transform::STEPS.iter().map(|step| {
        let text = json!({ "type": "string", "minLength": 1 });
        let mut properties = Map::from_iter([(step.name.to_owned(), text.clone())]);
        match step.argument {
            Argument::None => return json!({ "const": step.name, "description": step.about }),
            Argument::Text => {}
            Argument::TextAndText(second) => drop(properties.insert(second.into(), json!({ "type": "string" }))),
            Argument::TextAndNumber(second) => {
                properties.insert(second.into(), json!({ "type": "integer", "minimum": 1 }));
            }
        }
        let required: Vec<String> = properties.keys().cloned().collect();
        json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties,
                "description": step.about })
    });
    json!({ "anyOf": steps.collect::<Vec<_>>() })
}

fn shape(shape: Shape) -> Value {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    let words = || json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let one_or_more = |name: &str, max: usize| {
        let one = reference(name);
        json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1, "maxItems": max }] })
    };
    match shape {
        Shape::Columns => column_schema(),
        Shape::Conditions => one_or_more("condition", CONDITIONS_MAX),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Ignores => json!({ "type": "array", "items": {
            "type": "object", "additionalProperties": false, "required": ["path", "why"],
            "properties": { "path": { "anyOf": [text(), texts()] }, "why": { "type": "string", "minLength": 1 } } } }),
        Shape::NamedRules => json!({ "type": "object", "additionalProperties": {
            "anyOf": [{ "type": "string" }, { "type": "object" }, { "type": "array", "items": { "type": "object" } }] } }),
        Shape::NamedTables => json!({ "type": "object", "additionalProperties": {
            "type": "object", "additionalProperties": false, "required": ["rows"],
            "properties": {
                "owner": { "type": "string", "description": "who answers for the rows" },
                "rows": { "type": "array", "items": { "anyOf": [reference("code_row"), reference("unit_row")] } } } } }),
        Shape::Path | Shape::Text | Shape::Type => text(),
        Shape::Paths => texts(),
        Shape::PathOrPaths | Shape::TextOrTexts => json!({ "anyOf": [text(), texts()] }),
        Shape::Steps => one_or_more("step", STEPS_MAX),
        Shape::Tables => json!({ "anyOf": [text(), texts(), words()] }),
        Shape::Words => words(),
        Shape::Word(known) => json!({ "enum": known }),
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// With its line for people beside it.
fn described(mut schema: Value, about: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".into(), json!(about));
    }
    schema
}
