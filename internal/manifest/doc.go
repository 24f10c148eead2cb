// Package manifest turns what people write into what the engine reads: API objects and folders of manifests become
// declarations (package access), and record files become records. It says what is wrong, in which file and line.
//
// It decides nothing about access, talks to no cluster, and writes no file.
package manifest
