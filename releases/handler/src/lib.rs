//! The release handler: carries a script out as a transaction over trait Node
