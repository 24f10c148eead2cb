package v1alpha1_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// largestObject is the promise: every valid object is smaller than this as compact JSON, so that the copy which
// client-side apply keeps in an annotation (at most 256 KiB) always fits.
const largestObject = 200 << 10

type (
	object = map[string]any
	list   = []any
)

func times(n int, of any) list {
	out := make(list, n)
	for i := range out {
		out[i] = of
	}
	return out
}

var (
	longName   = strings.Repeat("n", 63)
	longAction = strings.Repeat("a", 63)
	// JSON writes & as six bytes, more than any other character that a text may hold.
	longTitle = strings.Repeat("&", 128)
	longID    = strings.Repeat("&", 63)
	chinese   = strings.Repeat("华", 40)
)

// shapes are ways of filling objects; each grows with n, and n is raised until the API server refuses it.
var shapes = map[string]func(n int) object{
	"a Role of grants with the longest names": func(n int) object {
		return role(n, object{"object": longName, "actions": times(3, longAction[:20]), "scopes": list{"departmentAndBelow"},
			"fields": list{object{"field": longAction, "level": "masked"}, object{"class": "confidential", "level": "masked"}}})
	},
	"a Role of grants with values of the worst characters": func(n int) object {
		return role(n, object{"object": "customer", "actions": list{"read"}, "scopes": list{"own"},
			"where": times(2, object{"field": "f", "operator": "NotIn", "values": list{longTitle}})})
	},
	"a Role of grants with Chinese values": func(n int) object {
		return role(n, object{"object": "customer", "actions": list{"read"}, "scopes": list{"own"},
			"where": list{object{"field": "region", "operator": "In", "values": list{chinese}}}})
	},
	"a Role of grants with many short values": func(n int) object {
		return role(n, object{"object": "c", "actions": list{"r"}, "scopes": list{"own"},
			"where": times(8, object{"field": "f", "operator": "In", "values": times(32, "")})})
	},
	"a Role of grants with many field rules": func(n int) object {
		return role(n, object{"object": "c", "actions": times(50, "r"), "scopes": list{"own"},
			"fields": times(100, object{"class": "confidential", "level": "masked"})})
	},
	"a Role that mutes much": func(n int) object {
		mute := times(25, object{"object": longName, "actions": times(min(n, 50), "a")})
		return object{"kind": "Role", "spec": object{"inherits": times(50, object{"role": longName[1:], "mute": mute})}}
	},
	"a UserBinding of the worst titles": func(n int) object {
		subject := object{"selector": object{"departmentTree": longName, "title": longTitle}}
		return object{"kind": "UserBinding", "spec": object{
			"subjects": times(n, subject), "roles": times(100, longName), "justification": strings.Repeat("&", 1024), "requestedBy": longName}}
	},
	"a UserBinding of Chinese titles": func(n int) object {
		subject := object{"selector": object{"department": longName, "title": chinese}}
		return object{"kind": "UserBinding", "spec": object{"subjects": times(n, subject), "roles": list{"sales-rep"}}}
	},
	"a TemporaryGrant of the worst record ids": func(n int) object {
		return temporaryGrant(n, object{"object": longName, "actions": list{"read"}, "records": object{"ids": times(20, longID)}})
	},
	"a TemporaryGrant of many owners": func(n int) object {
		return temporaryGrant(n, object{"object": longName, "actions": list{"read"}, "records": object{"owners": times(20, longName)}})
	},
	"a TemporaryGrant of grants for single users": func(n int) object {
		return temporaryGrant(n, object{"object": "customer", "actions": times(3, "read"), "records": object{"departmentTrees": list{longName}},
			"onlyFields": times(3, longAction), "users": list{longName}})
	},
	"a TemporaryGrant of grants with everything short": func(n int) object {
		return temporaryGrant(n, object{"object": "c", "actions": list{"r"}, "records": object{"scopes": list{"own"}},
			"where": list{object{"field": "f", "operator": "Exists"}}, "fields": list{object{"field": "f", "level": "none"}},
			"onlyFields": list{"f"}, "users": list{longName}})
	},
	"an ObjectType with everything": func(n int) object {
		fields, columns := make(list, n), make(object, n)
		for i := range fields {
			name := fmt.Sprintf("f%062d", i)
			columns[name] = longAction
			fields[i] = object{"name": name, "class": "confidential", "mask": object{"type": "Keep", "keepFirst": int64(32), "keepLast": int64(32)}}
		}
		return object{"kind": "ObjectType", "spec": object{
			"displayName": longTitle, "fields": fields, "actions": times(100, longAction),
			"storage": object{"table": "t", "id": longAction, "columns": columns}}}
	},
	"a Guardrail of many objects": func(n int) object {
		return guardrail(64, object{"deny": object{"objects": times(min(n, 100), longName), "actions": list{"*"}, "when": object{"reason": "Missing"}}})
	},
	"a Guardrail of rules with everything": func(n int) object {
		return guardrail(n, object{"deny": object{"objects": list{longName}, "actions": list{longAction}, "when": object{
			"channels": times(20, longAction), "devices": times(20, longAction), "reason": "Missing",
			"windows": times(20, object{"notBefore": "2026-12-28T09:00:00+08:00", "notAfter": "2026-12-31T09:00:00+08:00"})}}})
	},
	"a Guardrail of fields": func(n int) object {
		return guardrail(n, object{"cap": object{"objects": times(100, longName), "fields": times(100, longAction),
			"classes": times(5, "confidential"), "level": "masked"}})
	},
	"a Guardrail of approvers": func(n int) object {
		return guardrail(n, object{"approve": object{"objects": times(100, "o"), "actions": times(50, "a"), "by": times(10, object{"role": longName}),
			"when": object{"scopeAtMost": "departmentAndBelow", "targetDepartment": "Other", "rowsOver": int64(1000000000)}}})
	},
	"a Guardrail of managers": func(n int) object {
		return guardrail(n, object{"approve": object{"objects": times(100, "o"), "actions": times(50, "a"), "by": times(10, object{"managerOfSubject": true})}})
	},
	"a Guardrail of duties": func(n int) object {
		duties := make(list, 10)
		for i := range duties {
			duties[i] = object{"object": longName, "action": fmt.Sprintf("a%062d", i)}
		}
		return guardrail(n, object{"separate": object{"duties": duties}})
	},
	"a Guardrail of admissions": func(n int) object {
		return guardrail(n, object{"admit": object{
			"when": object{"privilegedRole": true, "roles": times(100, longName), "temporary": true, "otherDepartment": true, "external": true},
			"by":   times(10, object{"user": longName}), "approvals": int64(10), "maxDuration": "999999h999999m999999s",
			"minHolders": int64(1000000000), "maxHolders": int64(1000000000)}})
	},
	"an Approval with everything": func(n int) object {
		return approval(strings.Repeat("a", min(400*n, 131072)))
	},
	"an Approval of a document full of quotes": func(n int) object { return approval(strings.Repeat(`{"&":"<`, 60*n)) },
	"an Approval of a Chinese document":        func(n int) object { return approval(strings.Repeat("华", 200*n)) },
	"a Revocation with everything": func(n int) object {
		return object{"kind": "Revocation", "spec": object{"user": longName, "reason": strings.Repeat("&", min(4*n, 1024))}}
	},
	"a User with everything": func(n int) object {
		text := strings.Repeat("&", 255)
		return object{"kind": "User", "spec": object{
			"displayName": longTitle, "title": longTitle, "employeeNumber": longTitle,
			"identities":       times(min(n, 20), object{"issuer": strings.Repeat("&", 512), "subject": text, "username": text}),
			"otherDepartments": times(50, longName)}}
	},
}

