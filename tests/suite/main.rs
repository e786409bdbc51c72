//! The suite: scenarios through the real daemon, real libraries, real tarballs and real sockets; each test that shows
//! a numbered scenario is named after its number.

mod architecture;
mod behaviours;
mod calls;
mod children;
mod churn;
mod code;
mod daemon;
mod diff;
mod doctored;
mod documents;
mod foreign;
mod foresight;
mod inside;
mod kit;
mod lives;
mod logging;
mod many;
mod misfits;
mod native;
mod orders;
mod output;
mod packaging;
mod policy;
mod ports;
mod relup;
mod settle;
mod shapes;
mod shared;
mod single_app;
mod store;
mod strangers;
mod tables;
mod upgrade;
mod windows;
