#!/usr/bin/env bash
# Builds race.elf beside the sources; reproducible: the same compiler gives the same bytes.
# Needs gcc-powerpc64-linux-gnu. `build.sh --check` builds elsewhere and compares.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/race.elf
[ "${1:-}" = --check ] && out=$(mktemp)
cd "$here"
powerpc64-linux-gnu-gcc -mabi=elfv2 -mcpu=power9 -mno-vsx -mno-altivec -msoft-float -O2 -g0 \
        -ffreestanding -fno-builtin -fno-stack-protector -fno-pic -fno-asynchronous-unwind-tables \
        -nostdlib -static -Wl,--build-id=none -Wl,-T,link.ld -Wl,-z,max-page-size=4096 \
        -Wall -Wextra -o "$out" start.S main.c
[ "${1:-}" != --check ] || { cmp "$out" race.elf && rm -f "$out" && echo "race.elf is what its sources make"; }
