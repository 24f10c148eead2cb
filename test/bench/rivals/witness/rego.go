package witness

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

//go:embed policy.rego
var policy string

// Rego is an organisation as data for a Rego policy, in the form that OPA recommends: queries are prepared once
// (https://www.openpolicyagent.org/docs/integration#integrating-with-the-go-sdk), data stands in the store, as objects over
// arrays (https://www.openpolicyagent.org/docs/policy-performance).
type Rego struct {
	decide, allow rego.PreparedEvalQuery
}

// NewCompiler compiles the policy, once for all organisations.
func NewCompiler() (*ast.Compiler, error) {
	return ast.CompileModules(map[string]string{"policy.rego": policy})
}

// NewRego translates declarations.
func NewRego(ctx context.Context, compiler *ast.Compiler, d access.Declarations) (*Rego, error) {
	data, err := plain(dataOf(layOut(d)))
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	prepare := func(query string) (rego.PreparedEvalQuery, error) {
		q, err := rego.New(rego.Query(query), rego.Compiler(compiler), rego.Store(store)).PrepareForEval(ctx)
		if err != nil {
			return q, fmt.Errorf("prepare the query %s: %w", query, err)
		}
		return q, nil
	}
	var r Rego
	if r.decide, err = prepare("data.crmaccess.decision"); err != nil {
		return nil, err
	}
	r.allow, err = prepare("data.crmaccess.allow")
	return &r, err
}

// plain is what JSON makes of a value: the only types that the store knows.
func plain(value map[string]any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write the organisation as JSON: %w", err)
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}

// Decide answers a question about a record: whether it is allowed, and the level of each field where it is.
func (r *Rego) Decide(now schedule.Instant, q *access.Request) (bool, []access.Level, error) {
	levels := make([]access.Level, len(q.Fields))
	results, err := r.decide.Eval(context.Background(), rego.EvalParsedInput(inputOf(now, q)))
	if err != nil {
		return false, levels, fmt.Errorf("evaluate the policy: %w", err)
	}
	decision, _ := results[0].Expressions[0].Value.(map[string]any)
	if decision["allow"] != true {
		return false, levels, nil
	}
	shown, _ := decision["levels"].(map[string]any)
	for i, field := range q.Fields {
		n, err := shown[field].(json.Number).Int64()
		if err != nil {
			return false, levels, fmt.Errorf("read the level of %s: %w", field, err)
		}
		levels[i] = access.Level(n)
	}
	return true, levels, nil
}

// Allows answers about the action alone.
func (r *Rego) Allows(now schedule.Instant, q *access.Request) (bool, error) {
	results, err := r.allow.Eval(context.Background(), rego.EvalParsedInput(inputOf(now, q)))
	return err == nil && results.Allowed(), err
}

// inputOf is the question as a parsed value, which saves OPA a way over JSON.
func inputOf(now schedule.Instant, q *access.Request) ast.Value {
	fields := make([]*ast.Term, len(q.Fields))
	for i, field := range q.Fields {
		fields[i] = ast.StringTerm(field)
	}
	said := ast.NewObject()
	for name, text := range map[string]string{"channel": q.Context.Channel, "device": q.Context.Device, "reason": q.Context.Reason} {
		if text != "" {
			said.Insert(ast.StringTerm(name), ast.StringTerm(text))
		}
	}
	for name, number := range map[string]*int64{"rows": q.Context.Rows, "used": q.Context.Used, "owned": q.Context.Owned} {
		if number != nil {
			said.Insert(ast.StringTerm(name), ast.IntNumberTerm(int(*number)))
		}
	}
	return ast.NewObject(
		ast.Item(ast.StringTerm("now"), ast.IntNumberTerm(int(now))),
		ast.Item(ast.StringTerm("user"), ast.StringTerm(q.User)),
		ast.Item(ast.StringTerm("action"), ast.StringTerm(q.Action)),
		ast.Item(ast.StringTerm("object"), ast.StringTerm(q.Object)),
		ast.Item(ast.StringTerm("fields"), ast.ArrayTerm(fields...)),
		ast.Item(ast.StringTerm("context"), ast.NewTerm(said)),
		ast.Item(ast.StringTerm("record"), ast.NewTerm(recordValue(q.Record))),
	)
}

func recordValue(r *access.Record) ast.Object {
	participants, attributes := ast.NewObject(), ast.NewObject()
	for _, name := range r.Participants {
		participants.Insert(ast.StringTerm(name), ast.BooleanTerm(true))
	}
	for field, values := range r.Attributes {
		list := make([]*ast.Term, len(values))
		for i, value := range values {
			list[i] = ast.StringTerm(value)
		}
		attributes.Insert(ast.StringTerm(field), ast.ArrayTerm(list...))
	}
	record := ast.NewObject(
		ast.Item(ast.StringTerm("id"), ast.StringTerm(r.ID)),
		ast.Item(ast.StringTerm("participants"), ast.NewTerm(participants)),
		ast.Item(ast.StringTerm("attributes"), ast.NewTerm(attributes)),
	)
	for name, fact := range map[string]string{"owner": r.Owner, "department": r.Department, "creator": r.Creator} {
		if fact != "" {
			record.Insert(ast.StringTerm(name), ast.StringTerm(fact))
		}
	}
	if r.Parent != nil {
		record.Insert(ast.StringTerm("parent"), ast.NewTerm(recordValue(r.Parent)))
	}
	return record
}

