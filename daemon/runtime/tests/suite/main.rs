//! The process world by its public face, with modules written here instead of loaded ones.

mod applications;
mod kit;
mod ports;
mod processes;
mod supervisor_suite;
mod supervisors;
mod sys;
mod trials;
mod upgrades;
