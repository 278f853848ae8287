#!/bin/sh
# Fails with clang-format's complaints if any source differs from its formatted form.
# Usage: check_format.sh ROOT
cd "$1" || exit 1
formatter=$(command -v clang-format-14 || command -v clang-format) || {
  echo "clang-format is not installed" >&2
  exit 1
}
find base queue collector processor adapters admin tests cmake \
  \( -name '*.h' -o -name '*.cc' \) -print0 2>/dev/null |
  xargs -0 -n 20 -P 2 "$formatter" --dry-run -Werror
