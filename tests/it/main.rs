//! What must hold of the parts together: on real databases, over real connections. One binary, so that it links once.

mod architecture;
mod audit;
mod append;
mod appender;
mod crash;
mod database;
mod growth;
mod own_log;
mod sample_log;
mod second_opinions;
mod statement_vectors;
mod store;
mod whole;
