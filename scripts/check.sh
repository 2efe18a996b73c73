#!/usr/bin/env bash
# What a contributor runs before each commit: format, layers, and the fast tests of a build. Two minutes at most after the build.
#   scripts/check.sh [PRESET=release]
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:-release}"

if command -v clang-format >/dev/null; then
  git ls-files '*.cpp' '*.hpp' | xargs -r clang-format --dry-run --Werror
  echo "format: as .clang-format says"
else
  echo "format: not checked, clang-format is not installed"
fi
python3 scripts/check_layers.py
scripts/build "$preset"
ctest --preset "$preset" --output-on-failure -LE slow
