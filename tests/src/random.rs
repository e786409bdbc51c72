//! Numbers at random, the same for the same seed.

/// Marsaglia's xorshift.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Begins anew; every seed will do.
    pub(crate) fn new(seed: u64) -> Self {
        // All states but zero lead to others. Neighbouring seeds begin far apart.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below a limit, which must not be 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Says yes once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Returns one of some.
    ///
    /// # Panics
    /// There is none.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).expect("an index into memory")]
    }
}
