//! One instruction of the intermediate representation: 20 bytes, operands by index.

use crate::ty::Ty;

include!(concat!(env!("OUT_DIR"), "/ops.rs"));

impl Op {
    /// Whether it computes with floating-point numbers and accumulates flags, and does nothing else.
    #[must_use]
    pub const fn is_float(self) -> bool {
        // In the order of the table.
        Op::Fadd as u8 <= self as u8 && self as u8 <= Op::Utof as u8
    }
}

/// Type of an operand or result of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeRule {
    /// The instruction's type.
    Same,
    /// Any type, that of the operand itself.
    From,
    /// One type always.
    Fixed(Ty),
}

/// What an operation may do besides computing its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: it may be dropped or shared.
    Pure,
    /// Something that must happen, in order.
    Effect,
    /// The same, and it may raise a guest fault.
    Fault,
    /// It may leave the unit.
    Exit,
}

/// A row of `isa-specs/ir.ops`.
#[derive(Clone, Copy, Debug)]
pub struct OpDesc {
    /// Name in printed IR.
    pub name: &'static str,
    /// Operand types.
    pub operands: &'static [TypeRule],
    /// Any number of operands, kept in the unit's argument pool.
    pub variadic: bool,
    /// Result type, if it has a result.
    pub result: Option<TypeRule>,
    /// Effect.
    pub effect: Effect,
    /// The two operands commute.
    pub comm: bool,
    /// Carries a lane width.
    pub lane: bool,
    /// Carries a rounding.
    pub round: bool,
    /// Carries a first immediate.
    pub imm: bool,
    /// Carries a second immediate.
    pub imm2: bool,
    /// Carries memory attributes.
    pub mem: bool,
    /// Its attribute is a slot.
    pub slot: bool,
    /// Carries a kind.
    pub kind: bool,
}

/// A value: the index of the instruction that makes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Val(pub u32);

impl Val {
    /// Absent operand.
    pub const NONE: Val = Val(u32::MAX);

    /// Position of the defining instruction.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an instruction needs beyond its operands; which half means what is the operation's row in `isa-specs/ir.ops`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Attr(pub u32);

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Inst {
    /// Operation.
    pub op: Op,
    /// Type of the instruction (for comparisons and stores: of the operand).
    pub ty: Ty,
    /// Attributes.
    pub attr: Attr,
    /// Operands; unused ones are [`Val::NONE`].
    pub args: [Val; 3],
}

impl Inst {
    /// Type of the result, if there is one.
    #[must_use]
    pub const fn result_ty(&self) -> Option<Ty> {
        match self.op.desc().result {
            Some(TypeRule::Fixed(ty)) => Some(ty),
            Some(_) => Some(self.ty),
            None => None,
        }
    }
}

/// Ordering of a memory access or atomic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Order {
    /// No ordering.
    #[default]
    Relaxed,
    /// Acquire (RCsc).
    Acquire,
    /// Release (RCsc).
    Release,
    /// Acquire and release, sequentially consistent.
    SeqCst,
}

/// Attributes of a guest memory access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MemAttr {
    /// Ordering.
    pub order: Order,
    /// Bytes are most significant first.
    pub big_endian: bool,
    /// Alignment the guest architecture demands, as log2 of bytes; 0 demands none.
    pub align_log2: u8,
}

impl MemAttr {
    /// Plain little-endian access without alignment demand.
    pub const PLAIN: MemAttr = MemAttr { order: Order::Relaxed, big_endian: false, align_log2: 0 };

    /// Plain access with ordering.
    #[must_use]
    pub const fn ordered(order: Order) -> MemAttr {
        MemAttr { order, big_endian: false, align_log2: 0 }
    }
}

/// Atomic read-modify-write operations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum AtomicOp {
    /// Sum.
    Add,
    /// `old & ~v`.
    Andn,
    /// Bitwise exclusive or.
    Xor,
    /// Bitwise or.
    Or,
    /// Signed maximum.
    Smax,
    /// Signed minimum.
    Smin,
    /// Unsigned maximum.
    Umax,
    /// Unsigned minimum.
    Umin,
    /// Exchange.
    Swap,
    /// Bitwise and.
    And,
}

impl AtomicOp {
    /// By number, with their names.
    pub const ALL: [(AtomicOp, &str); 10] = [
        (AtomicOp::Add, "add"),
        (AtomicOp::Andn, "andn"),
        (AtomicOp::Xor, "xor"),
        (AtomicOp::Or, "or"),
        (AtomicOp::Smax, "smax"),
        (AtomicOp::Smin, "smin"),
        (AtomicOp::Umax, "umax"),
        (AtomicOp::Umin, "umin"),
        (AtomicOp::Swap, "swap"),
        (AtomicOp::And, "and"),
    ];

