#!/usr/bin/env bash
# tools/reproduce: its parts (units), or every figure in its tiny form (tiny PROGRAM). Exit code 77: what it needs is not
# installed.
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
run() { "$python" "$here/../../tools/reproduce/reproduce.py" all --tiny --out "$out" --program "$2"; }
run "$@"
for file in dude.md dude-figure2.svg dude-figure3.svg ringleader.md ringleader.svg complexity.md complexity.svg \
  koloskova.md koloskova.svg; do
  [ -s "$out/tiny/$file" ] || { echo "no $file" >&2; exit 1; }
done
# A second time there is nothing left to execute: the program is not even asked.
run tiny /bin/false >"$out/again"
if grep 'of CPU)$' "$out/again"; then exit 1; fi
