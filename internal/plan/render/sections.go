package render

import (
	"fmt"
	"math"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// builder makes the sections of one tenant.
type builder struct {
	*words
	tenant *tenant
	at     schedule.Instant
	groups map[string]*group
	number *int
	// whys are the reasons of the rules of risk, by their names.
	whys map[string]string
}

// The columns of a change.
const (
	atNumber = iota
	atSign
	atRisk
	atWho
	atFrom
	atUntil
	atMay
	atRecords
)

func (b *builder) changes() *section {
	s := &section{kind: changes, title: b.Changes, header: []string{b.Number, b.Sign, b.Risk, b.Who, b.From, b.Until, b.May, b.Records}}
	for _, c := range b.tenant.Changes {
		*b.number++
		r := &row{number: *b.number, title: phrase{say(fmt.Sprint(*b.number))}, sign: c.Sign, risk: &c.Risk, people: c.People}
		who, group := b.people(c.People)
		r.group = group
		r.cells = []phrase{
			r.title, b.signed(c.Sign, b.sign(c.Sign)), b.risk(c.Risk), who,
			{say(b.from(c.Window, b.at))}, {say(b.until(c.Window))},
			b.permission(c.Object, c.Actions, c.Fields, c.Wider), b.difference(c.Before, c.After, longest),
		}
		if c.Was != nil {
			r.note(b.Was, phrase{say(b.span(*c.Was, b.at))})
		}
		b.allFields(r, c.Fields)
		if isLong(c.Before, c.After) {
			r.note(b.Records, b.difference(c.Before, c.After, math.MaxInt))
		}
		b.explain(r, c.Causes, c.Risk)
		s.rows = append(s.rows, r)
	}
	return s
}

func (b *builder) rules() *section {
	s := &section{kind: rules, title: b.Guardrails, header: []string{b.Sign, b.Risk, b.Guardrail, b.Who, b.Concerns, b.Says}}
	for _, c := range b.tenant.Rules {
		r := &row{title: phrase{name(c.Guardrail)}, sign: c.Sign, risk: &c.Risk, people: c.People}
		who, group := b.people(c.People)
		r.group = group
		r.cells = []phrase{
			b.signed(c.Sign, b.guardrail(c.Sign)), b.risk(c.Risk), {name(c.Guardrail)}, who, b.permission(c.Object, c.Actions, c.Fields, nil),
			joined([]phrase{b.ruleSentence(c.Before, c.Was), b.ruleSentence(c.After, c.Is)}, " → "),
		}
		b.allFields(r, c.Fields)
		if c.Held {
			r.note(b.Note, phrase{say(b.Held)})
		}
		b.explain(r, c.Causes, c.Risk)
		s.rows = append(s.rows, r)
	}
	return s
}

func (b *builder) accounts() *section {
	s := &section{kind: accounts, title: b.Accounts, header: []string{b.Risk, b.Who, b.What, b.From, b.To}}
	for _, c := range b.tenant.People {
		r := &row{title: b.person(c.User, c.DisplayName), risk: &c.Risk}
		r.cells = []phrase{b.risk(c.Risk), r.title, b.account(c.What), b.orNothing(c.From), b.orNothing(c.To)}
		b.explain(r, c.Causes, c.Risk)
		s.rows = append(s.rows, r)
	}
	return s
}

func (b *builder) approvals() *section {
	s := &section{kind: approvals, title: b.Approvals, header: []string{b.What, b.Who, b.Have, b.From, b.Rule}}
	for _, a := range b.tenant.Approvals {
		r := &row{command: approveCommand(b.tenant.Namespace, a)}
		from := phrase{say(b.NobodyMay)}
		if len(a.From) > 0 {
			from = nil
			for i, approver := range a.From {
				if i > 0 {
					from = append(from, say(b.Or))
				}
				from = append(from, b.approver(approver)...)
			}
		}
		r.cells = []phrase{
			append(phrase{name(a.Ref.String())}, b.place(a.Source)...), b.orNothing(a.User),
			{say(fmt.Sprintf(b.HaveOf, a.Have, a.Needed))}, from, b.orNothing(a.Rule),
		}
		r.note(b.Effect, phrase{name(a.Effect), say(b.Clause + b.MergedAlone)})
		s.rows = append(s.rows, r)
	}
	return s
}

func (b *builder) upcoming() *section {
	s := &section{kind: upcoming, title: b.Upcoming, header: []string{b.When, b.Sign, b.Who, b.Grant, b.By}}
	for _, u := range b.tenant.Upcoming {
		r := &row{sign: u.Sign, people: u.People}
		who, group := b.people(u.People)
		r.group = group
		r.cells = []phrase{{say(u.At.String())}, b.signed(u.Sign, b.sign(u.Sign)), who, b.given(u), append(phrase{name(u.Ref.String())}, b.place(u.Source)...)}
		s.rows = append(s.rows, r)
	}
	return s
}

func (b *builder) findings() *section {
	s := &section{kind: findings, title: b.Findings, header: []string{b.What, b.Place, b.Message}}
	for _, f := range b.tenant.Findings {
		kind := b.Fault
		if f.Advice {
			kind = b.Advice
		}
		where := phrase{name(f.Source.String())}
		if f.Ref != (access.Ref{}) {
			where = append(b.declaration(f.Ref, f.Field), b.place(f.Source)...)
		}
		s.rows = append(s.rows, &row{cells: []phrase{{say(kind)}, where, b.told(f.Message, f.Format, f.Args)}})
	}
	return s
}

// explain adds why a row is there: the text that causes it, the ways by which the access comes, the rules of risk.
func (b *builder) explain(r *row, causes []plan.Cause, risk plan.Risk) {
	for _, c := range causes {
		r.note(b.Because, b.cause(c))
	}
	for _, way := range waysOf(r.people) {
		text := b.path(way.Path)
		if len(way.people) < len(r.people) {
			text = append(text, say(b.Clause+fmt.Sprintf(b.OfPeople, len(way.people), len(r.people))))
			if len(way.people) <= fewPeople {
				text = append(append(text, say(b.Colon)), b.persons(way.people)...)
			}
		}
		r.note(b.By, text)
	}
	for _, rule := range risk.Rules {
		r.note(b.Rules, b.riskRule(rule))
	}
}

// allFields names the fields that are too many for a cell.
func (b *builder) allFields(r *row, fields []plan.FieldLevel) {
	if len(fields) > fewFields {
		r.note(b.Fields, joined(b.fields(fields), b.Semicolon))
	}
}

// note adds something to say besides, where there is something.
func (r *row) note(label string, text phrase) {
	if len(text) > 0 {
		r.notes = append(r.notes, note{label, text})
	}
}

// signed is a direction, by mark and by word: neither colour nor mark alone says it.
func (b *builder) signed(sign plan.Sign, word string) phrase {
	return phrase{say(string(sign) + " " + word)}
}

func (b *builder) risk(risk plan.Risk) phrase {
	text := b.severity(risk.Severity)
	if risk.Forbidden {
		text += b.Comma + b.Forbidden
	}
	return phrase{say(text)}
}

func (b *builder) guardrail(sign plan.Sign) string {
	switch sign {
	case plan.Gain:
		return b.RuleWeaker
	case plan.Loss:
		return b.RuleTighter
	}
	return b.RuleDiffers
}

// account is what happens to an account; what the words lack stands as it is.
func (b *builder) account(what string) phrase {
	if text, known := b.Whats[what]; known {
		return phrase{say(text)}
	}
	return phrase{name(what)}
}

func (b *builder) orNothing(text string) phrase {
	if text == "" {
		return phrase{say("–")}
	}
	return phrase{name(text)}
}

// ruleSentence is a guardrail's rule in words.
func (b *builder) ruleSentence(text string, rule *access.GuardrailRule) phrase {
	if rule == nil || b.Sentences == nil {
		return b.sentence(text)
	}
	return b.rule(rule)
}

// given is what begins or ends.
func (b *builder) given(u *plan.Upcoming) phrase {
	if u.Rule == nil || b.Sentences == nil {
		return phrase{name(u.Grant)}
	}
	return b.rule(u.Rule)
}

// riskRule is a rule of risk, with why it makes somebody look.
func (b *builder) riskRule(rule string) phrase {
	why := b.whys[rule]
	switch {
	case why == "":
		return phrase{name(rule)}
	case b.Sentences[why] != "":
		return append(phrase{name(rule), say(b.Colon)}, b.put(why)...)
	}
	return phrase{name(rule), say(b.Colon), {why, quoted}}
}
