package render

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/plan"
)

// Options says how a plan is told.
type Options struct {
	Lang Lang
	// Whole says where the whole plan is, in a comment that has no room for it: a place, or the command that prints it.
	Whole string
}

// report is a plan as sections of rows, which every form writes in its own way.
type report struct {
	*words
	plan     *plan.Plan
	headline string
	tenants  []*tenant
}

type tenant struct {
	*plan.Tenant
	// label tells the anchors of one tenant from those of another.
	label    string
	sections []*section
	groups   []*group
}

// group is a list of people that is too long for a row. Rows about the same people refer to the same one.
type group struct {
	label  string
	people []plan.Person
}

// section is a list of one kind of thing, the most important first.
type section struct {
	kind   sectionKind
	title  string
	header []string
	rows   []*row
}

type sectionKind string

// The kinds of section, in the order in which they stand.
const (
	changes   sectionKind = "changes"
	rules     sectionKind = "rules"
	accounts  sectionKind = "accounts"
	approvals sectionKind = "approvals"
	upcoming  sectionKind = "upcoming"
	findings  sectionKind = "findings"
)

// row is one thing that is told: in cells below the section's header, and what there is to say besides.
type row struct {
	// number is how a change is spoken of; 0 for everything else.
	number int
	// title is how the row is spoken of below the others: its number, or what it is about.
	title  phrase
	sign   plan.Sign
	risk   *plan.Risk
	cells  []phrase
	notes  []note
	people []plan.Person
	group  *group
	// command is what somebody may type; empty for most.
	command string
}

type note struct {
	label string
	text  phrase
}

func newReport(p *plan.Plan, o Options) *report {
	r := &report{words: wordsOf(o.Lang), plan: p}
	r.headline = r.countedUp().sentence(r.words)
	number, whys := 0, make(map[string]string, len(p.Rules))
	for i := range p.Rules {
		whys[p.Rules[i].Name] = p.Rules[i].Why
	}
	for i, t := range p.Tenants {
		told := &tenant{Tenant: t, label: fmt.Sprintf("t%d", i+1)}
		b := &builder{words: r.words, tenant: told, at: p.At, groups: make(map[string]*group), number: &number, whys: whys}
		first, second := b.changes, b.rules
		if guardrailsFirst(t) {
			first, second = second, first
		}
		for _, build := range []func() *section{first, second, b.accounts, b.approvals, b.upcoming, b.findings} {
			if s := build(); len(s.rows) > 0 {
				told.sections = append(told.sections, s)
			}
		}
		r.tenants = append(r.tenants, told)
	}
	return r
}

// guardrailsFirst says whether the riskiest row of all is about a guardrail.
func guardrailsFirst(t *plan.Tenant) bool {
	if len(t.Rules) == 0 || len(t.Changes) == 0 {
		return false
	}
	return t.Rules[0].Risk.Severity > t.Changes[0].Risk.Severity
}

// tally is what a plan comes to in numbers. People are counted once, however many rows they are in.
type tally struct {
	gain, lose, shift      int
	weaker, tighter, other int
	approvals, forbidden   int
	severities             [plan.Critical + 1]int
}

func (r *report) countedUp() *tally { return tallyOf(r.plan) }

func tallyOf(p *plan.Plan) *tally {
	n := &tally{}
	for _, t := range p.Tenants {
		by := map[plan.Sign]map[string]bool{}
		for _, c := range t.Changes {
			n.judge(c.Risk)
			if by[c.Sign] == nil {
				by[c.Sign] = make(map[string]bool)
			}
			for _, person := range c.People {
				by[c.Sign][person.User] = true
			}
		}
		n.gain, n.lose, n.shift = n.gain+len(by[plan.Gain]), n.lose+len(by[plan.Loss]), n.shift+len(by[plan.Shift])
		for _, c := range t.Rules {
			n.judge(c.Risk)
			switch c.Sign {
			case plan.Gain:
				n.weaker++
			case plan.Loss:
				n.tighter++
			default:
				n.other++
			}
		}
		for _, c := range t.People {
			n.judge(c.Risk)
		}
		n.approvals += len(t.Approvals)
	}
	return n
}

func (n *tally) judge(risk plan.Risk) {
	n.severities[min(risk.Severity, plan.Critical)]++
	if risk.Forbidden {
		n.forbidden++
	}
}

// sentence is the headline: 3 people gain, 1 loses, 1 guardrail is weaker; 2 approvals needed.
func (n *tally) sentence(w *words) string {
	told := func(of []tallied) string {
		var parts []string
		for _, t := range of {
			if t.number > 0 {
				parts = append(parts, t.words.of(t.number))
			}
		}
		return strings.Join(parts, w.Clause)
	}
	what := told([]tallied{{n.gain, w.Gain}, {n.lose, w.Lose}, {n.shift, w.Shift}, {n.weaker, w.Weaker}, {n.tighter, w.Tighter}, {n.other, w.Differ}})
	more := told([]tallied{{n.approvals, w.Approve}, {n.forbidden, w.Forbid}})
	what = cmp.Or(what, w.NoChange)
	if more == "" {
		return what
	}
	return what + w.Semicolon + more
}

type tallied struct {
	number int
	words  counted
}

// shellWord is an argument as a shell reads it back.
func shellWord(s string) string {
	isPlain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@,=", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isPlain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// approveCommand is what an approver types. With the digest it approves just what was reviewed, or nothing.
func approveCommand(namespace string, a *plan.Approval) string {
	target := strings.ToLower(string(a.Ref.Kind)) + "/" + a.Ref.Name
	words := []string{"kubectl", "crmaccess", "approve", shellWord(target), "-n", shellWord(namespace)}
	if a.User != "" && (a.Ref.Kind == access.KindTemporaryGrant || a.Ref.Kind == access.KindUserBinding) {
		words = append(words, "--user", shellWord(a.User))
	}
	return strings.Join(append(words, "--effect", shellWord(a.Effect)), " ")
}

// people names a few people, and counts more: those have a list of their own.
func (b *builder) people(people []plan.Person) (phrase, *group) {
	if len(people) <= fewPeople {
		return b.persons(people), nil
	}
	var key strings.Builder
	for _, p := range people {
		key.WriteString(p.User)
		key.WriteByte(0)
	}
	g := b.groups[key.String()]
	if g == nil {
		g = &group{label: fmt.Sprintf("G%d", len(b.tenant.groups)+1), people: people}
		b.groups[key.String()] = g
		b.tenant.groups = append(b.tenant.groups, g)
	}
	return phrase{say(b.PeopleCount.of(len(people)) + " " + b.List.Before + g.label + b.List.After)}, g
}
