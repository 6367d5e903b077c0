#!/usr/bin/env bash
# tools/reproduce: its parts (units), or a figure, or all, in the tiny form (tiny PROGRAM FIGURE). Exit code 77: what it
# needs is not installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# python_with MODULE: a Python that has it.
python_with() {
  for python in /usr/bin/python3 python3; do
    if "$python" -c "import $1" 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  echo "skipped: no Python with $1" >&2
  exit 77
}

if [ "$1" = units ]; then
  python=$(python_with tomllib)
  exec "$python" "$here/reproduce_test.py"
fi

python=$(python_with matplotlib)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
run() { "$python" "$here/../../../tools/reproduce/reproduce.py" "$figure" --tiny --out "$out" --program "$1"; }
figure=$3
run "$2"
declare -A files=(
  [dude]="dude.md dude-figure2.svg dude-figure3.svg"
  [stragglers]="stragglers.md stragglers-shards1.svg stragglers-shards2.svg"
  [ringleader]="ringleader.md ringleader.svg"
  [complexity]="complexity.md complexity.svg"
  [koloskova]="koloskova.md koloskova.svg"
)
files[all]=${files[*]}
for file in ${files[$figure]}; do
  [ -s "$out/tiny/$file" ] || { echo "no $file" >&2; exit 1; }
done
# A second time there is nothing left to execute: the program is not even asked.
run /bin/false >"$out/again"
if grep 'of CPU)$' "$out/again"; then exit 1; fi
