package manifest

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// The functions below turn an API object into the engine's declaration. They fail on values that admission refuses
// (an object may be older than the rule that refuses it, or come from a file); the error then lists every fault as
// Kind/name: path: what. Names refer to other objects and are not looked up here.
//
// Every text that the engine compares is normalised to NFC: 'é' typed as one character or as two is the same title.

// Declare converts any object of the API and adds it to the declarations. A PermissionStore declares no access and
// adds nothing.
func Declare(into *access.Declarations, object v1alpha1.Object) error {
	declaration, err := convert(object)
	if err != nil {
		return err
	}
	add(into, declaration)
	return nil
}

// convert makes any object of the API the declaration of its kind: an *access.Role and so on, nil of a PermissionStore.
func convert(object v1alpha1.Object) (any, error) {
	switch o := object.(type) {
	case *v1alpha1.Role:
		return Role(o)
	case *v1alpha1.UserBinding:
		return UserBinding(o)
	case *v1alpha1.TemporaryGrant:
		return TemporaryGrant(o)
	case *v1alpha1.User:
		return User(o)
	case *v1alpha1.Department:
		return Department(o)
	case *v1alpha1.ObjectType:
		return ObjectType(o)
	case *v1alpha1.Guardrail:
		return Guardrail(o)
	case *v1alpha1.Approval:
		return Approval(o)
	case *v1alpha1.Revocation:
		return Revocation(o)
	case *v1alpha1.PermissionStore:
		return nil, nil
	}
	return nil, fmt.Errorf("%T is no kind of %s", object, v1alpha1.Group)
}

// add takes what convert made.
func add(into *access.Declarations, declaration any) {
	switch d := declaration.(type) {
	case *access.Role:
		into.Roles = append(into.Roles, d)
	case *access.UserBinding:
		into.UserBindings = append(into.UserBindings, d)
	case *access.TemporaryGrant:
		into.TemporaryGrants = append(into.TemporaryGrants, d)
	case *access.User:
		into.Users = append(into.Users, d)
	case *access.Department:
		into.Departments = append(into.Departments, d)
	case *access.ObjectType:
		into.ObjectTypes = append(into.ObjectTypes, d)
	case *access.Guardrail:
		into.Guardrails = append(into.Guardrails, d)
	case *access.Approval:
		into.Approvals = append(into.Approvals, d)
	case *access.Revocation:
		into.Revocations = append(into.Revocations, d)
	}
}

// Role declares a role.
func Role(in *v1alpha1.Role) (*access.Role, error) {
	c := converting(access.KindRole, in.Name)
	out := &access.Role{
		Name:        in.Name,
		DisplayName: text(in.Spec.DisplayName),
		Abstract:    in.Spec.Abstract,
		Privileged:  in.Spec.Privileged,
	}
	for _, i := range in.Spec.Inherits {
		inheritance := access.Inheritance{Role: text(i.Role)}
		for _, m := range i.Mute {
			inheritance.Mute = append(inheritance.Mute, access.Mute{Object: text(m.Object), Actions: texts(m.Actions)})
		}
		out.Inherits = append(out.Inherits, inheritance)
	}
	for i, g := range in.Spec.Grants {
		path := fmt.Sprintf("spec.grants[%d]", i)
		out.Grants = append(out.Grants, access.Grant{
			Object:  text(g.Object),
			Actions: texts(g.Actions),
			Records: access.Records{Scopes: c.scopes(path+".scopes", g.Scopes)},
			Where:   c.conditions(path+".where", g.Where),
			Fields:  c.fieldRules(path+".fields", g.Fields),
		})
	}
	return converted(c, out)
}

