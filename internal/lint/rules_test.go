package lint_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ruled is a guardrail with rules, and people who may approve: boss, the manager of ann.
func ruled(rules ...string) string {
	return header + "kind: Guardrail\nmetadata: {name: rail}\nspec:\n  rules:\n  - " + strings.Join(rules, "\n  - ") + "\n---\n" +
		header + "kind: User\nmetadata: {name: boss}\nspec: {displayName: Boss, type: Employee, state: Active, identities: [{issuer: \"https://sso\", subject: b, username: boss@sso.example}]}\n---\n" +
		header + "kind: User\nmetadata: {name: ann}\nspec: {displayName: Ann, type: Employee, department: sales, manager: boss, state: Active}\n---\n"
}

const grant = header + `kind: TemporaryGrant
metadata: {name: g}
spec:
  users: [ann]
  grants:
  - {object: customer, actions: [read], records: {ids: [c1]}, fields: [{class: confidential, level: read}, {field: name, level: read}]}
  notBefore: "2027-01-01T00:00:00Z"
  notAfter: "2027-02-01T00:00:01Z"
  reason: r
  requestedBy: lina
`

const admins = header + "kind: Role\nmetadata: {name: admin}\nspec: {displayName: Admin, privileged: true}\n---\n" +
	header + "kind: UserBinding\nmetadata: {name: admins}\nspec: {subjects: [{user: ann}], roles: [admin]}\n"

var digest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

