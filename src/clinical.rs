//! What things mean: pure decisions over the canonical model.
//!
//! Cannot tell the time, draw an id, read a file or fail for want of a network: all of these arrive as arguments.

pub mod attachment;
pub mod document;
pub mod fhir;
pub mod interpret;
pub mod lineage;
pub mod mapping;
pub mod matching;
pub mod model;
pub mod order;
pub mod terminology;
pub mod workflow;
