package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// file is what one file holds. It depends on its content alone: its places name no file, since the same content may stand
// under several names. Once read it is not changed.
type file struct {
	objects []object
	notes   []Note
	faults  []*Fault
}

// object is an object of this API, as it stands in a file.
type object struct {
	ref       access.Ref
	namespace string
	at        Source
	// faults say why it would not be admitted; it then has no typed form.
	faults      []*Fault
	typed       v1alpha1.Object
	declaration any // what convert makes of it
}

// read reads the objects of a file.
func (checks checks) read(form form, data []byte) *file {
	documents, faults := readDocuments("", form, data)
	f := &fileReader{checks: checks, file: file{faults: faults}}
	for _, d := range documents {
		f.object(d, d.root, d.value)
	}
	return &f.file
}

// checks are the admissions of all kinds.
type checks map[string]*admission

func (checks checks) kinds() []string { return slices.Sorted(maps.Keys(checks)) }

// fileReader collects what a file holds.
type fileReader struct {
	checks checks
	file   file
}

func (f *fileReader) fail(source Source, format string, args ...any) {
	f.file.faults = append(f.file.faults, &Fault{Source: source, Message: fmt.Sprintf(format, args...)})
}

func (f *fileReader) note(source Source, format string, args ...any) {
	f.file.notes = append(f.file.notes, Note{Source: source, Message: fmt.Sprintf(format, args...)})
}

// object takes one object of a document: the document itself, or an item of a List.
func (f *fileReader) object(d *document, node *yamlv3.Node, value any) {
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
		f.ours(d, node, object, version, kind)
	case apiVersion == "" || kind == "":
		f.incomplete(at, object, apiVersion, kind)
	case kind == "List":
		f.items(d, node, object)
	case version != "" && f.checks[kind] != nil && access.Nearest(group, slices.Values([]string{v1alpha1.Group})) != "":
		f.note(d.source(node, "apiVersion"), "is of API group %s and is left out; did you mean %s?", group, v1alpha1.GroupVersion)
	}
}

// incomplete notes an object that looks like a manifest but cannot be applied.
func (f *fileReader) incomplete(at Source, object map[string]any, apiVersion, kind string) {
	_, hasMetadata := object["metadata"]
	_, hasSpec := object["spec"]
	switch {
	case apiVersion == "" && f.checks[kind] != nil:
		f.note(at, "has kind %s but no apiVersion and is left out: add apiVersion: %s", kind, v1alpha1.GroupVersion)
	case hasMetadata && hasSpec && kind == "":
		f.note(at, "has metadata and spec but no kind and is left out: add apiVersion and kind")
	case hasMetadata && hasSpec && apiVersion == "":
		f.note(at, "has metadata and spec but no apiVersion and is left out: add apiVersion")
	}
}

func (f *fileReader) items(d *document, node *yamlv3.Node, list map[string]any) {
	items, _ := list["items"].([]any)
	nodes, _ := child(node, step{key: "items", index: -1})
	for i, item := range items {
		itemNode := node
		if nodes != nil {
			if n, _ := child(nodes, step{index: i}); n != nil {
				itemNode = n
			}
		}
		f.object(d, itemNode, item)
	}
}

// ours takes an object of this API, and checks it as the API server would.
func (f *fileReader) ours(d *document, node *yamlv3.Node, value map[string]any, version, kind string) {
	if version != v1alpha1.GroupVersion.Version {
		f.fail(d.source(node, "apiVersion"), "unknown version %q of %s: want %s", version, v1alpha1.Group, v1alpha1.GroupVersion)
		return
	}
	if element, isList := strings.CutSuffix(kind, "List"); isList && f.checks[element] != nil {
		f.items(d, node, value)
		return
	}
	check := f.checks[kind]
	if check == nil {
		f.fail(d.source(node, "kind"), "unknown kind %q of %s%s", kind, v1alpha1.Group, didYouMean(kind, f.checks.kinds()))
		return
	}
	name, namespace := metadataOf(value)
	o := object{ref: access.Ref{Kind: access.Kind(kind), Name: name}, namespace: namespace, at: d.source(node, "")}
	for _, r := range check.review(value) {
		o.faults = append(o.faults, &Fault{Source: d.source(node, r.path), Ref: o.ref, Path: r.path, Message: r.message})
	}
	if len(o.faults) == 0 {
		o.declare(d, node, value)
	}
	f.file.objects = append(f.file.objects, o)
}

func (o *object) declare(d *document, node *yamlv3.Node, value map[string]any) {
	typed := newObject(o.ref.Kind)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(value, typed); err != nil {
		o.faults = append(o.faults, &Fault{Source: o.at, Ref: o.ref, Message: err.Error()})
		return
	}
	declaration, err := convert(typed)
	if err != nil {
		for _, f := range Faults(err) {
			f.Source = d.source(node, f.Path)
			o.faults = append(o.faults, f)
		}
		return
	}
	o.typed, o.declaration = typed, declaration
}

func metadataOf(object map[string]any) (name, namespace string) {
	metadata, _ := object["metadata"].(map[string]any)
	name, _ = metadata["name"].(string)
	namespace, _ = metadata["namespace"].(string)
	return name, namespace
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
