#!/usr/bin/env bash
# Makes the committed binaries from wordfreq.c; symbols stay, debug information does not.
set -euo pipefail
cd "$(dirname "$0")"
for guest in aarch64 riscv64; do
    $guest-linux-gnu-gcc -O2 -ffreestanding -fno-builtin -fno-tree-loop-distribute-patterns -fno-stack-protector -nostdlib -static \
        -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,max-page-size=4096 -o wordfreq-$guest wordfreq.c
done
