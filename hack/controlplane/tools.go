//go:build tools

// Package controlplane names the main packages of the Kubernetes API server and its companions, so that plain
// `go build` can make them from their modules. Prebuilt binaries are not always to be had where this project is
// built; see build.sh. Nothing imports this package.
package controlplane

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