// UserBinding declares a binding.
func UserBinding(in *v1alpha1.UserBinding) (*access.UserBinding, error) {
	c := converting(access.KindUserBinding, in.Name)
	out := &access.UserBinding{
		Name:          in.Name,
		Roles:         texts(in.Spec.Roles),
		Justification: text(in.Spec.Justification),
		RequestedBy:   text(in.Spec.RequestedBy),
	}
	for i, s := range in.Spec.Subjects {
		if (s.User == "") == (s.Selector == nil) {
			c.failf(fmt.Sprintf("spec.subjects[%d]", i), "needs exactly one of user and selector")
			continue
		}
		out.Subjects = append(out.Subjects, c.subject(fmt.Sprintf("spec.subjects[%d].selector", i), s))
	}
	return converted(c, out)
}

// TemporaryGrant declares a temporary grant.
func TemporaryGrant(in *v1alpha1.TemporaryGrant) (*access.TemporaryGrant, error) {
	c := converting(access.KindTemporaryGrant, in.Name)
	out := &access.TemporaryGrant{
		Name:        in.Name,
		Users:       texts(in.Spec.Users),
		Roles:       texts(in.Spec.Roles),
		Window:      c.window(in.Spec.NotBefore, in.Spec.NotAfter),
		Reason:      text(in.Spec.Reason),
		RequestedBy: text(in.Spec.RequestedBy),
		Ticket:      text(in.Spec.Ticket),
		Emergency:   in.Spec.Emergency,
	}
	for i, g := range in.Spec.Grants {
		path := fmt.Sprintf("spec.grants[%d]", i)
		grant := access.Grant{
			Object:  text(g.Object),
			Actions: texts(g.Actions),
			Records: c.records(path+".records", g.Records),
			Where:   c.conditions(path+".where", g.Where),
			Fields:  c.fieldRules(path+".fields", g.Fields),
			Users:   texts(g.Users),
		}
		if g.OnlyFields != nil {
			// A list without fields still means that every field is none; nil would mean no restriction.
			grant.OnlyFields = append([]string{}, texts(g.OnlyFields)...)
		}
		for j, user := range g.Users {
			if !slices.Contains(in.Spec.Users, user) {
				c.failf(fmt.Sprintf("%s.users[%d]", path, j), "%q is not among spec.users", user)
			}
		}
		out.Grants = append(out.Grants, grant)
	}
	return converted(c, out)
}

// User declares an account.
func User(in *v1alpha1.User) (*access.User, error) {
	c := converting(access.KindUser, in.Name)
	out := &access.User{
		Name:        in.Name,
		DisplayName: text(in.Spec.DisplayName),
		Title:       text(in.Spec.Title),
		Type: oneOf(c, "spec.type", access.UserType(in.Spec.Type),
			access.UserEmployee, access.UserExternal, access.UserService),
		State: oneOf(c, "spec.state", access.UserState(in.Spec.State),
			access.StateActive, access.StateSuspended, access.StateDeparted),
		Manager:   text(in.Spec.Manager),
		Successor: text(in.Spec.Successor),
	}
	if in.Spec.Department != "" {
		out.Departments = append(out.Departments, text(in.Spec.Department))
	}
	for _, d := range in.Spec.OtherDepartments {
		if !slices.Contains(out.Departments, text(d)) {
			out.Departments = append(out.Departments, text(d))
		}
	}
	for _, identity := range in.Spec.Identities {
		// Not normalised: Kubernetes takes two spellings of a username for two people, and so does who approves.
		if identity.Username != "" && !slices.Contains(out.Identities, identity.Username) {
			out.Identities = append(out.Identities, identity.Username)
		}
		out.Logins = append(out.Logins, access.Login{Issuer: text(identity.Issuer), Subject: text(identity.Subject), Username: text(identity.Username)})
	}
	return converted(c, out)
}

// Department declares a department.
func Department(in *v1alpha1.Department) (*access.Department, error) {
	return &access.Department{
		Name:        in.Name,
		DisplayName: text(in.Spec.DisplayName),
		Parent:      text(in.Spec.Parent),
		Manager:     text(in.Spec.Manager),
	}, nil
}

