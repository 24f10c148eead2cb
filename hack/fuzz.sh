#!/usr/bin/env bash
# Runs every fuzz target for a while: fuzz.sh [DURATION] (default 20s each). What a target finds is written to
# testdata/fuzz beside it; commit that file, it is a regression test from then on.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
duration=${1:-20s}
targets=0
failed=()

# Only packages that have a target are compiled and asked: a listing runs TestMain, and some start servers there.
packages=$({ grep -rlE --include='*_test.go' --exclude-dir=bin '^func Fuzz[A-Z0-9_]' . || true; } | xargs -r -n 1 dirname | sort -u)
for package in $packages; do
	names=$(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
	for name in $names; do
		targets=$((targets + 1))
		echo "fuzz: $name in $package for $duration"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" "$package" || failed+=("$package $name")
	done
done

echo "fuzz: $targets targets, ${#failed[@]} failed"
if [ "${#failed[@]}" -ne 0 ]; then
	printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
