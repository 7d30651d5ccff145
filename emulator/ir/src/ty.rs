//! Types are widths. The register class of a value is the host back end's business.

/// Width of a value in bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Ty {
    /// One bit: flags and conditions.
    I1,
    /// 8 bits.
    I8,
    /// 16 bits.
    I16,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// 128 bits.
    I128,
}

impl Ty {
    /// Width in bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Ty::I1 => 1,
            Ty::I8 => 8,
            Ty::I16 => 16,
            Ty::I32 => 32,
            Ty::I64 => 64,
            Ty::I128 => 128,
        }
    }

    /// Size in memory, in bytes; a one-bit value takes one byte.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.bits().div_ceil(8)
    }

    /// All bits of the type set.
    #[must_use]
    pub const fn mask(self) -> u128 {
        u128::MAX >> (128 - self.bits())
    }

    /// The narrowest type that holds `bits` bits (1..=128).
    #[must_use]
    pub const fn holding(bits: u32) -> Ty {
        match bits {
            0..=1 => Ty::I1,
            2..=8 => Ty::I8,
            9..=16 => Ty::I16,
            17..=32 => Ty::I32,
            33..=64 => Ty::I64,
            _ => Ty::I128,
        }
    }
}