func role(n int, grant object) object {
	return object{"kind": "Role", "spec": object{"displayName": longTitle, "grants": times(n, grant)}}
}

func guardrail(n int, rule object) object {
	return object{"kind": "Guardrail", "spec": object{"displayName": longTitle, "rules": times(n, rule)}}
}

func approval(document string) object {
	return object{"kind": "Approval", "spec": object{
		"for": object{"kind": "TemporaryGrant", "name": longName}, "effect": "sha256:" + strings.Repeat("0", 64), "decision": "Approve",
		"approver": strings.Repeat("&", 253), "comment": strings.Repeat("&", 1024), "document": document}}
}

func temporaryGrant(n int, grant object) object {
	users := list{longName}
	for i := range 499 {
		users = append(users, fmt.Sprintf("u%062d", i))
	}
	return object{"kind": "TemporaryGrant", "spec": object{
		"users": users, "grants": times(n, grant), "reason": strings.Repeat("&", 1024), "ticket": longTitle,
		"requestedBy": longName, "notBefore": "2026-12-28T09:00:00+08:00", "notAfter": "2026-12-31T09:00:00+08:00"}}
}

func TestEveryValidObjectIsSmallEnoughForClientSideApply(t *testing.T) {
	server := newClient(t)
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			namespace := env.Namespace(t)
			accepted := func(n int) bool {
				return server.Create(context.Background(), manifestOf(t, shape(n), namespace), client.DryRunAll) == nil
			}
			// The first n that is refused; every object below it is accepted.
			n := 1 + sort.Search(500, func(i int) bool { return !accepted(i + 1) })
			if n == 1 {
				t.Fatalf("not even the smallest of this shape is accepted: %v",
					server.Create(context.Background(), manifestOf(t, shape(1), namespace), client.DryRunAll))
			}
			largest := manifestOf(t, shape(n-1), namespace)
			size := len(compact(t, largest))
			t.Logf("the largest has n = %d and %d bytes", n-1, size)
			if size >= largestObject {
				t.Errorf("the largest valid object has %d bytes, want less than %d", size, largestObject)
			}
			kubectlApply(t, largest)
		})
	}
}

func manifestOf(t testing.TB, content object, namespace string) *unstructured.Unstructured {
	t.Helper()
	// Through JSON, so that no two objects share a list.
	data, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	out := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, &out.Object); err != nil {
		t.Fatal(err)
	}
	out.SetAPIVersion("crmaccess.io/v1alpha1")
	out.SetName(longName)
	out.SetNamespace(namespace)
	return out
}

func compact(t testing.TB, o *unstructured.Unstructured) []byte {
	t.Helper()
	data, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// kubectlApply applies an object as people do, client-side, and again: the second time must find nothing to change.
func kubectlApply(t testing.TB, o *unstructured.Unstructured) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "object.json")
	if err := os.WriteFile(file, compact(t, o), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "apply", "-f", file)
	if out := kubectl(t, "apply", "-f", file); !strings.Contains(out, "unchanged") {
		t.Errorf("applied again: %s", out)
	}
}

func kubectl(t testing.TB, args ...string) string {
	t.Helper()
	assets, err := testenv.Assets()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, env.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(assets, "kubectl"), append([]string{"--kubeconfig", config}, args...)...)
	command.Env = append(os.Environ(), "HOME="+t.TempDir(), "KUBECTL_EXTERNAL_DIFF=diff -u")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%.2000s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
