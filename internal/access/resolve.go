package access

import (
	"fmt"
	"slices"
	"strings"
)

// Resolution is what declarations come to, and what of them does not compile.
type Resolution struct {
	Facts Facts
	// Findings by declaration, in the order of its text.
	Findings map[Ref][]Finding
	// Admissions say of each UserBinding and TemporaryGrant that a guardrail makes wait how it stands with each of its
	// users, in their order.
	Admissions map[Ref][]Admission
	// Lifted are the revocations that an approved lift has ended, and the guardrails whose removal is approved.
	Lifted map[Ref]bool
}

// Admission is how it stands with what one user is to get by a UserBinding or TemporaryGrant that needs approval.
type Admission struct {
	User string
	// Effect is the digest of the effect document as of now, and Document its text.
	Effect   string
	Document []byte
	State    AdmissionState
	// Needed and Have count the approvals of the rule that lacks most of them.
	Needed, Have int
	// From says who may still approve, as people read it: "gao-yuan", "a regional-manager".
	From []string
	// Rule names the guardrail that asks; empty where it is the emergency alone.
	Rule string
	// Review says that the access counts already, in an emergency, and that approval is a look afterwards.
	Review bool
}

// AdmissionState says how much of the effect counts.
type AdmissionState string

// The states of an admission.
const (
	// Admitted: all of it counts.
	Admitted AdmissionState = "Admitted"
	// AdmittedInPart: what was approved before counts, and the rest waits.
	AdmittedInPart AdmissionState = "AdmittedInPart"
	// Awaiting: nothing counts before it is approved.
	Awaiting AdmissionState = "Awaiting"
	// Refused: an approver said no to just this effect.
	Refused AdmissionState = "Refused"
)

// Resolve turns declarations into facts. What does not compile confers nothing and becomes a finding; it never holds
// up another declaration. The result does not depend on the order of the declarations.
func Resolve(d Declarations) Resolution { return newResolver(d, nil).resolve() }

func (r *resolver) resolve() Resolution {
	r.resolveOrganisation()
	r.resolveRoles()
	r.resolveGuardrails()
	r.facts.Holders = make([]HolderFact, 0, len(r.declared.UserBindings)+len(r.declared.TemporaryGrants))
	r.resolveBindings()
	for _, g := range r.declared.TemporaryGrants {
		r.resolveTemporaryGrant(g)
	}
	r.identifyApprovers()
	r.resolveRevocations()
	r.addRoleTuples()
	r.admit()
	r.countHolders()
	r.findDutiesHeldTogether()
	r.resolveApprovals()
	return Resolution{Facts: r.facts, Findings: r.findings, Admissions: r.admissions, Lifted: r.lifted}
}

// resolver holds the indexes by name that references are looked up in.
type resolver struct {
	declared    Declarations
	basis       *resolver // what may be taken is taken from it; see Basis
	kept        *kept     // of a basis
	objects     map[string]*ObjectType
	actions     map[string]map[string]bool // by object
	fields      map[string]map[string]bool // by object
	departments map[string]*Department
	ancestors   map[string][]string // by department, itself first
	users       map[string]*User
	members     map[string][]*User // by department
	below       map[string][]*User // by department, its members and those of departments below; see membersBelow
	roles       map[string]*roleNode

	admitRules []*admitRule    // of all guardrails, in the order of their names and places
	offers     []*offer        // what waits for approvals
	bundles    map[string]bool // of entries of temporary grants, that have their tuples
	ballots    []*ballot
	approvals  map[Ref][]*ballot
	identities map[string][]*User // by username
	revoked    revoked
	documents  map[string][]byte        // the known effect documents, those of now among them, by digest
	effects    map[string]*AccessEffect // those that were read

	facts      Facts
	findings   map[Ref][]Finding
	admissions map[Ref][]Admission
	lifted     map[Ref]bool
}

// newResolver makes a resolver that takes from the basis what it may, if there is one.
func newResolver(d Declarations, basis *resolver) *resolver {
	r := &resolver{
		declared:   d,
		roles:      make(map[string]*roleNode, len(d.Roles)),
		bundles:    make(map[string]bool),
		documents:  make(map[string][]byte),
		findings:   make(map[Ref][]Finding),
		admissions: make(map[Ref][]Admission),
		lifted:     make(map[Ref]bool),
	}
	if basis != nil && d.standsOn(&basis.declared) {
		r.basis = basis
	}
	for _, role := range d.Roles {
		r.roles[role.Name] = &roleNode{role: role, bundle: RoleBundle(role.Name)}
	}
	return r
}

