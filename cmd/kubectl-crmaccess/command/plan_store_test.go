package command_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

func TestPlanOfAStore(t *testing.T) {
	for driver, open := range map[string]func(*testing.T) *permissions{"sqlite": inFile, "postgres": inDatabase} {
		for name, test := range map[string]func(*testing.T, *permissions){
			"what was applied as it stands is no change":                storeAsItStands,
			"a changed tree has the rows of a plan between trees":       storeAgainstAChangedTree,
			"a revocation of which there is no object stands":           storeRevokes,
			"a holder that somebody else wrote is told":                 strayHolder,
			"an account that somebody else changed is told as it is":    strayAccount,
			"a rule that somebody else took out of a guardrail is told": strayRule,
			"a row that cannot be read ends the plan":                   unreadableRow,
			"an emergency that nobody can prove waits on both sides":    unprovenEmergency,
			"what it cannot answer it says":                             storeInTrouble,
		} {
			t.Run(driver+"/"+name, func(t *testing.T) { test(t, open(t)) })
		}
	}
}

// permissions is a store with the sample organisation, a hundred years later: whatever the clock of the machine says, its
// windows are to come.
type permissions struct {
	store.Store
	flags []string
	// tree is what was applied, with and without the approvals that people made.
	tree, approved string
	row            store.Tenant
	rows           map[store.RowID]string
}

const later = "2126-06-01T10:00:00+08:00"

var aHundredYears = []string{`"2026-`, `"2126-`, `"2027-`, `"2127-`}

func inFile(t *testing.T) *permissions {
	t.Helper()
	file := filepath.Join(t.TempDir(), "huayue%3F.db")
	s, err := sqlite.Open(t.Context(), file)
	return filled(t, s, err, "--store", "sqlite:"+file)
}

func inDatabase(t *testing.T) *permissions {
	t.Helper()
	dsn := pgtest.Shared(t).Database(t)
	s, err := postgres.Open(t.Context(), dsn)
	return filled(t, s, err, "--store", "postgres", "--dsn-file", write(t, map[string]string{"dsn": dsn + "\n"})+"/dsn")
}

func filled(t *testing.T, s store.Store, err error, flags ...string) *permissions {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := &permissions{Store: s, flags: flags, tree: sampleFor(t, huayue, "huayue", aHundredYears...)}
	if err := os.Remove(filepath.Join(p.tree, "kustomization.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(p.tree, "approvals.yaml")); err != nil {
		t.Fatal(err)
	}
	p.approved = sampleFor(t, p.tree, "huayue")
	approvals := p.approveAll(t)
	if err := os.WriteFile(filepath.Join(p.approved, "approvals.yaml"), approvals, 0o600); err != nil {
		t.Fatal(err)
	}
	if p.row, err = s.Claim(t.Context(), "huayue", store.Owner{Cluster: "c", Namespace: "n"}, ""); err != nil {
		t.Fatal(err)
	}
	p.fill(t, p.approved)
	return p
}

// approveAll are approvals, by whom it is asked of by name, of all that waits for one.
func (p *permissions) approveAll(t *testing.T) []byte {
	t.Helper()
	tenant := loaded(t, p.tree)
	var text strings.Builder
	for ref, list := range access.Resolve(tenant.Declarations).Admissions {
		for _, a := range list {
			for _, u := range tenant.Declarations.Users {
				if !slices.Contains(a.From, u.Name) {
					continue
				}
				spec, err := json.Marshal(map[string]any{
					"for": map[string]string{"kind": string(ref.Kind), "name": ref.Name}, "effect": a.Effect, "decision": "Approve", "approver": u.Identities[0], "document": string(a.Document),
				})
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&text, "---\napiVersion: crmaccess.io/v1alpha1\nkind: Approval\nmetadata: {name: %s-%s, namespace: huayue}\nspec: %s\n", ref.Name, a.User, spec)
			}
		}
	}
	if text.Len() == 0 {
		t.Fatal("nothing waits for anybody")
	}
	return []byte(text.String())
}

func loaded(t *testing.T, dir string) *manifest.Tenant {
	t.Helper()
	tree, err := manifest.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tree.Tenants["huayue"]
}

// fill makes the store what the operator makes it when a tree is applied.
func (p *permissions) fill(t *testing.T, dir string) {
	t.Helper()
	tenant := loaded(t, dir)
	for _, g := range tenant.Declarations.Guardrails {
		g.UID = "uid-" + g.Name
	}
	for _, r := range tenant.Declarations.Revocations {
		r.UID = "uid-" + r.Name
	}
	rows, err := store.Encode(access.Resolve(tenant.Declarations).Facts.WithoutEnded(schedule.At(p.row.Now)))
	if err != nil {
		t.Fatal(err)
	}
	for ref, object := range tenant.Objects {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var parts struct{ Spec json.RawMessage }
		if err := json.Unmarshal(text, &parts); err != nil {
			t.Fatal(err)
		}
		source, err := store.SourceRow(ref, store.Source{UID: "uid-" + ref.Name, Spec: parts.Spec})
		if err != nil {
			t.Fatal(err)
		}
		if ref.Kind != "PermissionStore" {
			rows = append(rows, source)
		}
	}
	p.make(t, store.Index(rows), "")
}

