#!/usr/bin/env bash
# Installs what the tests need and runs everything: format, lints, licences, unit tests, end-to-end tests.
set -euo pipefail
cd "$(dirname "$0")/.."

tests/setup.sh
cargo fmt --all --check
cargo isa fmt --check
cargo clippy --release --quiet --workspace --all-targets -- --deny warnings
export PATH="$PWD/target/tools:$PATH"
cargo deny --log-level error check licenses bans sources
if cargo deny --log-level off fetch db; then
    cargo deny --log-level error check advisories
else
    echo "The database of advisories cannot be fetched: advisories are not checked."
fi
INSTA_UPDATE=no cargo test --release --workspace
