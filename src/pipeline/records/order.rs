//! Orders, and the patients of a clinic whose NHS number a person confirmed.

use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Sensitive;
use crate::clinical::order::Order;
use crate::formats::cliniko;
use crate::pipeline::records::OrderId;
use crate::pipeline::records::case::Signed;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

fn scope(clinic: &str) -> Scope {
    Scope::Clinic(clinic.to_owned())
}

/// Adds a new order; a conflict if its number is in use.
pub fn insert(change: &mut Change, id: OrderId, order: &Order) {
    let number = order.number.to_string();
    change.index_unique(Table::Orders, &id.key(), &scope(&order.clinic), Field::OrderNumber, &number);
    put(change, id, order);
}

pub fn put(change: &mut Change, id: OrderId, order: &Order) {
    change.put_sealed(Table::Orders, &id.key(), &scope(&order.clinic), encode(order));
}

pub fn load(store: &Store, clinic: &str, id: OrderId) -> Result<Option<Order>, store::Error> {
    match store.get_sealed(Table::Orders, &id.key(), &scope(clinic)) {
        Ok(row) => row.map(|row| decode(Table::Orders, &row)).transpose(),
        // Another clinic's order is as absent as none.
        Err(store::Error::Sealed { .. } | store::Error::KeyMissing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn by_number(
    store: &Store,
    clinic: &str,
    number: &str,
) -> Result<Option<(OrderId, Order)>, store::Error> {
    let keys = store.find(Table::Orders, &scope(clinic), Field::OrderNumber, number)?;
    let Some(id) = keys.first().and_then(|key| OrderId::try_from(key.as_slice()).ok()) else {
        return Ok(None);
    };
    Ok(load(store, clinic, id)?.map(|order| (id, order)))
}

/// A patient whose NHS number was read from Cliniko and confirmed by a named user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPatient {
    pub cliniko_id: cliniko::Id,
    pub nhs_number: Sensitive<String>,
    pub confirmed: Signed,
}

impl KnownPatient {
    pub fn put(&self, change: &mut Change, clinic: &str) {
        let (key, scope) = (self.cliniko_id.as_str().as_bytes(), scope(clinic));
        change.put_sealed(Table::Patients, &patient_key(clinic, &self.cliniko_id), &scope, encode(self));
        change.index(Table::Patients, key, &scope, Field::NhsNumber, self.nhs_number.expose());
        change.index(Table::Patients, key, &scope, Field::ClinikoId, self.cliniko_id.as_str());
    }
}

/// Cliniko ids are unique to an account, not across accounts.
fn patient_key(clinic: &str, id: &cliniko::Id) -> Vec<u8> {
    format!("{clinic}\0{id}").into_bytes()
}

pub fn known_patient(
    store: &Store,
    clinic: &str,
    id: &cliniko::Id,
) -> Result<Option<KnownPatient>, store::Error> {
    let row = store.get_sealed(Table::Patients, &patient_key(clinic, id), &scope(clinic))?;
    row.map(|row| decode(Table::Patients, &row)).transpose()
}

/// The Cliniko ids under which this NHS number was confirmed.
pub fn patients_by_nhs_number(
    store: &Store,
    clinic: &str,
    number: &str,
) -> Result<Vec<cliniko::Id>, store::Error> {
    let keys = store.find(Table::Patients, &scope(clinic), Field::NhsNumber, number)?;
    let damaged = || store::Error::Damaged { table: Table::Index };
    keys.iter()
        .map(|key| std::str::from_utf8(key).ok().and_then(|text| text.parse().ok()).ok_or_else(damaged))
        .collect()
}
