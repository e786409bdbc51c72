//! Tarballs and keys of an author who may less than they try.
