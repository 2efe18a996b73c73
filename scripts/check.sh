#!/usr/bin/env bash
# What a contributor runs before each commit: format, layers, and the fast tests of a build. Two minutes at most after the build.
#   scripts/check.sh [PRESET=release]
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:-release}"

# Versions differ in taste; Debian 12's decides.
format="$(command -v clang-format-14 || command -v clang-format || true)"
if [ -n "$format" ] && "$format" --version | grep -q 'version 14\.'; then
  git ls-files '*.cpp' '*.hpp' | xargs -r "$format" --dry-run --Werror
  echo "format: as .clang-format says"
else
  echo "format: not checked, that needs clang-format 14"
fi
python3 scripts/check_layers.py
scripts/build "$preset"
ctest --preset "$preset" --output-on-failure -LE slow
