//! The process world by its public face, with modules written here instead of loaded ones.

mod applications;
mod kit;
mod panics;
mod ports;
mod processes;
mod supervisor_suite;
mod supervisors;
mod sys;
mod upgrades;
