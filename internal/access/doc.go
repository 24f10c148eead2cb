// Package access is the engine: what a tenant's declarations come to, and what a user may do.
//
//	Declarations ──Resolve──► Facts + Findings ──NewPolicy──► Policy ──Decide, Explain──► an answer
//
// It is pure: no clock, no network, no database, no Kubernetes. The instant is an argument of every question, the same
// input gives the same answer, and facts that came from the store decide exactly as facts that came from manifests.
package access
