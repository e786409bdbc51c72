//! The boundary between reld and an app's library: #[repr(C)] types, the ABI version and reld.h
#![no_std]
