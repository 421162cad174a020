#!/bin/sh
# Install and start a Docker engine where none answers, for the tests in tests/docker. Needs root
# and apt. The engine goes on running; its output is in /var/log/dockerd-tests.log.
set -eu
log=/var/log/dockerd-tests.log

if docker info >/dev/null 2>&1 && command -v debootstrap >/dev/null; then
    echo "A Docker engine answers."
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Docker engine answers. Install and start one (docker.io, debootstrap), or run me as root." >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends docker.io debootstrap >/dev/null

# Where the package has started no service. Small packets pass any tunnel below.
if ! docker info >/dev/null 2>&1; then
    nohup setsid dockerd --storage-driver=overlay2 --mtu=1400 >"$log" 2>&1 </dev/null &
fi
for _ in $(seq 60); do
    if docker info >/dev/null 2>&1; then
        echo "The Docker engine is up."
        exit 0
    fi
    sleep 1
done
echo "The Docker engine does not start:" >&2
tail -n 20 "$log" >&2
exit 1
