//! All integration tests, in one binary: it links once.

mod second_opinions;
