//! HaemoSync integration gateway: blood results from the laboratory's wire to the patient's Cliniko record.
//!
//! The modules stand in ring order, which is reading order; each may use lower rings only. The first three rings are
//! pure: values in, values out. `ARCHITECTURE.md` is the map, `tests/architecture.rs` holds it true.

// Ring 0
pub mod audit;
pub mod diagnostic;
// Ring 1
pub mod formats;
// Ring 2
pub mod clinical;
// Ring 3
pub mod clock;
pub mod security;
pub mod telemetry;
// Ring 4
pub mod outbound;
pub mod store;
// Ring 5
pub mod pipeline;
// Ring 6
pub mod http;
pub mod inbound;
pub mod simulator;
// Rings 7, 8, 9
pub mod app;
pub mod cli;
pub mod config;
