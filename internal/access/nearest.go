package access

import (
	"iter"
	"slices"
	"strings"
)

// maxNearestWord bounds what is compared: longer words are no misspelt names.
const maxNearestWord = 128

// Nearest is the known word that a misspelt one most likely means, or "" where none is near: at most a third of its
// letters, and one, differ. Of equally near words it is the first in order.
func Nearest(word string, known iter.Seq[string]) string {
	if len(word) == 0 || len(word) > maxNearestWord {
		return ""
	}
	from := []rune(strings.ToLower(word))
	best, bestDistance := "", len(from)/3+2
	for k := range known {
		to := []rune(strings.ToLower(k))
		if k == word || max(len(from)-len(to), len(to)-len(from)) > bestDistance {
			continue
		}
		if d := editDistance(from, to); d < bestDistance || (d == bestDistance && best != "" && k < best) {
			best, bestDistance = k, d
		}
	}
	return best
}

// editDistance is how many characters must be inserted, deleted or replaced to get from one to the other (Levenshtein).
func editDistance(from, to []rune) int {
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range to {
			replaced := diagonal
			if x != y {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(to)]
}

// Nearest is the declared name of the same kind that an unknown one most likely means, or "".
func (d Declarations) Nearest(unknown Name) string {
	what, object, _ := strings.Cut(unknown.What, " of ")
	var known []string
	switch what {
	case "role":
		known = namesOf(d.Roles, func(r *Role) string { return r.Name })
	case "user":
		known = namesOf(d.Users, func(u *User) string { return u.Name })
	case "department":
		known = namesOf(d.Departments, func(d *Department) string { return d.Name })
	case "object":
		known = namesOf(d.ObjectTypes, func(o *ObjectType) string { return o.Name })
	case "binding":
		known = namesOf(d.UserBindings, func(b *UserBinding) string { return b.Name })
	case "grant":
		known = namesOf(d.TemporaryGrants, func(g *TemporaryGrant) string { return g.Name })
	case "class":
		known = classNames[ClassPublic:]
	case "title":
		known = namesOf(d.Users, func(u *User) string { return u.Title })
	case "action", "field":
		for _, o := range d.ObjectTypes {
			switch {
			case object != "" && o.Name != object: // a name that is of no one object may be of any
			case what == "action":
				known = append(known, o.Actions...)
			default:
				known = append(known, namesOf(o.Fields, func(f Field) string { return f.Name })...)
			}
		}
	}
	return Nearest(unknown.Name, slices.Values(known))
}

func namesOf[T any](list []T, name func(T) string) []string {
	names := make([]string, len(list))
	for i, element := range list {
		names[i] = name(element)
	}
	return names
}
