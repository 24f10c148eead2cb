package rivals

import (
	"context"
	"fmt"
	"slices"

	"github.com/casbin/casbin/v3"
	"github.com/casbin/casbin/v3/model"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"github.com/openfga/language/pkg/go/transformer"
	"github.com/openfga/openfga/pkg/server"
	"github.com/openfga/openfga/pkg/storage/memory"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/test/bench/rivals/witness"
)

// rival answers whether a request is allowed.
type rival func(q *access.Request) (bool, error)

func newOurs(d access.Declarations) rival {
	policy := access.NewPolicy(access.Resolve(d).Facts)
	return func(q *access.Request) (bool, error) { return policy.Decide(now, q, nil) == access.Allow, nil }
}

// newCedar: see witness.Cedar for the sources.
func newCedar(d access.Declarations) (rival, error) {
	c, err := witness.NewCedar(d)
	if err != nil {
		return nil, err
	}
	return func(q *access.Request) (bool, error) { return c.Allows(now, q), nil }, nil
}

// newOPA: see witness.Rego for the sources.
func newOPA(ctx context.Context, d access.Declarations) (rival, error) {
	compiler, err := witness.NewCompiler()
	if err != nil {
		return nil, err
	}
	r, err := witness.NewRego(ctx, compiler, d)
	if err != nil {
		return nil, err
	}
	return func(q *access.Request) (bool, error) { return r.Allows(now, q) }, nil
}

// casbinModel is role-based access with a second hierarchy for departments (https://casbin.org/docs/rbac) and attributes of
// the record (https://casbin.org/docs/abac). The comparisons that cost least and leave out most stand first: every line of
// the policy is tried (https://casbin.org/docs/performance).
const casbinModel = `
[request_definition]
r = sub, rec, act

[policy_definition]
p = role, obj, act, scope

[role_definition]
g = _, _
g2 = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.act == p.act && r.rec.Object == p.obj && g(r.sub.Name, p.role) && (p.scope == "all" || p.scope == "own" && r.rec.Owner == r.sub.Name || p.scope == "department" && r.rec.Department == r.sub.Department || p.scope == "departmentAndBelow" && g2(r.rec.Department, r.sub.Department))
`

type casbinSubject struct{ Name, Department string }

type casbinRecord struct{ Object, Owner, Department string }

