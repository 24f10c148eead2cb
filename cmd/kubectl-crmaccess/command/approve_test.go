package command_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
)

func TestApproveWantsAnObject(t *testing.T) {
	run("approve", "holiday").expect(t, 2, `"holiday": want KIND/NAME, such as temporarygrant/NAME`, "kubectl crmaccess approve --help")
	run("approve", "temporarygrant/").expect(t, 2, "want KIND/NAME")
	run("approve", "role/rep").expect(t, 2, `unknown kind "role": want one of temporarygrant, userbinding, revocation, guardrail`)
	run("approve", "revocation/x", "--user", "ann").expect(t, 2, "--user is about what a grant or binding gives")
	run("approve").expect(t, 2, "want 1 arguments (KIND/NAME), got 0")
	run("revoke", "user/ben").expect(t, 2, "say with --reason why the access ends")
	run("revoke", "guardrail/x", "--reason", "x").expect(t, 2, "want one of user, userbinding, temporarygrant, role")
	run("approve", "grant/x", "--kubeconfig", "none").expect(t, 2, "read the kubeconfig")
}

func TestApproveAndRevoke(t *testing.T) {
	l := startCluster(t)
	for name, test := range map[string]func(*testing.T, *live){
		"approve a grant":              approveAGrant,
		"approve a binding":            approveABinding,
		"deny":                         deny,
		"who may not":                  whoMayNot,
		"nothing waits":                nothingWaits,
		"the lift of a revocation":     approveALift,
		"the removal of a guardrail":   approveARemoval,
		"what cannot travel or show":   largeAndHostile,
		"revoke":                       revoke,
		"revoke without reading":       revokeBlindly,
		"what has changed meanwhile":   widened,
		"spellings that kubectl knows": spellings,
		"odd names":                    oddNames,
		"review an emergency":          reviewEmergency,
	} {
		t.Run(name, func(t *testing.T) { test(t, l) })
	}
}

// office is a namespace of the approving company, and the people who work in it.
type office struct {
	*live
	namespace                  string
	boss, chief, ann, stranger string
}

func (l *live) office(t *testing.T) *office {
	t.Helper()
	o := &office{live: l, namespace: l.Namespace(t)}
	l.declare(t, o.namespace, approving)
	o.boss = l.account(t, o.namespace, "boss@sso.example", humans, "viewer", "approver", "revoker")
	o.chief = l.account(t, o.namespace, "chief@sso.example", humans, "viewer", "approver")
	o.ann = l.account(t, o.namespace, "ann@sso.example", humans, "viewer", "approver")
	o.stranger = l.account(t, o.namespace, "stranger@sso.example", humans, "viewer", "approver")
	return o
}

func (o *office) as(s sitting, kubeconfig, command, target string, more ...string) result {
	return s.run(append([]string{command, target, "-n", o.namespace, "--kubeconfig", kubeconfig}, more...)...)
}

