//! What must hold of the parts together: on real databases, over real connections. One binary, so that it links once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs and does not get fails it")]
#![expect(clippy::print_stdout, reason = "a child process reports to the test that started it")]
#![expect(clippy::allow_attributes, reason = "a macro cannot know what its caller needs")]

mod append;
mod appender;
mod architecture;
mod audit;
mod city;
mod crash;
mod command_line;
mod database;
mod federation;
mod demo;
mod documents;
mod eleventh_kind;
#[expect(dead_code, reason = "the benchmarks share it, and need more of it")]
mod growth;
mod killed_import;
mod liar;
mod line;
mod lost_answer;
mod lying_peer;
mod mutual_tls;
mod own_log;
mod peer_interface;
mod penalty_file;
mod pull;
mod sample_log;
mod samples;
mod second_opinions;
mod statement_vectors;
mod store;
mod unkind_peer;
mod upload;
mod whole;
