package plan

import (
	"reflect"
	"slices"
	"sync"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Compare says what changes from base to head for whoever asks at options.At or later. It is nil where there is nothing to
// tell.
func Compare(base, head State, options Options) *Tenant {
	c := newComparison(base, head, options)
	t := &Tenant{
		Changes: c.changes(), Rules: c.rules(), People: c.people(),
		Approvals: c.approvals(), Upcoming: c.upcoming(), Findings: c.findings(),
	}
	if len(t.Changes)+len(t.Rules)+len(t.People)+len(t.Approvals)+len(t.Upcoming)+len(t.Findings) == 0 {
		return nil
	}
	c.judge(t)
	return t
}

// comparison is one tenant under comparison.
type comparison struct {
	options    Options
	base, head *side
	// changed are the declarations whose content differs, in whatever files they stand.
	changed map[access.Ref]Verb
	moves   moves
	reasons causing
}

// side is one of the two states with what it comes to. Its facts are without what has ended by Options.At.
type side struct {
	State
	access.Resolution

	users   map[string]*access.UserFact     // by name
	holders map[string][]*access.HolderFact // by user, those that no revocation ends
	tuples  map[string][]*access.TupleFact  // by bundle, those that no revocation ends

	// org is a policy of the catalogue, the people and the guardrails, in which nobody holds anything.
	org         *access.Policy
	departments map[string][]string // by user
	below       map[string][]string // by department, itself among them, in order
}

func newComparison(base, head State, options Options) *comparison {
	c := &comparison{options: options}
	base.Locate, head.Locate = oneAtATime(base.Locate, head.Locate)
	var both sync.WaitGroup
	both.Go(func() { c.base = newSide(base, options) })
	both.Go(func() { c.head = newSide(head, options) })
	both.Wait()
	both.Go(func() { c.changed = changedBetween(base, head) })
	c.moves = movesBetween(c.base, c.head)
	both.Wait()
	return c
}

func (c *comparison) side(s state) *side {
	if s == before {
		return c.base
	}
	return c.head
}

func newSide(state State, options Options) *side {
	s := &side{State: state, Resolution: access.Resolve(state.Declarations)}
	if state.Stored != nil {
		s.Facts = *state.Stored
	}
	s.Facts = s.Facts.WithoutEnded(options.At)
	s.users = make(map[string]*access.UserFact, len(s.Facts.Users))
	for i := range s.Facts.Users {
		s.users[s.Facts.Users[i].User] = &s.Facts.Users[i]
	}
	s.holders = make(map[string][]*access.HolderFact, len(s.Facts.Users))
	for i := range s.Facts.Holders {
		if h := &s.Facts.Holders[i]; h.RevokedBy == "" {
			s.holders[h.User] = append(s.holders[h.User], h)
		}
	}
	s.tuples = make(map[string][]*access.TupleFact, len(s.Declarations.Roles))
	for i := range s.Facts.Tuples {
		if t := &s.Facts.Tuples[i]; t.RevokedBy == "" {
			s.tuples[t.Bundle] = append(s.tuples[t.Bundle], t)
		}
	}
	s.departments = make(map[string][]string, len(s.Facts.Users))
	for _, m := range s.Facts.Memberships {
		s.departments[m.User] = append(s.departments[m.User], m.Department)
	}
	s.below = make(map[string][]string, len(s.Facts.Departments))
	for _, c := range s.Facts.Closure {
		s.below[c.Ancestor] = append(s.below[c.Ancestor], c.Department)
	}
	for _, departments := range s.below {
		slices.Sort(departments)
	}
	org := s.Facts
	org.Holders, org.Tuples = nil, nil
	s.org = access.NewPolicy(org)
	return s
}

func (s *side) module(object string) access.Module { return s.org.Module(object) }

// isActive says whether the account is there and may have access at all.
func (s *side) isActive(user string) bool {
	u := s.users[user]
	return u != nil && u.State == access.StateActive && u.RevokedBy == ""
}

// changedBetween are the declarations that rows can come from: those that differ, and those of which a store holds something
// else than they say.
func changedBetween(base, head State) map[access.Ref]Verb {
	changed := changedDeclarations(base.Declarations, head.Declarations)
	for _, ref := range slices.Concat(base.Strays, head.Strays) {
		if changed[ref] == "" {
			changed[ref] = Strayed
		}
	}
	return changed
}

// changedDeclarations compares what is declared, name by name.
func changedDeclarations(base, head access.Declarations) map[access.Ref]Verb {
	changed := make(map[access.Ref]Verb)
	compareDeclared(changed, access.KindObjectType, base.ObjectTypes, head.ObjectTypes, func(d *access.ObjectType) string { return d.Name })
	compareDeclared(changed, access.KindDepartment, base.Departments, head.Departments, func(d *access.Department) string { return d.Name })
	compareDeclared(changed, access.KindUser, base.Users, head.Users, func(d *access.User) string { return d.Name })
	compareDeclared(changed, access.KindRole, base.Roles, head.Roles, func(d *access.Role) string { return d.Name })
	compareDeclared(changed, access.KindUserBinding, base.UserBindings, head.UserBindings, func(d *access.UserBinding) string { return d.Name })
	compareDeclared(changed, access.KindTemporaryGrant, base.TemporaryGrants, head.TemporaryGrants, func(d *access.TemporaryGrant) string { return d.Name })
	compareDeclared(changed, access.KindGuardrail, base.Guardrails, head.Guardrails, func(d *access.Guardrail) string { return d.Name })
	compareDeclared(changed, access.KindApproval, base.Approvals, head.Approvals, func(d *access.Approval) string { return d.Name })
	compareDeclared(changed, access.KindRevocation, base.Revocations, head.Revocations, func(d *access.Revocation) string { return d.Name })
	return changed
}

func compareDeclared[D any](changed map[access.Ref]Verb, kind access.Kind, base, head []*D, nameOf func(*D) string) {
	before := make(map[string]*D, len(base))
	for _, d := range base {
		before[nameOf(d)] = d
	}
	for _, d := range head {
		name := nameOf(d)
		was, there := before[name]
		switch {
		case !there:
			changed[access.Ref{Kind: kind, Name: name}] = Added
		case was != d && !reflect.DeepEqual(was, d):
			changed[access.Ref{Kind: kind, Name: name}] = Changed
		}
		delete(before, name)
	}
	for name := range before {
		changed[access.Ref{Kind: kind, Name: name}] = Removed
	}
}
