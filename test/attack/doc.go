// Package attack tries to get, or to keep, access that nobody should have. No attack may give any; each has a legitimate
// twin one step away that succeeds, so that no case passes because everything is denied. README.md lists them all.
package attack
