package access

import (
	"fmt"
	"slices"
	"strings"
)

// resolveGuardrails keeps every rule as it stands, also where a name in it is unknown: rules restrict, and what is
// misspelt in one must not loosen the rest of it. The findings say that such a name restricts nothing.
func (r *resolver) resolveGuardrails() {
	for _, g := range r.declared.Guardrails {
		ref := Ref{KindGuardrail, g.Name}
		for i := range g.Rules {
			c := ruleCompiler{resolver: r, ref: ref, at: fmt.Sprintf("rules[%d]", i)}
			if forms := c.check(&g.Rules[i]); forms != 1 {
				r.find(ref, ReasonInvalid, c.at, "a rule is exactly one of deny, limit, approve, cap, separate and admit; this is %d of them", forms)
			}
			r.facts.Guardrails = append(r.facts.Guardrails, GuardrailFact{Owner: ref, Position: fmt.Sprintf("%03d", i), Rule: g.Rules[i]})
			if admit := g.Rules[i].Admit; admit != nil {
				r.admitRules = append(r.admitRules, &admitRule{AdmitRule: admit, guardrail: ref, position: i})
			}
		}
	}
	slices.SortFunc(r.admitRules, compareAdmitRules)
}

// ruleCompiler is one rule under way.
type ruleCompiler struct {
	*resolver
	ref Ref
	at  string
}

const (
	restrictsNothing = "it restricts nothing"
	mayApproveNone   = "nobody may approve by it"
)

// check reports the rule's unknown names and counts its forms.
func (c *ruleCompiler) check(rule *GuardrailRule) (forms int) {
	if rule.Deny != nil {
		forms++
		c.target("deny", &rule.Deny.Target)
	}
	if rule.Limit != nil {
		forms++
		c.target("limit", &rule.Limit.Target)
	}
	if rule.Approve != nil {
		forms++
		c.target("approve", &rule.Approve.Target)
		c.approvers("approve", rule.Approve.By)
		c.word("approve.when.scopeAtMost", "scope", rule.Approve.When.ScopeAtMost, scopeNames[:])
	}
	if rule.Cap != nil {
		forms++
		c.capped(rule.Cap)
	}
	if rule.Separate != nil {
		forms++
		for i, duty := range rule.Separate.Duties {
			field := fmt.Sprintf("separate.duties[%d]", i)
			if c.object(field+".object", duty.Object) {
				c.action(field+".action", []string{duty.Object}, duty.Action)
			}
		}
	}
	if rule.Admit != nil {
		forms++
		for i, role := range rule.Admit.When.Roles {
			c.role(fmt.Sprintf("admit.when.roles[%d]", i), role, restrictsNothing)
		}
		c.approvers("admit", rule.Admit.By)
	}
	return forms
}

func (c *ruleCompiler) misses(field, what, name, consequence string) {
	c.unknown(c.ref, c.at+"."+field, what, name, consequence)
}

func (c *ruleCompiler) object(field, name string) bool {
	if name == Any || c.objects[name] != nil {
		return true
	}
	c.misses(field, "object", name, restrictsNothing)
	return false
}

func (c *ruleCompiler) role(field, name, consequence string) {
	if c.roles[name] == nil {
		c.misses(field, "role", name, consequence)
	}
}

// word reports a word that is none of the list's. It is not a reference: no declaration that arrives could mend it.
func (c *ruleCompiler) word(field, what, word string, known []string) {
	if word != "" && !slices.Contains(known, word) {
		c.find(c.ref, ReasonInvalid, c.at+"."+field, "unknown %s %q: want one of %s", what, word, strings.Join(known, ", "))
	}
}

func (c *ruleCompiler) target(form string, t *Target) {
	objects := c.objectsOf(form, t.Objects)
	for i, action := range t.Actions {
		c.action(fmt.Sprintf("%s.actions[%d]", form, i), objects, action)
	}
}

// objectsOf reports unknown objects and returns the known ones; Any is every one.
func (c *ruleCompiler) objectsOf(form string, names []string) (objects []string) {
	for i, name := range names {
		switch {
		case !c.object(fmt.Sprintf("%s.objects[%d]", form, i), name):
		case name == Any:
			objects = namesOf(c.declared.ObjectTypes, func(o *ObjectType) string { return o.Name })
		default:
			objects = append(objects, name)
		}
	}
	return objects
}

// action reports an action that none of the objects has: a rule may name more actions than each of its objects has.
func (c *ruleCompiler) action(field string, objects []string, name string) {
	has := func(object string) bool { return c.actions[object][name] }
	if name == Any || len(objects) == 0 || slices.ContainsFunc(objects, has) {
		return
	}
	c.misses(field, ofObject("action", objects), name, restrictsNothing)
}

// ofObject is what a name is of: of the object, where it is one alone.
func ofObject(what string, objects []string) string {
	if len(objects) == 1 {
		return what + " of " + objects[0]
	}
	return what
}

func (c *ruleCompiler) capped(rule *CapRule) {
	objects := c.objectsOf("cap", rule.Objects)
	for i, class := range rule.Classes {
		if _, err := ParseClass(class); err != nil {
			c.misses(fmt.Sprintf("cap.classes[%d]", i), "class", class, restrictsNothing)
		}
	}
	for i, field := range rule.Fields {
		has := func(object string) bool { return c.fields[object][field] }
		if len(objects) > 0 && !slices.ContainsFunc(objects, has) {
			c.misses(fmt.Sprintf("cap.fields[%d]", i), ofObject("field", objects), field, restrictsNothing)
		}
	}
	c.word("cap.level", "field level", rule.Level, levelNames[:])
}

func (c *ruleCompiler) approvers(form string, by []Approver) {
	for i, approver := range by {
		field := fmt.Sprintf("%s.by[%d]", form, i)
		if approver.Role != "" {
			c.role(field+".role", approver.Role, mayApproveNone)
		}
		if approver.User != "" && c.users[approver.User] == nil {
			c.misses(field+".user", "user", approver.User, mayApproveNone)
		}
	}
}
