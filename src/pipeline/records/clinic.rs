//! A clinic and its Cliniko account.

use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Sensitive;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Store;
use crate::store::Table;

/// A tenant: nothing crosses clinics. Its name is its id, in configuration, keys and tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clinic {
    pub name: String,
    pub cliniko_key: Sensitive<String>,
    pub shard: String,
    /// Another base URL than the shard's: a simulator. Loopback only.
    pub dangerous_cliniko_url: Option<String>,
    /// Where the upload host may be when it is not Cliniko's: follows from the URL above.
    pub release: Release,
    /// The token of the patient's custom field that holds the NHS number.
    pub nhs_number_field: Option<String>,
}

/// Who sends an approved case to Cliniko.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// Approval releases.
    Automatic,
    /// A clinician releases in a second step.
    Manual,
}

impl Clinic {
    pub fn scope(&self) -> Scope {
        Scope::Clinic(self.name.clone())
    }

    pub fn put(&self, change: &mut Change) {
        change.put_sealed(Table::Clinics, self.name.as_bytes(), &Scope::Gateway, encode(self));
    }
}

pub fn load(store: &Store, name: &str) -> Result<Option<Clinic>, store::Error> {
    let row = store.get_sealed(Table::Clinics, name.as_bytes(), &Scope::Gateway)?;
    row.map(|row| decode(Table::Clinics, &row)).transpose()
}

/// Every clinic added, by name.
pub fn all(store: &Store) -> Result<Vec<Clinic>, store::Error> {
    let rows = store.scan_sealed(&Scan::all(Table::Clinics), &Scope::Gateway)?;
    rows.iter().map(|(_, row)| decode(Table::Clinics, row)).collect()
}
