package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

// dsnVariable is the environment's variable with the connection string of a PostgreSQL store. A flag would show it to
// everybody who may list processes.
const dsnVariable = "CRM_ACCESS_DSN"

// storeFlags say which permission store a plan is compared with.
type storeFlags struct{ store, dsnFile string }

func (f *storeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.store, "store", "", "compare with the access that a permission store gives, in place of --base: postgres, or sqlite:FILE")
	flags.StringVar(&f.dsnFile, "dsn-file", "", "file with the connection string of --store postgres (default the variable "+dsnVariable+")")
}

const (
	postgresStore = "postgres"
	sqliteStore   = "sqlite:"
)

func (f *storeFlags) check() error {
	switch {
	case f.dsnFile != "" && f.store != postgresStore:
		return errors.New("--dsn-file is of --store postgres")
	case f.store == "", f.store == postgresStore, strings.HasPrefix(f.store, sqliteStore) && f.store != sqliteStore:
		return nil
	case strings.Contains(f.store, "://"):
		return fmt.Errorf("--store: want postgres, and the connection string in --dsn-file or %s: everybody may list the arguments of a process", dsnVariable)
	}
	return fmt.Errorf("--store %q: want postgres, or sqlite:FILE", f.store)
}

// attach opens the store to read it. No error holds the connection string.
func (f *storeFlags) attach(ctx context.Context, env *Environment) (store.Store, error) {
	if file, is := strings.CutPrefix(f.store, sqliteStore); is {
		s, err := sqlite.Attach(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("open the store %s: %w", file, err)
		}
		return s, nil
	}
	dsn := env.Getenv(dsnVariable)
	if f.dsnFile != "" {
		text, err := os.ReadFile(f.dsnFile)
		if err != nil {
			return nil, fmt.Errorf("read the connection string: %w", err)
		}
		dsn = string(text)
	}
	if dsn = strings.TrimSpace(dsn); dsn == "" {
		return nil, fmt.Errorf("--store postgres: give the connection string in --dsn-file, or in the variable %s", dsnVariable)
	}
	s, err := postgres.Attach(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return s, nil
}

// againstStore compares the access that a store gives a tenant with what head declares, and takes over the store's clock.
func (o *openStates) againstStore(ctx context.Context, env *Environment, head *manifest.Tree, namespace string) (map[string]statesOf, error) {
	tellNotes(env, &manifest.Tree{}, head)
	s, err := o.store.attach(ctx, env)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	if namespace, err = tenantOf(ctx, s, namespace); err != nil {
		return nil, err
	}
	after, err := chooseTenant(head, o.head.Name, namespace)
	if err != nil {
		return nil, err
	}
	content, err := s.Load(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("load %s from the store: %w", namespace, err)
	}
	o.stored = &content.Tenant
	held, err := readStored(content)
	if err != nil {
		return nil, err
	}
	held.tell(env)
	states := statesOf{base: plan.State{Declarations: held.declared, Stored: &held.facts, Strays: held.strays}, head: plannedState(after, o.head)}
	states.head.Declarations, _ = appliedTo(held.declared, states.head.Declarations)
	states.head.Declarations.TemporaryGrants = held.judged(states.head.Declarations.TemporaryGrants)
	return map[string]statesOf{namespace: states}, nil
}

// tenantOf is the tenant that is asked for, or the only one.
func tenantOf(ctx context.Context, s store.Store, namespace string) (string, error) {
	tenants, err := s.Tenants(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the store for its tenants: %w", err)
	}
	names := make([]string, len(tenants))
	for i := range tenants {
		names[i] = tenants[i].Name
	}
	switch {
	case namespace == "" && len(names) == 1:
		return names[0], nil
	case namespace == "":
		return "", fmt.Errorf("the store holds %d tenants: choose one with -n: %s", len(names), strings.Join(names, ", "))
	case !slices.Contains(names, namespace):
		return "", fmt.Errorf("the store holds no tenant %q; it has: %s", namespace, cmp.Or(strings.Join(names, ", "), "none"))
	}
	return namespace, nil
}

// storeName is how the plan calls the store's state of a tenant.
func (o *openStates) storeName() string {
	return fmt.Sprintf("%s in the permission store at revision %s", o.stored.Name, o.stored.Revision)
}

// since is the instant from which on a store can be compared: its own present, unless a later one is asked for. What had
// ended before is in no store any more.
func (o *openStates) since(at schedule.Instant, asked bool) (schedule.Instant, error) {
	now := schedule.At(o.stored.Now)
	switch {
	case !asked:
		return now, nil
	case at < now:
		return 0, fmt.Errorf("--at %s: a store keeps nothing that has ended, and its clock says %s: ask from then on", at, now)
	}
	return at, nil
}

// storedTenant is what a store holds of a tenant.
type storedTenant struct {
	facts access.Facts
	// declared is what the operator acted on, as far as it counts; where rows stray from that, users and guardrails are as
	// the rows have them.
	declared access.Declarations
	// strays are the declarations of which the store holds something else than follows from them.
	strays []access.Ref
	memory operatorMemory
}

// operatorMemory is what of the operator's memory in the tenant row says what counts (docs/store.md).
type operatorMemory struct {
	// Lifted are the uids of revocations that have ended though their objects are there.
	Lifted []string `json:"lifted"`
	// Unproven are the texts, by Kind/name, of which it is not known who made them.
	Unproven map[string]string `json:"unproven"`
}

// readStored reads rows. One that cannot be read would be missing from what looks whole.
func readStored(content store.Content) (*storedTenant, error) {
	t := &storedTenant{}
	if content.Tenant.Brake != "" {
		if err := json.Unmarshal([]byte(content.Tenant.Brake), &t.memory); err != nil {
			return nil, fmt.Errorf("read what the operator remembers of %s in the store: %w", content.Tenant.Name, err)
		}
	}
	rows := slices.SortedFunc(slices.Values(content.Rows), func(a, b store.Row) int { return a.Compare(b.RowID) })
	facts, sources, err := store.Decode(rows)
	if err != nil {
		return nil, fmt.Errorf("read the rows of %s in the store: %w\nthe operator answers from none of them, and puts them right where drift.mode is Enforce", content.Tenant.Name, err)
	}
	t.facts = facts
	if t.declared, err = declaredBy(sources); err != nil {
		return nil, err
	}
	t.declared.Approvals = approvalsOf(facts.Approvals)
	t.declared.Revocations = slices.DeleteFunc(t.declared.Revocations, func(r *access.Revocation) bool { return slices.Contains(t.memory.Lifted, r.UID) })
	t.declared.TemporaryGrants = t.judged(t.declared.TemporaryGrants)
	if err := t.findStrays(schedule.At(content.Tenant.Now)); err != nil {
		return nil, err
	}
	t.followStrays()
	return t, nil
}

// declaredBy are the declarations that the store keeps. One that does not convert confers nothing, as in the operator.
func declaredBy(sources map[access.Ref]store.Source) (access.Declarations, error) {
	var d access.Declarations
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return d, err
	}
	for ref, source := range sources {
		var spec map[string]any
		if err := json.Unmarshal(source.Spec, &spec); err != nil {
			return d, fmt.Errorf("read the declaration of %s in the store: %w", ref, err)
		}
		object, err := typed(scheme, ref.Kind, &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": ref.Name, "uid": source.UID}, "spec": spec,
		}})
		if err != nil {
			return d, err
		}
		_ = manifest.Declare(&d, object)
	}
	return d, nil
}

