package access_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// effects are the documents that testdata/effects keeps. What they say must never change: approvals name their digests.
func effects() map[string][]byte {
	rows, owned := int64(500), int64(2000)
	yearend := AccessEffect{
		Subject: "li-ting", Reason: "year-end push", RequestedBy: "lin-che",
		Window: schedule.Window{NotBefore: 1798419600, NotAfter: 1798678800},
		Tuples: []*Tuple{{Object: "customer", Actions: []string{"read"}, Owners: []string{"wang-lei"}, Fields: []RuleFact{{Class: "confidential", Level: "masked"}}}},
	}
	binding := AccessEffect{
		Subject: "tang-yue", Roles: []string{"sales-manager", "sales-rep"}, Reason: "CHG-2211", Window: schedule.Unbounded,
		Tuples: []*Tuple{
			{Origin: "sales-rep", Object: "lead", Actions: []string{"read", "create", "read"}, Scopes: []string{"own", "department"}},
			{Origin: "sales-manager", Object: "customer", Actions: []string{"update", "read"}, Scopes: []string{"own", "involved"},
				Where:  []WhereFact{{Field: "region", Operator: OperatorIn, Values: []string{"west", "east"}}, {Field: "level", Operator: OperatorExists}},
				Fields: []RuleFact{{Field: "creditLimit", Level: "read"}, {Class: "restricted", Level: "none"}, {Class: "confidential", Level: "edit"}}},
			{Origin: "another", Object: "lead", Actions: []string{"create", "read"}, Scopes: []string{"department", "own"}},
		},
	}
	external := AccessEffect{
		Subject: "bai-he", Window: schedule.Window{NotBefore: schedule.Always, NotAfter: 1797350400},
		Tuples: []*Tuple{
			{Object: "customer", Actions: []string{"read"}, IDs: []string{"cust-huaxin", "cust-beichen"}, Restricted: true, OnlyFields: []string{"region", "name"}},
			{Object: "contact", Actions: []string{"read"}, DepartmentTrees: []string{"sales"}, Restricted: true},
			{Object: "lead", Actions: []string{"read"}, Departments: []string{"sales-north"}},
		},
	}
	strange := AccessEffect{Subject: "li-ting", Window: schedule.Unbounded, Reason: "\"a\\b\" <&> / 客户\u2028\u007f\u0001\t\n🙂"}
	revocation := func(kind Kind, name string) []byte {
		r := Revocation{Name: "stop-" + name, UID: "5b1f5bb8-54a4-4b9e-9a2c-8d0c9f6f3f11", Target: Ref{kind, name}, Reason: "device stolen"}
		return r.LiftDocument()
	}
	guardrail := Guardrail{Name: "no-bulk-export", UID: "0c3b7a52-6c0e-4a43-8a06-3f0b6c9a6d77", Rules: []GuardrailRule{
		{Limit: &LimitRule{Target: Target{Objects: []string{"customer"}, Actions: []string{"export"}}, MaxRowsPerRequest: &rows, MaxRecordsOwned: &owned}},
		{Deny: &DenyRule{Target: Target{Objects: []string{Any}, Actions: []string{"unmask"}}, When: DenyWhen{ReasonMissing: true}}},
	}}
	return map[string][]byte{
		"access-temporarygrant.json": yearend.Document(), "access-userbinding.json": binding.Document(),
		"access-external.json": external.Document(), "access-strings.json": strange.Document(),
		"lift-user.json": revocation(KindUser, "han-dong"), "lift-role.json": revocation(KindRole, "crm-admin"),
		"lift-binding.json": revocation(KindUserBinding, "admins"), "lift-grant.json": revocation(KindTemporaryGrant, "yearend-li-ting"),
		"removal.json": guardrail.RemovalDocument(),
	}
}

