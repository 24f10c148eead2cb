package manifest

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/config/crd"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

// admission checks objects of one kind offline as the API server does on create: unknown fields, defaults, metadata,
// schema and CEL rules, by the same code and the same definition.
type admission struct {
	kind       string
	structural *structuralschema.Structural
	schema     schemavalidation.SchemaValidator
	rules      *cel.Validator
	shape      *shape
}

// admissions are the checks of every kind. Compiling the rules takes a while, so it is done once.
var admissions = sync.OnceValues(func() (map[string]*admission, error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	out := make(map[string]*admission, len(files))
	for _, file := range files {
		data, err := crd.Bases.ReadFile(file)
		if err != nil {
			return nil, err
		}
		a, err := newAdmission(data)
		if err != nil {
			return nil, fmt.Errorf("read the definition %s: %w", file, err)
		}
		out[a.kind] = a
	}
	return out, nil
})

func newAdmission(definition []byte) (*admission, error) {
	var in apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(definition, &in); err != nil {
		return nil, err
	}
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		in.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(&props)
	if err != nil {
		return nil, err
	}
	validator, _, err := schemavalidation.NewSchemaValidator(&props)
	if err != nil {
		return nil, err
	}
	env, err := ruleEnvironment()
	if err != nil {
		return nil, err
	}
	return &admission{
		shape:      newObjectShape(structural, env),
		kind:       in.Spec.Names.Kind,
		structural: structural,
		schema:     validator,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}, nil
}

// refusal is one reason why an object would not be admitted.
type refusal struct{ path, message string }

// review completes the object with the defaults, as the server would store it, and says why it would be refused.
func (a *admission) review(object map[string]any) []refusal {
	delete(object, "status") // the server drops it: only the operator writes a status
	if a.shape.admits(object) {
		return nil
	}
	return a.reviewAsServer(object)
}

// reviewAsServer does what review does, by the API server's own code.
func (a *admission) reviewAsServer(object map[string]any) []refusal {
	meta, refusals := a.metadata(object)
	unknown := pruning.PruneWithOptions(object, a.structural, true,
		structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	slices.Sort(unknown)
	for _, path := range unknown {
		if !strings.HasPrefix(path, "metadata.") {
			parent, name := cutPath(path)
			refusals = append(refusals, refusal{path, "unknown field" + didYouMean(name, a.fieldsOf(parent))})
		}
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, a.structural)
	defaulting.Default(object, a.structural)

	errs := schemavalidation.ValidateCustomResource(nil, object, a.schema)
	if meta != nil {
		errs = append(errs, metavalidation.ValidateObjectMeta(meta, true, metavalidation.NameIsDNSSubdomain, field.NewPath("metadata"))...)
		errs = append(errs, listtype.ValidateListSetsAndMaps(nil, a.structural, object)...)
	}
	// Rules read fields whose type they trust, so the server does not evaluate them on such objects either.
	if meta != nil && !slices.ContainsFunc(errs, blocksRules) {
		found, _ := a.rules.Validate(context.Background(), nil, a.structural, object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, found...)
	}
	for _, e := range errs {
		refusals = append(refusals, refusal{pathOf(e), e.ErrorBody()})
	}
	// The server's code goes through members in no certain order.
	slices.SortFunc(refusals, func(a, b refusal) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.message, b.message)) })
	return refusals
}

// metadata reads the object's metadata; nil where it cannot be used. A manifest may leave the namespace to whoever
// applies it.
func (a *admission) metadata(object map[string]any) (*metav1.ObjectMeta, []refusal) {
	if metadata, found := object["metadata"]; found {
		if _, ok := metadata.(map[string]any); !ok {
			return nil, nil // the schema says it better
		}
	}
	meta, found, unknown, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, []refusal{{"metadata", err.Error()}}
	}
	if !found {
		return nil, []refusal{{"metadata", "Required value: an object needs metadata.name"}}
	}
	var refusals []refusal
	slices.Sort(unknown)
	for _, path := range unknown {
		_, name := cutPath(path)
		refusals = append(refusals, refusal{path, "unknown field" + didYouMean(name, metadataFields)})
	}
	if meta.Namespace == "" {
		meta.Namespace = metav1.NamespaceDefault
	}
	if meta.Name == "" && meta.GenerateName != "" {
		return nil, append(refusals, refusal{"metadata.name", "Required value: what is kept in files needs a name, not generateName"})
	}
	return meta, refusals
}

var metadataFields = []string{"name", "namespace", "labels", "annotations"}

// blocksRules says whether the server would skip the CEL rules because of this error.
func blocksRules(e *field.Error) bool {
	switch e.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

// pathOf is the path of the error inside the object; rules on the whole object have none.
func pathOf(e *field.Error) string {
	if e.Field == "<nil>" {
		return ""
	}
	return e.Field
}

// didYouMean is the end of a message about an unknown word.
func didYouMean(word string, known []string) string {
	if near := access.Nearest(word, slices.Values(known)); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// fieldsOf lists the fields that the schema knows at a place.
func (a *admission) fieldsOf(steps []step) []string {
	at := a.structural
	for _, step := range steps {
		switch {
		case at == nil:
			return nil
		case step.index >= 0:
			at = at.Items
		case at.AdditionalProperties != nil:
			at = at.AdditionalProperties.Structural
		default:
			next, ok := at.Properties[step.key]
			if !ok {
				return nil
			}
			at = &next
		}
	}
	if at == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(at.Properties))
}
