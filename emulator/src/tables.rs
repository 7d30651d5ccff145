//! The Linux interfaces of the guests.
#![allow(clippy::all, missing_docs, reason = "generated")]

use linux::abi::*;
use linux::signal::layout;
use linux::special;

interfaces::tables! {}
