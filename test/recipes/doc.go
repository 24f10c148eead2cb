// Package recipes tests the recipes for CI in examples/ci as a pull request meets them: a repository, a branch with an edit, the
// steps of the workflow as they stand in its file, and a host that speaks GitHub's and GitLab's comments. It holds nothing
// that is shipped.
package recipes
