#!/usr/bin/env bash
# Installs the C++ library, and builds and runs a program outside of the project with it: library_test.sh BUILD [flags]
set -euo pipefail
build=$1 flags=${2:-}
source=$(cd "$(dirname "$0")/../../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cmake --build "$build" --target tardigrad_archive >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
cmake --install "$build" --component library --prefix "$folder/installed" >>"$folder/log"
configure() {
  cmake -S "$1" -B "$2" -DCMAKE_PREFIX_PATH="$folder/installed" -DCMAKE_CXX_FLAGS="$flags" >>"$folder/log" 2>&1 &&
    cmake --build "$2" >>"$folder/log" 2>&1
}
configure "$source/tools/library/example" "$folder/example" || { cat "$folder/log"; exit 1; }
"$folder/example/example" | tee "$folder/out"
grep -qx 'tardigrad [0-9.]*: 1000 updates, x = 2.0000 2.0000 2.0000' "$folder/out"
grep -qx 'refused: --lr: much is not a positive number' "$folder/out"

# Nothing but what is its header's, and none of the project's taste.
installed=$(cd "$folder/installed/include/tardigrad" && find . -name '*.h' | wc -l)
[ "$installed" -eq 13 ] || { echo "$installed headers are installed, expected 13"; exit 1; }
if grep -E 'Werror|march|Wall' "$folder/installed/lib/cmake/tardigrad/tardigrad-config.cmake"; then
  exit 1
fi

# What would refer to something that is gone does not compile.
mkdir "$folder/wrong"
sed 's/example/wrong/' "$source/tools/library/example/CMakeLists.txt" >"$folder/wrong/CMakeLists.txt"
cat >"$folder/wrong/main.cpp" <<'EOF'
#include <tardigrad/tardigrad.h>
struct Mine : tardigrad::RunObserver {};
int main() { tardigrad::train({.options = {}, .observers = {&static_cast<tardigrad::RunObserver&>(Mine())}}); }
EOF
if configure "$folder/wrong" "$folder/wrong/build"; then
  echo "an observer that is gone before the run begins compiles"
  exit 1
fi
