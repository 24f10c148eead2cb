// Package controllers keeps permission stores as the API says. Watches of every kind enqueue one key, the namespace; a
// pass over the tenant (pass.go) gathers what is declared, subtracts what the store holds, commits once, and hands each
// object to the one place that writes status (status.go). A keeper (keeper.go) settles what ends, and looks every second
// whether somebody else has written to the store.
//
// What lives here decides nothing about access: package access does. It knows no SQL: package store does.
package controllers
