//! The suite: scenarios through the real daemon, real libraries, real tarballs and real sockets; each test that shows
//! a numbered scenario is named after its number.

mod architecture;
mod behaviours;
mod calls;
mod children;
mod code;
mod daemon;
mod diff;
mod foreign;
mod lives;
mod misfits;
mod native;
mod ports;
mod relup;
mod settle;
mod shared;
mod single_app;
mod store;
mod tables;
mod upgrade;
