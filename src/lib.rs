//! HaemoSync
