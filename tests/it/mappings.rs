//! Mappings of a running gateway: what is remembered of them, and how they change while it runs.

mod remembered;