// indexOrganisation indexes objects, departments and users by name.
func (r *resolver) indexOrganisation() {
	d := &r.declared
	r.objects = make(map[string]*ObjectType, len(d.ObjectTypes))
	r.actions = make(map[string]map[string]bool, len(d.ObjectTypes))
	r.fields = make(map[string]map[string]bool, len(d.ObjectTypes))
	r.departments = make(map[string]*Department, len(d.Departments))
	r.ancestors = make(map[string][]string, len(d.Departments))
	r.users = make(map[string]*User, len(d.Users))
	r.members = make(map[string][]*User)
	for _, o := range d.ObjectTypes {
		r.objects[o.Name] = o
		r.actions[o.Name] = setOf(o.Actions)
		fields := make(map[string]bool, len(o.Fields))
		for _, f := range o.Fields {
			fields[f.Name] = true
		}
		r.fields[o.Name] = fields
	}
	for _, dep := range d.Departments {
		r.departments[dep.Name] = dep
	}
	for _, u := range d.Users {
		r.users[u.Name] = u
	}
}

func (r *resolver) find(about Ref, reason Reason, field, format string, args ...any) {
	texts := make([]string, len(args))
	for i, arg := range args {
		texts[i] = fmt.Sprint(arg)
	}
	r.findings[about] = append(r.findings[about], Finding{
		About: about, Reason: reason, Field: field, Message: fmt.Sprintf(format, args...), Format: format, Args: texts,
	})
}

// unknown reports a name that nobody declares, and what follows.
func (r *resolver) unknown(about Ref, field, what, name, consequence string) {
	r.find(about, ReasonUnknownReference, field, "unknown %s %q: %s", what, name, consequence)
	r.findings[about][len(r.findings[about])-1].Unknown = Name{what, name}
}

func (r *resolver) resolveObjects() {
	for _, o := range r.declared.ObjectTypes {
		ref := Ref{KindObjectType, o.Name}
		ok := r.checkObject(ref, o)
		if o.Storage.Table != "" {
			ok = r.resolveStorage(ref, o) && ok
		}
		r.facts.Objects = append(r.facts.Objects, ObjectFact{
			Owner: ref, Object: o.Name, Enabled: ok && !o.Disabled,
			OwnerField: o.OwnerField, DepartmentField: o.DepartmentField, LabelField: o.LabelField,
			ParentObject: o.AccessFrom.Object, ParentField: o.AccessFrom.Field,
			Actions: sorted(o.Actions), Variants: o.Variants,
		})
		seen := make(map[string]bool, len(o.Fields))
		for _, f := range o.Fields {
			if !seen[f.Name] {
				r.facts.Fields = append(r.facts.Fields, FieldFact{Owner: ref, Object: o.Name, Field: f.Name, Class: f.Class.String(), Mask: f.Mask})
			}
			seen[f.Name] = true
		}
	}
}

// checkObject says whether the object's own text compiles; where not, every action on it is denied. That ownerField and
// the like need not be among the fields: they say where the CRM keeps a fact, which has no level unless it is a field.
func (r *resolver) checkObject(ref Ref, o *ObjectType) bool {
	const denied = "every action on the object is denied"
	ok := true
	seen := make(map[string]bool, len(o.Fields))
	for i, f := range o.Fields {
		if seen[f.Name] {
			r.find(ref, ReasonInvalid, fmt.Sprintf("fields[%d].name", i), "field %q is declared twice: %s", f.Name, denied)
			ok = false
		}
		seen[f.Name] = true
	}
	ok = r.checkVariants(ref, o, denied) && ok
	path := []string{o.Name}
	for parent := o.AccessFrom.Object; parent != ""; {
		if slices.Contains(path, parent) {
			r.find(ref, ReasonReferenceCycle, "accessFrom.object", "cycle %s: %s", strings.Join(append(path, parent), " > "), denied)
			return false
		}
		path = append(path, parent)
		next := r.objects[parent]
		if next == nil {
			r.unknown(ref, "accessFrom.object", "object", parent, denied)
			return false
		}
		parent = next.AccessFrom.Object
	}
	return ok
}

// checkVariants says whether the variants name actions that exist, and each fits what no other before it fits.
func (r *resolver) checkVariants(ref Ref, o *ObjectType, denied string) bool {
	ok := true
	seen := make(map[Variant]bool, len(o.Variants))
	for i, v := range o.Variants {
		for _, named := range [...]struct{ field, action string }{{"action", v.Action}, {"of", v.Of}} {
			if !slices.Contains(o.Actions, named.action) {
				r.unknown(ref, fmt.Sprintf("variants[%d].%s", i, named.field), "action", named.action, denied)
				ok = false
			}
		}
		told := Variant{Of: v.Of, Property: v.Property, Value: v.Value}
		if seen[told] {
			r.find(ref, ReasonInvalid, fmt.Sprintf("variants[%d]", i), "action %q with %s %q has a variant already: %s", v.Of, v.Property, v.Value, denied)
			ok = false
		}
		seen[told] = true
	}
	return ok
}