func TestLintOfGuardrails(t *testing.T) {
	for name, c := range map[string]struct {
		extra string
		want  []string // what the lines begin with, in order
	}{
		"an unknown name restricts nothing, and the nearest is told": {
			ruled("deny: {objects: [custmer], actions: [read]}", "cap: {objects: [customer], fields: [phon], level: masked}", "approve: {objects: [customer], actions: [raed], by: [{role: rap}, {user: bos}]}"),
			[]string{
				`extra.yaml:6: error: Guardrail/rail: spec.rules[0].deny.objects[0]: unknown object "custmer": it restricts nothing; did you mean customer?`,
				`extra.yaml:7: error: Guardrail/rail: spec.rules[1].cap.fields[0]: unknown field of customer "phon": it restricts nothing; did you mean phone?`,
				`extra.yaml:8: error: Guardrail/rail: spec.rules[2].approve.actions[0]: unknown action of customer "raed": it restricts nothing; did you mean read?`,
				`extra.yaml:8: error: Guardrail/rail: spec.rules[2].approve.by[0].role: unknown role "rap": nobody may approve by it; did you mean rep?`,
				`extra.yaml:8: error: Guardrail/rail: spec.rules[2].approve.by[1].user: unknown user "bos": nobody may approve by it; did you mean boss?`,
			}},
		"an action that no object of the rule has": {
			ruled(`limit: {objects: ["*"], actions: [export], maxRowsPerDay: 5}`),
			[]string{`extra.yaml:6: error: Guardrail/rail: spec.rules[0].limit.actions[0]: unknown action of customer "export": it restricts nothing`}},
		"a temporary grant that is too long": {
			ruled("admit: {when: {temporary: true}, maxDuration: 744h}") + grant,
			[]string{`extra.yaml:26: error: TemporaryGrant/g: spec.notAfter: the grant lasts 744h0m1s, and Guardrail/rail allows 744h0m0s: it confers nothing to ann`}},
		"what waits is an info, with the digest and who may approve": {
			ruled("admit: {when: {temporary: true, otherDepartment: true}, approvals: 1, by: [{managerOfSubject: true}, {role: rep}]}") + grant,
			[]string{`extra.yaml:18: info: TemporaryGrant/g: what ann gets waits for approval: 0 of 1, from boss or a rep (Guardrail/rail); effect DIGEST`}},
		"what nobody can approve is a warning": {
			ruled("admit: {when: {temporary: true}, approvals: 1, by: [{user: ann}]}") + grant,
			[]string{`extra.yaml:18: warning: TemporaryGrant/g: what ann gets waits for approval: 0 of 1, from nobody who may (Guardrail/rail); effect DIGEST`}},
		"an emergency waits for review": {
			ruled("admit: {when: {temporary: true}, maxDuration: 744h}") + strings.NewReplacer("2027-02-01T00:00:01Z", "2027-01-01T04:00:00Z", "reason: r", "reason: r\n  emergency: true").Replace(grant),
			[]string{`extra.yaml:18: info: TemporaryGrant/g: what ann gets in an emergency waits for review: 0 of 1, from anybody whom the cluster lets approve it; effect DIGEST`}},
		"a selector cannot be approved": {
			ruled("admit: {when: {privilegedRole: true}, approvals: 1}") + strings.Replace(admins, "{user: ann}", "{selector: {department: sales}}", 1),
			[]string{
				`extra.yaml:26: warning: UserBinding/admins: spec.roles[0]: gives the privileged role admin to a selector`,
				`extra.yaml:26: error: UserBinding/admins: spec.subjects[0].selector: Guardrail/rail asks for approvals, which are of people`,
			}},
		"holders are counted as if all that waits were approved": {
			ruled("admit: {when: {privilegedRole: true}, approvals: 2, minHolders: 1, maxHolders: 3}") + admins,
			[]string{
				`extra.yaml:23: info: UserBinding/admins: what ann gets waits for approval: 0 of 2`,
				`extra.yaml:26: warning: UserBinding/admins: spec.roles[0]: gives the privileged role admin to ann`,
			}},
		"too few holders, and too many, are warnings": {
			ruled("admit: {when: {privilegedRole: true}, minHolders: 2}", "admit: {when: {roles: [rep]}, maxHolders: 0}") + admins,
			[]string{
				`extra.yaml:6: warning: Guardrail/rail: spec.rules[0].admit.minHolders: role "admin" is held by 1 (ann), fewer than 2`,
				`extra.yaml:7: warning: Guardrail/rail: spec.rules[1].admit.maxHolders: role "rep" is held by 1 (lina), more than 0`,
				`extra.yaml:27: warning: UserBinding/admins: spec.roles[0]: gives the privileged role admin to ann`,
			}},
		"duties held together are a warning": {
			ruled("separate: {duties: [{object: customer, action: read}, {object: customer, action: update}]}") +
				header + "kind: Role\nmetadata: {name: both}\nspec: {displayName: Both, grants: [{object: customer, actions: [read, update], scopes: [own]}]}\n---\n" +
				header + "kind: UserBinding\nmetadata: {name: both}\nspec: {subjects: [{user: ann}], roles: [both]}\n",
			[]string{`extra.yaml:6: warning: Guardrail/rail: spec.rules[0].separate: rights to duties that are to be separate (read customer, update customer) are held together by ann`}},
		"a field rule above a cap is an info, of roles and grants, by class and by name": {
			ruled("cap: {objects: [customer], classes: [confidential], level: read}", `cap: {objects: ["*"], classes: [confidential], level: masked}`, "cap: {objects: [customer], fields: [name], level: none}") +
				grant + "---\n" + header + "kind: Role\nmetadata: {name: fine}\nspec: {displayName: Fine, grants: [{object: customer, actions: [read], scopes: [own], fields: [{field: phone, level: masked}, {class: public, level: read}]}]}\n---\n" +
				header + "kind: UserBinding\nmetadata: {name: fine}\nspec: {subjects: [{user: ann}], roles: [fine]}\n",
			[]string{
				`extra.yaml:26: info: TemporaryGrant/g: spec.grants[0].fields[0].level: gives the confidential fields read, and Guardrail/rail caps it at masked: nobody has more`,
				`extra.yaml:26: info: TemporaryGrant/g: spec.grants[0].fields[1].level: gives name read, and Guardrail/rail caps it at none: nobody has more`,
			}},
		"a rule by which nobody may approve is a warning": {
			ruled("approve: {objects: [customer], actions: [read], by: [{role: vacant}]}", "approve: {objects: [customer], actions: [read], by: [{managerOfSubject: true}]}", "approve: {objects: [customer], actions: [read], by: [{user: gone}, {role: base}]}",
				"admit: {when: {external: true}, approvals: 1, by: [{role: vacant}]}", "admit: {when: {external: true}, approvals: 1}") +
				header + "kind: User\nmetadata: {name: gone}\nspec: {displayName: Gone, type: Employee, state: Departed}\n---\n" +
				header + "kind: Role\nmetadata: {name: base}\nspec: {displayName: Base, abstract: true}\n---\n" +
				header + "kind: Role\nmetadata: {name: heir}\nspec: {displayName: Heir, inherits: [{role: base}], grants: [{object: customer, actions: [read], scopes: [own]}]}\n---\n" +
				header + "kind: UserBinding\nmetadata: {name: heirs}\nspec: {subjects: [{user: ann}], roles: [heir]}\n---\n" +
				header + "kind: Role\nmetadata: {name: vacant}\nspec: {displayName: Vacant}\n---\n" +
				header + "kind: UserBinding\nmetadata: {name: vacant}\nspec: {subjects: [{user: gone}], roles: [vacant]}\n",
			[]string{
				`extra.yaml:6: warning: Guardrail/rail: spec.rules[0].approve.by: nobody may approve by it: no active employee is a holder of role vacant`,
				`extra.yaml:9: warning: Guardrail/rail: spec.rules[3].admit.by: nobody may approve by it: no active employee is a holder of role vacant`,
			}},
		"a revocation of what nobody declares": {
			header + "kind: Revocation\nmetadata: {name: stop}\nspec: {binding: rep, reason: r}\n",
			[]string{`extra.yaml:4: error: Revocation/stop: spec.binding: unknown binding "rep": there is nothing yet that the revocation ends; did you mean reps?`}},
	} {
		t.Run(name, func(t *testing.T) {
			got := check(t, c.extra)
			for i := range got {
				got[i] = digest.ReplaceAllString(got[i], "DIGEST")
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("finds\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
			}
		})
	}
}

// What is approved in the tree neither waits nor is refused; a no is told.
func TestLintReadsApprovalsOfTheTree(t *testing.T) {
	given := ruled("admit: {when: {temporary: true}, approvals: 1}") + grant
	effect := digest.FindString(strings.Join(check(t, given), "\n"))
	answer := func(decision string) []string {
		return check(t, given+"---\n"+header+"kind: Approval\nmetadata: {name: a}\nspec: {for: {kind: TemporaryGrant, name: g}, effect: \""+effect+"\", decision: "+decision+", approver: boss@sso.example}\n")
	}
	if got := answer("Approve"); len(got) != 0 {
		t.Errorf("finds %q", got)
	}
	if got := answer("Deny"); len(got) != 1 || got[0] != "extra.yaml:18: warning: TemporaryGrant/g: an approver has said no to what ann gets; effect "+effect {
		t.Errorf("finds %q", got)
	}
}