func newCasbin(d access.Declarations) (rival, error) {
	m, err := model.NewModelFromString(casbinModel)
	if err != nil {
		return nil, fmt.Errorf("read the model of casbin: %w", err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("make an enforcer of casbin: %w", err)
	}
	var policies, holders, tree [][]string
	for _, role := range d.Roles {
		for _, g := range role.Grants {
			for _, action := range g.Actions {
				if line := []string{role.Name, g.Object, action, g.Records.Scopes.String()}; !slices.ContainsFunc(policies, func(p []string) bool { return slices.Equal(p, line) }) {
					policies = append(policies, line)
				}
			}
		}
	}
	for _, b := range d.UserBindings {
		for _, role := range slices.Compact(slices.Sorted(slices.Values(b.Roles))) {
			holders = append(holders, []string{b.Subjects[0].User, role})
		}
	}
	for _, department := range d.Departments {
		if department.Parent != "" {
			tree = append(tree, []string{department.Name, department.Parent})
		}
	}
	if _, err := e.AddPolicies(policies); err != nil {
		return nil, fmt.Errorf("add the policies of casbin: %w", err)
	}
	if _, err := e.AddGroupingPolicies(holders); err != nil {
		return nil, fmt.Errorf("add the roles of casbin: %w", err)
	}
	if _, err := e.AddNamedGroupingPolicies("g2", tree); err != nil {
		return nil, fmt.Errorf("add the departments of casbin: %w", err)
	}
	departments := make(map[string]string, len(d.Users))
	for _, u := range d.Users {
		departments[u.Name] = u.Departments[0]
	}
	return func(q *access.Request) (bool, error) {
		return e.Enforce(casbinSubject{q.User, departments[q.User]}, casbinRecord{q.Object, q.Record.Owner, q.Record.Department}, q.Action)
	}, nil
}

// fgaModel has roles as usersets (https://openfga.dev/docs/modeling/roles-and-permissions), departments and objects as
// parents (https://openfga.dev/docs/modeling/parent-child), and what must hold together as an intersection
// (https://openfga.dev/docs/modeling/building-blocks/usersets). The facts of the record come with the request, as contextual
// tuples (https://openfga.dev/docs/interacting/contextual-tuples).
const fgaModel = `model
  schema 1.1
type user
type department
  relations
    define parent: [department]
    define member: [user]
    define member_or_above: member or member_or_above from parent
type role
  relations
    define holder: [user]
type object
  relations
    define read_own: [role#holder]
    define read_department: [role#holder]
    define read_departmentAndBelow: [role#holder]
    define read_all: [role#holder]
    define update_own: [role#holder]
    define update_department: [role#holder]
    define update_departmentAndBelow: [role#holder]
    define update_all: [role#holder]
    define export_own: [role#holder]
    define export_department: [role#holder]
    define export_departmentAndBelow: [role#holder]
    define export_all: [role#holder]
type record
  relations
    define object: [object]
    define owner: [user]
    define department: [department]
    define member: member from department
    define member_or_above: member_or_above from department
    define read_own: read_own from object
    define read_department: read_department from object
    define read_departmentAndBelow: read_departmentAndBelow from object
    define read: read_all from object or (owner and read_own) or (member and read_department) or (member_or_above and read_departmentAndBelow)
    define update_own: update_own from object
    define update_department: update_department from object
    define update_departmentAndBelow: update_departmentAndBelow from object
    define update: update_all from object or (owner and update_own) or (member and update_department) or (member_or_above and update_departmentAndBelow)
    define export_own: export_own from object
    define export_department: export_department from object
    define export_departmentAndBelow: export_departmentAndBelow from object
    define export: export_all from object or (owner and export_own) or (member and export_department) or (member_or_above and export_departmentAndBelow)
`

// newOpenFGA is the server as a library (https://openfga.dev/docs/getting-started/setup-openfga/overview), asked without a
// network in between, over its datastore in memory. The returned function ends it.
func newOpenFGA(ctx context.Context, d access.Declarations) (rival, func(), error) {
	store := memory.New()
	s, err := server.NewServerWithOpts(server.WithDatastore(store))
	if err != nil {
		return nil, nil, fmt.Errorf("make a server of OpenFGA: %w", err)
	}
	end := func() { s.Close(); store.Close() }
	created, err := s.CreateStore(ctx, &openfgav1.CreateStoreRequest{Name: "organisation"})
	if err != nil {
		return nil, end, fmt.Errorf("create a store of OpenFGA: %w", err)
	}
	parsed, err := transformer.TransformDSLToProto(fgaModel)
	if err != nil {
		return nil, end, fmt.Errorf("read the model of OpenFGA: %w", err)
	}
	written, err := s.WriteAuthorizationModel(ctx, &openfgav1.WriteAuthorizationModelRequest{StoreId: created.GetId(), SchemaVersion: parsed.GetSchemaVersion(), TypeDefinitions: parsed.GetTypeDefinitions()})
	if err != nil {
		return nil, end, fmt.Errorf("write the model of OpenFGA: %w", err)
	}
	for batch := range slices.Chunk(fgaTuples(d), 100) {
		if _, err := s.Write(ctx, &openfgav1.WriteRequest{StoreId: created.GetId(), AuthorizationModelId: written.GetAuthorizationModelId(), Writes: &openfgav1.WriteRequestWrites{TupleKeys: batch}}); err != nil {
			return nil, end, fmt.Errorf("write tuples of OpenFGA: %w", err)
		}
	}
	return func(q *access.Request) (bool, error) {
		record := "record:" + q.Record.ID
		reply, err := s.Check(ctx, &openfgav1.CheckRequest{
			StoreId: created.GetId(), AuthorizationModelId: written.GetAuthorizationModelId(),
			TupleKey: &openfgav1.CheckRequestTupleKey{User: "user:" + q.User, Relation: q.Action, Object: record},
			ContextualTuples: &openfgav1.ContextualTupleKeys{TupleKeys: []*openfgav1.TupleKey{
				{User: "object:" + q.Object, Relation: "object", Object: record},
				{User: "user:" + q.Record.Owner, Relation: "owner", Object: record},
				{User: "department:" + q.Record.Department, Relation: "department", Object: record},
			}},
		})
		return reply.GetAllowed(), err
	}, end, nil
}

func fgaTuples(d access.Declarations) (tuples []*openfgav1.TupleKey) {
	seen := make(map[string]bool)
	add := func(user, relation, object string) {
		if key := user + " " + relation + " " + object; !seen[key] {
			seen[key] = true
			tuples = append(tuples, &openfgav1.TupleKey{User: user, Relation: relation, Object: object})
		}
	}
	for _, department := range d.Departments {
		if department.Parent != "" {
			add("department:"+department.Parent, "parent", "department:"+department.Name)
		}
	}
	for _, u := range d.Users {
		add("user:"+u.Name, "member", "department:"+u.Departments[0])
	}
	for _, b := range d.UserBindings {
		for _, role := range b.Roles {
			add("user:"+b.Subjects[0].User, "holder", "role:"+role)
		}
	}
	for _, role := range d.Roles {
		for _, g := range role.Grants {
			for _, action := range g.Actions {
				add("role:"+role.Name+"#holder", action+"_"+g.Records.Scopes.String(), "object:"+g.Object)
			}
		}
	}
	return tuples
}
