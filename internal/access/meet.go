package access

import (
	"slices"
)

// meet is what two tuples on one object both say: of t what d says, too. It is false where that is nothing. Of t it keeps
// the origin, so that causes read the same.
func (r *resolver) meet(t, d *Tuple) (*Tuple, bool) {
	if t.Object != d.Object {
		return nil, false
	}
	m := *t
	m.Actions = common(t.Actions, d.Actions)
	m.Scopes = commonScopes(t.Scopes, d.Scopes)
	m.IDs, m.Owners = common(t.IDs, d.IDs), common(t.Owners, d.Owners)
	m.Departments, m.DepartmentTrees = common(t.Departments, d.Departments), common(t.DepartmentTrees, d.DepartmentTrees)
	if len(m.Actions) == 0 || len(m.Scopes)+len(m.IDs)+len(m.Owners)+len(m.Departments)+len(m.DepartmentTrees) == 0 {
		return nil, false
	}
	m.Where = bothConditions(t.Where, d.Where)
	m.Fields = r.lowerRules(t, d)
	switch {
	case t.Restricted && d.Restricted:
		m.OnlyFields = common(t.OnlyFields, d.OnlyFields)
	case d.Restricted:
		m.Restricted, m.OnlyFields = true, d.OnlyFields
	}
	if r.plain(&m) == r.plain(t) {
		return t, true
	}
	m.Digest = digestOf(&m)
	return &m, true
}

// common are the names in both lists, in the order of the first; nil where there are none.
func common(a, b []string) (both []string) {
	for _, name := range a {
		if slices.Contains(b, name) {
			both = append(both, name)
		}
	}
	return both
}

// commonScopes are the widest scopes that lie in both sets: whoever was approved for all may have own.
func commonScopes(a, b []string) []string {
	return Widest(implied(a) & implied(b)).Names()
}

// implied are the scopes and those that always lie within them.
func implied(names []string) Scopes {
	set, _ := ParseScopes(names) // both sides were read before
	if set.Has(ScopeAll) {
		set |= allScopes
	}
	if set.Has(ScopeDepartmentAndBelow) {
		set |= ScopeDepartment
	}
	return set
}

// Widest leaves away the scopes that always lie within others of the set.
func Widest(set Scopes) Scopes {
	switch {
	case set.Has(ScopeAll):
		return ScopeAll
	case set.Has(ScopeDepartmentAndBelow):
		return set &^ ScopeDepartment
	}
	return set
}

// bothConditions must all hold: those of either side.
func bothConditions(a, b []WhereFact) []WhereFact {
	both := slices.Clip(a)
	for _, c := range b {
		same := func(o WhereFact) bool {
			return o.Field == c.Field && o.Operator == c.Operator && slices.Equal(o.Values, c.Values)
		}
		if !slices.ContainsFunc(a, same) {
			both = append(both, c)
		}
	}
	return both
}

// lowerRules give every class and every field the lower of the two levels that the tuples give it. A field that only one
// of them names has, by the other, the level of the class that it is of now.
func (r *resolver) lowerRules(t, d *Tuple) (rules []RuleFact) {
	for class := ClassPublic; class < classes; class++ {
		if name := class.String(); namesClass(t.Fields, name) || namesClass(d.Fields, name) {
			level := min(classLevel(t.Fields, class), classLevel(d.Fields, class))
			rules = append(rules, RuleFact{Class: name, Level: level.String()})
		}
	}
	for _, rule := range slices.Concat(t.Fields, d.Fields) {
		class, known := r.classOf(t.Object, rule.Field)
		named := slices.ContainsFunc(rules, func(other RuleFact) bool { return other.Field == rule.Field && rule.Field != "" })
		if !known || named {
			continue
		}
		level := min(fieldLevel(t.Fields, rule.Field, class), fieldLevel(d.Fields, rule.Field, class))
		rules = append(rules, RuleFact{Field: rule.Field, Level: level.String()})
	}
	slices.SortFunc(rules, compareRules)
	return rules
}

// classOf is the class that the catalogue gives a field now.
func (r *resolver) classOf(object, field string) (Class, bool) {
	o := r.objects[object]
	if o == nil || field == "" {
		return ClassUnset, false
	}
	i := slices.IndexFunc(o.Fields, func(f Field) bool { return f.Name == field })
	if i < 0 {
		return ClassUnset, false
	}
	return o.Fields[i].Class, true
}

func namesClass(rules []RuleFact, class string) bool {
	return slices.ContainsFunc(rules, func(rule RuleFact) bool { return rule.Field == "" && rule.Class == class })
}

func classLevel(rules []RuleFact, class Class) Level {
	for _, rule := range rules {
		if rule.Field == "" && rule.Class == class.String() {
			return parsedLevel(rule.Level)
		}
	}
	return class.defaultLevel()
}

func fieldLevel(rules []RuleFact, field string, class Class) Level {
	for _, rule := range rules {
		if rule.Field == field {
			return parsedLevel(rule.Level)
		}
	}
	return classLevel(rules, class)
}

// plain is the tuple's content without what makes no difference, by the catalogue of now: two tuples of one plain
// content give the same.
func (r *resolver) plain(t *Tuple) string {
	p := *t
	p.Scopes = Widest(implied(t.Scopes)).Names()
	p.Fields = nil
	for _, rule := range t.Fields {
		if rule.Field == "" {
			if class, err := ParseClass(rule.Class); err == nil && parsedLevel(rule.Level) != class.defaultLevel() {
				p.Fields = append(p.Fields, rule)
			}
			continue
		}
		class, known := r.classOf(t.Object, rule.Field)
		listed := !t.Restricted || slices.Contains(t.OnlyFields, rule.Field)
		if known && listed && parsedLevel(rule.Level) != classLevel(t.Fields, class) {
			p.Fields = append(p.Fields, rule)
		}
	}
	return string(appendCanonical(nil, p.content()))
}
