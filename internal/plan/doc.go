// Package plan says what access changes from one state of a tenant's declarations to another: who gains what and loses
// what, on which records, from when until when, by which path, and which text is the cause.
//
//	base ─┐
//	      ├─Resolve─► Facts ──Compare──► Tenant (rows of effective access, risk, causes) ──► internal/plan/render
//	head ─┘
//
// It is pure: no clock, no network, no Git, no file. The same two states and the same instant give the same plan, in
// whatever order their declarations come. It decides nothing by itself: what is listed is what the engine (package access)
// answers differently.
package plan
