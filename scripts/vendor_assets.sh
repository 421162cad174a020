#!/bin/sh
# Copies the pages' libraries out of their npm packages, at the versions and digests of
# voice_validation_api/pages/package-lock.json. The copies are kept in the repository, so that only
# whoever changes a version needs npm.
set -eu
cd "$(dirname "$0")/.."
pages=voice_validation_api/pages
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cp "$pages/package.json" "$pages/package-lock.json" "$place"
npm ci --prefix "$place" --ignore-scripts --no-audit --no-fund
cp "$place/node_modules/uplot/dist/uPlot.iife.min.js" "$pages/static/vendor/"
cp "$place/node_modules/uplot/dist/uPlot.min.css" "$pages/static/vendor/"
cp "$place/node_modules/uplot/LICENSE" "$pages/static/vendor/uPlot.LICENSE"
cd "$pages/static/vendor"
LC_ALL=C sha256sum uPlot.LICENSE uPlot.iife.min.js uPlot.min.css > SHA256SUMS
