#!/usr/bin/env bash
# Builds etcd, kube-apiserver, kubectl and kube-controller-manager from their Go modules into the folder given
# (default: bin/controlplane). The first build takes about twelve minutes on two cores; afterwards it is a no-op.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mkdir -p "${1:-$here/../../bin/controlplane}" && cd "${1:-$here/../../bin/controlplane}" && pwd)
cd "$here"

# The stamp names what the binaries were built from: the module's own files, this script, and the compiler.
stamp=$(cat go.mod go.sum build.sh <(go env GOVERSION GOOS GOARCH) | sha256sum | cut -d' ' -f1)
if [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	ldflags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
	ldflags+=" -X $package.gitTreeState=clean -X $package.gitCommit=$version"
done

# Minutes of silence look like a hang: say every 20 seconds what is being built and for how long.
build() {
	local name=$1 package=$2 started=$SECONDS pid
	echo "control plane: building $name ($version; the first build takes some minutes)"
	CGO_ENABLED=0 go build -trimpath -ldflags "$ldflags" -o "$out/$name.new" "$package" &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		if (((SECONDS - started) % 20 == 0)); then
			echo "control plane: still building $name, $((SECONDS - started)) s"
		fi
	done
	wait "$pid"
	mv "$out/$name.new" "$out/$name"
	echo "control plane: $name done in $((SECONDS - started)) s"
}

rm -f "$out/.stamp"
build etcd go.etcd.io/etcd/server/v3
build kubectl k8s.io/kubernetes/cmd/kubectl
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
echo "$stamp" >"$out/.stamp"
