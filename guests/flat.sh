#!/usr/bin/env bash
# Builds guests/NAME/NAME.bin beside its source NAME.S; reproducible: the same assembler gives the same bytes.
# Needs gcc-powerpc64-linux-gnu. `flat.sh NAME --check` builds elsewhere and compares.
set -euo pipefail
name=$1
cd "$(dirname "$0")/$name"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
powerpc64-linux-gnu-gcc -mcpu=power9 -c -o "$work/object" "$name.S"
powerpc64-linux-gnu-ld -Ttext=0 -e 0 --oformat binary -o "$work/flat" "$work/object"
if [ "${2:-}" = --check ]; then
        cmp "$work/flat" "$name.bin"
        echo "$name.bin is what its source makes"
else
        install -m 644 "$work/flat" "$name.bin"
fi
