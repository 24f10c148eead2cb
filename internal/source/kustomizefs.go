package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// kustomizeFS is a tree as kustomize sees it, with the tree's root as /. Every kustomization that kustomize reads passes
// here, whoever takes it in: one that would have it fetch something or run a program is refused before it does.
type kustomizeFS struct {
	tree *tree
	// outermost is the kustomization that is asked to tell where objects come from.
	outermost string
	faults    []*manifest.Fault
}

var errReadOnly = errors.New("a tree that is compared is not written to")

// refused joins what was refused.
func (k *kustomizeFS) refused() error {
	all := make([]error, len(k.faults))
	for i, fault := range k.faults {
		all[i] = fault
	}
	return errors.Join(all...)
}

// inTree is the name in the tree of a path from its root.
func inTree(name string) string {
	clean := strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(name)), "/")
	if clean == "" {
		return "."
	}
	return clean
}

// ReadFile reads a file; a kustomization only if nothing is wrong with it.
func (k *kustomizeFS) ReadFile(name string) ([]byte, error) {
	file := inTree(name)
	data, err := readSmall(k.tree.fsys, file)
	if err != nil || !slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(file)) {
		return data, err
	}
	var root yamlv3.Node
	if yamlv3.Unmarshal(data, &root) != nil || len(root.Content) == 0 {
		return data, nil // kustomize says it better
	}
	if faults := refusedIn(root.Content[0], k.tree.display(file)); len(faults) > 0 {
		k.faults = append(k.faults, faults...)
		return nil, faults[0]
	}
	if file != k.outermost {
		return data, nil
	}
	return tellingOrigins(root.Content[0])
}

// readSmall reads a file of a size that manifests can have.
func readSmall(fsys fs.FS, name string) ([]byte, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read from
	if info, err := file.Stat(); err != nil || info.Size() > manifest.MaxFileSize {
		return nil, errors.Join(err, fmt.Errorf("is larger than %d MiB", manifest.MaxFileSize>>20))
	}
	return io.ReadAll(file)
}

// tellingOrigins is the kustomization with the order to say of each object where it comes from.
func tellingOrigins(root *yamlv3.Node) ([]byte, error) {
	const option = "originAnnotations"
	list := memberOf(root, "buildMetadata")
	if list == nil {
		list = &yamlv3.Node{Kind: yamlv3.SequenceNode}
		root.Content = append(root.Content, &yamlv3.Node{Kind: yamlv3.ScalarNode, Value: "buildMetadata"}, list)
	}
	if !slices.ContainsFunc(list.Content, func(n *yamlv3.Node) bool { return n.Value == option }) {
		list.Content = append(list.Content, &yamlv3.Node{Kind: yamlv3.ScalarNode, Value: option})
	}
	return yamlv3.Marshal(root)
}

// refusedIn is what a kustomization must not ask for.
func refusedIn(root *yamlv3.Node, file string) (faults []*manifest.Fault) {
	refuse := func(at *yamlv3.Node, message string) {
		faults = append(faults, &manifest.Fault{Source: manifest.Source{File: file, Line: at.Line}, Message: message})
	}
	for _, name := range []string{"generators", "transformers", "validators", "helmCharts", "helmChartInflationGenerator", "helmGlobals"} {
		if at := memberOf(root, name); at != nil && len(at.Content) > 0 {
			refuse(at, name+": neither plugins nor charts are run for a plan: render it, and hand the result to --head-dir -")
		}
	}
	places := entriesOf(root, "resources", "bases", "components", "crds", "configurations", "patchesStrategicMerge")
	for _, entry := range entriesOf(root, "patches", "patchesJson6902", "replacements") {
		places = append(places, memberOf(entry, "path"))
	}
	if at := memberOf(root, "openapi"); at != nil {
		places = append(places, memberOf(at, "path"))
	}
	for _, entry := range entriesOf(root, "configMapGenerator", "secretGenerator") {
		places = append(places, memberOf(entry, "env"))
		places = append(places, entriesOf(entry, "files", "envs")...)
	}
	for _, place := range places {
		if place != nil && isElsewhere(place.Value) {
			refuse(place, fmt.Sprintf("%s is not in this tree, and no network is asked for a plan: keep a copy beside the kustomization", place.Value))
		}
	}
	return faults
}

// isElsewhere says whether kustomize might take a place for one on another machine: an address, a repository, host:path.
func isElsewhere(place string) bool {
	if strings.Contains(place, "\n") {
		return false // a patch, written out
	}
	lower := strings.ToLower(place)
	return strings.Contains(lower, ":") || strings.Contains(lower, "@") || strings.HasPrefix(lower, "github.com")
}

// IsDir says whether a path is a folder.
func (k *kustomizeFS) IsDir(name string) bool {
	info, err := fs.Stat(k.tree.fsys, inTree(name))
	return err == nil && info.IsDir()
}

// Exists says whether there is something at a path.
func (k *kustomizeFS) Exists(name string) bool {
	_, err := fs.Stat(k.tree.fsys, inTree(name))
	return err == nil
}

// CleanedAbs divides a path into folder and file.
func (k *kustomizeFS) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	clean := path.Clean("/" + filepath.ToSlash(name))
	switch {
	case k.IsDir(clean):
		return filesys.ConfirmedDir(clean), "", nil
	case k.Exists(clean):
		return filesys.ConfirmedDir(path.Dir(clean)), path.Base(clean), nil
	}
	return "", "", fmt.Errorf("there is no %s in this tree", inTree(name))
}

// ReadDir lists the names in a folder.
func (k *kustomizeFS) ReadDir(name string) ([]string, error) {
	entries, err := fs.ReadDir(k.tree.fsys, inTree(name))
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, err
}

// Glob lists the paths that match.
func (k *kustomizeFS) Glob(pattern string) ([]string, error) {
	matches, err := fs.Glob(k.tree.fsys, inTree(pattern))
	for i := range matches {
		matches[i] = "/" + matches[i]
	}
	return matches, err
}

// The rest of what kustomize asks of a file system is for charts and for writing, which no plan does.

// Walk is refused.
func (k *kustomizeFS) Walk(string, filepath.WalkFunc) error { return errReadOnly }

// Open is refused.
func (k *kustomizeFS) Open(string) (filesys.File, error) { return nil, errReadOnly }

// Create is refused.
func (k *kustomizeFS) Create(string) (filesys.File, error) { return nil, errReadOnly }

// Mkdir is refused.
func (k *kustomizeFS) Mkdir(string) error { return errReadOnly }

// MkdirAll is refused.
func (k *kustomizeFS) MkdirAll(string) error { return errReadOnly }

// RemoveAll is refused.
func (k *kustomizeFS) RemoveAll(string) error { return errReadOnly }

// WriteFile is refused.
func (k *kustomizeFS) WriteFile(string, []byte) error { return errReadOnly }
