//! The public interface of the runtime, tested with modules written here instead of loaded ones.

mod applications;
mod calls;
mod kit;
mod panics;
mod places;
mod ports;
mod processes;
mod starts;
mod supervisor_suite;
mod supervisors;
mod sys;
mod trials;
mod upgrades;
