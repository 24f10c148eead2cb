// Package rivals measures how long engines that others made take for the decisions that ours makes: cedar-go, OPA, casbin
// and OpenFGA as libraries, in one process, on one workload that all of them can express, each in the form that its vendor
// recommends. That they give the same answers is checked before anything is timed: make bench-rivals.
//
// It is a module of its own, so that their graphs never touch the operator's. Package witness beside it holds what two of
// them say against the engine on everything that they can be made to say.
package rivals
