package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// What happens to an account, as PersonChange.What says it.
const (
	Joins    = "joins"
	Leaves   = "leaves"
	Suspends = "suspended"
	// Returns is an account that was suspended or had left, and is active again.
	Returns = "returns"
	// Moves is into other departments, Reports to another manager.
	Moves          = "moves"
	Reports        = "reports"
	NamesSuccessor = "successor"
	// BecomesType is another type of account, such as External that was Employee.
	BecomesType = "type"
	// ChangesLogins is another set of logins, TakesLogin one with a login that was somebody else's.
	ChangesLogins = "logins"
	TakesLogin    = "takes login"
	// Revoked is an account that a Revocation ends, Released one that it ends no more.
	Revoked  = "revoked"
	Released = "released"
)

var happenings = []string{
	Joins, Leaves, Suspends, Returns, Moves, Reports, NamesSuccessor, BecomesType, ChangesLogins, TakesLogin, Revoked, Released,
}

// people are those whose account changes, or of whose account something changes that others' access depends on.
func (c *comparison) people() []*PersonChange {
	var out []*PersonChange
	for ref := range c.changed {
		if ref.Kind == access.KindUser {
			out = append(out, c.changesOfPerson(ref)...)
		}
	}
	for name, user := range c.head.users {
		out = append(out, c.revocationOf(name, c.base.users[name], user)...)
	}
	return out
}

func (c *comparison) changesOfPerson(ref access.Ref) (out []*PersonChange) {
	before, after := c.causing().base.users[ref.Name], c.causing().head.users[ref.Name]
	tell := func(what, from, to, field string) {
		change := &PersonChange{User: ref.Name, What: what, From: from, To: to, Causes: []Cause{c.cause(ref, "")}}
		if known := cmp.Or(after, before); known != nil {
			change.DisplayName = known.DisplayName
		}
		if cause := &change.Causes[0]; cause.Verb == Changed {
			cause.Field, cause.Source = field, c.head.locate(ref, field)
		}
		out = append(out, change)
	}
	switch {
	case before == nil:
		tell(Joins, "", departmentsOf(after), "")
	case after == nil:
		tell(Leaves, departmentsOf(before), "", "")
	default:
		tellState(before, after, tell)
		tellPlace(before, after, tell)
	}
	c.tellLogins(ref.Name, before, after, tell)
	return out
}

// teller notes what happened to an account, from what to what, and which field says so.
type teller func(what, from, to, field string)

func tellState(before, after *access.User, tell teller) {
	if before.State != after.State {
		what := map[access.UserState]string{access.StateActive: Returns, access.StateSuspended: Suspends, access.StateDeparted: Leaves}[after.State]
		tell(what, string(before.State), string(after.State), "spec.state")
	}
	if before.Type != after.Type {
		tell(BecomesType, string(before.Type), string(after.Type), "spec.type")
	}
}

func tellPlace(before, after *access.User, tell teller) {
	if from, to := departmentsOf(before), departmentsOf(after); from != to {
		tell(Moves, from, to, firstDifference(
			members{{"department", primary(before)}, {"otherDepartments", from}}, members{{"department", primary(after)}, {"otherDepartments", to}}))
	}
	if before.Manager != after.Manager {
		tell(Reports, before.Manager, after.Manager, "spec.manager")
	}
	if before.Successor != after.Successor {
		tell(NamesSuccessor, before.Successor, after.Successor, "spec.successor")
	}
}

// tellLogins tells of the logins of an account. One that was another's is told by itself: whoever has it is that person to
// all who ask, and approvals count as theirs.
func (c *comparison) tellLogins(user string, before, after *access.User, tell teller) {
	if after == nil {
		return
	}
	const field = "spec.identities"
	for _, login := range loginsOf(after) {
		for _, other := range c.formerOwners()[login] {
			if other != user && !slices.Contains(c.formerOwners()[login], user) {
				tell(TakesLogin, other, login, field)
			}
		}
	}
	if before == nil {
		return
	}
	from, to := loginsOf(before), loginsOf(after)
	if !slices.Equal(from, to) {
		tell(ChangesLogins, strings.Join(from, ", "), strings.Join(to, ", "), field)
	}
}

// formerOwners are the users who had a login in base.
func (c *comparison) formerOwners() map[string][]string {
	r := c.causing()
	r.loginsOnce.Do(func() {
		r.formerOwners = make(map[string][]string)
		for name, u := range r.base.users {
			for _, login := range loginsOf(u) {
				r.formerOwners[login] = append(r.formerOwners[login], name)
			}
		}
		for _, owners := range r.formerOwners {
			slices.Sort(owners)
		}
	})
	return r.formerOwners
}

// loginsOf are the names under which somebody is known, in order: usernames, and accounts at identity providers.
func loginsOf(u *access.User) []string {
	logins := slices.Clone(u.Identities)
	for _, l := range u.Logins {
		if l.Subject != "" {
			logins = append(logins, strings.TrimSpace(l.Issuer+" "+l.Subject))
		}
		if l.Username != "" {
			logins = append(logins, l.Username)
		}
	}
	slices.Sort(logins)
	return slices.Compact(logins)
}

func primary(u *access.User) string {
	if len(u.Departments) == 0 {
		return ""
	}
	return u.Departments[0]
}

func departmentsOf(u *access.User) string { return strings.Join(u.Departments, ", ") }

// revocationOf tells of a Revocation of the account itself. Those of what it holds are causes of rows.
func (c *comparison) revocationOf(user string, before, after *access.UserFact) []*PersonChange {
	was := ""
	if before != nil {
		was = before.RevokedBy
	}
	if was == after.RevokedBy {
		return nil
	}
	change := &PersonChange{User: user, DisplayName: after.DisplayName, What: Revoked, From: was, To: after.RevokedBy}
	if after.RevokedBy == "" {
		change.What = Released
	}
	found := &collected{c: c, seen: make(map[access.Ref]bool)}
	about := access.Ref{Kind: access.KindUser, Name: user}
	found.add(c.causing().about[about]...)
	found.add(c.causing().about[access.Ref{Kind: access.KindRevocation, Name: cmp.Or(was, after.RevokedBy)}]...)
	change.Causes = found.causes
	return []*PersonChange{change}
}
