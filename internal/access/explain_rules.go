package access

import (
	"fmt"
	"slices"
	"strings"
)

// MaxApprovers is how many of those who may approve are named.
const MaxApprovers = 20

// forbidden records that a rule denies the request, with every number or word of the context that it takes offence at.
func (t *trace) forbidden(q *question, g *guard) {
	var why []string
	switch {
	case g.deny != nil: // all of it must be so
		why = []string{strings.Join(q.whyDenied(&g.deny.When), ", ")}
	case g.limit != nil: // each of them is enough
		why = q.whyLimited(g)
	case q.request.Record == nil || q.request.Record.Creator == "":
		why = []string{fmt.Sprintf("who created the %s is not known", q.object.name)}
	default:
		why = []string{fmt.Sprintf("%s created the %s", q.request.User, q.object.name)}
	}
	for _, reason := range why {
		text := "guardrail " + g.name
		if reason != "" {
			text += " (" + reason + ")"
		}
		t.denials = append(t.denials, cause("%s", text))
	}
}

func (q *question) whyDenied(when *DenyWhen) (why []string) {
	c := &q.request.Context
	said := func(what, said string, named, known []string) {
		switch {
		case len(named) == 0:
		case said == "":
			why = append(why, what+" not said")
		case !contains(known, said):
			why = append(why, fmt.Sprintf("%s %q is not known; known are %s", what, said, strings.Join(known, ", ")))
		default:
			why = append(why, what+" "+said)
		}
	}
	said("channel", c.Channel, when.Channels, q.policy.channels)
	said("device", c.Device, when.Devices, q.policy.devices)
	if when.ReasonMissing {
		why = append(why, "no reason given")
	}
	if i := slices.IndexFunc(when.Windows, func(s Span) bool { return s.Active(q.now) }); i >= 0 {
		why = append(why, "from "+when.Windows[i].NotBefore.String()+" until "+when.Windows[i].NotAfter.String())
	}
	return why
}

func (q *question) whyLimited(g *guard) (why []string) {
	c, limit := &q.request.Context, g.limit
	rows, rowsSaid := count(c.Rows)
	used, usedSaid := q.used(g)
	if q.exceedsRequest(limit) {
		if rowsSaid {
			why = append(why, fmt.Sprintf("%d > %d rows", rows, *limit.MaxRowsPerRequest))
		} else {
			why = append(why, "rows not said")
		}
	}
	if q.exceedsDay(g) {
		switch {
		case rowsSaid && usedSaid:
			why = append(why, fmt.Sprintf("%d used + %d > %d rows in 24 hours", used, rows, *limit.MaxRowsPerDay))
		case usedSaid:
			why = append(why, "rows not said")
		default:
			why = append(why, "used not said")
		}
	}
	if q.exceedsOwned(limit) {
		if owned, said := count(c.Owned); said {
			why = append(why, fmt.Sprintf("owns %d of at most %d records", owned, *limit.MaxRecordsOwned))
		} else {
			why = append(why, "owned not said")
		}
	}
	return slices.Compact(why)
}

// awaits records the approvals that the request needs.
func (t *trace) awaits(q *question, rules []*guard) {
	if t == nil {
		return
	}
	parties := q.parties()
	for _, g := range rules {
		var by []string
		for _, a := range g.approve.By {
			by = append(by, q.describe(a, parties))
		}
		t.needs = append(t.needs, cause("needs %s (%s); guardrail %s", strings.Join(by, " or "), t.widest, g.name))
		t.obligations = append(t.obligations, Obligation{g.name, q.approversOf(g, parties)})
	}
}

// describe says who may approve, as people say it.
func (q *question) describe(a Approver, parties []int32) string {
	switch {
	case a.Role != "":
		return a.Role
	case a.User != "":
		return a.User
	}
	var names []string
	for _, party := range parties {
		names = append(names, q.policy.users.list[party])
	}
	of, manager := strings.Join(names, " and "), q.policy.managerOf(parties)
	switch {
	case manager != none:
		return fmt.Sprintf("%s, manager of %s", q.policy.users.list[manager], of)
	case len(parties) > 1:
		return fmt.Sprintf("the manager of %s, who have none in common that may approve", of)
	}
	return fmt.Sprintf("the manager of %s, who has none that may approve", of)
}

// approversOf names those who may give the approval that a rule asks for.
func (q *question) approversOf(g *guard, parties []int32) []string {
	approvers := []string{}
	for _, name := range q.policy.users.list {
		if q.mayApprove(name, g.approve.By, parties) {
			approvers = append(approvers, name)
		}
	}
	slices.Sort(approvers)
	return approvers[:min(len(approvers), MaxApprovers)]
}

// caps are the guardrails that hold a field asked for at its level.
func (q *question) caps() (causes []Cause) {
	for i := range q.request.Fields {
		if text := q.capped(i); text != "" {
			causes = append(causes, cause("field %s is %s%s", q.request.Fields[i], q.levels[i], text))
		}
	}
	return causes
}

// capped says which guardrail holds the i-th field asked for at its level, or "".
func (q *question) capped(i int) string {
	if q.object.ceilings == nil {
		return ""
	}
	field, _ := q.object.fields.find(q.request.Fields[i])
	if c := q.object.ceilings[field]; c.by != "" && q.levels[i] == c.level {
		return ": guardrail " + c.by + " allows no more"
	}
	return ""
}
