#!/usr/bin/env bash
# Makes sure that the PostgreSQL server's programs are here, and prints the folder they are in. The tests start a
# server of their own in a temporary folder; they need initdb, pg_ctl and postgres, not a running service.
set -euo pipefail

# The folder of the newest server: the one on PATH wins, then Debian's /usr/lib/postgresql/VERSION/bin.
find_server() {
	local initdb
	if initdb=$(command -v initdb) && initdb=$(readlink -f "$initdb") && [ -x "$(dirname "$initdb")/postgres" ]; then
		dirname "$initdb"
		return
	fi
	local newest
	newest=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
	if [ -z "$newest" ]; then
		return 1
	fi
	dirname "$newest"
}

# Debian's package makes a cluster and starts it. The tests do not want it, so it is told not to, before it arrives.
install_debian() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends postgresql-common
	sed -ri 's/^#?\s*create_main_cluster\s*=.*$/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
	apt-get install -y -qq --no-install-recommends postgresql
}

if find_server; then
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "PostgreSQL's server programs are missing: put initdb, pg_ctl and postgres on PATH (any version from 15 on)" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "PostgreSQL's server programs are missing: run 'sudo apt-get install postgresql', or put initdb on PATH" >&2
	exit 1
fi
echo "PostgreSQL's server programs are missing: installing the Debian package postgresql" >&2
install_debian >&2
find_server
