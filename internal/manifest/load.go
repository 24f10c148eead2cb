package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// MaxFileSize is the largest file that is read, in bytes.
const MaxFileSize = 10 << 20

// Tree is what a folder of manifests declares.
type Tree struct {
	// Tenants are by namespace; "" is that of manifests which leave the namespace to whoever applies them.
	Tenants map[string]*Tenant
	// Notes say what was left out and may not have been meant to be.
	Notes []Note
}

// Tenant is what the manifests of one namespace declare.
type Tenant struct {
	Namespace    string
	Declarations access.Declarations
	// Objects are the objects as the API server would store them, defaults included, and Sources where they stand.
	Objects map[access.Ref]v1alpha1.Object
	Sources map[access.Ref]Source
}

// Note is a remark about a file that is no error.
type Note struct {
	Source  Source
	Message string
}

// String is file:line: message.
func (n Note) String() string { return n.Source.String() + ": " + n.Message }

// Load reads every manifest below a folder, or one file, in the order of their names. Files are .yaml, .yml and .json;
// symbolic links are not followed. Objects of other API groups and files that are no manifests are left out.
//
// The error joins every fault (see Faults), with file and line: text that cannot be read, and all that an API server
// would refuse. The tree is returned also then, without what is wrong; whoever compares trees must not take the one
// for the other, since what is wrong would look as if it were gone.
func Load(path string) (*Tree, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	dir, only := path, "."
	if !info.IsDir() {
		dir, only = filepath.Dir(path), filepath.Base(path)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	return load(root.FS(), only, func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) })
}

// LoadFS reads every manifest of a file system, such as a tree of Git, as Load does.
func LoadFS(fsys fs.FS) (*Tree, error) {
	return load(fsys, ".", func(name string) string { return name })
}

func load(fsys fs.FS, start string, display func(string) string) (*Tree, error) {
	checks, err := admissions()
	if err != nil {
		return nil, err
	}
	l := &loader{fsys: fsys, display: display, checks: checks, tree: &Tree{Tenants: map[string]*Tenant{}}}
	if err := fs.WalkDir(fsys, start, l.visit); err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	return l.tree, joined(l.faults)
}

type loader struct {
	fsys    fs.FS
	display func(string) string
	checks  map[string]*admission
	tree    *Tree
	faults  []*Fault
}

func (l *loader) fail(source Source, format string, args ...any) {
	l.faults = append(l.faults, &Fault{Source: source, Message: fmt.Sprintf(format, args...)})
}

func (l *loader) note(source Source, format string, args ...any) {
	l.tree.Notes = append(l.tree.Notes, Note{Source: source, Message: fmt.Sprintf(format, args...)})
}

// visit reads one file. A file or folder that cannot be read is a fault and does not keep the others from being read.
func (l *loader) visit(name string, entry fs.DirEntry, err error) error {
	at := Source{File: l.display(name)}
	switch {
	case err != nil:
		l.fail(at, "cannot be read: %v", reason(err))
		if entry != nil && entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	case entry.IsDir():
		if entry.Name() == ".git" {
			return fs.SkipDir
		}
		return nil
	case entry.Type()&fs.ModeSymlink != 0:
		l.note(at, "is a symbolic link, which is not followed")
		return nil
	}
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
	default:
		return nil
	}
	if !entry.Type().IsRegular() {
		l.note(at, "is no regular file and is not read")
		return nil
	}
	l.file(name, at)
	return nil
}

func (l *loader) file(name string, at Source) {
	data, err := readLimited(l.fsys, name)
	if err != nil {
		l.fail(at, "%v", err)
		return
	}
	documents, faults := readDocuments(at.File, data)
	l.faults = append(l.faults, faults...)
	for _, d := range documents {
		l.object(d, d.root, d.value)
	}
}

