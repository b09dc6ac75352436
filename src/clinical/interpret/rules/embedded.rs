//! The knowledge that ships with the binary.

use std::collections::BTreeMap;

macro_rules! files {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../../../mappings/knowledge/", $name)))),*]
    };
}

/// The files of `mappings/knowledge/`, by their names in that folder. A test holds this list against the folder.
pub fn embedded() -> BTreeMap<String, String> {
    let files = files![
        "analytes.tsv"
        "forbidden.toml"
        "formulas.toml"
        "ranges.tsv"
        "rules/00-critical.toml"
        "rules/10-quality.toml"
        "rules/20-haematology.toml"
        "rules/30-iron-inflammation.toml"
        "rules/40-kidney.toml"
        "rules/50-liver.toml"
        "rules/60-bone-glucose.toml"
        "rules/70-lipids.toml"
        "rules/80-hormones.toml"
        "rules/90-other.toml"
    ];
    files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}
