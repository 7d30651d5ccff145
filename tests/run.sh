#!/usr/bin/env bash
# Installs what the tests need and runs everything: format, lints, licences, unit tests, end-to-end tests.
set -euo pipefail
cd "$(dirname "$0")/.."

tests/setup.sh
cargo fmt --all --check
cargo clippy --quiet --workspace --all-targets -- --deny warnings
if command -v cargo-deny >/dev/null; then
    cargo deny --log-level error check
else
    echo "cargo-deny is not installed: licences and advisories are not checked"
fi
INSTA_UPDATE=no cargo test --release --workspace
