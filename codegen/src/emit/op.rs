//! Run-time operations as calls of the builder.

use super::body::Body;
use crate::hir::{Expr, Op, Ty, VarId};

impl Body<'_> {
    /// Width of a run-time operand, as `u32`.
    fn width(&mut self, e: &Expr) -> String {
        e.ty.width().cloned().map_or_else(|| "1".into(), |w| self.stat_u32(&w))
    }

    /// Lane width and width; equal for scalars.
    fn shape(&mut self, e: &Expr) -> (String, String) {
        match e.ty.clone() {
            Ty::Lanes { lane, width } => (self.stat_u32(&lane), self.stat_u32(&width)),
            _ => {
                let w = self.width(e);
                (w.clone(), w)
            }
        }
    }

    /// One operation; the name of its result, `()` for effects.
    pub(super) fn operation(&mut self, op: Op, args: &[Expr], e: &Expr) -> String {
        if args.first().is_some_and(|a| matches!(a.ty, Ty::Lanes { .. }))
            && let Some(value) = self.lane_operation(op, args)
        {
            return value;
        }
        match op {
            Op::Load
            | Op::Store
            | Op::LoadExclusive
            | Op::StoreExclusive
            | Op::ClearExclusive
            | Op::Atomic
            | Op::AtomicCas
            | Op::Fence => self.memory(op, args, e),
            Op::PlaceMemory | Op::PlaceValue | Op::PlaceGet | Op::PlaceUpdate => self.place_operation(op, args, e),
            Op::Jump
            | Op::Branch
            | Op::JumpIndirect
            | Op::Call
            | Op::Trap
            | Op::TrapIf
            | Op::SkipIf
            | Op::Undefined
            | Op::Syscall
            | Op::NativeCall
            | Op::InstructionBarrier
            | Op::IcacheFlush => self.flow(op, args),
            Op::Blend
            | Op::Splat
            | Op::Lane
            | Op::WithLane
            | Op::Table
            | Op::WidenS
            | Op::WidenU
            | Op::Narrow
            | Op::NarrowSS
            | Op::NarrowUU
            | Op::NarrowSU
            | Op::MulLongS
            | Op::MulLongU => self.vector(op, args, e),
            _ if is_float(op) => self.float(op, args, e),
            _ => self.integer(op, args, e),
        }
    }

    fn integer(&mut self, op: Op, args: &[Expr], e: &Expr) -> String {
        let w = self.width(args.first().unwrap_or(e));
        match op {
            Op::Reinterpret => return self.value(&args[0]),
            Op::Zext | Op::Sext | Op::Low => return self.resize(op, args, e),
            Op::Shl | Op::Shr | Op::Sar | Op::Rotr | Op::Rotl => return self.shift(op, args),
            Op::Extract => {
                let (a, lo, width) = (self.value(&args[0]), self.stat_u32(&args[1]), self.width(e));
                return self.temp(&format!("ir.extract({w}, {a}, {lo}, {width})"));
            }
            Op::Insert => {
                let (a, lo, field) = (self.value(&args[0]), self.stat_u32(&args[1]), self.value(&args[2]));
                let width = self.width(&args[2]);
                return self.temp(&format!("ir.insert({w}, {a}, {lo}, {width}, {field})"));
            }
            Op::Concat => {
                let (a, b) = (self.value(&args[0]), self.value(&args[1]));
                let low = self.width(&args[1]);
                return self.temp(&format!("ir.concat({w}, {a}, {low}, {b})"));
            }
            Op::Select => {
                let values: Vec<String> = args.iter().map(|a| self.value(a)).collect();
                let width = self.width(e);
                return self.temp(&format!("ir.select({width}, {})", values.join(", ")));
            }
            Op::Lookup => {
                let (list, index) = (self.stat_value(&args[0]), self.value(&args[1]));
                let (width, index_width) = (self.width(e), self.width(&args[1]));
                return self.temp(&format!("ir.lookup({width}, &{list}, {index_width}, {index})"));
            }
            Op::Step => {
                let values: Vec<String> = args[..4].iter().map(|a| self.value(a)).collect();
                let constant = self.stat_u32(&args[4]);
                return self.temp(&format!("ir.step({}, {constant})", values.join(", ")));
            }
            Op::Crc32 | Op::Crc32c => {
                let (crc, data) = (self.value(&args[0]), self.value(&args[1]));
                let width = self.width(&args[1]);
                let castagnoli = op == Op::Crc32c;
                return self.temp(&format!("ir.crc32({castagnoli}, {width}, {crc}, {data})"));
            }
            _ => {}
        }
        let v: Vec<String> = args.iter().map(|a| self.value(a)).collect();
        let two = |name: &str| format!("ir.{name}({w}, {}, {})", v[0], v[1]);
        let swapped = |name: &str| format!("ir.{name}({w}, {}, {})", v[1], v[0]);
        let one = |name: &str| format!("ir.{name}({w}, {})", v[0]);
        let carry = |name: &str| {
            let c = v.get(2).map_or("None".to_string(), |c| format!("Some({c})"));
            format!("ir.{name}({w}, {}, {}, {c})", v[0], v[1])
        };
        let pick = |less: &str, first: bool| {
            let (a, b) = if first { (0, 1) } else { (1, 0) };
            (format!("ir.{less}({w}, {}, {})", v[0], v[1]), v[a].clone(), v[b].clone())
        };
        let text = match op {
            Op::Add => two("add"),
            Op::Sub => two("sub"),
            Op::Mul => two("mul"),
            Op::MulHighU => two("mul_high_u"),
            Op::MulHighS => two("mul_high_s"),
            Op::DivU => two("div_u"),
            Op::DivS => two("div_s"),
            Op::RemU => two("rem_u"),
            Op::RemS => two("rem_s"),
            Op::And => two("and"),
            Op::Or => two("or"),
            Op::Xor => two("xor"),
            Op::Not => one("not"),
            Op::Neg => one("neg"),
            Op::Clz => one("clz"),
            Op::Ctz => one("ctz"),
            Op::Popcount => one("popcount"),
            Op::ReverseBits => one("reverse_bits"),
            Op::ReverseBytes => one("reverse_bytes"),
            Op::Parity => one("parity"),
            Op::Deposit => two("deposit"),
            Op::Gather => two("gather"),
            Op::Clmul => format!("ir.clmul({}, {})", v[0], v[1]),
            Op::Eq => two("eq"),
            Op::Ne => two("ne"),
            Op::LtU => two("lt_u"),
            Op::LeU => two("le_u"),
            Op::LtS => two("lt_s"),
            Op::LeS => two("le_s"),
            Op::GtU => swapped("lt_u"),
            Op::GeU => swapped("le_u"),
            Op::GtS => swapped("lt_s"),
            Op::GeS => swapped("le_s"),
            Op::CarryAdd => carry("carry_add"),
            Op::Borrow => carry("borrow"),
            Op::OverflowAdd => carry("overflow_add"),
            Op::OverflowSub => carry("overflow_sub"),
            Op::MinS | Op::MaxS | Op::MinU | Op::MaxU => {
                let less = if matches!(op, Op::MinS | Op::MaxS) { "lt_s" } else { "lt_u" };
                let (compare, a, b) = pick(less, matches!(op, Op::MinS | Op::MinU));
                let c = self.temp(&compare);
                format!("ir.select({w}, {c}, {a}, {b})")
            }
            Op::Abs => {
                let negative = self.temp(&format!("ir.neg({w}, {})", v[0]));
                let zero = self.temp(&format!("ir.konst({w}, 0)"));
                let below = self.temp(&format!("ir.lt_s({w}, {}, {zero})", v[0]));
                format!("ir.select({w}, {below}, {negative}, {})", v[0])
            }
            _ => unsupported(op),
        };
        self.temp(&text)
    }

    fn resize(&mut self, op: Op, args: &[Expr], e: &Expr) -> String {
        let name = match op {
            Op::Zext => "zext",
            Op::Sext => "sext",
            _ => "low",
        };
        let (a, from, to) = (self.value(&args[0]), self.width(&args[0]), self.width(e));
        self.temp(&format!("ir.{name}({from}, {to}, {a})"))
    }

    fn shift(&mut self, op: Op, args: &[Expr]) -> String {
        let name = match op {
            Op::Shl => "shl",
            Op::Shr => "shr",
            Op::Sar => "sar",
            Op::Rotr => "rotr",
            _ => "rotl",
        };
        let (a, w) = (self.value(&args[0]), self.width(&args[0]));
        let (amount, aw) = if args[1].ty.is_dynamic() {
            (self.value(&args[1]), self.width(&args[1]))
        } else {
            let n = self.stat_value(&args[1]);
            (self.temp(&format!("ir.konst(32, {n})")), "32".into())
        };
        self.temp(&format!("ir.{name}({w}, {a}, {aw}, {amount})"))
    }

    // ---- memory and control

    fn memory(&mut self, op: Op, args: &[Expr], e: &Expr) -> String {
        let v: Vec<String> = args.iter().map(|a| self.value(a)).collect();
        match op {
            Op::Load => {
                let w = self.width(e);
                self.temp(&format!("ir.load({w}, {}, rt::access({}, {}))", v[0], v[1], v[2]))
            }
            Op::Store => {
                let w = self.width(&args[1]);
                self.out.line(&format!("ir.store({w}, {}, {}, rt::access({}, {}));", v[0], v[1], v[2], v[3]));
                "()".into()
            }
            Op::LoadExclusive => {
                let w = self.width(e);
                self.temp(&format!("ir.load_exclusive({w}, {}, {})", v[0], v[1]))
            }
            Op::StoreExclusive => {
                let w = self.width(&args[1]);
                self.temp(&format!("ir.store_exclusive({w}, {}, {}, {})", v[0], v[1], v[2]))
            }
            Op::Atomic => {
                let w = self.width(e);
                self.temp(&format!("ir.atomic({}, {w}, {}, {}, {})", v[0], v[1], v[2], v[3]))
            }
            Op::AtomicCas => {
                let w = self.width(e);
                self.temp(&format!("ir.atomic_cas({w}, {}, {}, {}, {})", v[0], v[1], v[2], v[3]))
            }
            Op::Fence => {
                self.out.line(&format!("ir.fence(rt::fence({}));", v.join(", ")));
                "()".into()
            }
            _ => {
                self.out.line("ir.clear_exclusive();");
                "()".into()
            }
        }
    }

    fn flow(&mut self, op: Op, args: &[Expr]) -> String {
        let v: Vec<String> = args
            .iter()
            .map(|a| match op {
                // addresses and lengths are translate-time: as operands of `as`
                _ if a.ty.is_dynamic() => self.value(a),
                _ => self.stat_value(a),
            })
            .collect();
        let line = match op {
            Op::Jump if v.len() > 1 => format!("ir.jump_delayed({} as u64, {});", v[0], v[1]),
            Op::Branch if v.len() > 2 => format!("ir.branch_delayed({}, {} as u64, {});", v[0], v[1], v[2]),
            Op::JumpIndirect if v.len() > 2 => format!("ir.jump_indirect_delayed({}, {}, {});", v[0], v[1], v[2]),
            Op::Call if v.len() > 2 => format!("ir.call_delayed({} as u64, {} as u64, {});", v[0], v[1], v[2]),
            Op::Jump => format!("ir.jump({} as u64);", v[0]),
            Op::Branch => format!("ir.branch({}, {} as u64);", v[0], v[1]),
            Op::JumpIndirect => format!("ir.jump_indirect({}, {});", v[0], v[1]),
            Op::Call => format!("ir.call({} as u64, {} as u64);", v[0], v[1]),
            Op::Trap => format!("ir.trap(rt::trap({}, {}));", v[0], v[1]),
            Op::TrapIf => format!("ir.trap_if({}, rt::trap({}, {}));", v[0], v[1], v[2]),
            Op::SkipIf => format!("ir.skip_if({});", v[0]),
            Op::Undefined => "ir.undefined();".into(),
            Op::Syscall => "ir.syscall();".into(),
            Op::NativeCall => format!("ir.native_call({} as u64);", v[0]),
            Op::InstructionBarrier => "ir.instruction_barrier();".into(),
            _ => format!("ir.icache_flush({}, {} as u32);", v[0], v[1]),
        };
        self.out.line(&line);
        "()".into()
    }

    // ---- lanes

    /// An operation that exists for scalars too, on lanes.
    fn lane_operation(&mut self, op: Op, args: &[Expr]) -> Option<String> {
        let (e, w) = self.shape(&args[0]);
        if matches!(op, Op::And | Op::Or | Op::Xor | Op::Not | Op::Reinterpret) {
            return None; // bit by bit: the width alone matters
        }
        if matches!(op, Op::Shl | Op::Shr | Op::Sar) && !args[1].ty.is_dynamic() {
            let a = self.value(&args[0]);
            let n = self.stat_u32(&args[1]);
            let name = ["Vshli", "Vshri", "Vsari"][shift_index(op)];
            return Some(self.temp(&format!("ir.lanes_shift(rt::Op::{name}, {e}, {w}, {a}, {n})")));
        }
        let (name, swap, invert) = lane_name(op)?;
        let v: Vec<String> = args.iter().map(|a| self.value(a)).collect();
        let text = match (&v[..], op) {
            ([a], Op::Neg) => {
                let zero = self.temp(&format!("ir.konst({w}, 0)"));
                format!("ir.lanes2(rt::Op::Vsub, {e}, {w}, {zero}, {a})")
            }
            ([a], _) => format!("ir.lanes1(rt::Op::{name}, {e}, {w}, {a})"),
            ([a, b, ..], _) if swap => format!("ir.lanes2(rt::Op::{name}, {e}, {w}, {b}, {a})"),
            ([a, b, ..], _) => format!("ir.lanes2(rt::Op::{name}, {e}, {w}, {a}, {b})"),
            _ => return None,
        };
        let value = self.temp(&text);
        Some(if invert { self.temp(&format!("ir.not({w}, {value})")) } else { value })
    }

    fn vector(&mut self, op: Op, args: &[Expr], result: &Expr) -> String {
        let (e, w) = self.shape(result);
        let text = match op {
            Op::Blend => {
                let v: Vec<String> = args.iter().map(|a| self.value(a)).collect();
                format!("ir.bit_select({w}, {})", v.join(", "))
            }
            Op::Splat => format!("ir.splat({e}, {w}, {})", self.value(&args[0])),
            Op::Lane => {
                let (e, w) = self.shape(&args[0]);
                let (a, i) = (self.value(&args[0]), self.stat_u32(&args[1]));
                format!("ir.lane({e}, {w}, {a}, {i})")
            }
            Op::WithLane => {
                let (a, i, x) = (self.value(&args[0]), self.stat_u32(&args[1]), self.value(&args[2]));
                format!("ir.with_lane({e}, {w}, {a}, {i}, {x})")
            }
            Op::Table => {
                let (t, i) = (self.value(&args[0]), self.value(&args[1]));
                format!("ir.table({w}, {t}, {i})")
            }
            Op::WidenS | Op::WidenU => {
                let (narrow, _) = self.shape(&args[0]);
                let name = if op == Op::WidenS { "Vwidens" } else { "Vwidenu" };
                format!("ir.widen(rt::Op::{name}, {narrow}, {})", self.value(&args[0]))
            }
            Op::Narrow | Op::NarrowSS | Op::NarrowUU | Op::NarrowSU => {
                let name = match op {
                    Op::Narrow => "Vnarrow",
                    Op::NarrowSS => "Vnarrowss",
                    Op::NarrowUU => "Vnarrowuu",
                    _ => "Vnarrowsu",
                };
                format!("ir.narrow(rt::Op::{name}, {e}, {})", self.value(&args[0]))
            }
            _ => {
                let (narrow, _) = self.shape(&args[0]);
                let name = if op == Op::MulLongS { "Vmulls" } else { "Vmullu" };
                let (a, b) = (self.value(&args[0]), self.value(&args[1]));
                format!("ir.mul_long(rt::Op::{name}, {narrow}, {a}, {b})")
            }
        };
        self.temp(&text)
    }

    /// `shuffle(a, b, |i| pick)`: the picks are known when translating.
    pub(super) fn shuffle(&mut self, a: &Expr, b: &Expr, var: VarId, pick: &Expr, result: &Expr) -> String {
        let (e, w) = self.shape(result);
        let (a, b) = (self.value(a), self.value(b));
        let (var, pick) = (self.name(var), self.stat.expr(pick));
        let picks = self.temp(&format!("rt::picks({e}, {w}, |{var}| {pick})"));
        self.temp(&format!("ir.shuffle({e}, {w}, {a}, {b}, &{picks})"))
    }

    /// `reduce(lanes, |x, y| body)`: each step combines lanes twice as far apart; the first has them all in the end.
    pub(super) fn reduce(&mut self, lanes: &Expr, [x, y]: [VarId; 2], body: &Expr) -> String {
        let (e, w) = self.shape(lanes);
        let (value, all) = (self.value(lanes), self.result_name());
        self.out.line(&format!("let mut {all} = {value};"));
        self.out.open(&format!("for distance in rt::distances({e}, {w}) {{"));
        self.out.line(&format!("let {} = {all};", self.name(x)));
        self.out.line(&format!("let {} = rt::neighbours(ir, {e}, {w}, {all}, distance);", self.name(y)));
        let combined = self.value(body);
        self.out.line(&format!("{all} = {combined};"));
        self.out.close("}");
        self.temp(&format!("ir.lane({e}, {w}, {all}, 0)"))
    }

    // ---- floating point

    fn float(&mut self, op: Op, args: &[Expr], result: &Expr) -> String {
        let v: Vec<String> = args.iter().map(|a| self.value(a)).collect();
        let (e, w) = self.shape(args.first().unwrap_or(result));
        let lanes = matches!(result.ty, Ty::Lanes { .. });
        let text = match op {
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv => {
                format!("ir.f2(rt::Op::{op:?}, {e}, {w}, {}, {}, {})", v[0], v[1], v[2])
            }
            Op::Fsqrt => format!("ir.f1(rt::Op::Fsqrt, {e}, {w}, {}, {})", v[0], v[1]),
            Op::Fma => format!("ir.fma({e}, {w}, {}, {}, {}, {})", v[0], v[1], v[2], v[3]),
            Op::Fmin | Op::Fmax => format!("ir.fminmax(rt::Op::{op:?}, {e}, {w}, {}, {}, {})", v[0], v[1], v[2]),
            Op::Fneg => format!("ir.fneg({e}, {w}, {})", v[0]),
            Op::Fabs => format!("ir.fabs({e}, {w}, {})", v[0]),
            Op::Fround => format!("ir.fround({e}, {w}, {}, {}, {})", v[0], v[1], v[2]),
            Op::Fcvt => {
                let to = self.width(result);
                format!("ir.fcvt({e}, {to}, {}, {})", v[0], v[1])
            }
            Op::FtoiS | Op::FtoiU => {
                let to = if lanes { e.clone() } else { self.width(result) };
                format!("ir.ftoi({}, {e}, {w}, {to}, {}, {})", op == Op::FtoiS, v[0], v[1])
            }
            Op::ItofS | Op::ItofU => {
                // the first width is that of the float
                let (float, width) = if lanes { (e.clone(), w.clone()) } else { self.shape(result) };
                format!("ir.itof({}, {float}, {width}, {e}, {}, {})", op == Op::ItofS, v[0], v[1])
            }
            Op::FpFlags => "ir.fp_flags()".into(),
            Op::SetFpFlags => {
                self.out.line(&format!("ir.set_fp_flags({});", v[0]));
                return "()".into();
            }
            _ => {
                let kind = format!("{op:?}").trim_start_matches("Fcmp").to_string();
                match lanes {
                    true => format!("ir.fcmp_lanes(rt::FCmp::{kind}, {e}, {w}, {}, {})", v[0], v[1]),
                    false => format!("ir.fcmp(rt::FCmp::{kind}, {e}, {}, {})", v[0], v[1]),
                }
            }
        };
        self.temp(&text)
    }
}

