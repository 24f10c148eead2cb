// Package sqlite keeps permissions in a file: the embedded default, for one manager process and the decision API inside
// it. Others may read the file at the same time; see docs/store.md. Only SQL and its errors are here: what a write
// decides stands in the package driver.
package sqlite
