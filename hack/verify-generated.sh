#!/usr/bin/env bash
# Proves that the generated files are what `make generate manifests` makes of the sources: generates into a temporary
# folder and compares. Nothing in the work tree is touched, and what is not committed yet counts like the rest.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
controller_gen=${1:-bin/controller-gen}
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

mkdir -p "$fresh/api" "$fresh/crd" "$fresh/rbac"
"$controller_gen" object paths=./api/... "output:object:dir=$fresh/api"
"$controller_gen" crd rbac:roleName=crm-access-operator-manager paths=./api/... paths=./controllers/... \
	"output:crd:dir=$fresh/crd" "output:rbac:dir=$fresh/rbac"

stale=0
diff -uN api/v1alpha1/zz_generated.deepcopy.go "$fresh/api/zz_generated.deepcopy.go" || stale=1
diff -uN config/rbac/role.yaml "$fresh/rbac/role.yaml" || stale=1
# The whole folder: the file of a kind that is gone is stale too.
diff -ruN config/crd/bases "$fresh/crd" || stale=1

if [ "$stale" -ne 0 ]; then
	echo "generated files are stale: run 'make generate manifests' (and delete the file of a kind that is gone)" >&2
	exit 1
fi