func approveAGrant(t *testing.T, l *live) {
	o := l.office(t)
	r := o.as(sitting{}, o.boss, "approve", "temporarygrant/holiday", "--dry-run")
	r.expect(t, 0, "would give ann (Ann):", "would give ben (Ben):")
	parts := strings.Split(r.out, "---\n")
	var shown v1alpha1.Approval
	if err := yaml.UnmarshalStrict([]byte(parts[0]), &shown); err != nil || len(parts) != 2 || shown.Kind != "Approval" {
		t.Fatalf("%v: prints no two approvals:\n%s", err, r.out)
	}
	if subject := verified(t, shown).Access.Subject; subject != "ann" || strings.Contains(r.out, "status") || strings.Contains(r.out, "creationTimestamp") {
		t.Errorf("the first is of %s:\n%s", subject, parts[0])
	}
	o.as(sitting{types: "yes\n"}, o.boss, "approve", "temporarygrant/holiday").expect(t, 2, "an approval is the answer of a person", "--yes")
	o.as(sitting{types: "y\n", interactive: true}, o.boss, "approve", "temporarygrant/holiday").expect(t, 2, `that is not "yes": nothing was changed`)
	if made := l.approvals(t, o.namespace); len(made) != 0 {
		t.Fatalf("%d approvals without a confirmation", len(made))
	}

	r = o.as(sitting{types: "yes\n", interactive: true}, o.boss, "approve", "temporarygrant/holiday", "--user", "ann", "--comment", "CHG-1")
	r.expect(t, 0, "TemporaryGrant/holiday in namespace "+o.namespace+" on https://",
		"would give ann (Ann):\n  read customer: records of the departments west, where name In [huaxin]; fields: @confidential read\n",
		"from 2026-12-01T00:00:00Z, until 2026-12-08T00:00:00Z\nreason: holiday cover\nrequested by: chief (Chief)\n",
		"guardrail elsewhere asks for 1 approval: 0 so far, from boss\n", `type "yes" to approve this: `,
		"approved: Approval/holiday-boss-", "nothing more is needed: what ann gets counts", "kubectl get approvals.crmaccess.io holiday-boss-")
	if strings.Contains(r.out, "ben") || strings.Contains(r.out, "note:") {
		t.Errorf("speaks of somebody else, or notes something: %s", r.out)
	}
	made := l.approvals(t, o.namespace)
	if len(made) != 1 {
		t.Fatalf("%d approvals", len(made))
	}
	a := made[0]
	document := verified(t, a).Access
	if document.Subject != "ann" || document.Reason != "holiday cover" || a.Spec != (v1alpha1.ApprovalSpec{
		For:    v1alpha1.ApprovalTarget{Kind: "TemporaryGrant", Name: "holiday"},
		Effect: shown.Spec.Effect, Decision: "Approve", Approver: "boss@sso.example", Comment: "CHG-1", Document: shown.Spec.Document,
	}) {
		t.Errorf("made %+v of %+v", a.Spec, document)
	}
	o.as(sitting{}, o.boss, "approve", "grant/holiday", "--user", "ann", "--yes").expect(t, 2, "nothing of TemporaryGrant/holiday waits for approval: what ann gets is approved")
	o.as(sitting{}, o.boss, "approve", "grant/holiday", "--effect", a.Spec.Effect, "--yes").expect(t, 2, "nothing of TemporaryGrant/holiday waits", "what ben would get has the effect sha256:")
	o.as(sitting{}, o.boss, "approve", "grant/holiday", "--yes").expect(t, 0, "what ben gets counts")
	if subject := verified(t, l.approvals(t, o.namespace)[1]).Access.Subject; subject != "ben" && subject != "ann" {
		t.Errorf("of %s", subject)
	}
	o.as(sitting{}, o.boss, "approve", "grant/holiday", "--yes").expect(t, 2, "what ann gets is approved; what ben gets is approved")
}

func approveABinding(t *testing.T, l *live) {
	o := l.office(t)
	o.as(sitting{}, o.ann, "approve", "userbinding/admins", "--dry-run").expect(t, 0, "note: your answer will not count: you are ann, whose access it is")
	o.as(sitting{}, o.stranger, "approve", "userbinding/admins", "--dry-run").expect(t, 0, "note: your answer will not count: no User has stranger@sso.example among its identities")
	o.as(sitting{}, o.boss, "approve", "userbinding/admins", "--yes").expect(t, 0,
		"would give ann (Ann):\n  roles admin, rep\n", "read customer: records in scope own\n", "from now on, without an end\nreason: runs the CRM\nrequested by: nobody named\n",
		"asks for 2 approvals: 0 so far", "what ann gets still needs 1 more, from anybody whom the cluster lets approve it")
	o.as(sitting{}, o.boss, "approve", "userbinding/admins", "--yes").expect(t, 2, "nothing of UserBinding/admins waits for you: you have given this answer by Approval/admins-boss-")
	o.as(sitting{}, o.chief, "approve", "userbinding/admins", "--yes").expect(t, 0, "2 approvals: 1 so far", "nothing more is needed")
	o.as(sitting{}, o.chief, "approve", "temporarygrant/holiday", "--user", "ann", "--yes").expect(t, 0, "you are chief, who asked for it", "it does not count: ")
}