// approvalsOf are the approvals that count: the store keeps no others.
func approvalsOf(facts []access.ApprovalFact) (approvals []*access.Approval) {
	for _, f := range facts {
		approvals = append(approvals, &access.Approval{
			Name: f.Owner.Name, For: access.Ref{Kind: f.ForKind, Name: f.ForName}, Effect: f.Effect, Denied: f.Decision == "Deny",
			Approver: f.Approver, Person: f.Person, Document: f.Document,
		})
	}
	return approvals
}

// judged are temporary grants as the operator takes them: an emergency of which it is not known who declared it waits for
// approval like any other grant.
func (t *storedTenant) judged(grants []*access.TemporaryGrant) []*access.TemporaryGrant {
	judged := slices.Clone(grants)
	for i, g := range judged {
		ref := access.Ref{Kind: access.KindTemporaryGrant, Name: g.Name}
		if g.Emergency && t.memory.Unproven[ref.String()] != "" {
			ordinary := *g
			ordinary.Emergency = false
			judged[i] = &ordinary
		}
	}
	return judged
}

// findStrays finds the owners of rows that do not follow from what the operator acted on, or that are not there and should
// be.
func (t *storedTenant) findStrays(now schedule.Instant) error {
	wanted, err := store.Encode(access.Resolve(t.declared).Facts.WithoutEnded(now))
	if err != nil {
		return err
	}
	held, err := store.Encode(t.facts.WithoutEnded(now))
	if err != nil {
		return err
	}
	for _, change := range store.Diff(store.Index(held), store.Index(wanted)) {
		if !slices.Contains(t.strays, change.Owner) {
			t.strays = append(t.strays, change.Owner)
		}
	}
	slices.SortFunc(t.strays, compareRefs)
	return nil
}

