//! What must hold of the parts together: on real databases, over real connections. One binary, so that it links once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs and does not get fails it")]

mod append;
mod appender;
mod architecture;
mod audit;
mod ceremony;
mod city;
mod command_line;
mod compromise;
mod crash;
mod database;
mod demo;
mod doctor;
mod documents;
mod eleventh_kind;
mod enrolment;
mod federation;
mod figures;
mod full_disk;
#[expect(dead_code, reason = "the benches use more of it")]
mod growth;
mod import_command;
mod key_command;
mod keys_at_rest;
mod killed_import;
mod killed_puller;
mod liar;
mod line;
mod log_vectors;
mod lost_answer;
mod lying_peer;
mod member_list;
mod mirrors;
mod mutual_tls;
mod own_log;
mod peer_interface;
mod peer_steps;
mod penalty_file;
mod pull;
mod sample_log;
mod reload;
mod refused_descriptor;
mod revocation;
mod samples;
mod second_opinions;
mod standing;
mod statement_vectors;
mod store;
mod two_registries;
mod unkind_peer;
mod survival;
mod token;
mod upload;
mod whole;
