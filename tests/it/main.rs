//! What must hold of the parts together: on real databases, over real connections. One binary, so that it links once.

mod architecture;
mod database;
mod second_opinions;
mod store;
