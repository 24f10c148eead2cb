package access

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// Module is an object as decisions see it: what exists of it at all, and what guardrails leave whatever is granted.
type Module struct {
	policy *Policy
	object *object
}

// Module is that of an object; it has nothing where nobody declares the object.
func (p *Policy) Module(name string) Module {
	id, known := p.objectIDs.find(name)
	if !known {
		return Module{policy: p, object: &undeclared}
	}
	return Module{policy: p, object: &p.objects[id]}
}

// undeclared is the object that nobody declares. It has no fields and no actions, and can be asked about any.
var undeclared = object{parent: none, actions: newNames(nil), fields: newNames(nil)}

// Enabled says whether anything can be done to the object.
func (m Module) Enabled() bool { return m.object.enabled }

// Actions are what can be done to the object. The caller must not change the list.
func (m Module) Actions() []string { return m.object.actions.list }

// Fields are the fields of the object. The caller must not change the list.
func (m Module) Fields() []string { return m.object.fields.list }

// Class is the class of a field; ClassUnset of one that the object has not.
func (m Module) Class(field string) Class {
	if i, known := m.object.fields.find(field); known {
		return m.object.classes[i]
	}
	return ClassUnset
}

// OwnerField and DepartmentField are the fields that hold a record's owner and department; "" where none does.
func (m Module) OwnerField() string { return m.object.ownerField }

// DepartmentField is the field that holds a record's department; "" where none does.
func (m Module) DepartmentField() string { return m.object.departmentField }

// Decides names the record whose owner, department and participants decide, as the fields that lead to it and their
// objects; nothing where it is the record itself.
func (m Module) Decides() (path []string) {
	for o := m.object; o.parent != none; o = &m.policy.objects[o.parent] {
		path = append(path, o.parentField, m.policy.objects[o.parent].name)
	}
	return path
}

// Ceiling is the level that guardrails let a field have at most.
func (m Module) Ceiling(field string) Level {
	i, known := m.object.fields.find(field)
	if !known || m.object.ceiling == nil {
		return LevelEdit
	}
	return m.object.ceilings[i].level
}

// Levels are the levels that the tuple gives each field, in the order of Fields, on the stored records that it takes in
// and on those that it lets be proposed; before guardrails.
func (m Module) Levels(t *Tuple) (onStored, onProposed []Level) {
	o := m.object
	var actions uint64
	for _, action := range t.Actions {
		actions |= o.bit(action)
	}
	ruled := o.ruled(make([]Level, 0, len(o.classes)), t)
	onStored, onProposed = make([]Level, len(ruled)), make([]Level, len(ruled))
	for field, level := range ruled {
		onStored[field] = o.reached(stored, actions, field, level)
		onProposed[field] = o.reached(proposed, actions, field, level)
	}
	return onStored, onProposed
}

// AskedScopes are the scopes by which guardrails ask for approval of the action where it is held at most by them.
func (m Module) AskedScopes(action string) (scopes []string) {
	for _, g := range m.guards(action).approve {
		if scope := g.approve.When.ScopeAtMost; scope != "" && !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// Forbidden says whether guardrails deny the action at an instant to everybody, on every record and in every context.
func (m Module) Forbidden(now schedule.Instant, action string) bool {
	forbid := m.guards(action).forbid
	if len(forbid) == 0 {
		return false
	}
	p := m.policy
	for _, channel := range append(slices.Clip(p.channels), "") {
		for _, device := range append(slices.Clip(p.devices), "") {
			q := question{policy: p, now: now, request: &Request{Context: Context{Channel: channel, Device: device, Reason: "given"}}}
			if !slices.ContainsFunc(forbid, func(g guard) bool { return q.forbidsWhatever(&g) }) {
				return false
			}
		}
	}
	return true
}

// forbidsWhatever is whether a rule forbids in this channel, on this device and with a reason, whoever made the record
// and however few rows it is about.
func (q *question) forbidsWhatever(g *guard) bool {
	switch {
	case g.deny != nil:
		return q.denies(&g.deny.When) != untrue
	case g.limit != nil:
		most := g.limit.MaxRecordsOwned
		return (most != nil && *most <= 0) || isBelowZero(g.limit.MaxRowsPerRequest) || isBelowZero(g.limit.MaxRowsPerDay)
	}
	return false
}

func isBelowZero(n *int64) bool { return n != nil && *n < 0 }

func (m Module) guards(action string) guards {
	if m.object.guards == nil {
		return guards{} // nor are there names to look in where the object is not declared
	}
	i, known := m.object.actions.find(action)
	if !known {
		return guards{}
	}
	return m.object.guards[i]
}

// Subordinates are those whose reporting line contains the user. The caller must not change the list.
func (p *Policy) Subordinates(user string) []string {
	i, known := p.find(user)
	if !known {
		return nil
	}
	return p.users.list[i+1 : p.accounts[i].last]
}

// Leads says whether the reporting line of somebody contains the user.
func (p *Policy) Leads(user, somebody string) bool {
	i, known := p.find(user)
	j, knownToo := p.find(somebody)
	return known && knownToo && i < j && j < p.accounts[i].last
}
