//! The process world: processes, mailboxes, supervisors, applications, the code server
