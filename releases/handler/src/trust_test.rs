//! The policy of signatures: which orders it stops, and which ways back it leaves open.
