#!/usr/bin/env bash
# Runs tests/e2e/private_repository.py: a real farm of build/dev, git over HTTPS and SSH, a Docker Engine.
#   tests/e2e/private_repository_test.sh [REGEX]      only the cases whose titles match
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../../deploy/images/build" --test-min
exec python3 "$here/private_repository.py" "$@"