// dataOf is what the policy decides over.
func dataOf(o *organisation) map[string]any {
	data := map[string]any{"known": map[string]any{"channel": set(known["channel"]), "device": set(known["device"])}}
	usersData, departments, objects, bundles := map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}
	for _, u := range o.Users {
		usersData[u.Name] = o.userData(u)
	}
	for _, d := range o.Departments {
		departments[d.Name] = set(o.line(d.Name))
	}
	for _, object := range o.ObjectTypes {
		fields := map[string]any{}
		for _, f := range object.Fields {
			fields[f.Name] = map[string]any{"most": o.capped(object, f)}
		}
		objects[object.Name] = map[string]any{
			"enabled": !object.Disabled, "actions": set(object.Actions), "fields": fields, "from_parent": object.AccessFrom.Object != "",
			"owner_field": object.OwnerField, "department_field": object.DepartmentField,
		}
	}
	for name, grants := range o.bundles {
		tuples := map[string][]any{}
		for _, g := range grants {
			if len(g.Actions) > 0 {
				tuples[g.Object] = append(tuples[g.Object], o.tupleData(g))
			}
		}
		bundles[name] = tuples
	}
	data["users"], data["departments"], data["objects"], data["bundles"], data["rules"] = usersData, departments, objects, bundles, o.rulesData()
	return data
}

func set(names []string) map[string]bool {
	members := make(map[string]bool, len(names))
	for _, name := range names {
		members[name] = true
	}
	return members
}

func (o *organisation) userData(u *access.User) map[string]any {
	holdings := []any{}
	for _, h := range o.holdings[u.Name] {
		holdings = append(holdings, map[string]any{"bundle": h.bundle, "from": bound(h.window.NotBefore), "until": bound(h.window.NotAfter)})
	}
	active := u.State == access.StateActive && !o.revoked[access.Ref{Kind: access.KindUser, Name: u.Name}]
	return map[string]any{"active": active, "departments": set(u.Departments), "superiors": set(o.superiors(u)), "holdings": holdings}
}

// bound keeps an instant within what every JSON reader takes for a whole number.
func bound(i schedule.Instant) schedule.Instant { return max(-1<<50, min(1<<50, i)) }

func (o *organisation) tupleData(g access.Grant) map[string]any {
	where := []any{}
	for _, c := range g.Where {
		where = append(where, map[string]any{"field": c.Field, "operator": c.Operator, "values": set(c.Values)})
	}
	object := o.object(g.Object)
	return map[string]any{
		"actions": set(g.Actions), "scopes": set(g.Records.Scopes.Names()), "ids": set(g.Records.IDs), "owners": set(g.Records.Owners),
		"departments": set(g.Records.Departments), "trees": set(g.Records.DepartmentTrees), "where": where,
		"stored": levels(g, object, access.ActionUpdate), "proposed": levels(g, object, access.ActionCreate),
	}
}

// rulesData are the rules by object and action.
func (o *organisation) rulesData() map[string]any {
	data := map[string]any{}
	for _, object := range o.ObjectTypes {
		ofObject := map[string]any{}
		for _, action := range object.Actions {
			deny, limit, separate := []any{}, []any{}, false
			for _, rule := range o.rules() {
				switch {
				case rule.Deny != nil && names(rule.Deny.Objects, object.Name) && names(rule.Deny.Actions, action):
					deny = append(deny, conditionsOf(rule.Deny.When))
				case rule.Limit != nil && names(rule.Limit.Objects, object.Name) && names(rule.Limit.Actions, action):
					limit = append(limit, limitsOf(rule.Limit)...)
				case rule.Separate != nil && action != access.ActionCreate:
					duties := rule.Separate.Duties
					separate = separate || slices.Contains(duties, access.Duty{Object: object.Name, Action: action}) && slices.Contains(duties, access.Duty{Object: object.Name, Action: access.ActionCreate})
				}
			}
			ofObject[action] = map[string]any{"deny": deny, "limit": limit, "separate": separate}
		}
		data[object.Name] = ofObject
	}
	return data
}

func conditionsOf(when access.DenyWhen) []any {
	conditions := []any{}
	if len(when.Channels) > 0 {
		conditions = append(conditions, map[string]any{"asks": "channel", "named": set(when.Channels)})
	}
	if len(when.Devices) > 0 {
		conditions = append(conditions, map[string]any{"asks": "device", "named": set(when.Devices)})
	}
	if when.ReasonMissing {
		conditions = append(conditions, map[string]any{"asks": "no reason"})
	}
	if len(when.Windows) > 0 {
		windows := []any{}
		for _, w := range when.Windows {
			windows = append(windows, map[string]any{"from": bound(w.NotBefore), "until": bound(w.NotAfter)})
		}
		conditions = append(conditions, map[string]any{"asks": "window", "windows": windows})
	}
	return conditions
}

func limitsOf(limit *access.LimitRule) (limits []any) {
	for kind, most := range map[string]*int64{"request": limit.MaxRowsPerRequest, "day": limit.MaxRowsPerDay, "owned": limit.MaxRecordsOwned} {
		if most != nil {
			limits = append(limits, map[string]any{"kind": kind, "most": *most})
		}
	}
	return limits
}