/// The lane operation, whether its operands are swapped, whether its result is complemented.
fn lane_name(op: Op) -> Option<(&'static str, bool, bool)> {
    let plain = |name| Some((name, false, false));
    match op {
        Op::Add => plain("Vadd"),
        Op::Sub | Op::Neg => plain("Vsub"),
        Op::Mul => plain("Vmul"),
        Op::Shl => plain("Vshl"),
        Op::Shr => plain("Vshr"),
        Op::Sar => plain("Vsar"),
        Op::Eq => plain("Veq"),
        Op::Ne => Some(("Veq", false, true)),
        Op::GtU => plain("Vgtu"),
        Op::GtS => plain("Vgts"),
        Op::LtU => Some(("Vgtu", true, false)),
        Op::LtS => Some(("Vgts", true, false)),
        Op::GeU => Some(("Vgtu", true, true)),
        Op::GeS => Some(("Vgts", true, true)),
        Op::LeU => Some(("Vgtu", false, true)),
        Op::LeS => Some(("Vgts", false, true)),
        Op::MinS => plain("Vmins"),
        Op::MaxS => plain("Vmaxs"),
        Op::MinU => plain("Vminu"),
        Op::MaxU => plain("Vmaxu"),
        Op::Abs => plain("Vabs"),
        Op::Popcount => plain("Vpopcnt"),
        Op::Clz => plain("Vclz"),
        Op::AvgU => plain("Vavgu"),
        Op::SatAddS => plain("Vaddss"),
        Op::SatAddU => plain("Vaddsu"),
        Op::SatSubS => plain("Vsubss"),
        Op::SatSubU => plain("Vsubsu"),
        _ => None,
    }
}