// tell says that rows stray: who reads the plan is to look at the store, and not only at the text.
func (t *storedTenant) tell(env *Environment) {
	const shown = 20
	if len(t.strays) == 0 {
		return
	}
	names := make([]string, 0, shown)
	for _, ref := range t.strays[:min(len(t.strays), shown)] {
		names = append(names, ref.String())
	}
	printLine(env.Err, "note: the store holds something else than follows from what was declared to it, of %d declarations: %s", len(t.strays), strings.Join(names, ", "))
}

// followStrays makes users and guardrails what the rows say, where these stray: whoever compares declarations is to see
// what counts.
func (t *storedTenant) followStrays() {
	isStray := func(kind access.Kind, name string) bool {
		return slices.Contains(t.strays, access.Ref{Kind: kind, Name: name})
	}
	rules := make(map[string]*access.Guardrail)
	for _, g := range t.declared.Guardrails {
		rules[g.Name] = &access.Guardrail{Name: g.Name, UID: g.UID}
	}
	for _, f := range t.facts.Guardrails { // in the order of their places
		if rules[f.Owner.Name] == nil {
			rules[f.Owner.Name] = &access.Guardrail{Name: f.Owner.Name}
		}
		rules[f.Owner.Name].Rules = append(rules[f.Owner.Name].Rules, f.Rule)
	}
	t.declared.Guardrails = slices.DeleteFunc(t.declared.Guardrails, func(g *access.Guardrail) bool { return isStray(access.KindGuardrail, g.Name) })
	for name, g := range rules {
		if isStray(access.KindGuardrail, name) && len(g.Rules) > 0 {
			t.declared.Guardrails = append(t.declared.Guardrails, g)
		}
	}
	former := make(map[string]*access.User)
	for _, u := range t.declared.Users {
		former[u.Name] = u
	}
	t.declared.Users = slices.DeleteFunc(t.declared.Users, func(u *access.User) bool { return isStray(access.KindUser, u.Name) })
	for i := range t.facts.Users {
		if f := &t.facts.Users[i]; isStray(access.KindUser, f.User) {
			t.declared.Users = append(t.declared.Users, t.user(f, former[f.User]))
		}
	}
}

// user is an account as its rows have it.
func (t *storedTenant) user(f *access.UserFact, declared *access.User) *access.User {
	u := &access.User{
		Name: f.User, DisplayName: f.DisplayName, Type: f.Type, State: f.State, Manager: f.Manager, Successor: f.Successor, Logins: f.Logins,
	}
	if declared != nil {
		u.Title, u.Identities = declared.Title, declared.Identities
	}
	for _, primary := range []bool{true, false} {
		for _, m := range t.facts.Memberships {
			if m.User == f.User && m.Primary == primary {
				u.Departments = append(u.Departments, m.Department)
			}
		}
	}
	return u
}