func (r *resolver) resolveDepartments() {
	parentOf := func(name string) string {
		if d := r.departments[name]; d != nil {
			return d.Parent
		}
		return ""
	}
	var line []string
	r.facts.Departments = make([]DepartmentFact, 0, len(r.declared.Departments))
	for _, d := range r.declared.Departments {
		ref := Ref{KindDepartment, d.Name}
		fact := DepartmentFact{Owner: ref, Department: d.Name, DisplayName: d.DisplayName, Parent: d.Parent, Manager: d.Manager}
		var cycle bool
		line, cycle = walk(line, d.Name, parentOf)
		switch {
		case cycle:
			r.find(ref, ReasonReferenceCycle, "parent", "cycle %s: the department lies in no other's subtree", strings.Join(line, " > "))
			line, fact.Parent = line[:1], ""
		case d.Parent != "" && r.departments[d.Parent] == nil:
			r.unknown(ref, "parent", "department", d.Parent, "the department lies in no other's subtree")
			fact.Parent = ""
		}
		if d.Manager != "" && r.users[d.Manager] == nil {
			r.unknown(ref, "manager", "user", d.Manager, "the department has no manager")
			fact.Manager = ""
		}
		r.facts.Departments = append(r.facts.Departments, fact)
		for _, ancestor := range line {
			if r.departments[ancestor] != nil {
				r.ancestors[d.Name] = append(r.ancestors[d.Name], ancestor)
				r.facts.Closure = append(r.facts.Closure, ClosureFact{Owner: ref, Department: d.Name, Ancestor: ancestor})
			}
		}
	}
}

func (r *resolver) resolveUsers() {
	managerOf := func(name string) string {
		if u := r.users[name]; u != nil {
			return u.Manager
		}
		return ""
	}
	var line []string
	r.facts.Users = make([]UserFact, 0, len(r.declared.Users))
	r.facts.Memberships = make([]MembershipFact, 0, len(r.declared.Users))
	for _, u := range r.declared.Users {
		ref := Ref{KindUser, u.Name}
		fact := UserFact{Owner: ref, User: u.Name, DisplayName: u.DisplayName, Type: u.Type, State: u.State, Manager: u.Manager, Successor: u.Successor, Logins: u.Logins}
		var cycle bool
		if line, cycle = walk(line, u.Name, managerOf); cycle && slices.Index(line, line[len(line)-1]) == 0 {
			r.find(ref, ReasonReferenceCycle, "manager", "cycle %s: the reporting line ends here", strings.Join(line, " > "))
			fact.Manager = ""
		} else if u.Manager != "" && r.users[u.Manager] == nil {
			r.unknown(ref, "manager", "user", u.Manager, "the reporting line ends here")
			fact.Manager = ""
		}
		if u.Successor != "" && r.users[u.Successor] == nil {
			r.unknown(ref, "successor", "user", u.Successor, "nobody is named as successor")
			fact.Successor = ""
		}
		r.facts.Users = append(r.facts.Users, fact)
		r.resolveMemberships(ref, u)
	}
}

func (r *resolver) resolveMemberships(ref Ref, u *User) {
	seen := make(map[string]bool, len(u.Departments))
	for i, name := range u.Departments {
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		if r.departments[name] == nil {
			field := "department"
			if i > 0 {
				field = fmt.Sprintf("otherDepartments[%d]", i-1)
			}
			r.unknown(ref, field, "department", name, "nothing follows from being in it")
			continue
		}
		r.members[name] = append(r.members[name], u)
		r.facts.Memberships = append(r.facts.Memberships, MembershipFact{Owner: ref, User: u.Name, Department: name, Primary: i == 0})
	}
}

// walk follows next from start to the end of the line, which it writes into the space of the one before. A line that comes
// back to one of its own is a cycle; it then ends with the name that comes twice.
func walk(before []string, start string, next func(string) string) (line []string, cycle bool) {
	line = before[:0]
	for name := start; name != ""; name = next(name) {
		if slices.Contains(line, name) {
			return append(line, name), true
		}
		line = append(line, name)
	}
	return line, false
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// sorted is the distinct names in order; nil where there are none.
func sorted(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return inOrder(slices.Clone(names))
}

// inOrder sorts names in place and drops repetitions.
func inOrder(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
