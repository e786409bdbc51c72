//! The fence against real libraries, built from C by the tests themselves.

mod block;
mod calls;
mod files;
mod fixture;
mod generations;
