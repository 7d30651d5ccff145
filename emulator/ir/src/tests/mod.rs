//! Tests of the crate as a whole: builder against interpreter.

mod algebra;
mod divide;
mod exclusives;
mod exhaustive;
mod flags;
mod fuzz;
mod lookup;
mod machine;
mod pairs;
mod predicate;
mod short_branches;
mod support;
mod text;
mod turns;
mod updates;
mod vectorise;
