package access

import (
	"maps"
	"slices"
)

// Basis is what resolving declarations came to, for others that are mostly the same, as the two states of a pull request
// are. Where objects, departments and users are declared by the same pointers, they are not resolved again, nor is a grant or
// a binding that cannot have come to something else.
type Basis struct{ resolver *resolver }

// kept is what a basis remembers besides what resolving needs itself.
type kept struct {
	// organisation are the findings about objects, departments and users.
	organisation map[Ref][]Finding
	// tuples are those of grants that compiled without a finding.
	tuples map[*Grant]*Tuple
	// holders counts the holders after each binding.
	holders []int
}

// ResolveBasis is Resolve, and remembers how it came to it.
func ResolveBasis(d Declarations) (Resolution, *Basis) {
	r := newResolver(d, nil)
	r.kept = &kept{tuples: make(map[*Grant]*Tuple), holders: make([]int, 0, len(d.UserBindings))}
	return r.resolve(), &Basis{r}
}

// Resolve comes to what Resolve of the declarations alone comes to. The facts share with those of the basis what they have in
// common, but for Holders, Tuples and Lineage; nobody must have changed the facts of the basis before.
func (b *Basis) Resolve(d Declarations) Resolution { return newResolver(d, b.resolver).resolve() }

// standsOn says whether objects, departments and users are those of the basis, so that every reference to one comes to the
// same.
func (d *Declarations) standsOn(basis *Declarations) bool {
	return slices.Equal(d.ObjectTypes, basis.ObjectTypes) && slices.Equal(d.Departments, basis.Departments) && slices.Equal(d.Users, basis.Users)
}

// resolveOrganisation resolves objects, departments and users, or takes what they came to.
func (r *resolver) resolveOrganisation() {
	if r.basis == nil {
		r.indexOrganisation()
		r.resolveObjects()
		r.resolveDepartments()
		r.resolveUsers()
		if r.kept != nil {
			r.kept.organisation = maps.Clone(r.findings)
		}
		return
	}
	from := r.basis
	r.objects, r.actions, r.fields = from.objects, from.actions, from.fields
	r.departments, r.ancestors, r.users, r.members, r.below = from.departments, from.ancestors, from.users, from.members, from.below
	r.facts.Objects, r.facts.Fields, r.facts.Storages = from.facts.Objects, from.facts.Fields, from.facts.Storages
	r.facts.Departments, r.facts.Closure = from.facts.Departments, from.facts.Closure
	r.facts.Users, r.facts.Memberships = from.facts.Users, from.facts.Memberships
	maps.Copy(r.findings, from.kept.organisation)
}

// tupleOf is compileGrant, of a grant that the basis has compiled without it.
func (r *resolver) tupleOf(ref Ref, i int, g *Grant) (*Tuple, bool) {
	if r.basis != nil {
		if t := r.basis.kept.tuples[g]; t != nil && t.Origin == ref.Name {
			return t, true
		}
	}
	found := len(r.findings[ref])
	t, ok := r.compileGrant(ref, i, g)
	if r.kept != nil && ok && len(r.findings[ref]) == found {
		r.kept.tuples[g] = t
	}
	return t, ok
}

// resolveBindings resolves the bindings, or takes what they came to in the basis.
func (r *resolver) resolveBindings() {
	takes := r.basis != nil && len(r.admitRules)+len(r.basis.admitRules) == 0
	before := places[UserBinding]{}
	if takes {
		before.list = r.basis.declared.UserBindings
	}
	for _, b := range r.declared.UserBindings {
		if i, known := before.find(b); known && r.holdsAlike(b.Roles) {
			r.takeBinding(Ref{KindUserBinding, b.Name}, i)
		} else {
			r.resolveBinding(b)
		}
		if r.kept != nil {
			r.kept.holders = append(r.kept.holders, len(r.facts.Holders))
		}
	}
}

// holdsAlike says whether roles may be held where they could in the basis, and only there. What they give does not matter to
// who holds them, as no guardrail asks.
func (r *resolver) holdsAlike(roles []string) bool {
	return !slices.ContainsFunc(roles, func(name string) bool {
		was, is := r.basis.roles[name], r.roles[name]
		if was == nil || is == nil {
			return was != is
		}
		return was.broken != is.broken || was.role.Abstract != is.role.Abstract
	})
}

// takeBinding takes what the i-th binding of the basis came to. Revocations are asked later.
func (r *resolver) takeBinding(ref Ref, i int) {
	from, until := 0, r.basis.kept.holders[i]
	if i > 0 {
		from = r.basis.kept.holders[i-1]
	}
	for _, h := range r.basis.facts.Holders[from:until] {
		h.RevokedBy = ""
		r.facts.Holders = append(r.facts.Holders, h)
	}
	if found := r.basis.findings[ref]; len(found) > 0 {
		r.findings[ref] = found
	}
}

// places finds elements of a list by their pointers. Most come in the order of the list, and nothing is indexed for these.
type places[D any] struct {
	list  []*D
	next  int
	index map[*D]int
}

func (p *places[D]) find(d *D) (i int, known bool) {
	if p.next < len(p.list) && p.list[p.next] == d {
		p.next++
		return p.next - 1, true
	}
	if p.index == nil {
		p.index = make(map[*D]int, len(p.list))
		for i, d := range p.list {
			p.index[d] = i
		}
	}
	if i, known = p.index[d]; known {
		p.next = i + 1
	}
	return i, known
}
