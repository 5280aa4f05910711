//! What must hold of the parts together: on real databases, over real connections. One binary, so that it links once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails in a test is to fail it")]

mod architecture;
mod audit;
mod append;
mod appender;
mod crash;
mod database;
mod documents;
mod growth;
mod own_log;
mod sample_log;
mod samples;
mod second_opinions;
mod statement_vectors;
mod store;
mod whole;
