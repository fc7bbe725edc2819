#!/usr/bin/env bash
# Builds race.elf beside the sources; reproducible: the same compiler gives the same bytes.
# Needs gcc-powerpc64-linux-gnu. `build.sh --check` builds elsewhere and compares.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-mabi=elfv2 -mcpu=power9 -mno-vsx -mno-altivec -msoft-float -O2 -g -ffile-prefix-map=$work=. -ffreestanding -fno-builtin
        -fno-stack-protector -fno-pic -fno-asynchronous-unwind-tables -Wall -Wextra"
cp "$here"/start.S "$here"/main.c "$here"/link.ld "$work"
cd "$work"
# Objects with fixed names: their names stand in the symbol table.
for source in start.S main.c; do
        # shellcheck disable=SC2086
        powerpc64-linux-gnu-gcc $flags -c -o "${source%.*}.o" "$source"
done
powerpc64-linux-gnu-ld -T link.ld -z max-page-size=4096 --no-warn-rwx-segments -o race.elf start.o main.o
if [ "${1:-}" = --check ]; then
        cmp race.elf "$here/race.elf"
        echo "race.elf is what its sources make"
else
        install -m 644 race.elf "$here/race.elf"
fi
