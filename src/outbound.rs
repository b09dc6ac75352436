//! What leaves the gateway, one client for each destination. A client keeps nothing and decides nothing.

pub mod cliniko;
pub mod mllp;
pub mod sftp;
