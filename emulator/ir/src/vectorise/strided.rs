//! Loads of one of every few numbers that lie next to each other: a colour of pixels, the real parts of complex numbers. Whole groups
//! of numbers are loaded as lanes, and each lane shifted to the number that is wanted.
//!
//! The bytes between the first and the last number lie on pages that have some of the numbers. Those of the groups before and
//! behind may not: what cannot be read makes the unit retreat as any fault does.

use std::collections::HashMap;

use super::plan::{MOST_BITS, Node, Planner, Shape};
use super::region::{Access, Root};
use crate::inst::{Attr, Op, Val};

/// What is there already.
#[derive(Default)]
pub(super) struct Strided {
    /// By root and offset of the first group, width of a group, and number of groups.
    groups: HashMap<(Root, i64, u32, usize), Node>,
    /// By the loads.
    fields: HashMap<Vec<Val>, Node>,
}

impl Planner<'_> {
    /// The values, zero-extended, in lanes as wide as the groups.
    pub(super) fn strided_loads(&mut self, values: &[Val]) -> Option<Node> {
        if let Some(node) = self.strided.fields.get(values) {
            return Some(*node);
        }
        let loads = self.loads(values)?;
        let group = group(&loads)?;
        let w = 8 * group as u32;
        if w * values.len() as u32 > MOST_BITS {
            return None;
        }
        let before = self.bytes_before(loads[0], group);
        let first = (loads[0].at.root, loads[0].at.offset.wrapping_sub(before), w, values.len());
        let groups = match self.strided.groups.get(&first) {
            Some(node) => *node,
            None => self.add(w, values, Shape::Groups(values.to_vec(), before)),
        };
        self.strided.groups.insert(first, groups);
        let field = self.field_of_groups(values, groups, 8 * before as u32, 8 * loads[0].size as u32);
        self.strided.fields.insert(values.to_vec(), field);
        let narrow = self.narrowed_to(field, 8 * loads[0].size as u32);
        self.are_lanes(values, narrow);
        Some(field)
    }

    /// How far into its group a load reaches: the first of the group is the one furthest before it that is loaded.
    fn bytes_before(&self, load: Access, group: i64) -> i64 {
        let like = |other: &&Access| (other.at.root, other.size, other.stored) == (load.at.root, load.size, None);
        let distances =
            self.region.accesses.iter().filter(like).map(|other| load.at.offset.wrapping_sub(other.at.offset));
        distances.filter(|k| (0..group).contains(k) && k % load.size == 0).max().unwrap_or(0)
    }

    /// `width` bits from bit `lowest` of each lane, zero-extended.
    fn field_of_groups(&mut self, values: &[Val], groups: Node, lowest: u32, width: u32) -> Node {
        let w = self.plan.vectors[groups.0].w;
        let above = w - lowest - width;
        let mut node = groups;
        for (op, by) in [(Op::Vshli, above), (Op::Vshri, above + lowest)] {
            if by > 0 {
                node = self.add(w, values, Shape::Op(op, Attr::imms(by, 0).with_lane(w), vec![node]));
            }
        }
        node
    }
}

/// Bytes from one load to the next, if these are 2, 4 or 8 numbers of at most 64 bits in all.
fn group(loads: &[Access]) -> Option<i64> {
    let [first, second, ..] = loads else { return None };
    let step = second.at.offset.wrapping_sub(first.at.offset);
    let next = |pair: &[Access]| {
        let apart = pair[1].at.offset.wrapping_sub(pair[0].at.offset);
        (pair[0].at.root, pair[0].size, apart) == (pair[1].at.root, pair[1].size, step)
    };
    let several = step > first.size && step <= 8 && step.cast_unsigned().is_power_of_two();
    (several && loads.windows(2).all(next)).then_some(step)
}
