//! Tests of the crate as a whole: builder against interpreter.

mod algebra;
mod exhaustive;
mod flags;
mod fuzz;
mod machine;
mod support;
mod text;
