//! The JSON Schemas under `schemas/` are what the types say; `BLESS=1` writes them anew.

use std::fs;
use std::path::PathBuf;

use haemosync_gateway::clinical::mapping::language;
use haemosync_gateway::clinical::mapping::outbound;
use haemosync_gateway::clinical::terminology::TableKind;
use haemosync_gateway::clinical::terminology::table::column;

#[expect(clippy::disallowed_methods, reason = "the test compares committed files")]
fn check(name: &str, schema: &serde_json::Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "schemas/{name} is not current: run this test with BLESS=1");
}

#[test]
fn the_schema_of_mapping_files_is_current() {
    check("mapping.schema.json", &language::json_schema());
}

#[test]
fn the_schemas_of_blocks_tables_and_the_outbound_mapping_are_current() {
    check("block.schema.json", &language::schema::block_json_schema());
    check("codes.schema.json", &column::json_schema(TableKind::Codes));
    check("units.schema.json", &column::json_schema(TableKind::Units));
    check("outbound.schema.json", &outbound::json_schema());
}

#[test]
fn the_schema_of_the_configuration_is_current() {
    check("gateway.schema.json", &haemosync_gateway::config::json_schema());
}
