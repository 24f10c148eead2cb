package access

import (
	"cmp"
	"slices"
	"strings"
)

// revoked says what revocations in force end, each by the first of their names.
type revoked struct {
	targets map[Ref]string // users, bindings, grants and roles
}

// of is the first revocation that ends one of these; empty where there is none.
func (r *revoked) of(targets ...Ref) (first string) {
	for _, target := range targets {
		if name := r.targets[target]; name != "" && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

func (r *revoked) user(name string) string { return r.of(Ref{KindUser, name}) }

// resolveRevocations finds which revocations are in force, and marks what they end.
func (r *resolver) resolveRevocations() {
	r.revoked.targets = make(map[Ref]string, len(r.declared.Revocations))
	r.liftRevocations()
	r.findRemovedGuardrails()
	r.markRevokedUsers()
	if len(r.revoked.targets) == 0 {
		return
	}
	for i := range r.facts.Holders {
		h := &r.facts.Holders[i]
		h.RevokedBy = r.revoked.of(h.Owner, Ref{KindRole, h.Role})
	}
	r.markRoleTuples()
	r.cutLineage()
}

// markRevokedUsers changes a list of its own: the basis has the same.
func (r *resolver) markRevokedUsers() {
	own := r.basis == nil
	for i := range r.facts.Users {
		by := r.revoked.user(r.facts.Users[i].User)
		if by == r.facts.Users[i].RevokedBy {
			continue
		}
		if !own {
			r.facts.Users, own = slices.Clone(r.facts.Users), true
		}
		r.facts.Users[i].RevokedBy = by
	}
}

// cutLineage leaves out the lineage that leads over a revoked role: who has an heir of it does not count as its holder.
func (r *resolver) cutLineage() {
	isRevoked := func(role string) bool { return r.revoked.of(Ref{KindRole, role}) != "" }
	var leads func(from, to string) bool
	leads = func(from, to string) bool {
		return !isRevoked(from) && (from == to || slices.ContainsFunc(r.roles[from].parents, func(entry Inheritance) bool { return leads(entry.Role, to) }))
	}
	if !slices.ContainsFunc(r.declared.Roles, func(role *Role) bool { return isRevoked(role.Name) }) {
		return
	}
	r.facts.Lineage = slices.DeleteFunc(r.facts.Lineage, func(l LineageFact) bool { return !leads(l.Role, l.Ancestor) })
}

// liftRevocations sorts the lifted revocations from those in force. A lift must not come from somebody whom a revocation
// ends, so lifts may depend on one another: all revocations count at first, and one by one those are lifted whose lift
// needs no other to be lifted first. That comes to the same in every order.
func (r *resolver) liftRevocations() {
	inForce := slices.SortedFunc(slices.Values(r.declared.Revocations), func(a, b *Revocation) int { return cmp.Compare(b.Name, a.Name) })
	for _, revocation := range inForce {
		r.checkTarget(revocation)
	}
	for {
		clear(r.revoked.targets)
		for _, revocation := range inForce { // the first name is the last to be set
			r.revoked.targets[revocation.Target] = revocation.Name
		}
		before := len(inForce)
		inForce = slices.DeleteFunc(inForce, func(revocation *Revocation) bool {
			named := Ref{KindRevocation, revocation.ObjectName()}
			if len(r.approvals[named]) == 0 || !r.isReleased(named, revocation.LiftDocument(), r.struckBy(revocation.Target)) {
				return false
			}
			r.lifted[Ref{KindRevocation, revocation.Name}] = true
			return true
		})
		if len(inForce) == before {
			return
		}
	}
}

// findRemovedGuardrails finds the guardrails whose end is approved. They are in force for as long as they are declared.
func (r *resolver) findRemovedGuardrails() {
	for _, g := range r.declared.Guardrails {
		ref := Ref{KindGuardrail, g.Name}
		if len(r.approvals[ref]) > 0 && r.isReleased(ref, g.RemovalDocument(), nil) {
			r.lifted[ref] = true
		}
	}
}

func (r *resolver) checkTarget(revocation *Revocation) {
	ref, target := Ref{KindRevocation, revocation.Name}, revocation.Target
	known := false
	switch target.Kind {
	case KindUser:
		known = r.users[target.Name] != nil
	case KindRole:
		known = r.roles[target.Name] != nil
	case KindUserBinding:
		known = slices.ContainsFunc(r.declared.UserBindings, func(b *UserBinding) bool { return b.Name == target.Name })
	case KindTemporaryGrant:
		known = slices.ContainsFunc(r.declared.TemporaryGrants, func(g *TemporaryGrant) bool { return g.Name == target.Name })
	}
	if !known {
		member := targetMember(target.Kind)
		r.unknown(ref, member, member, target.Name, "there is nothing yet that the revocation ends")
	}
}

// isReleased says whether a restriction's end, as the document says it, is approved by a person who may: an active
// employee who is not revoked, nor among those whom it strikes. The no of such a person stands against it.
func (r *resolver) isReleased(ref Ref, document []byte, struck func(user string) bool) bool {
	digest := EffectDigest(document)
	r.documents[digest] = document
	released := false
	for _, b := range r.approvals[ref] {
		if b.Effect != digest || !r.mayApprove(b.person) || (struck != nil && struck(b.person.Name)) {
			continue
		}
		if b.Denied {
			return false
		}
		released = true
	}
	return released
}

// struckBy says of each user whether the end of the target takes something away from them.
func (r *resolver) struckBy(target Ref) func(user string) bool {
	struck := make(map[string]bool)
	switch target.Kind {
	case KindUser:
		struck[target.Name] = true
	case KindUserBinding:
		for _, b := range r.declared.UserBindings {
			if b.Name == target.Name {
				for _, s := range b.Subjects {
					struck[s.User] = true
					r.eachSelected(s.Selector, func(u *User) { struck[u.Name] = true })
				}
			}
		}
	case KindTemporaryGrant:
		for _, g := range r.declared.TemporaryGrants {
			if g.Name == target.Name {
				for _, name := range g.Users {
					struck[name] = true
				}
			}
		}
	case KindRole:
		r.struckByRole(target.Name, struck)
	}
	return func(user string) bool { return struck[user] }
}

// struckByRole adds who holds the role or an heir of it, or waits to.
func (r *resolver) struckByRole(role string, struck map[string]bool) {
	holds := func(held string) bool {
		return held != "" && (held == role || slices.Contains(r.roles[held].ancestors, role))
	}
	for i := range r.facts.Holders {
		if h := &r.facts.Holders[i]; holds(h.Role) {
			struck[h.User] = true
		}
	}
	for _, o := range r.offers {
		if slices.ContainsFunc(o.gifts, func(g gift) bool { return holds(g.role) }) {
			struck[o.user.Name] = true
		}
	}
}

// markRoleTuples marks the tuples that roles have by way of a revoked role only. What another path brings as well stays,
// and says that path.
func (r *resolver) markRoleTuples() {
	isRevoked := func(role string) bool { return r.revoked.of(Ref{KindRole, role}) != "" }
	free := make(map[string][]pathTuple)
	for _, role := range r.declared.Roles {
		node := r.roles[role.Name]
		if !isRevoked(role.Name) && !slices.ContainsFunc(node.ancestors, isRevoked) {
			continue
		}
		paths := make(map[string]string)
		for _, t := range r.freeTuples(node, isRevoked, free) {
			paths[t.Digest] = t.path
		}
		for i := range node.tuples {
			t := &node.tuples[i]
			if path, isFree := paths[t.Digest]; isFree {
				t.path = path
			} else {
				t.revokedBy = r.revokedOnPath(t.path)
			}
		}
	}
}

// freeTuples are the tuples that the role has by paths without a revoked role.
func (r *resolver) freeTuples(node *roleNode, isRevoked func(string) bool, known map[string][]pathTuple) []pathTuple {
	name := node.role.Name
	if isRevoked(name) {
		return nil
	}
	if tuples, done := known[name]; done {
		return tuples
	}
	var tuples []pathTuple
	seen := make(map[string]bool)
	add := func(t pathTuple) {
		if !seen[t.Digest] {
			seen[t.Digest] = true
			tuples = append(tuples, t)
		}
	}
	for _, t := range node.tuples {
		if t.path == name {
			add(t)
		}
	}
	for _, entry := range node.parents {
		for _, t := range muted(r.freeTuples(r.roles[entry.Role], isRevoked, known), entry.Mute) {
			add(pathTuple{Tuple: t.Tuple, path: name + " > " + t.path})
		}
	}
	known[name] = tuples
	return tuples
}

func (r *resolver) revokedOnPath(path string) string {
	var roles []Ref
	for role := range strings.SplitSeq(path, " > ") {
		roles = append(roles, Ref{KindRole, role})
	}
	return r.revoked.of(roles...)
}
