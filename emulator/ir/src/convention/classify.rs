//! From a signature to places, by a guest's rules.

use super::layout::Layout;
use super::{How, Kind, Leaf, Location, Piece, Place, Places, Rule, Signature, Type, Who};
use crate::guest::{Guest, Slot};

/// Where a call's arguments and result are. `None` if the guest's convention does not say it of one of them.
#[must_use]
pub fn classify(guest: &Guest, signature: &Signature) -> Option<Places> {
    let abi = &guest.abi;
    let variadic = signature.named.is_some();
    let mut results = Walk::new(guest, abi.int_ret, abi.fp_ret, variadic);
    let mut walk = Walk::new(guest, abi.int_args, abi.fp_args, variadic);
    let mut places = Places { args: Vec::new(), result: None, returned: None, popped: 0 };
    if let Some(result) = &signature.result {
        match results.find(abi.ret_rules, result, true)? {
            Found::Here(location) => places.result = Some(location),
            Found::Hidden { returned, popped } => {
                let pointer = walk.hidden_pointer()?;
                places.popped = if popped { walk.stack } else { 0 };
                places.returned = abi.int_ret.first().copied().filter(|_| returned);
                places.result = Some(Location { by_reference: true, ..pointer });
            }
        }
    }
    for (k, arg) in signature.args.iter().enumerate() {
        let named = signature.named.is_none_or(|named| k < usize::from(named));
        let Found::Here(location) = walk.find(abi.arg_rules, arg, named)? else { return None };
        places.args.push(location);
        walk.count += 1;
        walk.leading &= matches!(arg, Type::Float { .. });
    }
    Some(places)
}

/// What a rule says of a value.
enum Found {
    Here(Location),
    Hidden { returned: bool, popped: bool },
}

/// Registers and stack, as far as they are used.
struct Walk<'a> {
    guest: &'a Guest,
    int: &'static [Slot],
    fp: &'static [Slot],
    /// Integer registers used.
    next: usize,
    /// Free registers for numbers of floating point, two bits each: their halves.
    free: u128,
    /// Bytes of the stack used.
    stack: u32,
    /// Arguments seen.
    count: u32,
    /// All of them were numbers of floating point.
    leading: bool,
    variadic: bool,
    int_only: bool,
}

const POINTER: Type = Type::Word { signed: false };

