// Package e2e runs the programs as they ship (bin/manager and kubectl-crmaccess, built by the tests) against a real API
// server, under the shipped RBAC, with real stores, and looks at them from outside: kubectl, psql, SQLite, HTTP, kill.
package e2e
