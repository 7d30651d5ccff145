//! Elements of constant lists by run-time indices.

use super::Builder;
use crate::inst::Val;

/// Narrow elements stand side by side in words of so many bits.
const ROW: u32 = 64;

impl Builder<'_> {
    /// Element `index` (`iw` wide) of `list`, `w` bits wide; 0 beyond its end.
    ///
    /// A tree of choices over the bits of the index, whose leaves are words of several elements where these are narrow; where
    /// all below a branch are equal there is none.
    pub fn lookup(&mut self, w: u32, list: &[i128], iw: u32, index: Val) -> Val {
        let element = w.next_power_of_two();
        let side_by_side = (ROW / element).clamp(1, list.len().next_power_of_two() as u32);
        let width = if side_by_side > 1 { ROW } else { w };
        let word = |elements: &[i128]| {
            let at = |(i, v): (u32, &i128)| (*v as u128 & (u128::MAX >> (128 - w))) << (i * element);
            (0..).zip(elements).map(at).fold(0, |word, v| word | v)
        };
        let mut rows: Vec<u128> = list.chunks(side_by_side as usize).map(word).collect();
        rows.resize(rows.len().next_power_of_two(), 0);
        let low = side_by_side.ilog2();
        let mut value = self.choose_row(width, &rows, low, iw, index);
        if side_by_side > 1 {
            let column = self.extract(iw, index, 0, low.min(iw));
            let column = self.zext(low.min(iw), ROW, column);
            let (scale, bits) = (self.konst(32, element.ilog2().into()), ROW);
            let amount = self.shl(bits, column, 32, scale);
            value = self.shr(bits, value, bits, amount);
            value = self.low(bits, w, value);
        }
        let covered = low + rows.len().ilog2();
        if covered >= iw {
            return value;
        }
        let beyond = self.extract(iw, index, covered, iw - covered);
        let zero = self.konst(iw - covered, 0);
        let within = self.eq(iw - covered, beyond, zero);
        let zero = self.konst(w, 0);
        self.select(w, within, value, zero)
    }

    /// The row that the bits of the index from `low` on say.
    fn choose_row(&mut self, width: u32, rows: &[u128], low: u32, iw: u32, index: Val) -> Val {
        if rows.iter().all(|row| *row == rows[0]) {
            return self.konst(width, rows[0] as i128);
        }
        let (lower, upper) = rows.split_at(rows.len() / 2);
        let bit = low + lower.len().ilog2();
        let a = self.choose_row(width, lower, low, iw, index);
        if bit >= iw {
            return a;
        }
        let b = self.choose_row(width, upper, low, iw, index);
        let bit = self.extract(iw, index, bit, 1);
        self.select(width, bit, b, a)
    }
}
