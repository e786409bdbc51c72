//! Releases on disk: tarballs, unpacking and the status table
