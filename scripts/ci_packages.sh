#!/bin/sh
# What some tests use and would be skipped without: a browser, shifted clocks, SSH signatures.
set -eu
missing=
for pair in chromium:chromium faketime:faketime ssh-keygen:openssh-client; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "These are not installed:$missing" >&2
    exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086 - a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
