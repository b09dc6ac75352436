//! Everything that is tested from outside: contracts, examples, journeys over real sockets.

#[cfg(test)]
mod abuse;
#[cfg(test)]
mod api;
#[cfg(test)]
mod attachments;
#[cfg(test)]
mod batch;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod cliniko_simulator;
#[cfg(test)]
mod codec;
#[cfg(test)]
mod connect_a_lab;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod fhir;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod inbound_http;
#[cfg(test)]
mod journeys;
#[cfg(test)]
mod knowledge;
#[cfg(test)]
mod labs;
#[cfg(test)]
mod lineage;
#[cfg(test)]
mod mapping_author;
#[cfg(test)]
mod mapping_check;
#[cfg(test)]
mod mapping_history;
#[cfg(test)]
mod mapping_reference;
#[cfg(test)]
mod mappings;
#[cfg(test)]
mod mllp;
#[cfg(test)]
mod outbound_cliniko;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod send;
#[cfg(test)]
mod sftp;
#[cfg(test)]
mod sftp_poll;
#[cfg(test)]
mod store;
#[cfg(test)]
mod traps;
#[cfg(test)]
mod traps_intake;
#[cfg(test)]
mod traps_lineage;
