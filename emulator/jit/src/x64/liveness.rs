//! Backward sweep over a unit: how long values live, who uses them, and where they had best be.

use ir::Unit;
use ir::guest::Guest;
use ir::inst::{Inst, Op, Val};

use super::Convention;
use super::analysis::{Analysis, CondKind, Mode, NO, NO_HINT, Use, has_effect, operands, wants_vector};

impl Analysis {
    /// Records uses, last positions and register preferences.
    pub(super) fn liveness(&mut self, unit: &Unit, guest: &Guest, conv: &Convention) {
        self.final_values(unit, conv);
        let mut puts = unit.puts.as_slice();
        for i in (0..unit.insts.len()).rev() {
            while let [rest @ .., p] = puts
                && p.pos as usize > i
            {
                let v = self.val(p.val);
                self.put(v, p.slot.0, p.pos, conv);
                puts = rest;
            }
            let inst = &unit.insts[i];
            let emitted = self.values[i].mode == Mode::Emit || inst.op == Op::Fcmp;
            if self.leave_to_exits(unit, i as u32) {
                continue;
            }
            if self.only_shown(unit, i, inst) {
                self.leave_to_faults(unit, i, inst);
            } else if emitted && (self.values[i].end != 0 || has_effect(inst.op)) {
                self.use_operands(unit, i as u32, inst);
            }
        }
        for p in puts.iter().rev() {
            let v = self.val(p.val);
            self.put(v, p.slot.0, p.pos, conv);
        }
        self.needs_settled = self.reads_flags(conv) || !conv.flags.is_empty() && self.helps_state;
        for slot in conv.pinned_slots() {
            let entry = self.entry[slot as usize];
            let until = self.next_put[slot as usize].min(unit.insts.len() as u32);
            let snap = self.last_snap[until as usize];
            let value = &mut self.values[entry as usize];
            value.end = value.end.max(snap);
        }
        debug_assert!(guest.slots.len() >= self.put_slots.len());
    }

    /// Whether anything that is needed is made of what a condition flag was at the start.
    fn reads_flags(&self, conv: &Convention) -> bool {
        conv.flags.iter().map(|flag| self.entry[flag.0 as usize]).any(|v| v != NO && self.values[v as usize].end != 0)
    }

    /// Whether the unit writes the slot before anything needs its value and before anything that could show it.
    pub(super) fn overwritten_unseen(&self, slot: u16) -> bool {
        // After the backward sweep this is the first put.
        let first = self.next_put[slot as usize];
        let entry = self.entry[slot as usize];
        let unread = entry == NO || self.values[entry as usize].end == 0;
        unread && first != u32::MAX && self.last_snap[first as usize] == 0
    }

    /// What the final exit needs: pinned slots in their registers (a use), others anywhere.
    fn final_values(&mut self, unit: &Unit, conv: &Convention) {
        let last = unit.insts.len() as u32 - 1;
        for p in unit.puts.iter().rev() {
            let slot = p.slot.0;
            if self.next_put[slot as usize] != u32::MAX {
                continue;
            }
            self.next_put[slot as usize] = u32::MAX - 1; // seen
            self.put_slots.push(slot);
            let v = self.val(p.val);
            if conv.is_pinned(slot) {
                self.add_use(v, last);
                self.prefer_pin(v, slot, conv);
            } else {
                self.needed(v, last + 1);
            }
            self.expose(v);
        }
        for &slot in &self.put_slots {
            self.next_put[slot as usize] = last + 1;
        }
        for &(slot, _) in &conv.pins {
            if self.next_put[slot.0 as usize] == u32::MAX {
                self.add_use(self.entry[slot.0 as usize], last);
            }
        }
        // Most units have nothing to do with these.
        for &(slot, _) in &conv.vector_pins {
            if self.next_put[slot.0 as usize] == u32::MAX {
                self.needed(self.entry[slot.0 as usize], last + 1);
            }
        }
    }

    /// A write of `v` to `slot` effective from `pos`.
    fn put(&mut self, v: u32, slot: u16, pos: u32, conv: &Convention) {
        let until = self.next_put[slot as usize];
        self.next_put[slot as usize] = pos;
        let snap = self.last_snap[until as usize];
        if snap > pos {
            self.needed(v, snap);
        }
        if self.last_exit[until as usize] > pos {
            self.expose(v);
        }
        self.prefer_pin(v, slot, conv);
    }

    /// The value would best be where the slot is pinned.
    fn prefer_pin(&mut self, v: u32, slot: u16, conv: &Convention) {
        let value = &mut self.values[v as usize];
        if let Some(r) = conv.register(slot)
            && value.hint == NO_HINT
        {
            value.hint = r;
        }
        if let Some(x) = conv.vector(slot) {
            value.vector |= value.head == NO;
            if value.vector_hint == NO_HINT {
                value.vector_hint = x;
            }
        }
        if let Some(extension) = self.extension(v) {
            self.prefer_pin(extension.a, slot, conv);
        }
    }

    /// The value must exist somewhere until position `end - 1`.
    #[inline]
    pub(super) fn needed(&mut self, v: u32, end: u32) {
        let value = &mut self.values[v as usize];
        if value.mode == Mode::Cond {
            return self.needed_to_compare(v, end);
        }
        value.end = value.end.max(end);
    }

