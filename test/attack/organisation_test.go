package attack

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// scenario is an attack on declarations. The attack and its twin begin alike and end with a question each: the first must
// not be allowed, the second must.
type scenario struct {
	attack
	given, foul, fair func(*organisation)
	asks              question
	// fairAsks is the twin's question, where it is another one.
	fairAsks *question
}

// question is somebody's wish. field and level ask for a level as well as for the action.
type question struct {
	user, action, record string
	at                   string
	field                string
	level                access.Level
	fields               []string
	context              access.Context
	proposed             *access.Record
}

func TestDeclarations(t *testing.T) {
	for _, g := range []struct {
		name  string
		cases []scenario
	}{
		{"who approves", whoApproves}, {"what was approved", whatWasApproved}, {"roles and people", rolesAndPeople},
		{"guardrails", guardrailsAtADecision}, {"revocations", revocations},
	} {
		for _, c := range g.cases {
			t.Run(g.name+": "+c.name, func(t *testing.T) {
				if e := c.play(t, c.foul, c.asks); e.Effect == access.Allow {
					t.Errorf("attack %q: %+v is allowed: %+v", c.name, c.asks, e.Causes)
				}
				asks := c.asks
				if c.fairAsks != nil {
					asks = *c.fairAsks
				}
				if e := c.play(t, c.fair, asks); e.Effect != access.Allow {
					t.Errorf("twin %q: %+v is %s: %+v %s %+v", c.twin, asks, e.Effect, e.Causes, e.NearestMiss, e.Obligations)
				}
			})
		}
	}
}

func (c *scenario) play(t *testing.T, last func(*organisation), q question) access.Explanation {
	t.Helper()
	o := huayue(t)
	for _, step := range []func(*organisation){c.given, last} {
		if step != nil {
			step(o)
		}
	}
	return o.ask(q)
}

// organisation is the sample organisation, as somebody has changed it.
type organisation struct {
	t *testing.T
	access.Declarations
}

var sample = sync.OnceValues(func() (*manifest.Tree, error) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		return nil, err
	}
	return manifest.Load(filepath.Join(root, "config", "samples", "huayue"))
})

var sampleRecords = sync.OnceValues(func() ([]manifest.Record, error) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		return nil, err
	}
	return manifest.LoadRecords(filepath.Join(root, "config", "samples", "huayue", "records.yaml"))
})

// noon is when a question is asked that names no other instant.
const noon = "2026-11-20T12:00:00+08:00"

func huayue(t *testing.T) *organisation {
	t.Helper()
	tree, err := sample()
	if err != nil {
		t.Fatal(err)
	}
	o := &organisation{t, tree.Tenants["huayue"].Declarations}
	o.Declarations.Approvals = slices.Clone(o.Declarations.Approvals)
	return o
}

// commit applies manifests: what has the kind and name of something that is there replaces it.
func (o *organisation) commit(text string) {
	o.t.Helper()
	files := fstest.MapFS{}
	for i, document := range strings.Split(text, "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			o.t.Fatalf("%v in %s", err, document)
		}
		object["apiVersion"] = v1alpha1.GroupVersion.String()
		out, err := yaml.Marshal(object)
		if err != nil {
			o.t.Fatal(err)
		}
		files[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: out}
	}
	tree, err := manifest.LoadFS(files)
	if err != nil {
		o.t.Fatal(err)
	}
	d := tree.Tenants[""].Declarations
	o.Departments = put(o.Departments, d.Departments, func(x *access.Department) string { return x.Name })
	o.Users = put(o.Users, d.Users, func(x *access.User) string { return x.Name })
	o.Roles = put(o.Roles, d.Roles, func(x *access.Role) string { return x.Name })
	o.UserBindings = put(o.UserBindings, d.UserBindings, func(x *access.UserBinding) string { return x.Name })
	o.TemporaryGrants = put(o.TemporaryGrants, d.TemporaryGrants, func(x *access.TemporaryGrant) string { return x.Name })
	o.Guardrails = put(o.Guardrails, d.Guardrails, func(x *access.Guardrail) string { return x.Name })
	o.Revocations = put(o.Revocations, d.Revocations, func(x *access.Revocation) string { return x.Name })
}

