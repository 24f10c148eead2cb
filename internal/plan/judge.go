package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// judge says of every row how risky it is and puts the lists in their final order.
func (c *comparison) judge(t *Tenant) {
	j := newJudge(c)
	for _, row := range t.Changes {
		c.explain(row)
		row.Risk = j.weigh(func(w *When) bool { return j.appliesToChange(w, row) })
	}
	for _, row := range t.Rules {
		row.Risk = j.weigh(func(w *When) bool { return j.appliesToGuardrail(w, row) })
	}
	for _, row := range t.People {
		row.Risk = j.weigh(func(w *When) bool { return j.appliesToPerson(w, row) })
	}
	order(t)
}

// judge asks the rules about rows.
type judge struct {
	*comparison
	rules      []Rule
	privileged [states]map[string]bool // roles that are privileged, or inherit from one that is
	chained    map[access.Ref]bool     // temporary grants that follow one another
}

func newJudge(c *comparison) *judge {
	j := &judge{comparison: c, rules: c.options.Rules, chained: make(map[access.Ref]bool)}
	if j.rules == nil {
		j.rules = DefaultRules()
	}
	for s := range states {
		j.privileged[s] = privilegedRoles(c.side(s))
	}
	for _, chain := range c.chains() {
		for _, g := range chain.grants {
			j.chained[access.Ref{Kind: access.KindTemporaryGrant, Name: g.Name}] = true
		}
	}
	return j
}

func privilegedRoles(s *side) map[string]bool {
	marked, privileged := make(map[string]bool), make(map[string]bool)
	for _, role := range s.Declarations.Roles {
		marked[role.Name], privileged[role.Name] = role.Privileged, role.Privileged
	}
	for _, l := range s.Facts.Lineage {
		privileged[l.Role] = privileged[l.Role] || marked[l.Ancestor]
	}
	return privileged
}

// weigh is the risk by the rules that apply, the most severe first.
func (j *judge) weigh(applies func(*When) bool) (risk Risk) {
	var applying []*Rule
	for i := range j.rules {
		if rule := &j.rules[i]; applies(&rule.When) {
			applying = append(applying, rule)
		}
	}
	slices.SortStableFunc(applying, func(a, b *Rule) int { return cmp.Compare(b.Severity, a.Severity) })
	for _, rule := range applying {
		risk.Severity = max(risk.Severity, rule.Severity)
		risk.Rules = append(risk.Rules, rule.Name)
		risk.Forbidden = risk.Forbidden || rule.Forbid
	}
	return risk
}

func (j *judge) appliesToChange(w *When, row *Change) bool {
	actions := row.Actions
	for _, wider := range row.Wider {
		actions = append(slices.Clip(actions), wider.Action)
	}
	switch {
	case len(w.Happens) > 0, w.WeakerGuardrail,
		!w.isAbout(row.Sign, row.Object, actions, row.Fields),
		!w.isOfScope(row),
		len(row.People) <= w.MoreThan && w.MoreThan > 0,
		w.External && !j.isExternal(row.Sign, row.People),
		w.Reclassified && !j.isReclassified(row):
		return false
	}
	return j.appliesToPaths(w, row)
}

func (j *judge) appliesToGuardrail(w *When, row *RuleChange) bool {
	asksAccess := len(w.Scopes) > 0 || w.PrivilegedRole || w.LongerThan != "" || w.Unexplained || w.Emergency || w.Consecutive || w.Reclassified
	switch {
	case len(w.Happens) > 0, asksAccess,
		!w.isAbout(row.Sign, row.Object, row.Actions, row.Fields),
		w.WeakerGuardrail && row.Sign == Loss,
		len(row.People) <= w.MoreThan && w.MoreThan > 0,
		w.External && !j.isExternal(row.Sign, row.People):
		return false
	}
	return true
}

func (j *judge) appliesToPerson(w *When, row *PersonChange) bool {
	return slices.Contains(w.Happens, row.What) && (!w.External || j.isExternal(Gain, []Person{{User: row.User}}))
}

// isAbout asks what rows of access and of guardrails have in common.
func (w *When) isAbout(sign Sign, object string, actions []string, fields []FieldLevel) bool {
	switch {
	case len(w.Signs) == 0 && sign == Loss, len(w.Signs) > 0 && !slices.Contains(w.Signs, sign):
		return false
	case len(w.Objects) > 0 && !slices.Contains(w.Objects, object):
		return false
	case len(w.Actions) > 0 && !slices.ContainsFunc(actions, func(action string) bool { return slices.Contains(w.Actions, action) }):
		return false
	}
	least, _ := access.ParseLevel(w.Level) // checked before; none where nothing is asked
	return len(w.Classes) == 0 || slices.ContainsFunc(fields, func(f FieldLevel) bool {
		return slices.Contains(w.Classes, f.Class.String()) && f.Level >= least
	})
}

func (w *When) isOfScope(row *Change) bool {
	records := row.After
	if row.Sign == Loss {
		records = row.Before
	}
	return len(w.Scopes) == 0 || slices.ContainsFunc(records, func(r Records) bool {
		return slices.ContainsFunc(r.Scopes, func(scope string) bool { return slices.Contains(w.Scopes, scope) })
	})
}

// told is the state that a row of such a sign tells of first.
func (j *judge) told(sign Sign) state {
	if sign == Loss {
		return before
	}
	return after
}

func (j *judge) isExternal(sign Sign, people []Person) bool {
	users := j.side(j.told(sign)).users
	return slices.ContainsFunc(people, func(p Person) bool {
		u := users[p.User]
		return u != nil && u.Type == access.UserExternal
	})
}

