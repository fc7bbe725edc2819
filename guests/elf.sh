#!/usr/bin/env bash
# Builds NAME.elf beside its source SOURCE.c, with the start and the layout of guests/race; reproducible: the same compiler
# gives the same bytes. Needs gcc-powerpc64-linux-gnu. `elf.sh FOLDER NAME SOURCE --check` builds elsewhere and compares.
set -euo pipefail
race=$(cd "$(dirname "$0")/race" && pwd)
folder=$(cd "$1" && pwd) name=$2 source=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-mabi=elfv2 -mcpu=power9 -mno-vsx -mno-altivec -msoft-float -O2 -g -ffile-prefix-map=$work=. -ffreestanding -fno-builtin
        -fno-stack-protector -fno-pic -fno-asynchronous-unwind-tables -Wall -Wextra"
cp "$race/start.S" "$race/link.ld" "$folder/$source.c" "$work"
cd "$work"
# Objects with fixed names: their names stand in the symbol table.
for file in start.S "$source.c"; do
        # shellcheck disable=SC2086
        powerpc64-linux-gnu-gcc $flags -c -o "${file%.*}.o" "$file"
done
powerpc64-linux-gnu-ld -T link.ld -z max-page-size=4096 --no-warn-rwx-segments -o "$name.elf" start.o "$source.o"
if [ "${4:-}" = --check ]; then
        cmp "$name.elf" "$folder/$name.elf"
        echo "$name.elf is what its sources make"
else
        install -m 644 "$name.elf" "$folder/$name.elf"
fi
