//! From the remembered files alone a mapping compiles to the same digest; one that is too large is not remembered.

use super::*;
use crate::clinical::mapping::Catalog;

const MAPPING: &str = "schema = 1\nlab = \"own\"\nformat = \"hl7v2\"\n\
    [patient]\nfamily = \"PID-5.1\"\n[report]\nfiller_number = \"OBR-3.1\"\n\
    [result]\ncode = { from = \"OBX-3\", table = \"codes.csv\", unmapped = \"hold\" }\n\
    value = { from = \"OBX-5\", type = \"OBX-2\" }\n\
    unit = { from = \"OBX-6\", table = \"other/units.csv\", unmapped = \"hold\" }\n\
    status = { from = \"OBX-11\", map = { F = \"final\" }, unmapped = \"hold\" }\n";

fn files(codes: &str) -> BTreeMap<String, String> {
    let files = [
        ("labs/own/mapping.toml", MAPPING),
        ("labs/own/codes.csv", codes),
        ("labs/own/unused.csv", "sent,ucum\n"),
        ("labs/other/units.csv", "sent,ucum\nmmol/L,mmol/L\n"),
    ];
    files.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

#[test]
fn what_the_digest_covers_compiles_alone_to_the_same_digest() {
    let files = files("sent,loinc,display\nK,2823-3,Potassium\n");
    let catalog = Catalog::compile(&files).unwrap();
    let mapping = catalog.lab("own").unwrap();
    assert_eq!(mapping.files(), ["labs/own/mapping.toml", "labs/other/units.csv", "labs/own/codes.csv"]);
    let covered = mapping.files().iter().map(|name| (name.clone(), files[name].clone())).collect();
    assert_eq!(Mapping::compile("own", &covered).unwrap().digest(), mapping.digest());
}

#[test]
fn a_mapping_that_fits_no_row_is_not_remembered() {
    let long = format!("sent,loinc,display\n{}", "# a remark\n".repeat(FILES_BYTES_MAX / 10));
    let files = files(&long);
    let catalog = Catalog::compile(&files).unwrap();
    let (mut change, now) = (Change::new(), Timestamp::UNIX_EPOCH);
    let remembering = remember(&mut change, now, catalog.lab("own").unwrap(), &files);
    assert!(matches!(remembering, Remembering::TooLarge { bytes } if bytes > FILES_BYTES_MAX));
    assert_eq!(format!("{change:?}"), "Change(0 steps)");
}
