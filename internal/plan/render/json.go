package render

import (
	"io"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

// APIVersion is the form of the JSON. Its members stay as they are; new ones may come. docs/plan.schema.json describes it.
const APIVersion = "plan.crmaccess.io/v1"

// JSON writes a plan for programs. It is the same in every language; lists are never null, and instants are RFC 3339 in UTC.
func JSON(w io.Writer, p *plan.Plan, _ Options) error {
	return terminal.WriteJSON(w, documentOf(p))
}

type document struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Base       string           `json:"base"`
	Head       string           `json:"head"`
	At         string           `json:"at"`
	Summary    summaryDocument  `json:"summary"`
	Rules      []ruleDocument   `json:"rules"`
	Tenants    []tenantDocument `json:"tenants"`
}

// ruleDocument is a rule of risk by which the plan was judged.
type ruleDocument struct {
	Name     string `json:"name"`
	Severity string `json:"severity"`
	Forbid   bool   `json:"forbid"`
	Why      string `json:"why"`
}

// summaryDocument is the headline in numbers.
type summaryDocument struct {
	PeopleGain        int          `json:"peopleGain"`
	PeopleLose        int          `json:"peopleLose"`
	PeopleShift       int          `json:"peopleShift"`
	GuardrailsWeaker  int          `json:"guardrailsWeaker"`
	GuardrailsTighter int          `json:"guardrailsTighter"`
	GuardrailsDiffer  int          `json:"guardrailsDiffer"`
	Approvals         int          `json:"approvals"`
	Forbidden         int          `json:"forbidden"`
	Risks             riskDocument `json:"risks"`
}

// riskDocument counts the rows of each severity.
type riskDocument struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
}

type tenantDocument struct {
	Namespace  string              `json:"namespace"`
	Changes    []changeDocument    `json:"changes"`
	Guardrails []guardrailDocument `json:"guardrails"`
	Accounts   []accountDocument   `json:"accounts"`
	Approvals  []approvalDocument  `json:"approvals"`
	Upcoming   []upcomingDocument  `json:"upcoming"`
	Findings   []findingDocument   `json:"findings"`
}

type judgement struct {
	Severity  string   `json:"severity"`
	Rules     []string `json:"rules"`
	Forbidden bool     `json:"forbidden"`
}

// peopleDocument names people with the ways by which they have it: each of paths once, and by its index at each person.
type peopleDocument struct {
	People []personDocument `json:"people"`
	Paths  []pathDocument   `json:"paths"`
}

type changeDocument struct {
	// Number is how tables, comments and pages name the change.
	Number  int               `json:"number"`
	Sign    plan.Sign         `json:"sign"`
	Risk    judgement         `json:"risk"`
	Object  string            `json:"object"`
	Actions []string          `json:"actions"`
	Fields  []fieldDocument   `json:"fields"`
	Wider   []reachDocument   `json:"wider"`
	Before  []recordsDocument `json:"before"`
	After   []recordsDocument `json:"after"`
	windowDocument
	Was *windowDocument `json:"was"`
	peopleDocument
	Causes []causeDocument `json:"causes"`
}

// windowDocument is a span of time, null where it has no start or no end.
type windowDocument struct {
	From  *string `json:"from"`
	Until *string `json:"until"`
}

type fieldDocument struct {
	Field string `json:"field"`
	Class string `json:"class"`
	From  string `json:"from"`
	Level string `json:"level"`
	// Proposed is about filling a field in when a record is created.
	Proposed bool `json:"proposed"`
}

type reachDocument struct {
	Action string `json:"action"`
	Beyond string `json:"beyond"`
}

type recordsDocument struct {
	Scopes          []string            `json:"scopes"`
	IDs             []string            `json:"ids"`
	Owners          []string            `json:"owners"`
	Participants    []string            `json:"participants"`
	Departments     []string            `json:"departments"`
	DepartmentTrees []string            `json:"departmentTrees"`
	Where           []conditionDocument `json:"where"`
}