    /// Of a `kind` attribute.
    #[must_use]
    pub const fn of_kind(kind: u8) -> AtomicOp {
        AtomicOp::ALL[kind as usize % AtomicOp::ALL.len()].0
    }
}

/// Rounding of a floating-point operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Round {
    /// The mode in force (part of the unit key; host MXCSR while in generated code).
    #[default]
    Mode,
    /// To nearest, ties to even.
    Even,
    /// Toward zero.
    Zero,
    /// Toward minus infinity.
    Down,
    /// Toward plus infinity.
    Up,
    /// To nearest, ties away from zero.
    Away,
}

/// NaN treatment of minimum and maximum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum MinMax {
    /// A NaN operand gives a NaN (IEEE 754-2019 minimum, A64 FMIN).
    Propagate,
    /// A quiet NaN loses against a number, a signalling one gives a NaN (IEEE 754-2008 minNum, A64 FMINNM).
    Number,
    /// Any NaN loses against a number (IEEE 754-2019 minimumNumber, RISC-V).
    NumberAlways,
    /// `a < b ? a : b` with the second operand on NaN and on equal zeros (x86).
    Second,
}

impl MinMax {
    /// By number, with their names.
    pub const ALL: [(MinMax, &str); 4] = [
        (MinMax::Propagate, "propagate"),
        (MinMax::Number, "number"),
        (MinMax::NumberAlways, "number_always"),
        (MinMax::Second, "second"),
    ];

    /// Of a `kind` attribute.
    #[must_use]
    pub const fn of_kind(kind: u8) -> MinMax {
        MinMax::ALL[kind as usize % MinMax::ALL.len()].0
    }
}

/// Steps of ciphers, hashes and searches that processors have instructions for; how the 128 bits are laid out is that of x86's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Step {
    /// A round of AES of state `a` and round key `b` (FIPS 197, 5.1).
    AesEncrypt,
    /// The last round, which does not mix columns.
    AesEncryptLast,
    /// A round of the equivalent inverse cipher (FIPS 197, 5.3.5).
    AesDecrypt,
    /// The last one.
    AesDecryptLast,
    /// `InvMixColumns` of `a`.
    AesInverseColumns,
    /// `SubWord` of the odd words of `a`, and above each the same rotated, with the round constant.
    AesKey,
    /// Four rounds of SHA-1 (FIPS 180-4, 6.1.2) of the function with the number `imm`: words a, b, c, d in `a`, highest first, and
    /// in `b` words of the schedule, e added to the first.
    Sha1Rounds,
    /// `b` with e after four rounds, from the a before them in `a`, added to its highest word.
    Sha1Next,
    /// The schedule of SHA-1: exclusive or of words 0 to 3 with 2 to 5.
    Sha1Message,
    /// Words 16 to 19 from what [`Step::Sha1Message`] and words 8 to 11 made, and words 12 to 15.
    Sha1MessageLast,
    /// Two rounds of SHA-256 (FIPS 180-4, 6.2.2): c, d, g, h in `a`, a, b, e, f in `b`, highest first; the sums of constant and
    /// schedule in the low words of `c`. The result is like `b`.
    Sha256Rounds,
    /// The schedule of SHA-256: words 0 to 3 with the lower function of 1 to 4 added.
    Sha256Message,
    /// Words 16 to 19 from these, words 9 to 12 added, and words 12 to 15.
    Sha256MessageLast,
    /// Which elements of the text `b` are as `a` says, one bit each. `imm` has the control byte of SSE4.2; a text ends at a zero.
    Match,
    /// The same with the lengths of the texts in the two low bytes of `c`.
    MatchCounted,
}

impl Step {
    /// By number, with their names.
    pub const ALL: [(Step, &str); 15] = [
        (Step::AesEncrypt, "aes_encrypt"),
        (Step::AesEncryptLast, "aes_encrypt_last"),
        (Step::AesDecrypt, "aes_decrypt"),
        (Step::AesDecryptLast, "aes_decrypt_last"),
        (Step::AesInverseColumns, "aes_inverse_columns"),
        (Step::AesKey, "aes_key"),
        (Step::Sha1Rounds, "sha1_rounds"),
        (Step::Sha1Next, "sha1_next"),
        (Step::Sha1Message, "sha1_message"),
        (Step::Sha1MessageLast, "sha1_message_last"),
        (Step::Sha256Rounds, "sha256_rounds"),
        (Step::Sha256Message, "sha256_message"),
        (Step::Sha256MessageLast, "sha256_message_last"),
        (Step::Match, "match_texts"),
        (Step::MatchCounted, "match_counted"),
    ];