func put[T any](all, changed []*T, name func(*T) string) []*T {
	kept := slices.DeleteFunc(slices.Clone(all), func(x *T) bool {
		return slices.ContainsFunc(changed, func(y *T) bool { return name(x) == name(y) })
	})
	return append(kept, changed...)
}

// user changes somebody's account.
func (o *organisation) user(name string, change func(*access.User)) {
	o.t.Helper()
	for i, u := range o.Users {
		if u.Name == name {
			changed := *u
			change(&changed)
			o.Users = slices.Clone(o.Users)
			o.Users[i] = &changed
			return
		}
	}
	o.t.Fatalf("there is no %s", name)
}

func (o *organisation) suspend(name string) {
	o.user(name, func(u *access.User) { u.State = access.StateSuspended })
}

// alias gives somebody one more username.
func (o *organisation) alias(name, username string) {
	o.user(name, func(u *access.User) { u.Identities = append(slices.Clone(u.Identities), username) })
}

func login(user string) string { return user + "@huayue.example" }

// approve is a yes to what the subject would get as things stand, by each of the usernames.
func (o *organisation) approve(kind access.Kind, name, subject string, usernames ...string) {
	o.t.Helper()
	o.answer(kind, name, subject, false, usernames...)
}

func (o *organisation) answer(kind access.Kind, name, subject string, denied bool, usernames ...string) {
	o.t.Helper()
	ref := access.Ref{Kind: kind, Name: name}
	for _, a := range access.Resolve(o.Declarations).Admissions[ref] {
		if a.User != subject {
			continue
		}
		for _, username := range usernames {
			o.Approvals = append(o.Approvals, &access.Approval{
				Name: fmt.Sprintf("approval-%d", len(o.Approvals)), For: ref, Effect: a.Effect, Document: a.Document, Denied: denied, Approver: username,
			})
		}
		return
	}
	o.t.Fatalf("nothing of %s asks for an approval for %s", ref, subject)
}

// lift is a yes to the end of a revocation.
func (o *organisation) lift(name string, usernames ...string) {
	o.t.Helper()
	i := slices.IndexFunc(o.Revocations, func(r *access.Revocation) bool { return r.Name == name })
	document := o.Revocations[i].LiftDocument()
	for _, username := range usernames {
		o.Approvals = append(o.Approvals, &access.Approval{
			Name: fmt.Sprintf("approval-%d", len(o.Approvals)), For: access.Ref{Kind: access.KindRevocation, Name: name},
			Effect: access.EffectDigest(document), Document: document, Approver: username,
		})
	}
}

// ask answers a question, on the sample's records. Fields are asked for as well where the question names some.
func (o *organisation) ask(q question) access.Explanation {
	o.t.Helper()
	at := q.at
	if at == "" {
		at = noon
	}
	now, err := schedule.Parse(at)
	if err != nil {
		o.t.Fatal(err)
	}
	object, _, _ := strings.Cut(q.record, "/")
	request := &access.Request{User: q.user, Action: q.action, Object: object, Record: q.proposed, Fields: q.fields, Context: q.context}
	if q.proposed == nil {
		request.Record = record(o.t, q.record)
	}
	if q.field != "" {
		request.Fields = []string{q.field}
	}
	e := access.NewPolicy(access.Resolve(o.Declarations).Facts).Explain(now, request)
	if q.field != "" && e.Effect == access.Allow && e.Levels[0] < q.level {
		e.Effect = access.Deny
	}
	return e
}

// record is a record of the sample, written object/id.
func record(t *testing.T, name string) *access.Record {
	t.Helper()
	records, err := sampleRecords()
	if err != nil {
		t.Fatal(err)
	}
	object, id, _ := strings.Cut(name, "/")
	for i := range records {
		if records[i].Object == object && records[i].ID == id {
			return records[i].Fact()
		}
	}
	t.Fatalf("the sample has no record %s", name)
	return nil
}

func number(n int64) *int64 { return &n }