// make makes the store hold just these rows.
func (p *permissions) make(t *testing.T, rows map[store.RowID]string, memory string) {
	t.Helper()
	done, err := p.Commit(t.Context(), store.Commit{Expect: p.row, Changes: store.Diff(p.rows, rows), Cause: "pass", Brake: memory})
	if err != nil || len(done.Refused) > 0 {
		t.Fatal(err, done.Refused)
	}
	p.row, p.rows = done.Tenant, rows
}

// change changes the rows that a hand would.
func (p *permissions) change(t *testing.T, edit func(id store.RowID, body string) (string, bool)) {
	t.Helper()
	next, edited := make(map[store.RowID]string, len(p.rows)), false
	for id, body := range p.rows {
		after, stays := edit(id, body)
		if edited = edited || !stays || after != body; stays {
			next[id] = after
		}
	}
	if !edited {
		t.Fatal("nothing was changed")
	}
	p.make(t, next, "")
}

func (p *permissions) plan(tree string, more ...string) result {
	return sitting{}.run(slices.Concat([]string{"plan", "--head-dir", tree, "--at", later}, p.flags, more)...)
}

func storeAsItStands(t *testing.T, p *permissions) {
	p.plan(p.tree).isNoChange(t)
	p.plan(p.tree, "-n", "huayue").isNoChange(t)
	p.plan(p.approved).isNoChange(t)
	if r := p.plan(p.tree, "-o", "json"); r.code != 0 || !strings.Contains(r.out, `"base": "huayue in the permission store at revision 1.1"`) {
		t.Errorf("exit code %d, or it does not say what was compared:\n%s%s", r.code, r.out, r.err)
	}
}

