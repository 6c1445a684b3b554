#!/bin/sh
# Builds the mini program into $SLIPWAY_OUTPUT (default: dist/weixin). Needs node, no network.
set -eu
cd "$(dirname "$0")/.."
: "${SLIPWAY_PLATFORM:=weixin}" "${SLIPWAY_OUTPUT:=$PWD/dist/$SLIPWAY_PLATFORM}"
export SLIPWAY_PLATFORM SLIPWAY_OUTPUT
echo "pocket-shop: building for $SLIPWAY_PLATFORM with node $(node --version)"
exec node scripts/build.mjs