type conditionDocument struct {
	Field    string   `json:"field"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
}

type personDocument struct {
	User        string `json:"user"`
	DisplayName string `json:"displayName"`
	// Paths are indexes into the paths beside.
	Paths []int `json:"paths"`
}

type pathDocument struct {
	Owner string  `json:"owner"`
	Roles string  `json:"roles"`
	Grant string  `json:"grant"`
	Until *string `json:"until"`
	placeDocument
}

type placeDocument struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

type causeDocument struct {
	Ref   string    `json:"ref"`
	Verb  plan.Verb `json:"verb"`
	Field string    `json:"field"`
	placeDocument
}

type guardrailDocument struct {
	Sign      plan.Sign       `json:"sign"`
	Risk      judgement       `json:"risk"`
	Guardrail string          `json:"guardrail"`
	Held      bool            `json:"held"`
	Before    string          `json:"before"`
	After     string          `json:"after"`
	Object    string          `json:"object"`
	Actions   []string        `json:"actions"`
	Fields    []fieldDocument `json:"fields"`
	peopleDocument
	Causes []causeDocument `json:"causes"`
}

type accountDocument struct {
	User        string          `json:"user"`
	DisplayName string          `json:"displayName"`
	What        string          `json:"what"`
	From        string          `json:"from"`
	To          string          `json:"to"`
	Risk        judgement       `json:"risk"`
	Causes      []causeDocument `json:"causes"`
}

type approvalDocument struct {
	Ref       string   `json:"ref"`
	User      string   `json:"user"`
	Effect    string   `json:"effect"`
	Guardrail string   `json:"guardrail"`
	Needed    int      `json:"needed"`
	Have      int      `json:"have"`
	From      []string `json:"from"`
	// Document is the canonical text whose SHA-256 the effect is.
	Document string `json:"document"`
	Command  string `json:"command"`
	placeDocument
}

type upcomingDocument struct {
	At    string    `json:"at"`
	Sign  plan.Sign `json:"sign"`
	Ref   string    `json:"ref"`
	Grant string    `json:"grant"`
	peopleDocument
	placeDocument
}

type findingDocument struct {
	Ref     string `json:"ref"`
	Field   string `json:"field"`
	Message string `json:"message"`
	Advice  bool   `json:"advice"`
	placeDocument
}

func documentOf(p *plan.Plan) *document {
	n := tallyOf(p)
	d := &document{
		APIVersion: APIVersion, Kind: "Plan", Base: p.Base, Head: p.Head, At: p.At.String(),
		Summary: summaryDocument{
			PeopleGain: n.gain, PeopleLose: n.lose, PeopleShift: n.shift,
			GuardrailsWeaker: n.weaker, GuardrailsTighter: n.tighter, GuardrailsDiffer: n.other,
			Approvals: n.approvals, Forbidden: n.forbidden,
			Risks: riskDocument{n.severities[plan.Critical], n.severities[plan.High], n.severities[plan.Medium], n.severities[plan.Low]},
		},
	}
	d.Rules = each(p.Rules, func(r plan.Rule) ruleDocument { return ruleDocument{r.Name, r.Severity.String(), r.Forbid, r.Why} })
	number := 0
	d.Tenants = each(p.Tenants, func(t *plan.Tenant) tenantDocument {
		return tenantDocument{
			Namespace: t.Namespace,
			Changes: each(t.Changes, func(c *plan.Change) changeDocument {
				number++
				return documentOfChange(number, c)
			}),
			Guardrails: each(t.Rules, documentOfRule),
			Accounts:   each(t.People, documentOfAccount),
			Approvals:  each(t.Approvals, func(a *plan.Approval) approvalDocument { return documentOfApproval(t.Namespace, a) }),
			Upcoming:   each(t.Upcoming, documentOfUpcoming),
			Findings:   each(t.Findings, documentOfFinding),
		}
	})
	return d
}

// each is a list of what is made of each element; it is never nil, and so never null.
func each[A, B any](list []A, made func(A) B) []B {
	out := make([]B, len(list))
	for i, element := range list {
		out[i] = made(element)
	}
	return out
}

func documentOfChange(number int, c *plan.Change) changeDocument {
	d := changeDocument{
		Number: number, Sign: c.Sign, Risk: judgementOf(c.Risk), Object: c.Object, Actions: listed(c.Actions), Fields: each(c.Fields, documentOfField),
		Wider:  each(c.Wider, func(r plan.Reach) reachDocument { return reachDocument(r) }),
		Before: each(c.Before, documentOfRecords), After: each(c.After, documentOfRecords),
		windowDocument: documentOfWindow(c.Window), peopleDocument: documentOfPeople(c.People), Causes: each(c.Causes, documentOfCause),
	}
	if c.Was != nil {
		was := documentOfWindow(*c.Was)
		d.Was = &was
	}
	return d
}

func documentOfRule(c *plan.RuleChange) guardrailDocument {
	return guardrailDocument{
		Sign: c.Sign, Risk: judgementOf(c.Risk), Guardrail: c.Guardrail, Held: c.Held, Before: c.Before, After: c.After, Object: c.Object, Actions: listed(c.Actions),
		Fields: each(c.Fields, documentOfField), peopleDocument: documentOfPeople(c.People), Causes: each(c.Causes, documentOfCause),
	}
}

func documentOfAccount(c *plan.PersonChange) accountDocument {
	return accountDocument{c.User, c.DisplayName, c.What, c.From, c.To, judgementOf(c.Risk), each(c.Causes, documentOfCause)}
}

func documentOfApproval(namespace string, a *plan.Approval) approvalDocument {
	return approvalDocument{
		Ref: a.Ref.String(), User: a.User, Effect: a.Effect, Guardrail: a.Rule, Needed: a.Needed, Have: a.Have, From: listed(a.From),
		Document: string(a.Document), Command: approveCommand(namespace, a), placeDocument: placeDocument(a.Source),
	}
}

func documentOfUpcoming(u *plan.Upcoming) upcomingDocument {
	return upcomingDocument{u.At.String(), u.Sign, u.Ref.String(), u.Grant, documentOfPeople(u.People), placeDocument(u.Source)}
}

func documentOfFinding(f *plan.Finding) findingDocument {
	d := findingDocument{Field: f.Field, Message: f.Message, Advice: f.Advice, placeDocument: placeDocument(f.Source)}
	if f.Ref != (access.Ref{}) {
		d.Ref = f.Ref.String()
	}
	return d
}

func documentOfPeople(people []plan.Person) peopleDocument {
	index := make(map[plan.Path]int)
	d := peopleDocument{Paths: []pathDocument{}}
	d.People = each(people, func(p plan.Person) personDocument {
		return personDocument{p.User, p.DisplayName, each(p.Paths, func(path plan.Path) int {
			i, known := index[path]
			if !known {
				i = len(d.Paths)
				index[path] = i
				d.Paths = append(d.Paths, documentOfPath(path))
			}
			return i
		})}
	})
	return d
}

func documentOfPath(p plan.Path) pathDocument {
	return pathDocument{p.Owner.String(), p.Roles, p.Grant, instantOf(p.Until), placeDocument(p.Source)}
}

func documentOfRecords(r plan.Records) recordsDocument {
	return recordsDocument{
		listed(r.Scopes), listed(r.IDs), listed(r.Owners), listed(r.Participants), listed(r.Departments), listed(r.DepartmentTrees),
		each(r.Where, func(w access.WhereFact) conditionDocument {
			return conditionDocument{w.Field, string(w.Operator), listed(w.Values)}
		}),
	}
}

func documentOfField(f plan.FieldLevel) fieldDocument {
	return fieldDocument{f.Field, f.Class.String(), f.From.String(), f.Level.String(), f.Proposed}
}

func documentOfCause(c plan.Cause) causeDocument {
	return causeDocument{c.Ref.String(), c.Verb, c.Field, placeDocument(c.Source)}
}

func documentOfWindow(w schedule.Window) windowDocument {
	return windowDocument{instantOf(w.NotBefore), instantOf(w.NotAfter)}
}

// instantOf is an instant, or nothing where there is no bound.
func instantOf(i schedule.Instant) *string {
	if i == schedule.Always || i == schedule.Forever {
		return nil
	}
	text := i.String()
	return &text
}

func judgementOf(r plan.Risk) judgement {
	return judgement{r.Severity.String(), listed(r.Rules), r.Forbidden}
}

// listed is a list that is not null.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
