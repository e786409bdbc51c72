//! The test kit and the suite that drives the real daemon
