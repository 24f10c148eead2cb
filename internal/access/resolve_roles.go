package access

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// maxInheritanceSteps bounds how far a tuple may be inherited (design §4).
	maxInheritanceSteps = 10
	// maxRoleTuples bounds what a role may come to after inheritance, so that a lattice of roles that mute each a
	// little cannot grow without end.
	maxRoleTuples = 10000
)

// roleNode is a role with what its inheritance comes to.
type roleNode struct {
	role   *Role
	bundle string
	broken bool // confers nothing: a finding says why
	depth  int
	done   bool
	tuples []pathTuple
	// parents are the entries that do confer what they inherit; ancestors all the roles reached by them, sorted.
	parents    []Inheritance
	ancestors  []string
	privileged bool // it, or an ancestor

	// Of Tarjan's algorithm, which finds the cycles.
	index, low int
	onStack    bool
}

// pathTuple is a tuple with the inheritance path it came by.
type pathTuple struct {
	*Tuple
	path      string
	revokedBy string // the Revocation in force of a role on the path
}

func (r *resolver) resolveRoles() {
	r.findRoleCycles()
	for _, role := range r.declared.Roles {
		node := r.roles[role.Name]
		r.flatten(node)
		for _, ancestor := range node.ancestors {
			r.facts.Lineage = append(r.facts.Lineage, LineageFact{Owner: Ref{KindRole, role.Name}, Role: role.Name, Ancestor: ancestor})
		}
	}
}

func (r *resolver) addRoleTuples() {
	total := 0
	for _, role := range r.declared.Roles {
		total += len(r.roles[role.Name].tuples)
	}
	r.facts.Tuples = slices.Grow(r.facts.Tuples, total)
	for _, role := range r.declared.Roles {
		ref, node := Ref{KindRole, role.Name}, r.roles[role.Name]
		for _, t := range node.tuples {
			r.facts.Tuples = append(r.facts.Tuples, TupleFact{Owner: ref, Bundle: node.bundle, Path: t.path, RevokedBy: t.revokedBy, Tuple: t.Tuple})
		}
	}
}

// flatten computes the role's tuples: its own, and its parents' unchanged but for what the entry mutes. Cycles were
// found before, so the recursion ends.
func (r *resolver) flatten(node *roleNode) {
	if node.done || node.broken {
		return
	}
	node.done = true
	ref := Ref{KindRole, node.role.Name}
	chain := r.measureDepth(ref, node)
	if node.depth > maxInheritanceSteps {
		r.find(ref, ReasonInheritanceTooDeep, "inherits", "inherits over more than %d steps (%s): the role confers nothing", maxInheritanceSteps, strings.Join(chain, " > "))
		node.broken = true
		return
	}
	seen := make(map[string]bool, len(node.role.Grants))
	add := func(t pathTuple) {
		if !seen[t.Digest] {
			seen[t.Digest] = true
			node.tuples = append(node.tuples, t)
		}
	}
	node.tuples = make([]pathTuple, 0, len(node.role.Grants))
	for i := range node.role.Grants {
		if t, ok := r.tupleOf(ref, i, &node.role.Grants[i]); ok {
			add(pathTuple{Tuple: t, path: node.role.Name})
		}
	}
	for i, entry := range node.role.Inherits {
		if parent := r.parent(ref, fmt.Sprintf("inherits[%d]", i), entry); parent != nil {
			node.parents = append(node.parents, entry)
			for _, t := range muted(parent.tuples, entry.Mute) {
				add(pathTuple{Tuple: t.Tuple, path: node.role.Name + " > " + t.path})
			}
		}
	}
	if len(node.tuples) > maxRoleTuples {
		r.find(ref, ReasonTooManyTuples, "inherits", "comes to %d grants after inheritance, more than %d: the role confers nothing; inherit fewer roles, or mute the same in each", len(node.tuples), maxRoleTuples)
		node.broken, node.tuples = true, nil
		return
	}
	r.findAncestors(node)
}

func (r *resolver) findAncestors(node *roleNode) {
	node.privileged = node.role.Privileged
	for _, entry := range node.parents {
		parent := r.roles[entry.Role]
		node.ancestors = append(append(node.ancestors, entry.Role), parent.ancestors...)
		node.privileged = node.privileged || parent.privileged
	}
	node.ancestors = inOrder(node.ancestors)
}

// measureDepth flattens the parents and returns the longest chain of names from the role up.
func (r *resolver) measureDepth(ref Ref, node *roleNode) []string {
	chain := []string{ref.Name}
	var deepest *roleNode
	for _, entry := range node.role.Inherits {
		parent := r.roles[entry.Role]
		if parent == nil || parent == node {
			continue
		}
		r.flatten(parent)
		if parent.depth+1 > node.depth {
			node.depth, deepest = parent.depth+1, parent
		}
	}
	for deepest != nil && len(chain) <= maxInheritanceSteps+1 {
		chain = append(chain, deepest.role.Name)
		var next *roleNode
		for _, entry := range deepest.role.Inherits {
			if p := r.roles[entry.Role]; p != nil && p.depth == deepest.depth-1 && deepest.depth > 0 {
				next = p
				break
			}
		}
		deepest = next
	}
	return chain
}

