// Package crd holds the custom resource definitions, so that offline commands check manifests by the very schema and
// rules that the API server has.
package crd

import "embed"

// Bases are the generated definitions, one file a kind, under bases/.
//
//go:embed bases/*.yaml
var Bases embed.FS