fn shift_index(op: Op) -> usize {
    match op {
        Op::Shl => 0,
        Op::Shr => 1,
        _ => 2,
    }
}

fn is_float(op: Op) -> bool {
    use Op as O;
    matches!(
        op,
        O::Fadd
            | O::Fsub
            | O::Fmul
            | O::Fdiv
            | O::Fsqrt
            | O::Fma
            | O::Fmin
            | O::Fmax
            | O::FcmpEq
            | O::FcmpLt
            | O::FcmpLe
            | O::FcmpUn
            | O::FcmpEqS
            | O::FcmpLtS
            | O::FcmpLeS
            | O::FcmpUnS
            | O::Fround
            | O::Fcvt
            | O::FtoiS
            | O::FtoiU
            | O::ItofS
            | O::ItofU
            | O::Fneg
            | O::Fabs
            | O::FpFlags
            | O::SetFpFlags
    )
}

/// The checker admits only what exists for the operands; this names what slipped through, at build time.
fn unsupported(op: Op) -> String {
    format!("compile_error!(\"{op:?} does not exist for operands of this type\")")
}

/// Whether an operation exists for lanes, and whether for scalars.
pub(crate) fn exists(op: Op, lanes: bool) -> bool {
    use Op as O;
    match op {
        O::AvgU | O::SatAddS | O::SatAddU | O::SatSubS | O::SatSubU => lanes,
        O::MulHighU
        | O::MulHighS
        | O::DivU
        | O::DivS
        | O::RemU
        | O::RemS
        | O::Ctz
        | O::Deposit
        | O::Gather
        | O::Step
        | O::ReverseBits
        | O::ReverseBytes
        | O::CarryAdd
        | O::Borrow
        | O::OverflowAdd
        | O::OverflowSub
        | O::Rotr
        | O::Rotl => !lanes,
        _ => true,
    }
}