// readLimited reads a file of a size that manifests can have.
func readLimited(fsys fs.FS, name string) ([]byte, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	defer func() { _ = file.Close() }() // it was only read from
	data, err := io.ReadAll(io.LimitReader(file, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("is larger than %d MiB: split it", MaxFileSize>>20)
	}
	return data, nil
}

// reason is a file error without its path, which the message already names.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// object takes one object of a document: the document itself, or an item of a List.
func (l *loader) object(d *document, node *yamlv3.Node, value any) {
	at := d.source(node, "")
	object, ok := value.(map[string]any)
	if !ok {
		return // a list or a text, such as a file of records: no manifest
	}
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	group, version, _ := strings.Cut(apiVersion, "/")
	switch {
	case group == v1alpha1.Group:
		l.ours(d, node, object, version, kind)
	case apiVersion == "" || kind == "":
		l.incomplete(at, object, apiVersion, kind)
	case kind == "List":
		l.items(d, node, object)
	case version != "" && slices.Contains(l.kinds(), kind) && access.Nearest(group, slices.Values([]string{v1alpha1.Group})) != "":
		l.note(d.source(node, "apiVersion"), "is of API group %s and is left out; did you mean %s?", group, v1alpha1.GroupVersion)
	}
}

// incomplete notes an object that looks like a manifest but cannot be applied.
func (l *loader) incomplete(at Source, object map[string]any, apiVersion, kind string) {
	_, hasMetadata := object["metadata"]
	_, hasSpec := object["spec"]
	switch {
	case apiVersion == "" && slices.Contains(l.kinds(), kind):
		l.note(at, "has kind %s but no apiVersion and is left out: add apiVersion: %s", kind, v1alpha1.GroupVersion)
	case hasMetadata && hasSpec && kind == "":
		l.note(at, "has metadata and spec but no kind and is left out: add apiVersion and kind")
	case hasMetadata && hasSpec && apiVersion == "":
		l.note(at, "has metadata and spec but no apiVersion and is left out: add apiVersion")
	}
}

func (l *loader) items(d *document, node *yamlv3.Node, list map[string]any) {
	items, _ := list["items"].([]any)
	nodes, _ := child(node, step{key: "items", index: -1})
	for i, item := range items {
		itemNode := node
		if nodes != nil {
			if n, _ := child(nodes, step{index: i}); n != nil {
				itemNode = n
			}
		}
		l.object(d, itemNode, item)
	}
}

func (l *loader) kinds() []string {
	return slices.Sorted(maps.Keys(l.checks))
}

// ours takes an object of this API: checks it as the API server would, and declares it.
func (l *loader) ours(d *document, node *yamlv3.Node, object map[string]any, version, kind string) {
	at := d.source(node, "")
	if version != v1alpha1.GroupVersion.Version {
		l.fail(d.source(node, "apiVersion"), "unknown version %q of %s: want %s", version, v1alpha1.Group, v1alpha1.GroupVersion)
		return
	}
	if element, isList := strings.CutSuffix(kind, "List"); isList && l.checks[element] != nil {
		l.items(d, node, object)
		return
	}
	check := l.checks[kind]
	if check == nil {
		l.fail(d.source(node, "kind"), "unknown kind %q of %s%s", kind, v1alpha1.Group, didYouMean(kind, l.kinds()))
		return
	}
	name, namespace := metadataOf(object)
	ref := access.Ref{Kind: access.Kind(kind), Name: name}
	tenant := l.tenant(namespace)
	if first, ok := tenant.Sources[ref]; ok {
		l.faults = append(l.faults, &Fault{Source: at, Ref: ref, Message: fmt.Sprintf("stands already at %s%s: keep one of the two", first, inNamespace(namespace))})
		return
	}
	refusals := check.review(object)
	for _, r := range refusals {
		l.faults = append(l.faults, &Fault{Source: d.source(node, r.path), Ref: ref, Path: r.path, Message: r.message})
	}
	if name != "" {
		tenant.Sources[ref] = at
	}
	if len(refusals) > 0 {
		return
	}
	l.declare(d, node, tenant, ref, object)
}

func (l *loader) declare(d *document, node *yamlv3.Node, tenant *Tenant, ref access.Ref, object map[string]any) {
	typed := newObject(ref.Kind)
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, typed)
	if err != nil {
		l.faults = append(l.faults, &Fault{Source: d.source(node, ""), Ref: ref, Message: err.Error()})
		return
	}
	if err := Declare(&tenant.Declarations, typed); err != nil {
		for _, f := range Faults(err) {
			f.Source = d.source(node, f.Path)
			l.faults = append(l.faults, f)
		}
		return
	}
	tenant.Objects[ref] = typed
}

func (l *loader) tenant(namespace string) *Tenant {
	tenant := l.tree.Tenants[namespace]
	if tenant == nil {
		tenant = &Tenant{Namespace: namespace, Objects: map[access.Ref]v1alpha1.Object{}, Sources: map[access.Ref]Source{}}
		l.tree.Tenants[namespace] = tenant
	}
	return tenant
}

func metadataOf(object map[string]any) (name, namespace string) {
	metadata, _ := object["metadata"].(map[string]any)
	name, _ = metadata["name"].(string)
	namespace, _ = metadata["namespace"].(string)
	return name, namespace
}

func inNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " for namespace " + namespace
}

// newObject makes an empty object of a kind that has a definition.
func newObject(kind access.Kind) v1alpha1.Object {
	switch kind {
	case access.KindRole:
		return &v1alpha1.Role{}
	case access.KindUserBinding:
		return &v1alpha1.UserBinding{}
	case access.KindTemporaryGrant:
		return &v1alpha1.TemporaryGrant{}
	case access.KindUser:
		return &v1alpha1.User{}
	case access.KindDepartment:
		return &v1alpha1.Department{}
	case access.KindObjectType:
		return &v1alpha1.ObjectType{}
	case access.KindGuardrail:
		return &v1alpha1.Guardrail{}
	case access.KindApproval:
		return &v1alpha1.Approval{}
	case access.KindRevocation:
		return &v1alpha1.Revocation{}
	case KindPermissionStore:
		return &v1alpha1.PermissionStore{}
	}
	panic("no type for kind " + string(kind))
}

// KindPermissionStore is the kind that declares no access: the engine does not know it, a Tenant's Objects do.
const KindPermissionStore access.Kind = "PermissionStore"