// The names of approvals are made of names that may be long or hold what no name may.
func oddNames(t *testing.T, l *live) {
	o := l.office(t)
	long := strings.Repeat("x", 63)
	l.declare(t, o.namespace, strings.ReplaceAll(admitted, "NAME", long))
	odd := l.account(t, o.namespace, "oidc:高远.Gao_Yuan-who-has-a-very-long-name-indeed@sso.example", humans, "viewer", "approver")
	o.as(sitting{}, odd, "approve", "grant/"+long, "--yes").expect(t, 0, "approved: Approval/"+strings.Repeat("x", 28)+"-gao-yuan-who-has-a-very-long-")
	none := l.account(t, o.namespace, "高远", humans, "viewer", "approver")
	o.as(sitting{}, none, "approve", "grant/"+long, "--yes").expect(t, 0, "approved: Approval/"+strings.Repeat("x", 28)+"-")
	for _, a := range l.approvals(t, o.namespace) {
		if len(a.Name) > 63 {
			t.Errorf("made %s, which nothing can name", a.Name)
		}
	}
}

const admitted = crm + `kind: TemporaryGrant
metadata: {name: NAME}
spec: {users: [ann], grants: [{object: customer, actions: [read], records: {departments: [west]}}], notAfter: "2027-01-01T00:00:00Z", reason: r, requestedBy: chief}
`

// Whoever reviews an emergency looks at what was given already.
func reviewEmergency(t *testing.T, l *live) {
	o := l.office(t)
	fire := strings.NewReplacer("NAME", "fire", `notAfter: "2027-01-01T00:00:00Z"`, `notBefore: "2026-11-21T00:00:00Z", notAfter: "2026-11-21T03:00:00Z", emergency: true`)
	l.declare(t, o.namespace, fire.Replace(admitted))
	o.as(sitting{}, o.boss, "approve", "grant/fire", "--dry-run").expect(t, 0, "gives ann (Ann) in an emergency, and waits for review:", "guardrail elsewhere asks for 1 approval")
	o.as(sitting{}, o.boss, "approve", "grant/fire", "--yes").expect(t, 0, "what ann got in the emergency is reviewed")
	l.declare(t, o.namespace, strings.ReplaceAll(fire.Replace(admitted), "{name: fire}", "{name: fire-2}"))
	o.as(sitting{}, o.boss, "approve", "grant/fire-2", "--deny", "--yes").expect(t, 0, "what ann got in the emergency is found wrong; to end it at once, revoke it")
}

func deny(t *testing.T, l *live) {
	o := l.office(t)
	o.as(sitting{types: "yes\n", interactive: true}, o.boss, "approve", "cgrant/holiday", "--user", "ben", "--deny").expect(t, 0,
		`type "yes" to deny this: `, "denied: Approval/holiday-boss-", "ben gets nothing of this effect, whoever else approves it")
	if made := l.approvals(t, o.namespace); len(made) != 1 || made[0].Spec.Decision != "Deny" {
		t.Errorf("made %+v", made)
	}
	o.as(sitting{}, o.boss, "approve", "cgrant/holiday", "--user", "ben", "--yes").expect(t, 2, "an approver has said no to what ben would get")
}

func whoMayNot(t *testing.T, l *live) {
	o := l.office(t)
	const noRobots = "error: refused by the admission policy crmaccess-approvals: an Approval is made by a human being: service accounts, nodes and other system users make none\n"
	robot := l.robot(t, o.namespace, "viewer", "approver")
	o.as(sitting{}, robot, "approve", "temporarygrant/holiday", "--user", "ann", "--yes").expect(t, 2, noRobots)
	node := l.account(t, o.namespace, "system:node:a", append([]string{"system:nodes"}, humans...), "viewer", "approver")
	o.as(sitting{}, node, "approve", "temporarygrant/holiday", "--user", "ann", "--yes").expect(t, 2, noRobots)
	nobody := l.account(t, o.namespace, "nobody@sso.example", nil, "viewer", "approver")
	o.as(sitting{}, nobody, "approve", "temporarygrant/holiday", "--user", "ann", "--yes").expect(t, 2, "error: refused by the admission policy crmaccess-approvals: an Approval is made by a human being: you are not in the group crmaccess:humans\n")
	reader := l.account(t, o.namespace, "reader@sso.example", humans, "viewer")
	o.as(sitting{}, reader, "approve", "temporarygrant/holiday", "--user", "ann", "--yes").expect(t, 2, "error: create the Approval: ", "cannot create resource", "crm-access-operator-approver")
	blind := l.account(t, o.namespace, "blind@sso.example", humans, "approver")
	o.as(sitting{}, blind, "approve", "temporarygrant/holiday", "--yes").expect(t, 2, "cannot list resource", "crm-access-operator-viewer in namespace "+o.namespace)
	if made := l.approvals(t, o.namespace); len(made) != 0 {
		t.Errorf("made %+v", made)
	}
}

