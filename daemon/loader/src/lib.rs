//! The fence around foreign code: checks, loads and calls app libraries
