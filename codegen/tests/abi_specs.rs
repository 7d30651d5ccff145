//! The Linux interface in `isa-specs` resolves, and says about itself what it should.

use std::path::Path;

use codegen::abi::{self, model::Abi};
use codegen::diag::SourceMap;

fn abis() -> Vec<Abi> {
    load().1
}

fn load() -> (SourceMap, Vec<Abi>) {
    let mut sources = SourceMap::default();
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs");
    let files = abi::read(&specs, &mut sources).expect("the specs are readable");
    let abis = abi::resolve(&sources, &files).unwrap_or_else(|errors| panic!("{}", errors.render(&sources, false)));
    (sources, abis)
}

#[test]
fn every_described_call_has_a_number_somewhere() {
    let abis = abis();
    for abi in &abis {
        for name in abi.syscalls.keys() {
            assert!(abis.iter().any(|a| a.number(name).is_some()), "`{name}` of {} has no number", abi.name);
        }
    }
}

#[test]
fn tables_are_emitted_for_every_guest() {
    let (sources, abis) = load();
    let host = abis.iter().find(|a| a.name == "x86_64").expect("a host");
    let text = abi::emit(&abis, host, &sources).unwrap_or_else(|errors| panic!("{errors}"));
    for guest in &abis {
        assert!(text.contains(&format!("Abi {{\n        name: {:?}", guest.name)), "{}", guest.name);
    }
    // References are places, not addresses.
    let calls = text.split("static CALLS").nth(1).and_then(|rest| rest.split("];\n").next()).expect("a table of calls");
    assert!(!calls.contains('&') && !calls.contains('"'), "an address among the calls");
}