    fn needed_to_compare(&mut self, v: u32, end: u32) {
        let c = self.conds[self.values[v as usize].cond_of as usize];
        self.needed(c.a, end);
        if c.kind != CondKind::Bit {
            self.needed(c.b, end);
        }
        if matches!(c.kind, CondKind::Extend | CondKind::Float) {
            self.expose(v);
        }
    }

    /// An operand read at `at`.
    fn add_use(&mut self, v: u32, at: u32) {
        let next = self.uses.len() as u32;
        let value = &mut self.values[v as usize];
        match value.mode {
            Mode::Const => return,
            Mode::Cond => return self.add_use_to_compare(v, at),
            _ => {}
        }
        let head = value.head;
        if head != NO && self.uses[head as usize].at == at {
            return;
        }
        value.head = next;
        value.end = value.end.max(at + 1);
        self.uses.push(Use { at, next: head });
    }

    fn add_use_to_compare(&mut self, v: u32, at: u32) {
        let c = self.conds[self.values[v as usize].cond_of as usize];
        self.add_use(c.a, at);
        if c.kind != CondKind::Bit && c.b != c.a {
            self.add_use(c.b, at);
        }
    }

    fn use_operands(&mut self, unit: &Unit, i: u32, inst: &Inst) {
        let vector = wants_vector(inst) || self.boxes(unit, inst) || self.puts_signs_together(i);
        if let Some((base, index, _)) = self.scaled_sum(unit, inst) {
            self.add_use(base, i);
            self.add_use(index, i);
            return;
        }
        match inst.op {
            Op::Vget if let Some(number) = self.number_of_status(i).filter(|number| !number.whole) => {
                self.needed(number.at, number.at + 1);
            }
            Op::Helper => {
                for v in operands(unit, inst) {
                    self.add_use(self.val(*v), i);
                }
            }
            Op::Load | Op::Store | Op::Ll | Op::Sc | Op::Rmw | Op::Cas => {
                let a = self.addr(unit, inst.args[0]);
                for v in [a.base, a.index] {
                    if v != NO {
                        self.add_use(v, i);
                    }
                }
                for k in 1..3 {
                    if inst.args[k] != Val::NONE {
                        self.add_use(self.arg(inst, k), i);
                    }
                }
            }
            Op::Bfi => {
                self.add_use(self.arg(inst, 0), i);
                self.add_use(self.inserted(unit, inst), i);
                self.pass_hint(i, self.arg(inst, 0));
            }
            Op::ExitInd => {
                let target = self.masked_return(unit, inst).unwrap_or(self.arg(inst, 0));
                self.add_use(target, i);
            }
            Op::Setfflags if self.restored(i).is_some() => {
                let Some(restored) = self.restored(i).cloned() else { return };
                self.add_use(restored.flags, i);
                let compares = if restored.others { &[][..] } else { &restored.compares };
                for &at in compares {
                    for k in 0..2 {
                        self.add_use(self.arg(&unit.insts[at as usize], k), i);
                    }
                }
            }
            Op::Fma => {
                for k in 0..3 {
                    let (v, _) = self.fused_operand(unit, inst, k);
                    self.add_use(v, i);
                    self.values[v as usize].vector = true;
                }
            }
            Op::Shl | Op::Shr | Op::Sar | Op::Rotr if inst.ty.bits() <= 64 => {
                self.add_use(self.arg(inst, 0), i);
                let (amount, _) = self.amount(unit, self.arg(inst, 1), inst.ty.bits());
                self.add_use(amount, i);
                self.pass_hint(i, self.arg(inst, 0));
            }
            _ => {
                for (k, v) in operands(unit, inst).iter().enumerate() {
                    let v = self.val(*v);
                    let first = self.values[v as usize].head == NO;
                    self.add_use(v, i);
                    if first || vector {
                        self.values[v as usize].vector = vector;
                    }
                    // Results of floating-point operations are apart from their operands.
                    if k == 0 && !inst.op.is_float() {
                        self.pass_hint(i, v);
                    }
                }
            }
        }
    }

    /// A two-address host instruction wants its first operand where its result goes.
    fn pass_hint(&mut self, i: u32, operand: u32) {
        if self.values[operand as usize].end == i + 1 {
            let (hint, vector_hint) = (self.values[i as usize].hint, self.values[i as usize].vector_hint);
            let operand = &mut self.values[operand as usize];
            operand.hint = if operand.hint == NO_HINT { hint } else { operand.hint };
            operand.vector_hint = if operand.vector_hint == NO_HINT { vector_hint } else { operand.vector_hint };
        }
    }

    /// Positions of the uses after `i`.
    pub(super) fn uses_after(&self, v: u32, i: u32) -> impl Iterator<Item = u32> + '_ {
        let next = |at: u32| (at != NO).then(|| &self.uses[at as usize]);
        let all = std::iter::successors(next(self.values[v as usize].head), move |u| next(u.next));
        all.map(|u| u.at).filter(move |at| *at > i)
    }

    /// Position of the next use after `i`, forgetting earlier ones; `u32::MAX` if none.
    pub(super) fn next_use(&mut self, v: u32, i: u32) -> u32 {
        let head = &mut self.values[v as usize].head;
        while *head != NO {
            let u = self.uses[*head as usize];
            if u.at > i {
                return u.at;
            }
            *head = u.next;
        }
        u32::MAX
    }
}
