package command_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
)

func TestPlanLive(t *testing.T) {
	l := startCluster(t)
	for name, test := range map[string]func(*testing.T, *live){
		"what is applied as it stands is no change":             appliedAsItStands,
		"a changed tree has the rows of a plan between trees":   aChangedTree,
		"what people made in the cluster stands on both sides":  madeInTheCluster,
		"what is being deleted is there until it is gone":       beingDeleted,
		"what the server fills in reads like what was left out": filledIn,
		"many objects come in pages":                            manyObjects,
		"who may not list a kind gets no plan":                  mayNotList,
		"a namespace that declares nothing is named":            emptyNamespace,
	} {
		t.Run(name, func(t *testing.T) { test(t, l) })
	}
}

// sampleFor is a tree like the sample organisation, for another namespace, with its files changed.
func sampleFor(t *testing.T, from, namespace string, edits ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	edit := strings.NewReplacer(append(edits, "namespace: huayue", "namespace: "+namespace)...)
	err := fs.WalkDir(os.DirFS(from), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(from, path))
		if err != nil {
			return err
		}
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(edit.Replace(string(data))), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// apply applies what a tree declares with server-side apply, just as its files say it, but for approvals: people make those.
func (l *live) apply(t *testing.T, namespace, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" || entry.Name() == "records.yaml" || entry.Name() == "risk.yaml" {
			return err
		}
		for _, object := range documents(t, path) {
			if kind := object.GroupVersionKind(); kind.Group == v1alpha1.Group && kind.Kind != "Approval" {
				resource := gvr(strings.ToLower(kind.Kind) + "s")
				if _, err := l.admin.Resource(resource).Namespace(namespace).Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "argocd-controller"}); err != nil {
					t.Fatalf("apply %s %s: %v", kind.Kind, object.GetName(), err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// huayue is a namespace with the sample organisation applied, its tree, and somebody who may read.
func (l *live) huayue(t *testing.T) (namespace, tree, reader string) {
	t.Helper()
	namespace = l.Namespace(t)
	tree = sampleFor(t, huayue, namespace)
	l.apply(t, namespace, tree)
	return namespace, tree, l.account(t, namespace, "reader@sso.example", nil, "viewer")
}

func planLive(kubeconfig, namespace, tree string, more ...string) result {
	return sitting{}.run(append([]string{"plan", "--live", "--kubeconfig", kubeconfig, "-n", namespace, "--head-dir", tree}, more...)...)
}

func (r result) isNoChange(t *testing.T) {
	t.Helper()
	if r.code != 0 || !strings.HasPrefix(r.out, "no change of access\n") || strings.Count(r.out, "\n") > 2 || r.err != "" {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

func appliedAsItStands(t *testing.T, l *live) {
	namespace, tree, reader := l.huayue(t)
	neighbour := l.Namespace(t)
	l.declare(t, neighbour, approving)
	// The operator says how things stand, and others leave their marks.
	status := fmt.Sprintf(`{"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "Synced", "message": "", "lastTransitionTime": %q}]}}`, morning.UTC().Format(time.RFC3339))
	l.patch(t, namespace, "userbindings", "sales-reps", status, "status")
	l.patch(t, namespace, "users", "li-ting", `{"metadata": {"labels": {"team": "east"}, "annotations": {"argocd.argoproj.io/tracking-id": "huayue:x"}}}`)
	planLive(reader, namespace, tree).isNoChange(t)
	for _, form := range []string{"markdown", "json", "html"} {
		if r := planLive(reader, namespace, tree, "-o", form, "--fail-on", "low"); r.code != 0 || !strings.Contains(r.out, namespace+" on https://") {
			t.Errorf("%s: exit code %d, or it does not say what was compared:\n%s", form, r.code, r.err)
		}
	}
}

func (l *live) patch(t *testing.T, namespace, resource, name, patch string, subresources ...string) {
	t.Helper()
	if _, err := l.admin.Resource(gvr(resource)).Namespace(namespace).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...); err != nil {
		t.Fatal(err)
	}
}

func aChangedTree(t *testing.T, l *live) {
	namespace, tree, reader := l.huayue(t)
	changed := sampleFor(t, filepath.Join(pullRequest(t), huayue), namespace)
	rules := filepath.Join(tree, ".crmaccess", "risk.yaml")
	got := planLive(reader, namespace, changed, "-o", "json", "--risk", rules)
	want := sitting{}.run("plan", "--base-dir", tree, "--head-dir", changed, "-o", "json", "--risk", rules)
	if got.code != 2 || want.code != 2 {
		t.Fatalf("exit codes %d and %d:\n%s%s", got.code, want.code, got.err, want.err)
	}
	if rows := rowsOf(t, got.out); !reflect.DeepEqual(rows, rowsOf(t, want.out)) || !strings.Contains(got.out, "wu-fan") {
		t.Errorf("the rows differ from those between two trees:\n%s\nwant\n%s", got.out, want.out)
	}
	if r := planLive(reader, namespace, changed, "--fail-on", "weaker-guardrail"); r.code != 3 {
		t.Errorf("--fail-on of a rule that applies: exit code %d", r.code)
	}
	if r := planLive(reader, namespace, filepath.Join(tree, "none")); r.code != 1 || r.out != "" {
		t.Errorf("of a folder that is not there: exit code %d:\n%s", r.code, r.out)
	}
	if r := planLive(reader, "huayue", changed); r.code != 1 || r.out != "" || !strings.Contains(r.err, `declares nothing for namespace "huayue"`) {
		t.Errorf("of another namespace than the tree's: exit code %d:\n%s", r.code, r.err)
	}
}

// rowsOf are the tenants of a plan in JSON without where things stand, which a cluster does not know.
func rowsOf(t *testing.T, text string) any {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	var strip func(any)
	strip = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			delete(v, "file")
			delete(v, "line")
			for _, member := range v {
				strip(member)
			}
		case []any:
			for _, element := range v {
				strip(element)
			}
		}
	}
	strip(document["tenants"])
	return document["tenants"]
}

func madeInTheCluster(t *testing.T, l *live) {
	namespace, tree, reader := l.huayue(t)
	gaoYuan := l.account(t, namespace, "gao-yuan@huayue.example", humans, "viewer", "approver", "revoker")
	sitting{}.run("approve", "temporarygrant/holiday-chen-mo", "-n", namespace, "--kubeconfig", gaoYuan, "--yes").expect(t, 0, "approved: Approval/")
	sitting{}.run("revoke", "user/li-ting", "--reason", "device stolen", "-n", namespace, "--kubeconfig", gaoYuan, "--yes").expect(t, 0)
	planLive(reader, namespace, tree).isNoChange(t)

	revocation := l.list(t, namespace, "revocations")[0]
	says := "apiVersion: crmaccess.io/v1alpha1\nkind: Revocation\nmetadata: {name: " + revocation.GetName() + ", namespace: " + namespace + "}\nspec: {user: wang-lei, reason: another}\n"
	if err := os.WriteFile(filepath.Join(tree, "namespace.yaml"), []byte(says), 0o600); err != nil {
		t.Fatal(err)
	}
	r := planLive(reader, namespace, tree)
	if r.code != 0 || !strings.Contains(r.err, "note: Revocation/"+revocation.GetName()+" says something else in head than in the cluster, where it cannot be changed") {
		t.Errorf("of a text that the cluster would refuse: exit code %d:\n%s%s", r.code, r.out, r.err)
	}

	// What ends what a person holds otherwise is told all the same.
	fewer := sampleFor(t, huayue, namespace, "  state: Active", "  state: Departed")
	if r := planLive(reader, namespace, fewer); r.code != 2 || strings.Contains(r.out, "+ gains") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

func (l *live) list(t *testing.T, namespace, resource string) []unstructured.Unstructured {
	t.Helper()
	list, err := l.admin.Resource(gvr(resource)).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("%v: %d %s", err, len(list.Items), resource)
	}
	return list.Items
}

// The operator ends access when the object is gone, and so does the plan.
func beingDeleted(t *testing.T, l *live) {
	namespace, tree, reader := l.huayue(t)
	l.patch(t, namespace, "userbindings", "sales-reps", `{"metadata": {"finalizers": ["example.com/wait"]}}`)
	bindings := l.admin.Resource(gvr("userbindings")).Namespace(namespace)
	if err := bindings.Delete(t.Context(), "sales-reps", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	planLive(reader, namespace, tree).isNoChange(t)
	l.patch(t, namespace, "userbindings", "sales-reps", `{"metadata": {"finalizers": null}}`)
	r := planLive(reader, namespace, tree)
	if r.code != 2 || !strings.Contains(r.out, "UserBinding/sales-reps added") || strings.Contains(r.out, "- loses") {
		t.Errorf("once it is gone: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

// sparse leaves out all that may be left out.
const sparse = crm + `kind: ObjectType
metadata: {name: customer}
spec:
  displayName: Customer
  actions: [create, read, update, export]
  fields:
  - {name: phone, class: confidential, mask: {type: Keep, keepLast: 4}}
  - {name: note, class: internal}
  storage: {table: customer, id: id}
---
` + crm + `kind: ObjectType
metadata: {name: contact}
spec: {displayName: Contact, actions: [read], fields: [{name: customer, class: public}], accessFrom: {object: customer, field: customer}}
---
` + crm + `kind: Department
metadata: {name: sales}
spec: {displayName: Sales}
---
` + crm + `kind: User
metadata: {name: ann}
spec: {displayName: Ann, type: Employee, state: Active, department: sales}
---
` + crm + `kind: User
metadata: {name: robot}
spec: {displayName: Robot, type: Service, state: Active}
---
` + crm + `kind: Role
metadata: {name: rep}
spec: {displayName: Rep, grants: [{object: customer, actions: [read, export], scopes: [own], where: [{field: note, operator: Exists}]}]}
---
` + crm + `kind: UserBinding
metadata: {name: reps}
spec: {subjects: [{user: ann}, {selector: {department: sales}}], roles: [rep]}
---
` + crm + `kind: TemporaryGrant
metadata: {name: cover}
spec: {users: [robot], grants: [{object: customer, actions: [read], records: {ids: ["1"]}}], notAfter: "2026-12-01T00:00:00+08:00", reason: cover, requestedBy: ann}
---
` + crm + `kind: Guardrail
metadata: {name: rail}
spec:
  rules:
  - limit: {objects: [customer], actions: [export], maxRowsPerRequest: 10}
  - admit: {when: {temporary: true}, maxDuration: 744h}
`

func filledIn(t *testing.T, l *live) {
	namespace := l.Namespace(t)
	tree := write(t, map[string]string{"a.yaml": sparse})
	for _, object := range documents(t, filepath.Join(tree, "a.yaml")) {
		l.create(t, gvr(strings.ToLower(object.GetKind())+"s"), namespace, object)
	}
	reader := l.account(t, namespace, "reader@sso.example", nil, "viewer")
	planLive(reader, namespace, tree).isNoChange(t)
}

func manyObjects(t *testing.T, l *live) {
	namespace, count := l.Namespace(t), 1050
	var company strings.Builder
	company.WriteString(crm + "kind: ObjectType\nmetadata: {name: customer}\nspec: {displayName: Customer, actions: [read]}\n---\n" +
		crm + "kind: Role\nmetadata: {name: rep}\nspec: {displayName: Rep, grants: [{object: customer, actions: [read], scopes: [own]}]}\n---\n" +
		crm + "kind: Department\nmetadata: {name: sales}\nspec: {displayName: Sales}\n---\n" +
		crm + "kind: UserBinding\nmetadata: {name: reps}\nspec: {subjects: [{selector: {department: sales}}], roles: [rep]}\n")
	for i := range count {
		fmt.Fprintf(&company, "---\n"+crm+"kind: User\nmetadata: {name: u%04d}\nspec: {displayName: U, type: Employee, state: Active, department: sales}\n", i)
	}
	tree := write(t, map[string]string{"a.yaml": company.String()})
	l.declare(t, namespace, company.String())
	reader := l.account(t, namespace, "reader@sso.example", nil, "viewer")
	planLive(reader, namespace, tree).isNoChange(t)
	none := write(t, map[string]string{"a.yaml": strings.Replace(company.String(), "scopes: [own]", "scopes: [subordinates]", 1)})
	if r := planLive(reader, namespace, none); r.code != 2 || !strings.HasPrefix(r.out, fmt.Sprintf("%d people lose\n", count)) {
		t.Errorf("exit code %d:\n%.200s%s", r.code, r.out, r.err)
	}
}

// Without the revocations everybody would seem to have all that was revoked. So there is no plan.
func mayNotList(t *testing.T, l *live) {
	namespace, tree, _ := l.huayue(t)
	for kind, resources := range map[string][]string{
		"revocations": {"approvals", "departments", "guardrails", "objecttypes", "roles", "temporarygrants", "userbindings", "users"},
		"objecttypes": nil,
	} {
		who := kind + "-unseen@sso.example"
		if len(resources) > 0 {
			role := &rbacv1.ClusterRole{
				ObjectMeta: metav1.ObjectMeta{Name: "crm-access-operator-without-" + kind},
				Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.Group}, Resources: resources, Verbs: []string{"list"}}},
			}
			if _, err := l.clients(t).RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			l.bind(t, namespace, who, "without-"+kind)
		}
		r := planLive(l.account(t, namespace, who, nil), namespace, tree)
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, kind+".crmaccess.io is forbidden") || !strings.Contains(r.err, "ask for the role crm-access-operator-viewer in namespace "+namespace) {
			t.Errorf("without %s: exit code %d:\n%s%s", kind, r.code, r.out, r.err)
		}
	}
}

func emptyNamespace(t *testing.T, l *live) {
	namespace := l.Namespace(t)
	reader := l.account(t, namespace, "reader@sso.example", nil, "viewer")
	r := planLive(reader, namespace, sampleFor(t, huayue, namespace))
	if r.code != 2 || !strings.Contains(r.err, "note: namespace "+namespace+" on https://") || strings.Contains(r.out, "- loses") {
		t.Errorf("exit code %d:\n%s", r.code, r.err)
	}
}

// A real server forgets the state of a list after minutes, and serves all kinds. So the server here is made up.
func TestPlanLiveOfAServerInTrouble(t *testing.T) {
	l := &live{dir: t.TempDir()}
	tree := write(t, map[string]string{"a.yaml": sparse})
	list := func(cont string, names ...string) string {
		var items []string
		for _, name := range names {
			items = append(items, `{"apiVersion": "crmaccess.io/v1alpha1", "kind": "Department", "metadata": {"name": "`+name+`"}, "spec": {"displayName": "Sales"}}`)
		}
		return `{"apiVersion": "crmaccess.io/v1alpha1", "kind": "List", "metadata": {"continue": "` + cont + `"}, "items": [` + strings.Join(items, ",") + `]}`
	}
	failure := func(w http.ResponseWriter, code int, reason string) {
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": %d, "reason": %q, "message": "so it is"}`, code, reason)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // in what is printed to standard error
		code   int
	}{
		"that forgets the state of a list before its last page": {code: 2, answer: func(w http.ResponseWriter, r *http.Request) {
			switch query := r.URL.Query(); {
			case !strings.HasSuffix(r.URL.Path, "/departments"):
				_, _ = fmt.Fprint(w, list(""))
			case query.Get("continue") != "":
				failure(w, http.StatusGone, "Expired")
			case query.Get("limit") != "":
				_, _ = fmt.Fprint(w, list("more", "sales"))
			default:
				_, _ = fmt.Fprint(w, list("", "sales", "west"))
			}
		}},
		"that does not serve the kinds": {code: 1, want: "is crm-access-operator of this version installed there?", answer: func(w http.ResponseWriter, _ *http.Request) {
			failure(w, http.StatusNotFound, "NotFound")
		}},
		"that fails on the last kind": {code: 1, want: "list revocations.crmaccess.io of namespace sales on http://", answer: func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/revocations") {
				failure(w, http.StatusInternalServerError, "InternalError")
				return
			}
			_, _ = fmt.Fprint(w, list(""))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				c.answer(w, r)
			}))
			defer server.Close()
			r := planLive(l.kubeconfigOf(t, server.URL, nil, &clientcmdapi.AuthInfo{}), "sales", tree)
			if r.code != c.code || !strings.Contains(r.err, c.want) || (r.out == "") != (c.code == 1) {
				t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
			}
		})
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	r := planLive(l.kubeconfigOf(t, gone.URL, nil, &clientcmdapi.AuthInfo{}), "sales", tree)
	if r.code != 1 || r.out != "" || !strings.Contains(r.err, "connection refused") || !strings.Contains(r.err, gone.URL) {
		t.Errorf("of a server that is not there: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}
