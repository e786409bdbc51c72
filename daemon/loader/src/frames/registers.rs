//! The registers that unwinding a stack begins with. This is the only file of the daemon that
//! depends on the machine's registers. A machine that it does not know has no stack traces.

use framehop::Module;

/// The instruction pointer, the stack pointer, the frame pointer, and the register with the return
/// address, which only some machines have.
pub(super) type Registers = [u64; 4];

/// Returns the registers of a thread that was interrupted by a signal.
#[cfg(target_arch = "x86_64")]
pub(super) fn interrupted(context: &libc::ucontext_t) -> Registers {
    let register = |number: i32| context.uc_mcontext.gregs[number as usize].cast_unsigned();
    [register(libc::REG_RIP), register(libc::REG_RSP), register(libc::REG_RBP), 0]
}

/// Returns the registers of a thread that was interrupted by a signal.
#[cfg(target_arch = "aarch64")]
pub(super) fn interrupted(context: &libc::ucontext_t) -> Registers {
    let machine = &context.uc_mcontext;
    [machine.pc, machine.sp, machine.regs[29], machine.regs[30]]
}

/// Returns no registers.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn interrupted(_: &libc::ucontext_t) -> Registers {
    [0; 4]
}

/// Returns the addresses of the calls on a stack, innermost first, at most `max`. `word` returns a
/// word of the stack.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn calls(
    modules: Vec<Module<Vec<u8>>>,
    registers: Registers,
    word: impl Fn(u64) -> Option<u64>,
    max: usize,
) -> Vec<u64> {
    use framehop::{CacheNative, UnwindRegsNative, Unwinder, UnwinderNative};

    let mut unwinder = UnwinderNative::new();
    modules.into_iter().for_each(|module| unwinder.add_module(module));
    let [instruction, stack_pointer, frame_pointer, link] = registers;
    let first = if cfg!(target_arch = "aarch64") { link } else { instruction };
    let registers = UnwindRegsNative::new(first, stack_pointer, frame_pointer);
    let (mut cache, mut word) = (CacheNative::<_>::new(), |address| word(address).ok_or(()));
    let mut frames = unwinder.iter_frames(instruction, registers, &mut cache, &mut word);
    let frames = std::iter::from_fn(|| frames.next().ok().flatten());
    frames.map(|frame| frame.address_for_lookup()).take(max).collect()
}

/// Returns no addresses.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn calls(
    _: Vec<Module<Vec<u8>>>,
    _: Registers,
    _: impl Fn(u64) -> Option<u64>,
    _: usize,
) -> Vec<u64> {
    Vec::new()
}
