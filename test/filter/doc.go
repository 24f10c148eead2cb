// Package filter runs the conditions that POST /v1/filter gives in a real PostgreSQL, on tables as a CRM has them, and holds
// what they take in against the reference.
package filter
