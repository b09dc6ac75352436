//! What the pipeline keeps, and under which keys.
//!
//! Rows that touch a patient are sealed under their scope; what must be compared or listed without a key (states,
//! jobs, work lists) is plain and holds ids, words and times only. Each record says its table, key and scope here and
//! nowhere else.

pub mod acknowledgement;
pub mod call;
pub mod case;
pub mod clinic;
pub mod dropped;
pub mod fetched;
pub mod file;
pub mod job;
pub mod lineage;
pub mod mapping;
pub mod message;
pub mod order;
pub mod person;
pub mod report;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store;
use crate::store::Table;

/// A record as the bytes the store keeps.
pub(crate) fn encode(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have text keys and no failing serializer")
}

/// A record from the bytes of a row of `table`.
///
/// # Errors
/// [`store::Error::Damaged`]: the seal or tag held, so another program version wrote it.
pub(crate) fn decode<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, store::Error> {
    serde_json::from_slice(bytes).map_err(|_| store::Error::Damaged { table })
}

/// A newtype over [`crate::clock::Id`]: written as 26 characters, stored as 16 bytes in order of time.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub crate::clock::Id);

        impl $name {
            /// The row's key.
            pub fn key(self) -> [u8; crate::clock::Id::BYTES] {
                self.0.to_bytes()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::clock::NotAnId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = crate::clock::NotAnId;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                bytes.try_into().map(Self)
            }
        }
    )*};
}

ids! {
    /// A kept batch or file.
    FileId,
    /// A kept message.
    MessageId,
    /// A report version under review.
    CaseId,
    /// A person who signs in.
    UserId,
    /// One sign-in.
    SessionId,
    /// A blood test a clinic asked for.
    OrderId,
}
