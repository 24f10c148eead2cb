package access

import (
	"slices"
)

// Losers names, in order, the users who have less by the facts after than by the facts before. It errs on the side of
// naming somebody: it compares what each user holds, not what every possible record would decide.
func Losers(before, after Facts) []string {
	had, has := holdingsByUser(before), holdingsByUser(after)
	var losers []string
	for user, pieces := range had {
		for piece := range pieces {
			if !has[user][piece] {
				losers = append(losers, user)
				break
			}
		}
	}
	slices.Sort(losers)
	return losers
}

// piece is one thing of which a user can have less: a tuple until an instant, a department and what lies below it, an
// object's action, an active account.
type piece struct {
	what, name string
	until      int64
}

func holdingsByUser(f Facts) map[string]map[piece]bool {
	tuples := make(map[string][]*Tuple)
	for i := range f.Tuples {
		if f.Tuples[i].RevokedBy == "" {
			tuples[f.Tuples[i].Bundle] = append(tuples[f.Tuples[i].Bundle], f.Tuples[i].Tuple)
		}
	}
	objects := make(map[string][]piece)
	for _, o := range f.Objects {
		if o.Enabled {
			for _, action := range o.Actions {
				objects[o.Object] = append(objects[o.Object], piece{what: "action", name: o.Object + " " + action})
			}
		}
	}
	for _, field := range f.Fields {
		objects[field.Object] = append(objects[field.Object], piece{what: "field", name: field.Object + " " + field.Field + " " + field.Class})
	}
	below := make(map[string][]string)
	for _, c := range f.Closure {
		below[c.Ancestor] = append(below[c.Ancestor], c.Department)
	}
	users := make(map[string]map[piece]bool, len(f.Users))
	for _, u := range f.Users {
		if u.State == StateActive && u.RevokedBy == "" {
			users[u.User] = map[piece]bool{{what: "account"}: true}
		}
	}
	for _, m := range f.Memberships {
		if pieces := users[m.User]; pieces != nil {
			for _, department := range below[m.Department] {
				pieces[piece{what: "department", name: department}] = true
			}
		}
	}
	for _, h := range f.Holders {
		pieces := users[h.User]
		if pieces == nil || h.RevokedBy != "" {
			continue
		}
		for _, t := range tuples[h.Bundle] {
			pieces[piece{"tuple", t.Digest, int64(h.Window.NotAfter)}] = true
			for _, p := range objects[t.Object] {
				pieces[p] = true
			}
		}
	}
	return users
}
