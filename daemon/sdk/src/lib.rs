//! What an app author uses: behaviours, supervisors, calls, timers and export_app!
