package source

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// tree is a file system of manifests, of which what a kustomization takes in is rendered, and not read as it stands.
type tree struct {
	fsys    fs.FS
	display func(string) string
	read    func(displayed string) ([]byte, error)
}

// load reads what stands below a start: the kustomization there, or else every one below it that no other takes in, and all
// files that stand in no folder of a kustomization.
func (t *tree) load(reader *manifest.Reader, start string) (*manifest.Tree, error) {
	found, err := t.kustomizations(start)
	if err != nil {
		return nil, err
	}
	reading := reader.Start()
	for _, folder := range found.outermost(start) {
		objects, err := t.render(folder, found[folder].file)
		if err != nil {
			return nil, err
		}
		reading.Render(objects, t.read)
	}
	if found[start] == nil {
		if err := reading.Walk(t.fsys, start, t.display, func(folder string) bool { return found[folder] != nil }); err != nil {
			return nil, err
		}
	}
	return reading.Tree()
}

// kustomizations are those below a start, by their folder.
type kustomizations map[string]*kustomization

type kustomization struct {
	file string
	// uses are the folders that it takes in.
	uses []string
}

func (t *tree) kustomizations(start string) (kustomizations, error) {
	found := kustomizations{}
	err := fs.WalkDir(t.fsys, start, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // whoever reads the files says so
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case !entry.Type().IsRegular() || !slices.Contains(konfig.RecognizedKustomizationFileNames(), entry.Name()) || name == start:
			return nil
		}
		data, err := readSmall(t.fsys, name)
		if err != nil {
			return &manifest.Fault{Source: manifest.Source{File: t.display(name)}, Message: err.Error()}
		}
		var root yamlv3.Node
		k := &kustomization{file: name}
		if yamlv3.Unmarshal(data, &root) == nil && len(root.Content) > 0 {
			for _, entry := range entriesOf(root.Content[0], "resources", "bases", "components") {
				k.uses = append(k.uses, path.Join(path.Dir(name), entry.Value))
			}
		}
		found[path.Dir(name)] = k
		return nil
	})
	return found, err
}

// outermost are the folders whose kustomizations are rendered, in the order of their names.
func (k kustomizations) outermost(start string) []string {
	if k[start] != nil {
		return []string{start}
	}
	used := map[string]bool{}
	for _, one := range k {
		for _, folder := range one.uses {
			used[folder] = true
		}
	}
	var folders []string
	for folder := range k {
		if !used[folder] {
			folders = append(folders, folder)
		}
	}
	slices.Sort(folders)
	return folders
}

// render has kustomize make the objects of a kustomization, as kubectl apply -k does, but without network, programs and files
// outside the tree. Every object is told where it comes from.
func (t *tree) render(folder, file string) ([]manifest.Rendered, error) {
	files := &kustomizeFS{tree: t, outermost: file}
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/"+folder)
	if len(files.faults) > 0 {
		return nil, files.refused()
	}
	if err != nil {
		return nil, &manifest.Fault{Source: manifest.Source{File: t.display(file)}, Message: "cannot be rendered: " + strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	var objects []manifest.Rendered
	for _, r := range made.Resources() {
		if r.GetGvk().Group != v1alpha1.Group {
			continue
		}
		object, err := t.rendered(r, folder, file)
		if err != nil {
			return nil, fmt.Errorf("read what %s renders: %w", t.display(file), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// originAnnotation is what kustomize tells by where an object comes from.
const originAnnotation = "config.kubernetes.io/origin"

func (t *tree) rendered(r *resource.Resource, folder, file string) (manifest.Rendered, error) {
	origin, err := r.GetOrigin()
	if err != nil {
		return manifest.Rendered{}, err
	}
	from := file
	if origin != nil && origin.Path != "" {
		from = path.Join(folder, origin.Path)
	}
	annotations := r.GetAnnotations()
	delete(annotations, originAnnotation)
	if err := r.SetAnnotations(annotations); err != nil {
		return manifest.Rendered{}, err
	}
	text, err := r.MarshalJSON()
	if err != nil {
		return manifest.Rendered{}, err
	}
	made := manifest.Rendered{File: t.display(from), Kind: r.OrgId().Kind, Name: r.OrgId().Name}
	return made, utiljson.Unmarshal(text, &made.Object)
}

// entriesOf are the texts in the lists of these names.
func entriesOf(root *yamlv3.Node, names ...string) (entries []*yamlv3.Node) {
	for _, name := range names {
		if list := memberOf(root, name); list != nil {
			entries = append(entries, list.Content...)
		}
	}
	return entries
}

func memberOf(node *yamlv3.Node, name string) *yamlv3.Node {
	if node.Kind != yamlv3.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	return nil
}
