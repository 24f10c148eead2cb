// Package source says where manifests come from, for whoever compares two states of them: a folder, a revision of a Git
// repository (without a checkout), what a kustomization renders, standard input. Each is a Files: it is read as a tree of
// declarations, and any of its files can be read again, to find a line.
//
// It writes nothing, asks no network and runs no program: what a tree says is data, and not to be obeyed.
package source
