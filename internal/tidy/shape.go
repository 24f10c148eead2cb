package tidy

import (
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
)

// shape is how a value of one Go type of the API is written.
type shape struct {
	goType reflect.Type
	// fields are the keys of a struct in their order.
	fields []string
	types  map[string]reflect.Type
}

// kinds are the types of the API by their kind.
var kinds = map[string]reflect.Type{
	"Approval":        reflect.TypeFor[v1alpha1.Approval](),
	"Department":      reflect.TypeFor[v1alpha1.Department](),
	"Guardrail":       reflect.TypeFor[v1alpha1.Guardrail](),
	"ObjectType":      reflect.TypeFor[v1alpha1.ObjectType](),
	"PermissionStore": reflect.TypeFor[v1alpha1.PermissionStore](),
	"Revocation":      reflect.TypeFor[v1alpha1.Revocation](),
	"Role":            reflect.TypeFor[v1alpha1.Role](),
	"TemporaryGrant":  reflect.TypeFor[v1alpha1.TemporaryGrant](),
	"User":            reflect.TypeFor[v1alpha1.User](),
	"UserBinding":     reflect.TypeFor[v1alpha1.UserBinding](),
}

// opened are the types that take a line a field, however short they are: what is read and changed field by field.
var opened = map[reflect.Type]bool{
	reflect.TypeFor[metav1.ObjectMeta]():            true,
	reflect.TypeFor[v1alpha1.ApprovalSpec]():        true,
	reflect.TypeFor[v1alpha1.DepartmentSpec]():      true,
	reflect.TypeFor[v1alpha1.GuardrailSpec]():       true,
	reflect.TypeFor[v1alpha1.ObjectTypeSpec]():      true,
	reflect.TypeFor[v1alpha1.PermissionStoreSpec](): true,
	reflect.TypeFor[v1alpha1.RevocationSpec]():      true,
	reflect.TypeFor[v1alpha1.RoleSpec]():            true,
	reflect.TypeFor[v1alpha1.TemporaryGrantSpec]():  true,
	reflect.TypeFor[v1alpha1.UserSpec]():            true,
	reflect.TypeFor[v1alpha1.UserBindingSpec]():     true,

	reflect.TypeFor[v1alpha1.GuardrailRule]():       true,
	reflect.TypeFor[v1alpha1.Identity]():            true,
	reflect.TypeFor[v1alpha1.RoleGrant]():           true,
	reflect.TypeFor[v1alpha1.Storage]():             true,
	reflect.TypeFor[v1alpha1.TemporaryGrantEntry](): true,
}

// shapeOf reads the order of keys off a type. A type that is not known keeps the order that it has.
func shapeOf(t reflect.Type) shape {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := shape{goType: t}
	if t == nil || t.Kind() != reflect.Struct {
		return s
	}
	s.types = make(map[string]reflect.Type)
	s.addFields(t)
	return s
}

func (s *shape) addFields(t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Type == reflect.TypeFor[metav1.TypeMeta]() {
			s.fields = append(s.fields, "apiVersion", "kind") // everybody writes them in this order, the type has the other
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			s.addFields(field.Type)
			continue
		}
		s.fields = append(s.fields, name)
		s.types[name] = field.Type
	}
}

// opens says whether the value takes a line a key. What is not known does, and so do true maps, such as labels.
func (s shape) opens() bool {
	return !s.known() || s.goType.Kind() == reflect.Map || opened[s.goType] || kinds[s.goType.Name()] == s.goType
}

// instant says whether the value is an instant, which is always quoted: some readers of YAML have a type for dates.
func instant(s shape) bool { return s.goType == reflect.TypeFor[v1alpha1.Instant]() }

// known says whether anything is known of the values of the type.
func (s shape) known() bool { return s.goType != nil }

// key is the type below a key.
func (s shape) key(name string) reflect.Type {
	if s.known() && s.goType.Kind() == reflect.Map {
		return s.goType.Elem()
	}
	return s.types[name]
}

// item is the type of the items of a list.
func (s shape) item() reflect.Type {
	if s.known() && s.goType.Kind() == reflect.Slice {
		return s.goType.Elem()
	}
	return nil
}

// asWritten are the lists of names that people are shown in the order in which they are written.
var asWritten = map[reflect.Type][]string{
	reflect.TypeFor[v1alpha1.ObjectTypeSpec](): {"actions"},
	reflect.TypeFor[v1alpha1.LimitRule]():      {"objects", "actions"},
	reflect.TypeFor[v1alpha1.DenyRule]():       {"objects", "actions"},
	reflect.TypeFor[v1alpha1.ApproveRule]():    {"objects", "actions"},
	reflect.TypeFor[v1alpha1.CapRule]():        {"objects", "fields"},
}

// isSet says whether the order of the values of a list means nothing, not even to whoever reads them.
func (s shape) isSet(owner shape, key string) bool {
	item := s.item()
	return item != nil && item.Kind() == reflect.String && !slices.Contains(asWritten[owner.goType], key)
}

// compare orders two keys of a map: fields as the type has them, then what the type does not know, as it stands; the keys
// of a true map by the alphabet.
func (s shape) compare(a, b string) int {
	if s.known() && s.goType.Kind() == reflect.Map {
		return strings.Compare(a, b)
	}
	return s.rank(a) - s.rank(b)
}

func (s shape) rank(key string) int {
	if i := slices.Index(s.fields, key); i >= 0 {
		return i
	}
	return len(s.fields)
}

// words are the types whose values have an order of their own, the narrowest or least sensitive first.
var words = map[reflect.Type][]string{
	reflect.TypeFor[v1alpha1.Scope]():            {"own", "involved", "subordinates", "department", "departmentAndBelow", "all"},
	reflect.TypeFor[v1alpha1.SensitivityClass](): {"public", "internal", "confidential", "restricted", "secret"},
}

// compareValues orders two values of a set.
func compareValues(item reflect.Type, a, b string) int {
	if order := words[item]; slices.Contains(order, a) && slices.Contains(order, b) {
		return slices.Index(order, a) - slices.Index(order, b)
	}
	return strings.Compare(a, b)
}
