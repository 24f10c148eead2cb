// Package tidy changes the text of manifest files and nothing of what they mean: Format writes them in the one canonical
// form, so that diffs show changes of access only, and Prune takes out temporary grants that ended long ago. Everything
// that neither of them is about keeps its bytes, and every comment keeps its place.
//
// What a manifest means is package manifest's to say. Here is no clock and no Git; files are touched in files.go alone.
package tidy
