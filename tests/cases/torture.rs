//! A little of the torture suite; `cargo x torture --times 100` is more of it.

use tests::torture::{Plan, torture};

#[test]
fn everything_at_once_at_random_once() {
    let plan = Plan { times: 1, only: String::new(), milliseconds: 150, seed: 1 };
    torture(&plan, |_, _| {}).unwrap_or_else(|what| panic!("{what}"));
}
