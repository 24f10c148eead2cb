#!/usr/bin/env bash
# Builds a developer tool from the module that pins it: build.sh NAME [FOLDER] puts NAME into FOLDER (default: bin).
# What is up to date is not built again; the linter's first build takes minutes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=${1:?usage: build.sh NAME [FOLDER]}
out=$(mkdir -p "${2:-$here/../../bin}" && cd "${2:-$here/../../bin}" && pwd)

case $name in
controller-gen) folder=$here module=sigs.k8s.io/controller-tools package=$module/cmd/controller-gen ;;
golangci-lint) folder=$here/lint module=github.com/golangci/golangci-lint/v2 package=$module/cmd/golangci-lint ;;
*)
	echo "build.sh: no tool is called $name; it knows controller-gen and golangci-lint" >&2
	exit 2
	;;
esac
cd "$folder"

# The stamp names what the binary was built from: the module's own files, this script, and the compiler.
stamp=$(cat go.mod go.sum "$here/build.sh" <(go env GOVERSION GOOS GOARCH) | sha256sum | cut -d' ' -f1)
if [ -x "$out/$name" ] && [ "$(cat "$out/.$name.stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi

version=$(go list -m -f '{{.Version}}' "$module")
echo "tools: building $name $version (the first build takes some minutes)"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$out/$name.new" "$package"
mv "$out/$name.new" "$out/$name"
echo "$stamp" >"$out/.$name.stamp"
