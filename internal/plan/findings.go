package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// findings are what of head does not compile, or wants a second look, and base did not have. Where in a declaration it
// stands does not matter: an entry put before it makes it no new one.
func (c *comparison) findings() []*Finding {
	type told struct {
		ref     access.Ref
		reason  access.Reason
		message string
	}
	before := make(map[told]int)
	for ref, list := range c.base.Findings {
		for _, f := range list {
			before[told{ref, f.Reason, f.Message}]++
		}
	}
	var out []*Finding
	for ref, list := range c.head.Findings {
		for _, f := range list {
			key := told{ref, f.Reason, f.Message}
			if before[key]--; before[key] >= 0 {
				continue
			}
			field := "spec." + f.Field
			out = append(out, &Finding{Ref: ref, Field: field, Message: f.Message, Format: f.Format, Args: f.Args, Advice: f.Advises(), Source: c.head.locate(ref, field)})
		}
	}
	out = append(out, c.reclassified()...)
	out = append(out, c.followUps()...)
	slices.SortFunc(out, func(a, b *Finding) int {
		return cmp.Or(compareRefs(a.Ref, b.Ref), cmp.Compare(a.Source.Line, b.Source.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	return out
}

// reclassified tells of fields that have a less sensitive class: what was approved for that class holds for them now.
func (c *comparison) reclassified() (out []*Finding) {
	for ref, verb := range c.changed {
		if ref.Kind != access.KindObjectType || verb != Changed {
			continue
		}
		before, after := c.causing().base.objects[ref.Name], c.causing().head.objects[ref.Name]
		for i, f := range after.Fields {
			was := classOf(before, f.Name)
			if was <= f.Class {
				continue
			}
			field := fmt.Sprintf("spec.fields[%d].class", i)
			out = append(out, Finding{
				Ref: ref, Field: field, Advice: true, Source: c.head.locate(ref, field),
			}.saying("field %q is %s and was %s: grants, and approvals given before, of %s fields now reach it", f.Name, f.Class, was, f.Class))
		}
	}
	return out
}

// saying is the finding with a message.
func (f Finding) saying(format string, args ...any) *Finding {
	f.Message, f.Format = fmt.Sprintf(format, args...), format
	for _, arg := range args {
		f.Args = append(f.Args, fmt.Sprint(arg))
	}
	return &f
}

// emergencyBound is how long one emergency grant may last (design §9).
const emergencyBound = 4 * time.Hour

// smallestPause is how long nobody must have had the access between two temporary grants that do not follow one another.
const smallestPause = 24 * time.Hour

// chain is temporary grants of one user that follow one another.
type chain struct {
	user   string
	grants []*access.TemporaryGrant
	window schedule.Window
	bound  time.Duration
	by     string // who says the bound
}

// followUps tells of temporary grants, new or changed, that others precede or follow.
func (c *comparison) followUps() (out []*Finding) {
	for _, follow := range c.chains() {
		var names []string
		for _, g := range follow.grants {
			names = append(names, g.Name)
		}
		for _, g := range follow.grants {
			ref := access.Ref{Kind: access.KindTemporaryGrant, Name: g.Name}
			if c.changed[ref] == "" {
				continue
			}
			out = append(out, Finding{
				Ref: ref, Field: "spec.notAfter", Advice: true, Source: c.head.locate(ref, "spec.notAfter"),
			}.saying("%s has the same by grants that follow one another (%s) from %s until %s; %s allows one of them %s",
				follow.user, strings.Join(names[:min(len(names), mostCauses)], ", "), follow.window.NotBefore, follow.window.NotAfter, follow.by, inHours(follow.bound)))
		}
	}
	return out
}

// chains are the grants of head that follow one another, one of them new or changed, and together last longer than a
// guardrail allows one.
func (c *comparison) chains() []chain {
	r := c.causing()
	r.chainsOnce.Do(func() {
		byUser := make(map[string][]*access.TemporaryGrant)
		concerned := make(map[string]bool)
		for _, g := range c.head.Declarations.TemporaryGrants {
			if g.Window.Empty() || g.Window.NotBefore == schedule.Always || g.Window.NotAfter == schedule.Forever {
				continue // it has no length that a guardrail could allow
			}
			for _, user := range slices.Compact(slices.Sorted(slices.Values(g.Users))) {
				byUser[user] = append(byUser[user], g)
				concerned[user] = concerned[user] || c.changed[access.Ref{Kind: access.KindTemporaryGrant, Name: g.Name}] != ""
			}
		}
		bounds := boundsOf(c.head.Declarations)
		for _, user := range slices.Sorted(maps.Keys(concerned)) {
			if concerned[user] {
				for _, b := range bounds {
					r.chains = append(r.chains, b.chains(user, byUser[user])...)
				}
			}
		}
	})
	return r.chains
}

// bound is how long one temporary grant may last.
type bound struct {
	most      time.Duration
	by        string
	emergency bool
}

func boundsOf(d access.Declarations) []bound {
	bounds := []bound{{most: emergencyBound, by: "an emergency", emergency: true}}
	var shortest *bound
	for _, g := range d.Guardrails {
		for i := range g.Rules {
			rule := g.Rules[i].Admit
			if rule == nil || rule.MaxDuration == 0 {
				continue
			}
			next := bound{most: rule.MaxDuration, by: access.Ref{Kind: access.KindGuardrail, Name: g.Name}.String()}
			if shortest == nil || cmp.Or(cmp.Compare(next.most, shortest.most), cmp.Compare(next.by, shortest.by)) < 0 {
				shortest = &next
			}
		}
	}
	if shortest != nil {
		bounds = append(bounds, *shortest)
	}
	return bounds
}

// chains are those among a user's grants, each within the bound, that give something in common without a pause and last
// longer together.
func (b *bound) chains(user string, grants []*access.TemporaryGrant) (out []chain) {
	grants = slices.DeleteFunc(slices.Clone(grants), func(g *access.TemporaryGrant) bool {
		return g.Emergency != b.emergency || lengthOf(g.Window) > b.most
	})
	slices.SortFunc(grants, func(x, y *access.TemporaryGrant) int {
		return cmp.Or(cmp.Compare(x.Window.NotBefore, y.Window.NotBefore), cmp.Compare(x.Name, y.Name))
	})
	taken := make(map[*access.TemporaryGrant]bool)
	for i, first := range grants {
		if taken[first] {
			continue
		}
		next := chain{user: user, grants: []*access.TemporaryGrant{first}, window: first.Window, bound: b.most, by: b.by}
		for _, g := range grants[i+1:] {
			if g.Window.NotBefore <= next.window.NotAfter+schedule.Instant(smallestPause/time.Second) && giveTheSame(first, g, user) {
				next.grants, next.window.NotAfter = append(next.grants, g), max(next.window.NotAfter, g.Window.NotAfter)
				taken[g] = true
			}
		}
		if lengthOf(next.window) > b.most {
			out = append(out, next)
		}
	}
	return out
}

func lengthOf(w schedule.Window) time.Duration {
	return time.Duration(w.NotAfter-w.NotBefore) * time.Second
}

// inHours is a length of time as manifests write it.
func inHours(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}

// giveTheSame says whether two grants give a user a role in common, or an action on one object.
func giveTheSame(a, b *access.TemporaryGrant, user string) bool {
	if slices.ContainsFunc(a.Roles, func(role string) bool { return slices.Contains(b.Roles, role) }) {
		return true
	}
	isFor := func(g *access.Grant) bool { return len(g.Users) == 0 || slices.Contains(g.Users, user) }
	return slices.ContainsFunc(a.Grants, func(x access.Grant) bool {
		return isFor(&x) && slices.ContainsFunc(b.Grants, func(y access.Grant) bool {
			return isFor(&y) && x.Object == y.Object && slices.ContainsFunc(x.Actions, func(action string) bool { return slices.Contains(y.Actions, action) })
		})
	})
}
