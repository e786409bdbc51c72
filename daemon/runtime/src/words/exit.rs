//! Exit reasons, as supervisors see them.

pub(crate) use reld_wire::Exit;

/// Returns whether a transient child that ends with this reason is restarted. OTP, `transient`:
/// not after `normal`, `shutdown` and `{shutdown, Term}`.
pub(crate) fn is_abnormal(exit: &Exit) -> bool {
    !matches!(exit, Exit::Normal | Exit::Shutdown(_))
}
