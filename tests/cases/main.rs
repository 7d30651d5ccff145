//! End-to-end tests: real guest programs under the released emulator.

mod arm;
mod bad_input;
mod bypass;
mod cache;
mod debian;
mod guests;
mod layers;
mod profile;
mod programs;
mod strace;
mod surroundings;
mod torture;
mod traps;
mod x86;
