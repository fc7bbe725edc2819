#!/usr/bin/env bash
# Builds echo.elf beside its source; reproducible: the same compiler gives the same bytes.
# Needs gcc-powerpc64-linux-gnu. `build.sh --check` builds elsewhere and compares.
set -euo pipefail
cd "$(dirname "$0")"
race=../../../../guests/race
out=echo.elf
[ "${1:-}" = --check ] && out=$(mktemp)
powerpc64-linux-gnu-gcc -mabi=elfv2 -mcpu=power9 -mno-vsx -mno-altivec -msoft-float -O2 -g0 \
        -ffreestanding -fno-builtin -fno-stack-protector -fno-pic -fno-asynchronous-unwind-tables \
        -nostdlib -static -Wl,--build-id=none -Wl,-T,$race/link.ld -Wl,-z,max-page-size=4096 \
        -Wall -Wextra -o "$out" $race/start.S echo.c
[ "${1:-}" != --check ] || { cmp "$out" echo.elf && rm -f "$out" && echo "echo.elf is what its sources make"; }
