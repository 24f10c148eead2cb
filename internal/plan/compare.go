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
	t := &Tenant{}
	var beside sync.WaitGroup
	beside.Go(func() { t.Upcoming = c.upcoming() })
	t.Changes, t.Rules, t.People, t.Approvals, t.Findings = c.changes(), c.rules(), c.people(), c.approvals(), c.findings()
	beside.Wait()
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
	// samePeople says that accounts and departments are the same in both: nobody has moved.
	samePeople bool
	moves      moves
	reasons    causing
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
	both.Go(func() { c.changed = changedBetween(&base, &head) })
	was, basis := access.ResolveBasis(base.Declarations)
	both.Wait()
	is := basis.Resolve(head.Declarations)
	c.base, c.head = &side{State: base, Resolution: was}, &side{State: head, Resolution: is}
	both.Go(func() { c.base.indexHoldings(options) })
	both.Go(func() { c.head.indexHoldings(options) })
	both.Wait()
	c.base.indexPeople()
	if c.samePeople = c.head.takePeople(c.base); !c.samePeople {
		c.head.indexPeople()
		c.moves = movesBetween(c.base, c.head)
	}
	return c
}

func (c *comparison) side(s state) *side {
	if s == before {
		return c.base
	}
	return c.head
}

// indexHoldings takes what a store holds in place of what is declared, drops what has ended, and indexes the rest.
func (s *side) indexHoldings(options Options) {
	if s.Stored != nil {
		s.Facts = s.Stored.WithoutEnded(options.At)
	} else {
		s.Facts.DropEnded(options.At)
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
}

func (s *side) indexPeople() {
	s.users = make(map[string]*access.UserFact, len(s.Facts.Users))
	for i := range s.Facts.Users {
		s.users[s.Facts.Users[i].User] = &s.Facts.Users[i]
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
}

// takePeople takes the indexes of the other side, where nothing of what they are made of differs.
func (s *side) takePeople(from *side) bool {
	mine, others := &s.Facts, &from.Facts
	if s.Stored != nil || from.Stored != nil || !sameList(mine.Objects, others.Objects) || !sameList(mine.Departments, others.Departments) || !sameList(mine.Users, others.Users) {
		return false // what resolving shares stands at one place
	}
	if !slices.Equal(mine.Lineage, others.Lineage) || !reflect.DeepEqual(mine.Guardrails, others.Guardrails) || !reflect.DeepEqual(mine.Approvals, others.Approvals) {
		return false
	}
	s.users, s.departments, s.below, s.org = from.users, from.departments, from.below, from.org
	return true
}

// sameList says whether two lists are one, at one place in memory.
func sameList[T any](x, y []T) bool {
	return len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
}

func (s *side) module(object string) access.Module { return s.org.Module(object) }

// isActive says whether the account is there and may have access at all.
func (s *side) isActive(user string) bool {
	u := s.users[user]
	return u != nil && u.State == access.StateActive && u.RevokedBy == ""
}

// changedBetween are the declarations that rows can come from: those that differ, and those of which a store holds something
// else than they say.
func changedBetween(base, head *State) map[access.Ref]Verb {
	changed := shareUnchanged(base.Declarations, &head.Declarations)
	for _, ref := range slices.Concat(base.Strays, head.Strays) {
		if changed[ref] == "" {
			changed[ref] = Strayed
		}
	}
	return changed
}

// shareUnchanged compares what is declared, name by name, and lets head have the declarations of base where they are equal:
// what is one is resolved once.
func shareUnchanged(base access.Declarations, head *access.Declarations) map[access.Ref]Verb {
	changed := make(map[access.Ref]Verb)
	head.ObjectTypes = shared(changed, access.KindObjectType, base.ObjectTypes, head.ObjectTypes, func(d *access.ObjectType) string { return d.Name })
	head.Departments = shared(changed, access.KindDepartment, base.Departments, head.Departments, func(d *access.Department) string { return d.Name })
	head.Users = shared(changed, access.KindUser, base.Users, head.Users, func(d *access.User) string { return d.Name })
	head.Roles = shared(changed, access.KindRole, base.Roles, head.Roles, func(d *access.Role) string { return d.Name })
	head.UserBindings = shared(changed, access.KindUserBinding, base.UserBindings, head.UserBindings, func(d *access.UserBinding) string { return d.Name })
	head.TemporaryGrants = shared(changed, access.KindTemporaryGrant, base.TemporaryGrants, head.TemporaryGrants, func(d *access.TemporaryGrant) string { return d.Name })
	head.Guardrails = shared(changed, access.KindGuardrail, base.Guardrails, head.Guardrails, func(d *access.Guardrail) string { return d.Name })
	head.Approvals = shared(changed, access.KindApproval, base.Approvals, head.Approvals, func(d *access.Approval) string { return d.Name })
	head.Revocations = shared(changed, access.KindRevocation, base.Revocations, head.Revocations, func(d *access.Revocation) string { return d.Name })
	return changed
}

// shared notes what of a kind differs, and is the declarations of head, or of base where they are equal. Most stand at the
// same place in both, and need no index.
func shared[D any](changed map[access.Ref]Verb, kind access.Kind, base, head []*D, nameOf func(*D) string) []*D {
	share := slices.Clone(head)
	before := make(map[string]*D)
	for i := range base {
		if i >= len(head) || nameOf(base[i]) != nameOf(head[i]) {
			before[nameOf(base[i])] = base[i]
		}
	}
	for i, d := range head {
		var was *D
		if name := nameOf(d); i < len(base) && nameOf(base[i]) == name {
			was = base[i]
		} else {
			was = before[name]
			delete(before, name)
		}
		switch {
		case was == nil:
			changed[access.Ref{Kind: kind, Name: nameOf(d)}] = Added
		case was == d, reflect.DeepEqual(was, d):
			share[i] = was
		default:
			changed[access.Ref{Kind: kind, Name: nameOf(d)}] = Changed
		}
	}
	for name := range before {
		changed[access.Ref{Kind: kind, Name: name}] = Removed
	}
	return share
}
