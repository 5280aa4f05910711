//! A node's private keys on disk.
