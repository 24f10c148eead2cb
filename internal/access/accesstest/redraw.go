package accesstest

import (
	"math/rand/v2"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// Redraw replaces some of what people are and have in a world of a size, of every kind, and leaves catalogue and departments.
func Redraw(random *rand.Rand, d access.Declarations, n Size) access.Declarations {
	other := NewWorld(random, n)
	d.Users = redrawn(random, d.Users, other.Users)
	d.Roles = redrawn(random, d.Roles, other.Roles)
	d.UserBindings = redrawn(random, d.UserBindings, other.UserBindings)
	d.TemporaryGrants = redrawn(random, d.TemporaryGrants, other.TemporaryGrants)
	d.Guardrails = redrawn(random, d.Guardrails, other.Guardrails)
	d.Revocations = redrawn(random, d.Revocations, other.Revocations)
	return d
}

// Thinned leaves a few declarations out, of those that something else may lack.
func Thinned(random *rand.Rand, d access.Declarations) access.Declarations {
	d.Users = without(random, d.Users)
	d.UserBindings = without(random, d.UserBindings)
	d.TemporaryGrants = without(random, d.TemporaryGrants)
	d.Guardrails = without(random, d.Guardrails)
	d.Revocations = without(random, d.Revocations)
	return d
}

// redrawn takes some elements, or none or all, from another draw.
func redrawn[T any](random *rand.Rand, list, other []T) []T {
	list = slices.Clone(list)
	oneIn := []int{1, 2, 9, 9, 1000}[random.IntN(5)]
	for i := range min(len(list), len(other)) {
		if random.IntN(oneIn) == 0 {
			list[i] = other[i]
		}
	}
	return list
}

func without[T any](random *rand.Rand, list []T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(T) bool { return random.IntN(30) == 0 })
}