    /// Of a `kind` attribute.
    #[must_use]
    pub const fn of_kind(kind: u8) -> Step {
        Step::ALL[kind as usize % Step::ALL.len()].0
    }
}

/// Floating-point comparisons; `Signalling` ones raise invalid on quiet NaNs too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FCmp {
    /// Equal.
    Eq,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
    /// Unordered.
    Un,
    /// Equal, signalling.
    EqS,
    /// Less than, signalling.
    LtS,
    /// Less than or equal, signalling.
    LeS,
    /// Unordered, signalling.
    UnS,
}

impl FCmp {
    /// By number, with their names.
    pub const ALL: [(FCmp, &str); 8] = [
        (FCmp::Eq, "eq"),
        (FCmp::Lt, "lt"),
        (FCmp::Le, "le"),
        (FCmp::Un, "un"),
        (FCmp::EqS, "eq_s"),
        (FCmp::LtS, "lt_s"),
        (FCmp::LeS, "le_s"),
        (FCmp::UnS, "un_s"),
    ];

    /// Of a `kind` attribute.
    #[must_use]
    pub const fn of_kind(kind: u8) -> FCmp {
        FCmp::ALL[kind as usize % FCmp::ALL.len()].0
    }
}

// Layout of `Attr`: bits 0..8 imm, 8..16 imm2, 16..20 log2(lane), 20..23 round, 24..28 kind. `const`, `get`, `vshuf`,
// `helper` and the exits use the whole word as an index. Memory: 0..2 order, 2 big-endian, 3..6 log2(align), 24..28 kind.
impl Attr {
    /// The whole word as an index (constant pool, slot, helper, exit).
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// First immediate.
    #[must_use]
    pub const fn imm(self) -> u32 {
        self.0 & 0xff
    }

    /// Second immediate.
    #[must_use]
    pub const fn imm2(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    /// Lane width in bits.
    #[must_use]
    pub const fn lane(self) -> u32 {
        1 << (self.0 >> 16 & 0xf)
    }

    /// With immediates.
    #[must_use]
    pub const fn imms(imm: u32, imm2: u32) -> Attr {
        Attr(imm | imm2 << 8)
    }

    /// With a lane width (a power of two), keeping the rest.
    #[must_use]
    pub const fn with_lane(self, lane: u32) -> Attr {
        Attr(self.0 & !0xf_0000 | lane.trailing_zeros() << 16)
    }

    /// With a rounding, keeping the rest.
    #[must_use]
    pub const fn with_round(self, round: Round) -> Attr {
        Attr(self.0 & !0x70_0000 | (round as u32) << 20)
    }

    /// Rounding.
    #[must_use]
    pub const fn round(self) -> Round {
        match self.0 >> 20 & 7 {
            0 => Round::Mode,
            1 => Round::Even,
            2 => Round::Zero,
            3 => Round::Down,
            4 => Round::Up,
            _ => Round::Away,
        }
    }

    /// With a kind (`AtomicOp`, `MinMax`, `FCmp` or `Step` as a number), keeping the rest.
    #[must_use]
    pub const fn with_kind(self, kind: u8) -> Attr {
        Attr(self.0 & !0xf00_0000 | (kind as u32) << 24)
    }

    /// Kind, as a number.
    #[must_use]
    pub const fn kind(self) -> u8 {
        (self.0 >> 24 & 0xf) as u8
    }

    /// With the floating-point environment of this number (0 to 3), keeping the rest.
    #[must_use]
    pub const fn with_environment(self, number: u32) -> Attr {
        Attr(self.0 & !0x3000_0000 | number << 28)
    }

    /// Number of the floating-point environment: 0 for the usual one, others for those with names.
    #[must_use]
    pub const fn environment(self) -> u32 {
        self.0 >> 28 & 3
    }

    /// Of a memory access.
    #[must_use]
    pub const fn mem(m: MemAttr) -> Attr {
        Attr(m.order as u32 | (m.big_endian as u32) << 2 | (m.align_log2 as u32) << 3)
    }

    /// Of an access to the translator's memory, which the guest did not ask for.
    #[must_use]
    pub(crate) const fn own(self) -> Attr {
        self.with_kind(1)
    }

    /// Whether a load is one of those.
    #[must_use]
    pub(crate) const fn is_own(self) -> bool {
        self.kind() == 1
    }

    /// As a memory access.
    #[must_use]
    pub const fn as_mem(self) -> MemAttr {
        let order = match self.0 & 3 {
            0 => Order::Relaxed,
            1 => Order::Acquire,
            2 => Order::Release,
            _ => Order::SeqCst,
        };
        MemAttr { order, big_endian: self.0 & 4 != 0, align_log2: (self.0 >> 3 & 7) as u8 }
    }
}