// parent is the role of an inheritance entry that confers something; nil, with a finding, where it does not.
func (r *resolver) parent(ref Ref, field string, entry Inheritance) *roleNode {
	parent := r.roles[entry.Role]
	if parent == nil {
		r.unknown(ref, field+".role", "role", entry.Role, "nothing is inherited from it")
		return nil
	}
	if parent.broken {
		r.find(ref, ReasonInvalid, field+".role", "role %q does not compile and confers nothing: nothing is inherited from it", entry.Role)
		return nil
	}
	if !r.checkMutes(ref, field, entry) {
		return nil
	}
	return parent
}

// muted are the tuples without what the mutes take out of them.
func muted(all []pathTuple, mutes []Mute) []pathTuple {
	if len(mutes) == 0 {
		return all
	}
	tuples := make([]pathTuple, 0, len(all))
	for _, t := range all {
		if left := unmuted(t.Tuple, mutes); len(left) == len(t.Actions) {
			tuples = append(tuples, t)
		} else if len(left) > 0 {
			narrowed := *t.Tuple
			narrowed.Actions = left
			narrowed.Digest = digestOf(&narrowed)
			tuples = append(tuples, pathTuple{Tuple: &narrowed, path: t.path})
		}
	}
	return tuples
}

// unmuted are the tuple's actions that no mute takes away.
func unmuted(t *Tuple, mutes []Mute) []string {
	left := t.Actions
	for _, mute := range mutes {
		if mute.Object == t.Object {
			left = slices.DeleteFunc(slices.Clone(left), func(a string) bool { return slices.Contains(mute.Actions, a) })
		}
	}
	return left
}

// checkMutes refuses an entry whose mute names something unknown: a misspelt mute would take nothing away.
func (r *resolver) checkMutes(ref Ref, field string, entry Inheritance) bool {
	ok := true
	for i, mute := range entry.Mute {
		at := fmt.Sprintf("%s.mute[%d]", field, i)
		if r.objects[mute.Object] == nil {
			r.unknown(ref, at+".object", "object", mute.Object, "nothing is inherited from "+entry.Role)
			ok = false
			continue
		}
		for j, action := range mute.Actions {
			if !r.actions[mute.Object][action] {
				r.unknown(ref, fmt.Sprintf("%s.actions[%d]", at, j), "action of "+mute.Object, action, "nothing is inherited from "+entry.Role)
				ok = false
			}
		}
	}
	return ok
}

// findRoleCycles marks every role that lies on a cycle of inheritance: the strongly connected components of more than
// one role, and the roles that inherit from themselves (Tarjan 1972).
func (r *resolver) findRoleCycles() {
	var (
		stack   []*roleNode
		counter int
		visit   func(*roleNode)
	)
	visit = func(node *roleNode) {
		counter++
		node.index, node.low, node.onStack = counter, counter, true
		stack = append(stack, node)
		for _, entry := range node.role.Inherits {
			parent := r.roles[entry.Role]
			switch {
			case parent == nil:
			case parent.index == 0:
				visit(parent)
				node.low = min(node.low, parent.low)
			case parent.onStack:
				node.low = min(node.low, parent.index)
			}
		}
		if node.low != node.index {
			return
		}
		at := slices.Index(stack, node)
		component := slices.Clone(stack[at:])
		stack = stack[:at]
		for _, member := range component {
			member.onStack = false
		}
		r.markCycle(component)
	}
	for _, role := range r.declared.Roles {
		if node := r.roles[role.Name]; node.index == 0 {
			visit(node)
		}
	}
}

func (r *resolver) markCycle(component []*roleNode) {
	members := make(map[string]bool, len(component))
	for _, node := range component {
		members[node.role.Name] = true
	}
	for _, node := range component {
		if path := r.cyclePath(node, members); path != nil {
			node.broken = true
			r.find(Ref{KindRole, node.role.Name}, ReasonInheritanceCycle, "inherits", "inheritance cycle %s: the role confers nothing", strings.Join(path, " > "))
		}
	}
}

// cyclePath is a shortest way from the role back to itself within its component, or nil where there is none.
func (r *resolver) cyclePath(start *roleNode, members map[string]bool) []string {
	from := map[string]string{}
	queue := []string{start.role.Name}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		for _, entry := range r.roles[name].role.Inherits {
			if entry.Role == start.role.Name {
				path := []string{start.role.Name}
				for ; name != start.role.Name; name = from[name] {
					path = slices.Insert(path, 0, name)
				}
				return slices.Insert(path, 0, start.role.Name)
			}
			if _, seen := from[entry.Role]; members[entry.Role] && !seen {
				from[entry.Role] = name
				queue = append(queue, entry.Role)
			}
		}
	}
	return nil
}