func storeAgainstAChangedTree(t *testing.T, p *permissions) {
	wider := filepath.Join(pullRequest(t), huayue)
	for _, file := range []string{"kustomization.yaml", "approvals.yaml"} {
		if err := os.Remove(filepath.Join(wider, file)); err != nil {
			t.Fatal(err)
		}
	}
	changed := sampleFor(t, wider, "huayue", aHundredYears...)
	approvals, err := os.ReadFile(filepath.Join(p.approved, "approvals.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(p.tree, ".crmaccess", "risk.yaml")
	got := p.plan(changed, "-o", "json", "--risk", rules)
	if err := os.WriteFile(filepath.Join(changed, "approvals.yaml"), approvals, 0o600); err != nil {
		t.Fatal(err)
	}
	want := sitting{}.run("plan", "--base-dir", p.approved, "--head-dir", changed, "--at", later, "-o", "json", "--risk", rules)
	if got.code != 2 || want.code != 2 || !strings.Contains(got.out, "yearend-li-ting") {
		t.Fatalf("exit codes %d and %d:\n%s%s", got.code, want.code, got.err, want.err)
	}
	if !reflect.DeepEqual(rowsOf(t, got.out), rowsOf(t, want.out)) {
		t.Errorf("the rows differ from those between two trees:\n%s\nwant\n%s", got.out, want.out)
	}
}

func storeRevokes(t *testing.T, p *permissions) {
	tree := sampleFor(t, p.approved, "huayue")
	revocation := "apiVersion: crmaccess.io/v1alpha1\nkind: Revocation\nmetadata: {name: stop, namespace: huayue}\nspec: {user: li-ting, reason: device stolen}\n"
	if err := os.WriteFile(filepath.Join(tree, "stop.yaml"), []byte(revocation), 0o600); err != nil {
		t.Fatal(err)
	}
	p.fill(t, tree)
	p.plan(p.tree).isNoChange(t)
	lifted := make(map[store.RowID]string)
	for id, body := range p.rows {
		lifted[id] = strings.ReplaceAll(body, `"revoked_by":"stop"`, `"revoked_by":""`)
	}
	p.make(t, lifted, `{"lifted":["uid-stop"]}`)
	p.plan(p.tree).isNoChange(t)
}

func strayHolder(t *testing.T, p *permissions) {
	next := make(map[store.RowID]string)
	for id, body := range p.rows {
		next[id] = body
		if id.Table == store.TableHolder && id.Owner.Name == "sales-directors" {
			id.Key = strings.Replace(id.Key, "gao-yuan", "li-ting", 1)
			next[id] = strings.Replace(body, "gao-yuan", "li-ting", 1)
		}
	}
	p.make(t, next, "")
	r := p.plan(p.tree)
	if r.code != 2 || !strings.Contains(r.out, "1 person loses\n") || !strings.Contains(r.out, "UserBinding/sales-directors strayed: the store holds something else (") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	if want := "note: the store holds something else than follows from what was declared to it, of 1 declarations: UserBinding/sales-directors\n"; r.err != want {
		t.Errorf("says %q, want %q", r.err, want)
	}
}

func strayAccount(t *testing.T, p *permissions) {
	p.change(t, func(id store.RowID, body string) (string, bool) {
		if id.Table == store.TableUser && id.Owner.Name == "li-ting" {
			return strings.Replace(body, `"state":"Active"`, `"state":"Suspended"`, 1), true
		}
		return body, true
	})
	r := p.plan(p.tree)
	if r.code != 2 || !strings.Contains(r.out, "returns") || !strings.Contains(r.out, "User/li-ting spec.state changed") || strings.Contains(r.out, "- loses") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

func strayRule(t *testing.T, p *permissions) {
	p.change(t, func(id store.RowID, body string) (string, bool) {
		return body, id.Table != store.TableGuardrail || id.Owner.Name != "no-bulk-export" || id.Key != "000"
	})
	r := p.plan(p.tree)
	if r.code != 2 || !strings.HasPrefix(r.out, "1 guardrail is tighter\n") || !strings.Contains(r.err, "Guardrail/no-bulk-export") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

func unreadableRow(t *testing.T, p *permissions) {
	if p.flags[1] != "postgres" {
		t.Skip("SQLite's columns are checked when they are written")
	}
	dsn, err := os.ReadFile(p.flags[3])
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Shared(t).Psql(t, strings.TrimSpace(string(dsn)), `UPDATE crm_access.object_field SET mask = '{"type": 1}' WHERE object = 'customer' AND field = 'phone'`)
	r := p.plan(p.tree)
	if r.code != 1 || r.out != "" || !strings.Contains(r.err, "read the rows of huayue in the store: object_field row") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

func unprovenEmergency(t *testing.T, p *permissions) {
	const emergency = "apiVersion: crmaccess.io/v1alpha1\nkind: TemporaryGrant\nmetadata: {name: fire, namespace: huayue}\nspec:\n  users: [li-ting]\n  roles: [sales-manager]\n" +
		"  notBefore: \"2126-12-01T00:00:00Z\"\n  notAfter: \"2126-12-01T02:00:00Z\"\n  reason: fire\n  requestedBy: li-ting\n  emergency: true\n"
	tree := sampleFor(t, p.approved, "huayue")
	if err := os.WriteFile(filepath.Join(tree, "fire.yaml"), []byte(emergency), 0o600); err != nil {
		t.Fatal(err)
	}
	p.fill(t, tree)
	if r := p.plan(p.tree); r.code != 2 || !strings.Contains(r.out, "- loses") {
		t.Errorf("of one that is taken out of the tree: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	waits := sampleFor(t, tree, "huayue", "emergency: true", "emergency: false")
	p.fill(t, waits)
	rows := make(map[store.RowID]string)
	for id, body := range p.rows {
		if id.Table == store.TableSource && id.Owner.Name == "fire" {
			body = strings.Replace(body, `"spec":{`, `"spec":{"emergency":true,`, 1)
		}
		rows[id] = body
	}
	p.make(t, rows, `{"unproven":{"TemporaryGrant/fire":"uid-fire/1"}}`)
	if r := p.plan(tree); r.code != 0 {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

func storeInTrouble(t *testing.T, p *permissions) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"of a tenant that is not there": {append([]string{"-n", "qingyun"}, p.flags...), `the store holds no tenant "qingyun"; it has: huayue`},
		"from before the store's clock": {append([]string{"--at", "2020-01-01T00:00:00Z"}, p.flags...), "a store keeps nothing that has ended"},
		"of a file that is not there":   {[]string{"--store", "sqlite:" + p.tree + "/none.db"}, "open the store " + p.tree + "/none.db"},
		"of a file that is no store":    {[]string{"--store", "sqlite:" + p.tree + "/users.yaml"}, "open the store"},
		"without a connection string":   {[]string{"--store", "postgres"}, "CRM_ACCESS_DSN"},
		"of a connection string":        {[]string{"--store", "postgres://u:secret@db/crm"}, "everybody may list the arguments"},
		"of a server that is not there": {[]string{"--store", "postgres", "--dsn-file", write(t, map[string]string{"dsn": "postgres://u:secret@127.0.0.1:1/crm"}) + "/dsn"}, "permission store unavailable"},
		"with a cluster besides":        {append([]string{"--live"}, p.flags...), "exclude one another"},
	} {
		r := sitting{}.run(append([]string{"plan", "--head-dir", p.tree}, c.args...)...)
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, c.want) || strings.Contains(r.err, "secret") {
			t.Errorf("%s: exit code %d:\n%s%s", name, r.code, r.out, r.err)
		}
	}
	if _, err := os.Stat(p.tree + "/none.db"); err == nil {
		t.Error("a file was made")
	}
	p.make(t, map[store.RowID]string{}, "{")
	if r := p.plan(p.tree); r.code != 1 || r.out != "" || !strings.Contains(r.err, "what the operator remembers of huayue") {
		t.Errorf("of a memory that cannot be read: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}
