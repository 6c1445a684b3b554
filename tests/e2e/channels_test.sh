#!/usr/bin/env bash
# Runs tests/e2e/channels.py: real programs of build/dev, a real Docker Engine and a real mail server.
#   tests/e2e/channels_test.sh [REGEX]   only the cases whose titles match
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../../deploy/images/build"
exec python3 "$here/channels.py" "$@"
