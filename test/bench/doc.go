// Package bench measures the operator whole, against a real API server: `make bench` runs it, tests do not. Figures are
// ratios to a bare client or a bare statement measured in the same run, in interleaved pairs; docs/performance.md keeps
// the latest.
package bench
