#!/usr/bin/env bash
# Builds partition.bin beside its source; reproducible: the same assembler gives the same bytes.
# Needs gcc-powerpc64-linux-gnu. `build.sh --check` builds elsewhere and compares.
set -euo pipefail
cd "$(dirname "$0")"
out=partition.bin
[ "${1:-}" = --check ] && out=$(mktemp)
object=$(mktemp)
trap 'rm -f "$object"' EXIT
powerpc64-linux-gnu-gcc -mcpu=power9 -c -o "$object" partition.S
powerpc64-linux-gnu-ld -Ttext=0 -e 0 --oformat binary -o "$out" "$object"
[ "${1:-}" != --check ] || { cmp "$out" partition.bin && rm -f "$out" && echo "partition.bin is what its source makes"; }