func nothingWaits(t *testing.T, l *live) {
	o := l.office(t)
	o.as(sitting{}, o.boss, "approve", "grant/holidy").expect(t, 2, "there is no TemporaryGrant/holidy in namespace "+o.namespace+"; did you mean holiday?")
	o.as(sitting{}, o.boss, "approve", "binding/reps").expect(t, 2, "nothing of UserBinding/reps waits for approval: no guardrail asks for any")
	o.as(sitting{}, o.boss, "approve", "grant/holiday", "--user", "boss").expect(t, 2, "nothing of TemporaryGrant/holiday waits for approval: of what it gives boss")
	l.declare(t, o.namespace, crm+"kind: UserBinding\nmetadata: {name: all}\nspec: {subjects: [{selector: {department: east}}], roles: [admin]}\n")
	o.as(sitting{}, o.boss, "approve", "binding/all").expect(t, 2, "nothing of UserBinding/all waits", "approvals, which are of people")
}

func approveALift(t *testing.T, l *live) {
	o := l.office(t)
	o.as(sitting{}, o.boss, "approve", "revocation/stop-benn").expect(t, 2, "did you mean stop-ben?", "--effect")
	r := o.as(sitting{}, o.boss, "approve", "revocation/stop-ben", "--yes")
	r.expect(t, 0, "gives back what was revoked: User/ben\nrevoked because: device stolen\neffect: sha256:", "it takes nothing away any more")
	a := l.approvals(t, o.namespace)[0]
	if document := verified(t, a); document.Kind != access.EffectLift || !strings.Contains(a.Spec.Document, `"uid"`) {
		t.Errorf("made %s", a.Spec.Document)
	}
	o.as(sitting{}, o.boss, "approve", "revocation/stop-ben", "--yes").expect(t, 2, "its end is approved")

	// Of one that is gone there is only the digest.
	if err := l.admin.Resource(gvr("revocations")).Namespace(o.namespace).Delete(t.Context(), "stop-ben", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	o.as(sitting{}, o.boss, "approve", "revocation/stop-ben").expect(t, 2, "there is no Revocation/stop-ben", "--effect")
	o.as(sitting{}, o.chief, "approve", "revocation/stop-ben", "--effect", a.Spec.Effect, "--dry-run").expect(t, 0, `ends Revocation/stop-ben, whose object is gone or was made anew: {"apiVersion":"crmaccess.io/effect/v1","kind":"Lift"`)
	other := "sha256:" + strings.Repeat("1", 64)
	o.as(sitting{}, o.boss, "approve", "revocation/stop-ben", "--effect", other, "--yes").expect(t, 0, "what it says is not known here\neffect: "+other, "it ends if that is the digest of its end")
	o.as(sitting{}, o.boss, "approve", "revocation/stop-ben", "--effect", "sha256:1", "--yes").expect(t, 2, "create the Approval", "spec.effect")
}

func approveARemoval(t *testing.T, l *live) {
	o := l.office(t)
	o.as(sitting{}, o.boss, "approve", "guardrail/elsewhere", "--yes").expect(t, 0,
		"lets these rules go:\n  a grant or binding needs 1 approval by the subject's manager while it is temporary and it reaches into another department\n"+
			"  denies export on customer while the channel is mobile and no reason is given\n", "it is in force for as long as it is declared")
	if document := verified(t, l.approvals(t, o.namespace)[0]); document.Kind != access.EffectRemoval {
		t.Errorf("of kind %s", document.Kind)
	}
	o.as(sitting{}, o.stranger, "approve", "guardrail/privileged", "--deny", "--yes").expect(t, 0, "it does not count: no User has stranger@sso.example among its identities")
	o.as(sitting{}, o.boss, "approve", "guardrail/privileged", "--deny", "--yes").expect(t, 0, "stays in force, whoever else approves its end")
}

func largeAndHostile(t *testing.T, l *live) {
	o := l.office(t)
	var large strings.Builder
	for role := range 3 {
		fmt.Fprintf(&large, "%skind: Role\nmetadata: {name: large-%d}\nspec:\n  displayName: Large\n  grants:\n", crm, role)
		for i := range 500 {
			fmt.Fprintf(&large, "  - {object: customer, actions: [read], scopes: [own], where: [{field: name, operator: In, values: [\"%d-%03d\"]}]}\n", role, i)
		}
		large.WriteString("---\n")
	}
	l.declare(t, o.namespace, large.String()+crm+`kind: UserBinding
metadata: {name: large}
spec: {subjects: [{user: ann}], roles: [admin, large-0, large-1, large-2]}
---
`+crm+"kind: TemporaryGrant\nmetadata: {name: hostile}\n"+`spec: {users: [ann], grants: [{object: customer, actions: [read], records: {departments: [west]}}], notAfter: "2027-01-01T00:00:00Z", reason: "a\u202eb", requestedBy: chief}`+"\n")
	o.as(sitting{}, o.boss, "approve", "binding/large", "--yes").expect(t, 0, "where name In [0-000]", "where name In [2-499]", "note: the document is too large to travel", "still needs 1 more")
	if a := l.approvals(t, o.namespace)[0]; a.Spec.Document != "" || !strings.HasPrefix(a.Spec.Effect, "sha256:") {
		t.Errorf("made %.200s", a.Spec.Document)
	}
	for _, more := range []string{"--dry-run", "--yes"} {
		r := o.as(sitting{}, o.boss, "approve", "grant/hostile", more, "--comment", "x\u202ey")
		r.expect(t, 0, `reason: a\u202eb`)
		if strings.Contains(r.out+r.err, "\u202e") {
			t.Errorf("%s prints it as it is", more)
		}
		var a v1alpha1.Approval
		if more == "--dry-run" {
			if err := json.Unmarshal([]byte(r.out), &a); err != nil || verified(t, a).Access.Reason != "a\u202eb" {
				t.Errorf("%v: prints %s", err, r.out)
			}
		}
	}
}

// widened: what is approved is what was shown, also where the object has become another meanwhile.
func widened(t *testing.T, l *live) {
	o := l.office(t)
	before := o.as(sitting{}, o.boss, "approve", "grant/holiday", "--user", "ann", "--dry-run")
	grants := l.admin.Resource(gvr("temporarygrants")).Namespace(o.namespace)
	grant, err := grants.Get(t.Context(), "holiday", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	grant.Object["spec"].(map[string]any)["notAfter"] = "2026-12-09T00:00:00Z"
	if _, err := grants.Update(t.Context(), grant, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	var a v1alpha1.Approval
	if err := yaml.Unmarshal([]byte(before.out), &a); err != nil {
		t.Fatal(err)
	}
	o.as(sitting{}, o.boss, "approve", "grant/holiday", "--user", "ann", "--effect", a.Spec.Effect, "--yes").expect(t, 2, "what ann would get has the effect sha256:")
	o.as(sitting{}, o.boss, "approve", "grant/holiday", "--user", "ann", "--yes").expect(t, 0, "until 2026-12-09T00:00:00Z")
}

func spellings(t *testing.T, l *live) {
	o := l.office(t)
	for _, word := range []string{"TemporaryGrant", "temporarygrant", "temporarygrants", "temporarygrants.crmaccess.io", "temporarygrants.v1alpha1.crmaccess.io", "cgrant", "grant"} {
		o.as(sitting{}, o.boss, "approve", word+"/holiday", "--dry-run").expect(t, 0, "TemporaryGrant/holiday")
	}
	for _, word := range []string{"user", "User", "users.crmaccess.io", "cuser"} {
		o.as(sitting{}, o.boss, "revoke", word+"/ann", "--reason", "x", "--dry-run").expect(t, 0, "user: ann")
	}
	for word, member := range map[string]string{"binding/reps": "binding: reps", "cbind/reps": "binding: reps", "grant/holiday": "grant: holiday", "roles.crmaccess.io/rep": "role: rep", "crole/rep": "role: rep"} {
		o.as(sitting{}, o.boss, "revoke", word, "--reason", "x", "--dry-run").expect(t, 0, member)
	}
}

func (l *live) revocations(t *testing.T, namespace string) (names []string) {
	t.Helper()
	list, err := l.admin.Resource(gvr("revocations")).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		names = append(names, item.GetName())
	}
	return names
}

func revoke(t *testing.T, l *live) {
	o := l.office(t)
	revoke := func(s sitting, target string, more ...string) result {
		return o.as(s, o.boss, "revoke", target, append([]string{"--reason", "device stolen"}, more...)...)
	}
	revoke(sitting{}, "user/an").expect(t, 2, "there is no User/an in namespace "+o.namespace+"; did you mean ann?", "create the Revocation with kubectl")
	revoke(sitting{types: "ann\n"}, "user/ann").expect(t, 2, "a revocation ends access at once: confirm it with --yes")
	revoke(sitting{types: "yes\n", interactive: true}, "user/ann").expect(t, 2, `that is not "ann": nothing was changed`)
	revoke(sitting{}, "user/ann", "--dry-run").expect(t, 0, "kind: Revocation", "generateName: stop-ann-", "reason: device stolen")
	if names := l.revocations(t, o.namespace); len(names) != 1 {
		t.Fatalf("made %v without a confirmation", names)
	}
	r := revoke(sitting{types: "ann\n", interactive: true}, "user/ann")
	r.expect(t, 0, "revokes User/ann in namespace "+o.namespace, "takes access from 1 person: ann (Ann)\n", "type the name of the user to go on: ",
		"revoked: Revocation/stop-ann-", "until somebody else approves its lift:\n  kubectl crmaccess approve revocation/stop-ann-")
	names := l.revocations(t, o.namespace)
	made := names[slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, "stop-ann-") })]
	o.as(sitting{}, o.boss, "approve", "revocation/"+made, "--dry-run").expect(t, 0, "gives back what was revoked: User/ann")
	o.as(sitting{}, o.ann, "approve", "revocation/"+made, "--dry-run").expect(t, 0, "your answer will not count: you are ann, whom Revocation/"+made+" ends")
	revoke(sitting{}, "role/rep", "--yes").expect(t, 0, "nobody has access by it now")
	l.declare(t, o.namespace, crm+"kind: UserBinding\nmetadata: {name: more}\nspec: {subjects: [{user: boss}, {user: chief}], roles: [rep]}\n")
	revoke(sitting{}, "binding/more", "--yes").expect(t, 0, "nobody has access by it now")
	revoke(sitting{}, "grant/"+strings.Repeat("x", 64), "--yes").expect(t, 2, "there is no TemporaryGrant/xxx")
}

// Who is on call may make revocations and need not be able to read who has access.
func revokeBlindly(t *testing.T, l *live) {
	o := l.office(t)
	guard := l.account(t, o.namespace, "guard@sso.example", nil, "revoker")
	o.as(sitting{}, guard, "revoke", "user/"+strings.Repeat("a", 63), "--reason", "device stolen", "--yes").expect(t, 0, "who loses access is not known here", "revoked: Revocation/stop-aaa")
	for _, name := range l.revocations(t, o.namespace) {
		if len(name) > 63 {
			t.Errorf("made %s, which nothing can name", name)
		}
	}
	o.as(sitting{}, guard, "revoke", "user/A_B", "--reason", "device stolen", "--yes").expect(t, 2, "create the Revocation", "spec.user")
	o.as(sitting{}, o.stranger, "revoke", "user/ben", "--reason", "x", "--yes").expect(t, 2, "cannot create resource", "crm-access-operator-revoker")
}
