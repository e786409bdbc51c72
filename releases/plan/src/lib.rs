//! Release documents and the planner: pure code from appups to a script
