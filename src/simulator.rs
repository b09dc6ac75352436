//! The outside world, played on real sockets for tests and demonstrations.
//!
//! Each simulator is written from its reference and never from our own codecs, so that a mistake
//! is not shared by both sides. None of them holds, or may be given, data of a real person.
//! Start reading at [`cliniko`]; [`cliniko::start`] opens its three listeners. The laboratory
//! that sends is the neighbour of that file.

pub mod cliniko;

pub mod lab;