func TestEffectDocumentsStayAsTheyAre(t *testing.T) {
	sums, err := os.ReadFile(filepath.Join("testdata", "effects", "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(sums), "\n"); n != len(effects()) {
		t.Errorf("%d digests are kept of %d documents", n, len(effects()))
	}
	for name, document := range effects() {
		want, err := os.ReadFile(filepath.Join("testdata", "effects", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if string(document) != string(want) {
			t.Errorf("%s: %s\nwant %s", name, document, want)
		}
		digest := EffectDigest(document)
		if !strings.Contains(string(sums), strings.TrimPrefix(digest, "sha256:")+"  "+name+"\n") {
			t.Errorf("%s: SHA256SUMS does not have %s", name, digest)
		}
		parsed, err := VerifyEffect(document, digest)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if parsed.Access != nil && string(parsed.Access.Document()) != string(document) {
			t.Errorf("%s reads as %s", name, parsed.Access.Document())
		}
	}
}

func TestADocumentThatIsNotCanonicalIsRefused(t *testing.T) {
	const good = `{"apiVersion":"crmaccess.io/effect/v1","kind":"Access","notAfter":"2026-12-31T01:00:00Z","subject":"ann","tuples":[{"actions":["create","read"],"fields":[{"class":"secret","level":"read"}],"object":"customer","onlyFields":[],"scopes":["all","own"]}]}`
	if _, err := ParseEffect([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"whitespace":               {`{"apiVersion":`, `{ "apiVersion":`},
		"a newline at the end":     {`}]}`, "}]}\n"},
		"another version":          {`effect/v1`, `effect/v2`},
		"another kind":             {`"Access"`, `"Excess"`},
		"keys out of order":        {`"subject":"ann","tuples":`, `"tuples":[],"subject":"ann","tuples":`},
		"a key twice":              {`"subject":"ann"`, `"subject":"bob","subject":"ann"`},
		"a key in another case":    {`"subject"`, `"Subject"`},
		"a member nobody knows":    {`"subject":"ann"`, `"subject":"ann","subjects":"bob"`},
		"a member of a tuple":      {`"object":"customer"`, `"object":"customer","objects":"lead"`},
		"a list out of order":      {`["create","read"]`, `["read","create"]`},
		"a list with repetition":   {`["create","read"]`, `["read","read"]`},
		"an empty list":            {`["create","read"]`, `[]`},
		"a number":                 {`"customer"`, `1`},
		"null":                     {`"customer"`, `null`},
		"an escaped letter":        {`"ann"`, `"\u0061nn"`},
		"an instant elsewhere":     {`2026-12-31T01:00:00Z`, `2026-12-31T09:00:00+08:00`},
		"no instant":               {`2026-12-31T01:00:00Z`, `soon`},
		"an unknown scope":         {`"all","own"`, `"all","owm"`},
		"an unknown level":         {`"level":"read"`, `"level":"raed"`},
		"an unknown class":         {`"secret"`, `"secrete"`},
		"an empty text":            {`"ann"`, `"ann","zeal":""`},
		"another type":             {`"all","own"`, `"all",["own"]`},
		"nothing":                  {good, ``},
		"a document within a list": {good, `[` + good + `]`},
	} {
		changed := strings.Replace(good, change[0], change[1], 1)
		if changed == good {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ParseEffect([]byte(changed)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	lift := string((&Revocation{Name: "stop", UID: "1", Target: Ref{KindUser, "ann"}}).LiftDocument())
	if _, err := ParseEffect([]byte(lift)); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseEffect([]byte(lift + "\n")); err == nil {
		t.Error("a lift with a newline at the end was taken")
	}
	if _, err := VerifyEffect([]byte(good), EffectDigest([]byte(good+" "))); err == nil || !strings.Contains(err.Error(), "has the digest") {
		t.Errorf("another document's digest: %v", err)
	}
}

func TestTheEffectIsWhatIsDeclaredAfterInheritance(t *testing.T) {
	d := guarded(holding("ann", customers(ScopeOwn, "read")), func(d *Declarations) {
		d.Roles[0].Inherits = []Inheritance{{Role: "base", Mute: []Mute{{Object: "customer", Actions: []string{"export"}}}}}
		d.Roles = append(d.Roles, &Role{Name: "base", Grants: []Grant{with(customers(ScopeAll, "read", "export"), level(ClassSecret, LevelMasked))}})
		d.UserBindings[0].Justification, d.UserBindings[0].RequestedBy = "CHG-1", "boss"
	}, asksTwo())
	const want = `{"apiVersion":"crmaccess.io/effect/v1","kind":"Access","reason":"CHG-1","requestedBy":"boss","roles":["base","role-of-ann"],"subject":"ann","tuples":[` +
		`{"actions":["read"],"fields":[{"class":"secret","level":"masked"}],"object":"customer","scopes":["all"]},{"actions":["read"],"object":"customer","scopes":["own"]}]}`
	admission := Resolve(d).Admissions[annsBinding][0]
	if string(admission.Document) != want || admission.Effect != EffectDigest([]byte(want)) {
		t.Errorf("%s\n%s\nwant %s", admission.Effect, admission.Document, want)
	}
}

// FuzzParseEffect: what is read as an effect is written again to the byte, and what it says does not depend on who reads it.
func FuzzParseEffect(f *testing.F) {
	vectors, err := filepath.Glob("testdata/effects/*.json")
	if err != nil || len(vectors) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	for _, file := range vectors {
		document, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.TrimSuffix(document, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		effect, err := ParseEffect(document)
		if err != nil {
			return
		}
		if again, err := CanonicalEffect(document); err != nil || !bytes.Equal(again, document) {
			t.Fatalf("%q is read, and spelled %q: %v", document, again, err)
		}
		if _, err := VerifyEffect(document, EffectDigest(document)); err != nil {
			t.Fatal(err)
		}
		if effect.Access != nil && !bytes.Equal(effect.Access.Document(), document) {
			t.Fatalf("%q says what is written %q", document, effect.Access.Document())
		}
	})
}
