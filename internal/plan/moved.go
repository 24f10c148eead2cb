package plan

import (
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// moves are what differs between the states in where people and departments stand.
type moves struct {
	// lines are the users who lead others in one state than in the other, trees the departments that have others below them.
	lines, trees map[string]bool
}

func movesBetween(base, head *side) moves {
	m := moves{lines: make(map[string]bool), trees: make(map[string]bool)}
	for department, below := range base.below {
		if !slices.Equal(below, head.below[department]) {
			m.trees[department] = true
		}
	}
	for department := range head.below {
		if base.below[department] == nil {
			m.trees[department] = true
		}
	}
	m.addLines(base, head)
	m.addLines(head, base)
	return m
}

// addLines adds everybody in whose line, of this side, stands somebody with another manager than on the other side.
func (m *moves) addLines(s, other *side) {
	for name, user := range s.users {
		if o := other.users[name]; o != nil && o.Manager == user.Manager {
			continue
		}
		// A line that facts have tampered with into a cycle ends after as many steps as there are users.
		for range s.users {
			if user = s.users[user.Manager]; user == nil {
				break
			}
			m.lines[user.User] = true
		}
	}
}

// stands says whether the user stands in both states where they did: leads the same people, and is in the same
// departments with the same ones below.
func (c *comparison) stands(user string) bool {
	return !c.moves.lines[user] && !c.movesDepartment(user)
}

func (c *comparison) movesDepartment(user string) bool {
	was, is := c.base.departments[user], c.head.departments[user]
	return len(was) != len(is) || slices.ContainsFunc(was, func(d string) bool { return c.moves.trees[d] || !slices.Contains(is, d) })
}

// movesTree says whether a department tree that the tuple names has other departments in it.
func (c *comparison) movesTree(t *access.Tuple) bool {
	return slices.ContainsFunc(t.DepartmentTrees, func(root string) bool { return c.moves.trees[root] })
}