// ObjectType declares a CRM object.
func ObjectType(in *v1alpha1.ObjectType) (*access.ObjectType, error) {
	c := converting(access.KindObjectType, in.Name)
	out := &access.ObjectType{
		Name:            in.Name,
		DisplayName:     text(in.Spec.DisplayName),
		Disabled:        oneOf(c, "spec.state", in.Spec.State, v1alpha1.StateEnabled, v1alpha1.StateDisabled) != v1alpha1.StateEnabled,
		LabelField:      text(in.Spec.LabelField),
		OwnerField:      text(in.Spec.OwnerField),
		DepartmentField: text(in.Spec.DepartmentField),
		Actions:         texts(in.Spec.Actions),
	}
	if from := in.Spec.AccessFrom; from != nil {
		out.AccessFrom = access.AccessFrom{Object: text(from.Object), Field: text(from.Field)}
	}
	if in.Spec.Storage != nil {
		out.Storage = storage(in.Spec.Storage)
	}
	for _, v := range in.Spec.Variants {
		out.Variants = append(out.Variants, access.Variant{Action: text(v.Action), Of: text(v.Of), Property: text(v.Property), Value: text(v.Value)})
	}
	for i, f := range in.Spec.Fields {
		path := fmt.Sprintf("spec.fields[%d]", i)
		out.Fields = append(out.Fields, access.Field{
			Name:  text(f.Name),
			Class: parsed(c, path+".class", access.ParseClass, string(f.Class)),
			Mask:  c.mask(path+".mask.type", f.Mask),
		})
	}
	return converted(c, out)
}

func storage(in *v1alpha1.Storage) access.Storage {
	out := access.Storage{
		Table: in.Table, ID: text(in.ID), Owner: text(in.Owner), Department: text(in.Department),
		Participants: text(in.Participants), Creator: text(in.Creator),
	}
	if in.Tenant != nil {
		out.TenantColumn, out.TenantValue = text(in.Tenant.Column), text(in.Tenant.Value)
	}
	if len(in.Columns) > 0 {
		out.Columns = make(map[string]string, len(in.Columns))
	}
	for field, column := range in.Columns {
		out.Columns[text(field)] = text(column)
	}
	return out
}

// conversion collects the faults of one object, so that its author sees all of them at once.
type conversion struct {
	ref    access.Ref
	faults []*Fault
}

func converting(kind access.Kind, name string) *conversion {
	return &conversion{ref: access.Ref{Kind: kind, Name: name}}
}

func (c *conversion) failf(path, format string, args ...any) {
	c.faults = append(c.faults, &Fault{Ref: c.ref, Path: path, Message: fmt.Sprintf(format, args...)})
}

// converted returns the declaration, or all faults and no declaration: half a declaration must not confer anything.
func converted[T any](c *conversion, out *T) (*T, error) {
	if len(c.faults) > 0 {
		return nil, joined(c.faults)
	}
	return out, nil
}

func (c *conversion) subject(path string, s v1alpha1.Subject) access.Subject {
	if s.Selector == nil {
		return access.Subject{User: text(s.User)}
	}
	if (s.Selector.Department == "") == (s.Selector.DepartmentTree == "") {
		c.failf(path, "needs exactly one of department and departmentTree")
	}
	return access.Subject{Selector: access.Selector{
		Department:     text(s.Selector.Department),
		DepartmentTree: text(s.Selector.DepartmentTree),
		Title:          text(s.Selector.Title),
	}}
}

// window reads the two instants. An unset notBefore means always; an unset or unreadable notAfter leaves the window
// empty, so that a faulty object can never give access without an end.
func (c *conversion) window(notBefore, notAfter v1alpha1.Instant) schedule.Window {
	window := schedule.Window{NotBefore: schedule.Always, NotAfter: c.instant("spec.notAfter", notAfter)}
	if notBefore != "" {
		window.NotBefore = c.instant("spec.notBefore", notBefore)
	}
	if len(c.faults) == 0 && window.Empty() {
		c.failf("spec.notAfter", "%s is not later than notBefore, %s", notAfter, notBefore)
	}
	return window
}