// isReclassified says whether a field of the row has a less sensitive class than it had.
func (j *judge) isReclassified(row *Change) bool {
	was, is := j.base.module(row.Object), j.head.module(row.Object)
	return slices.ContainsFunc(row.Fields, func(f FieldLevel) bool {
		return is.Class(f.Field) != access.ClassUnset && is.Class(f.Field) < was.Class(f.Field)
	})
}

// appliesToPaths asks what depends on the ways by which the access comes.
func (j *judge) appliesToPaths(w *When, row *Change) bool {
	some := func(is func(*Path) bool) bool {
		return slices.ContainsFunc(row.People, func(p Person) bool {
			return slices.ContainsFunc(p.Paths, func(path Path) bool { return is(&path) })
		})
	}
	of := j.told(row.Sign)
	switch {
	case w.PrivilegedRole && !some(func(p *Path) bool { return j.leadsThroughPrivileged(of, p) }),
		w.LongerThan != "" && !some(func(p *Path) bool { return j.isLong(of, p, w.LongerThan) }),
		w.Unexplained && !some(func(p *Path) bool { return j.isUnexplained(of, p) }),
		w.Emergency && !some(func(p *Path) bool { return j.isEmergency(of, p) }),
		w.Consecutive && !some(func(p *Path) bool { return j.chained[p.Owner] }):
		return false
	}
	return true
}

func (j *judge) leadsThroughPrivileged(of state, p *Path) bool {
	if p.Roles == "" {
		return false
	}
	for role := range strings.SplitSeq(p.Roles, " > ") {
		if j.privileged[of][role] {
			return true
		}
	}
	return false
}

// changedGrant is the temporary grant that a path begins with, where its text is new or has changed.
func (j *judge) changedGrant(of state, p *Path) *access.TemporaryGrant {
	if p.Owner.Kind != access.KindTemporaryGrant || j.changed[p.Owner] == "" {
		return nil
	}
	return j.declared(of).grants[p.Owner.Name]
}

func (c *comparison) declared(of state) *declared {
	if of == before {
		return c.causing().base
	}
	return c.causing().head
}

// isLong says whether a grant lasts longer. One without a start counts from the instant of the plan.
func (j *judge) isLong(of state, p *Path, than string) bool {
	limit, err := time.ParseDuration(than)
	g := j.changedGrant(of, p)
	if err != nil || g == nil {
		return false
	}
	window := g.Window
	if window.NotBefore == schedule.Always {
		window.NotBefore = j.options.At
	}
	return lengthOf(window) > limit
}

func (j *judge) isUnexplained(of state, p *Path) bool {
	if g := j.changedGrant(of, p); g != nil {
		return strings.TrimSpace(g.Reason) == ""
	}
	b := j.declared(of).bindings[p.Owner.Name]
	return p.Owner.Kind == access.KindUserBinding && b != nil && j.changed[p.Owner] != "" && strings.TrimSpace(b.Justification) == ""
}

func (j *judge) isEmergency(of state, p *Path) bool {
	g := j.changedGrant(of, p)
	return g != nil && g.Emergency
}

// order puts the rows that a reviewer should look at most closely first. The order is total: rows that are equal in it are
// equal.
func order(t *Tenant) {
	slices.SortFunc(t.Changes, func(a, b *Change) int {
		if c := cmp.Or(
			cmp.Compare(b.Risk.Severity, a.Risk.Severity), compareSigns(a.Sign, b.Sign), cmp.Compare(a.Object, b.Object),
			cmp.Compare(firstItem(a), firstItem(b)), compareFirst(a.People, b.People),
		); c != 0 {
			return c
		}
		return cmp.Compare(fmt.Sprint(a.key(), a.Actions, a.Fields, a.Wider, a.People, a.Causes), fmt.Sprint(b.key(), b.Actions, b.Fields, b.Wider, b.People, b.Causes))
	})
	slices.SortFunc(t.Rules, func(a, b *RuleChange) int {
		return cmp.Or(
			cmp.Compare(b.Risk.Severity, a.Risk.Severity), compareSigns(a.Sign, b.Sign), cmp.Compare(a.Guardrail, b.Guardrail), cmp.Compare(a.Object, b.Object),
			slices.Compare(a.Actions, b.Actions), compareFirst(a.People, b.People),
			cmp.Compare(fmt.Sprint(a.Before, "\n", a.After, a.Fields), fmt.Sprint(b.Before, "\n", b.After, b.Fields)))
	})
	slices.SortFunc(t.People, func(a, b *PersonChange) int {
		return cmp.Or(
			cmp.Compare(b.Risk.Severity, a.Risk.Severity), cmp.Compare(a.User, b.User),
			cmp.Compare(slices.Index(happenings, a.What), slices.Index(happenings, b.What)), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
}

func compareSigns(a, b Sign) int {
	signs := []Sign{Gain, Shift, Loss}
	return cmp.Compare(slices.Index(signs, a), slices.Index(signs, b))
}

// firstItem is the first action of a row, and of one without any its first field.
func firstItem(row *Change) string {
	switch {
	case len(row.Actions) > 0:
		return row.Actions[0]
	case len(row.Wider) > 0:
		return row.Wider[0].Action
	case len(row.Fields) > 0:
		return row.Fields[0].Field
	}
	return ""
}

func compareFirst(a, b []Person) int {
	if len(a) == 0 || len(b) == 0 {
		return cmp.Compare(len(a), len(b))
	}
	return cmp.Compare(a[0].User, b[0].User)
}
