package command

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// shownWait is something that a user would get, or get more of, once it is approved.
type shownWait struct {
	From      string   `json:"from"`
	State     string   `json:"state"`
	Needed    int      `json:"needed"`
	Have      int      `json:"have"`
	Approvers []string `json:"approvers,omitempty"`
	Guardrail string   `json:"guardrail,omitempty"`
	Effect    string   `json:"effect"`
	// Review says that it is had already, in an emergency.
	Review bool `json:"review,omitempty"`
}

// shownRevocation is a revocation in force that takes something from the user.
type shownRevocation struct {
	By     string `json:"by"`
	Ends   string `json:"ends"`
	Reason string `json:"reason,omitempty"`
}

// shownRule is a rule of a guardrail about something that the user holds.
type shownRule struct {
	Guardrail string `json:"guardrail"`
	Rule      string `json:"rule"`
}

// waitsOf is what of a user's access waits for approval. What has ended meanwhile is
// not worth an answer, unless it was had in an emergency.
func waitsOf(r access.Resolution, user string, now schedule.Instant) (waits []shownWait) {
	for _, ref := range slices.SortedFunc(maps.Keys(r.Admissions), compareRefs) {
		for _, a := range r.Admissions[ref] {
			document, err := access.ParseEffect(a.Document)
			if a.User != user || a.State == access.Admitted || (err == nil && !a.Review && document.Access.Window.Ended(now)) {
				continue
			}
			waits = append(waits, shownWait{ref.String(), string(a.State), a.Needed, a.Have, a.From, a.Rule, a.Effect, a.Review})
		}
	}
	return waits
}

func (w *shownWait) words() string {
	if w.State == string(access.Refused) {
		return fmt.Sprintf("refused: %s: an approver has said no; effect %s", w.From, w.Effect)
	}
	part := ""
	switch {
	case w.Review:
		part = " (had in an emergency, for review)"
	case w.State == string(access.AdmittedInPart):
		part = " (a part was approved before and counts)"
	}
	return fmt.Sprintf("waits: %s%s: %d of %s, from %s; %s; effect %s", w.From, part, w.Have, counted(w.Needed, "approval"),
		cmp.Or(strings.Join(w.Approvers, " or "), "nobody who may"), askerWords(w.Guardrail), w.Effect)
}

// revocationsOf are the revocations that take something from a user: all of it, a binding or grant, a role, or what comes by
// way of a role.
func revocationsOf(declared access.Declarations, facts access.Facts, user string) (out []shownRevocation) {
	by := make(map[string]bool)
	for _, u := range facts.Users {
		if u.User == user {
			by[u.RevokedBy] = true
		}
	}
	held := make(map[string]bool)
	for _, h := range facts.Holders {
		if h.User == user {
			by[h.RevokedBy], held[h.Bundle] = true, true
		}
	}
	for _, t := range facts.Tuples {
		if held[t.Bundle] {
			by[t.RevokedBy] = true
		}
	}
	for _, r := range declared.Revocations {
		if by[r.Name] {
			out = append(out, shownRevocation{access.Ref{Kind: access.KindRevocation, Name: r.Name}.String(), r.Target.String(), r.Reason})
		}
	}
	slices.SortFunc(out, func(a, b shownRevocation) int { return cmp.Compare(a.By, b.By) })
	return out
}

// rulesAbout are the rules of guardrails that deny, limit, cap, separate or ask approval for something that is held.
func rulesAbout(facts access.Facts, held []access.Entitlement) (rules []shownRule) {
	guardrails := slices.Clone(facts.Guardrails)
	slices.SortFunc(guardrails, func(a, b access.GuardrailFact) int {
		return cmp.Or(cmp.Compare(a.Owner.Name, b.Owner.Name), cmp.Compare(a.Position, b.Position))
	})
	for i := range guardrails {
		if g := &guardrails[i]; isAbout(&g.Rule, facts, held) {
			rules = append(rules, shownRule{g.Owner.Name, g.Rule.Words()})
		}
	}
	return rules
}

func isAbout(rule *access.GuardrailRule, facts access.Facts, held []access.Entitlement) bool {
	concerns := func(t access.Target) bool {
		return slices.ContainsFunc(held, func(e access.Entitlement) bool {
			return names(t.Objects, e.Object) && slices.ContainsFunc(e.Actions, func(action string) bool { return names(t.Actions, action) })
		})
	}
	switch {
	case rule.Deny != nil:
		return concerns(rule.Deny.Target)
	case rule.Limit != nil:
		return concerns(rule.Limit.Target)
	case rule.Approve != nil:
		return concerns(rule.Approve.Target)
	case rule.Cap != nil:
		return slices.ContainsFunc(facts.Fields, func(f access.FieldFact) bool {
			return names(rule.Cap.Objects, f.Object) && (slices.Contains(rule.Cap.Classes, f.Class) || slices.Contains(rule.Cap.Fields, f.Field)) &&
				slices.ContainsFunc(held, func(e access.Entitlement) bool { return e.Object == f.Object })
		})
	case rule.Separate != nil:
		duties := 0
		for _, duty := range rule.Separate.Duties {
			if concerns(access.Target{Objects: []string{duty.Object}, Actions: []string{duty.Action}}) {
				duties++
			}
		}
		return duties > 1
	}
	return false // who gets what is settled by admit before it is held
}

// names says whether a list of a rule names something, itself or by Any.
func names(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, access.Any)
}

func (s *shown) printRules(w io.Writer) {
	for i := range s.Waits {
		printLine(w, "%s", s.Waits[i].words())
	}
	for _, r := range s.Revoked {
		printLine(w, "revoked: %s by %s (%s)", r.Ends, r.By, r.Reason)
	}
	for _, g := range s.Guardrails {
		printLine(w, "guardrail %s: %s", g.Guardrail, g.Rule)
	}
}