impl<'a> Walk<'a> {
    fn new(guest: &'a Guest, int: &'static [Slot], fp: &'static [Slot], variadic: bool) -> Walk<'a> {
        let free = 1_u128.checked_shl(2 * fp.len() as u32).map_or(u128::MAX, |bit| bit - 1);
        Walk { guest, int, fp, next: 0, free, stack: 0, count: 0, leading: true, variadic, int_only: false }
    }

    fn word(&self) -> u32 {
        u32::from(self.guest.elf.class) / 8
    }

    fn find(&mut self, rules: &[Rule], ty: &Type, named: bool) -> Option<Found> {
        let layout = ty.layout(self.guest);
        for rule in rules {
            if !self.fits(rule, ty, &layout, named) {
                continue;
            }
            let pieces = match rule.how {
                How::HiddenPointer { returned, popped } => return Some(Found::Hidden { returned, popped }),
                How::ByReference => {
                    let Some(Found::Here(pointer)) = self.find(rules, &POINTER, named) else { return None };
                    return Some(Found::Here(Location { by_reference: true, ..pointer }));
                }
                How::IntOnly => {
                    self.int_only = true;
                    continue;
                }
                how => self.place(how, ty, &layout),
            };
            if let Some(pieces) = pieces {
                return Some(Found::Here(Location { by_reference: false, pieces }));
            }
        }
        None
    }

    /// The address of the result, as an argument.
    fn hidden_pointer(&mut self) -> Option<Location> {
        if let Some(slot) = self.guest.abi.hidden_pointer {
            let piece = Piece { at: 0, bytes: self.word(), place: Place::Register { slot, low: 0 } };
            return Some(Location { by_reference: false, pieces: vec![piece] });
        }
        self.leading = false;
        match self.find(self.guest.abi.arg_rules, &POINTER, true)? {
            Found::Here(location) => Some(location),
            Found::Hidden { .. } => None,
        }
    }

    fn fits(&self, rule: &Rule, ty: &Type, layout: &Layout, named: bool) -> bool {
        let float = matches!(ty, Type::Float { .. });
        let within = |over: u32, max: u32| layout.size > over && layout.size <= max;
        match rule.who {
            Who::Any => true,
            Who::Float => float,
            Who::FloatLeading { max } => float && self.leading && self.count < max,
            Who::FloatAggregate { max, alike, flat } => {
                let leaves = &layout.leaves;
                let floats = leaves.iter().filter(|leaf| leaf.kind == Kind::Float).count();
                let kinds =
                    if matches!(rule.how, How::Each { int: true, .. }) { floats > 0 } else { floats == leaves.len() };
                ty.is_aggregate()
                    && !leaves.is_empty()
                    && leaves.len() <= max as usize
                    && kinds
                    && (!alike || leaves.iter().all(|leaf| leaf.bytes == leaves[0].bytes))
                    && (!flat || leaves.iter().all(|leaf| leaf.flat))
            }
            Who::Complex { over, max } => matches!(ty, Type::Complex { .. }) && within(over, max),
            Who::Aggregate { over, max } => ty.is_aggregate() && within(over, max),
            Who::Unnamed => !named,
            Who::Variadic => self.variadic,
        }
    }

    /// `None`: there are not registers enough.
    fn place(&mut self, how: How, ty: &Type, layout: &Layout) -> Option<Vec<Piece>> {
        match how {
            How::One { packed, shadow, position, extended } => {
                self.one(layout, packed, shadow, position).map(|place| {
                    let place = match place {
                        Place::Register { slot, .. } if extended => Place::Extended(slot),
                        place => place,
                    };
                    vec![Piece { at: 0, bytes: layout.size, place }]
                })
            }
            How::Each { position: true, .. } => self.each_position(layout),
            How::Each { int, packed, .. } => self.each(layout, int, packed),
            How::Join { align, split, keep, floats } => Some(self.join(ty, layout, align, split, keep, floats)),
            How::Stack { fp } if fp && self.int_only => None,
            How::Stack { fp } => {
                self.free &= if fp { 0 } else { u128::MAX };
                Some(vec![self.on_stack(ty, layout)])
            }
            How::Eightbytes => self.eightbytes(layout),
            How::ByReference | How::HiddenPointer { .. } | How::IntOnly => None,
        }
    }

    fn one(&mut self, layout: &Layout, packed: bool, shadow: bool, position: bool) -> Option<Place> {
        if self.int_only {
            return None;
        }
        if position {
            let slot = *self.fp.get(self.next)?;
            self.next += 1;
            return Some(Place::Register { slot, low: 0 });
        }
        let place = self.take_fp(layout.size, 1, packed)?[0];
        if shadow {
            self.words(layout, true);
        }
        Some(place)
    }

    /// The first `count` neighbouring registers of these that are free, or halves of them.
    fn take_fp(&mut self, bytes: u32, count: u32, packed: bool) -> Option<Vec<Place>> {
        let half = packed && bytes == 4;
        let (step, run) = if half { (1, count) } else { (2, 2 * count) };
        let mask = 1_u128.checked_shl(run)? - 1;
        let units = 2 * self.fp.len() as u32;
        let start = (0..units).step_by(step).find(|at| at + run <= units && self.free >> at & mask == mask)?;
        self.free &= !(mask << start);
        let place = |at: u32| Place::Register { slot: self.fp[at as usize / 2], low: at % 2 * 4 };
        Some((start..start + run).step_by(step).map(place).collect())
    }

    fn each(&mut self, layout: &Layout, int: bool, packed: bool) -> Option<Vec<Piece>> {
        let word = self.word();
        let floats = layout.leaves.iter().filter(|leaf| leaf.kind == Kind::Float).count();
        let ints = layout.leaves.len() - floats;
        let wide = |leaf: &Leaf| leaf.kind != Kind::Float && leaf.bytes > word;
        if self.int_only || self.next + ints > self.int.len() || int && layout.leaves.iter().any(wide) {
            return None;
        }
        let mut places = self.take_fp(layout.leaves.first()?.bytes, floats as u32, packed)?.into_iter();
        let mut pieces = Vec::new();
        for leaf in &layout.leaves {
            let place = match leaf.kind {
                Kind::Float => places.next()?,
                Kind::Int { .. } => {
                    self.next += 1;
                    Place::Register { slot: self.int[self.next - 1], low: 0 }
                }
            };
            pieces.push(Piece { at: leaf.at, bytes: leaf.bytes, place });
        }
        Some(pieces)
    }

    fn each_position(&mut self, layout: &Layout) -> Option<Vec<Piece>> {
        let slots = self.fp.get(self.next..)?.get(..layout.leaves.len()).filter(|_| !self.int_only)?;
        self.next += slots.len();
        let piece = |(leaf, slot): (&Leaf, &Slot)| {
            let place = Place::Register { slot: *slot, low: 0 };
            Piece { at: leaf.at, bytes: leaf.bytes, place }
        };
        Some(layout.leaves.iter().zip(slots).map(piece).collect())
    }

    /// Takes the words of a value, as far as there are registers: the first, and how many.
    fn words(&mut self, layout: &Layout, align: bool) -> (usize, usize) {
        let wanted = layout.size.div_ceil(self.word()) as usize;
        let even = align && layout.align > self.word();
        let start = if even { self.next.next_multiple_of(2) } else { self.next }.min(self.int.len());
        let taken = wanted.min(self.int.len() - start);
        self.next = start + taken;
        (start, taken)
    }

    fn join(&mut self, ty: &Type, layout: &Layout, align: bool, split: bool, keep: bool, floats: bool) -> Vec<Piece> {
        let (before, word) = (self.next, self.word());
        let (start, mut taken) = self.words(layout, align);
        let wanted = layout.size.div_ceil(word) as usize;
        if taken < wanted && !(split && taken > 0 && self.stack == 0) {
            taken = 0;
            self.next = if keep { before } else { self.int.len() };
        }
        let mut pieces = Vec::new();
        for k in 0..taken {
            let at = k as u32 * word;
            let bytes = word.min(layout.size - at);
            // What is shorter than a word lies in it as in memory if it is a part of more, else as a number.
            let low = if self.guest.big_endian && ty.is_aggregate() { word - bytes } else { 0 };
            let double = |leaf: &Leaf| leaf.kind == Kind::Float && leaf.flat && (leaf.at, leaf.bytes) == (at, word);
            let slot = match self.fp.get(start + k) {
                Some(slot) if floats && layout.leaves.iter().any(double) => *slot,
                _ => self.int[start + k],
            };
            pieces.push(Piece { at, bytes, place: Place::Register { slot, low } });
        }
        if taken < wanted {
            let at = taken as u32 * word;
            let rest =
                Layout { size: layout.size - at, align: if at > 0 { 1 } else { layout.align }, leaves: Vec::new() };
            let piece = self.on_stack(ty, &rest);
            pieces.push(Piece { at, ..piece });
        }
        pieces
    }

    fn on_stack(&mut self, ty: &Type, layout: &Layout) -> Piece {
        let stack = &self.guest.abi.stack;
        let slot = self.word();
        let at = self.stack.next_multiple_of(layout.align.clamp(slot, stack.align.max(slot)));
        self.stack = at + layout.size.next_multiple_of(slot);
        let is_int = matches!(ty, Type::Int { .. } | Type::Word { .. });
        let above = if self.guest.big_endian && is_int && layout.size < slot { slot - layout.size } else { 0 };
        Piece { at: 0, bytes: layout.size, place: Place::Stack(stack.first_arg + at + above) }
    }

    fn eightbytes(&mut self, layout: &Layout) -> Option<Vec<Piece>> {
        let halves = layout.size.div_ceil(8);
        let within = |l: &Leaf, half: u32| l.at / 8 <= half && half <= (l.at + l.bytes - 1) / 8;
        let is_int = |half: u32| layout.leaves.iter().any(|l| within(l, half) && l.kind != Kind::Float);
        let ints = (0..halves).filter(|half| is_int(*half)).count();
        let free = self.free;
        if halves > 2 || self.next + ints > self.int.len() || self.int_only {
            return None;
        }
        let mut places = Vec::new();
        for half in 0..halves {
            if is_int(half) {
                places.push(Place::Register { slot: self.int[self.next], low: 0 });
                self.next += 1;
            } else if let Some(place) = self.take_fp(8, 1, false) {
                places.extend(place);
            }
        }
        if places.len() < halves as usize {
            self.next -= ints;
            self.free = free;
            return None;
        }
        let piece = |(half, place): (u32, Place)| {
            let at = 8 * half;
            Piece { at, bytes: 8.min(layout.size - at), place }
        };
        Some((0..).zip(places).map(piece).collect())
    }
}