func (c *conversion) instant(path string, in v1alpha1.Instant) schedule.Instant {
	out, err := schedule.Parse(string(in))
	if err == nil && out.Time().Year() > 9999 {
		err = fmt.Errorf("instant %q: want one before the year 10000", string(in))
	}
	if err != nil {
		c.failf(path, "%v", err)
		return schedule.Always
	}
	return out
}

func (c *conversion) scopes(path string, in []v1alpha1.Scope) access.Scopes {
	out, err := access.ParseScopes(texts(in))
	if err != nil {
		c.failf(path, "%v", err)
	}
	return out
}

func (c *conversion) records(path string, in v1alpha1.RecordSelector) access.Records {
	set := 0
	for _, size := range []int{len(in.IDs), len(in.Owners), len(in.Departments), len(in.DepartmentTrees), len(in.Scopes)} {
		if size > 0 {
			set++
		}
	}
	if set != 1 {
		c.failf(path, "needs exactly one of ids, owners, departments, departmentTrees and scopes")
	}
	return access.Records{
		Scopes:          c.scopes(path+".scopes", in.Scopes),
		IDs:             texts(in.IDs),
		Owners:          texts(in.Owners),
		Departments:     texts(in.Departments),
		DepartmentTrees: texts(in.DepartmentTrees),
	}
}

func (c *conversion) conditions(path string, in []v1alpha1.Condition) []access.Condition {
	var out []access.Condition
	for i, cond := range in {
		at := fmt.Sprintf("%s[%d]", path, i)
		operator := access.Operator(cond.Operator)
		switch operator {
		case access.OperatorIn, access.OperatorNotIn:
			if len(cond.Values) == 0 {
				c.failf(at+".values", "operator %s needs at least one value", operator)
			}
		case access.OperatorExists:
			if len(cond.Values) > 0 {
				c.failf(at+".values", "operator Exists takes no values")
			}
		default:
			c.failf(at+".operator", "unknown operator %q: want one of In, NotIn, Exists", cond.Operator)
		}
		out = append(out, access.Condition{Field: text(cond.Field), Operator: operator, Values: texts(cond.Values)})
	}
	return out
}

func (c *conversion) fieldRules(path string, in []v1alpha1.FieldRule) []access.FieldRule {
	var out []access.FieldRule
	for i, r := range in {
		at := fmt.Sprintf("%s[%d]", path, i)
		if (r.Field == "") == (r.Class == "") {
			c.failf(at, "needs exactly one of field and class")
			continue
		}
		rule := access.FieldRule{Field: text(r.Field), Level: parsed(c, at+".level", access.ParseLevel, string(r.Level))}
		if r.Class != "" {
			rule.Class = parsed(c, at+".class", access.ParseClass, string(r.Class))
		}
		out = append(out, rule)
	}
	return out
}

func (c *conversion) mask(path string, in *v1alpha1.Mask) access.Mask {
	if in == nil {
		return access.Mask{}
	}
	return access.Mask{
		Type: oneOf(c, path, in.Type,
			v1alpha1.MaskKeep, v1alpha1.MaskEmail, v1alpha1.MaskYear, v1alpha1.MaskFull, v1alpha1.MaskListed),
		KeepFirst: int(in.KeepFirst),
		KeepLast:  int(in.KeepLast),
	}
}

// parsed reads an enumerated value, or notes the fault and returns the zero value, which is the narrowest.
func parsed[T any](c *conversion, path string, parse func(string) (T, error), in string) T {
	out, err := parse(in)
	if err != nil {
		c.failf(path, "%v", err)
	}
	return out
}

// oneOf returns the value if it is one of those allowed, the first of them (the API's default) where it is unset, and
// notes a fault otherwise.
func oneOf[T ~string](c *conversion, path string, in T, allowed ...T) T {
	if in == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, in) {
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		c.failf(path, "unknown value %q: want one of %s", in, strings.Join(names, ", "))
	}
	return in
}

// text is the normalised form in which two spellings of the same characters are equal.
func text[T ~string](in T) string { return norm.NFC.String(string(in)) }

func texts[T ~string](in []T) []string {
	if in == nil {
		return nil
	}
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = text(s)
	}
	return out
}
