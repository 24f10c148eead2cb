package command_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// can asks the sample.
func can(args ...string) result { return run(append([]string{"can", "-f", huayue}, args...)...) }

func TestADenySaysWhatWaitsForApproval(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(huayue)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "approvals.yaml")); err != nil {
		t.Fatal(err)
	}
	at := []string{"--at", "2026-11-21T10:00:00+08:00"}
	run(append([]string{"can", "-f", dir, "bai-he", "read", "customer/cust-huaxin"}, at...)...).expect(t, 1,
		"nearest: would be covered, but waits: TemporaryGrant/q4-campaign: 0 of 1 approval, from a regional-manager; guardrail temporary-access; effect sha256:")
	run(append([]string{"can", "-f", dir, "bai-he", "read", "customer/cust-ruifeng"}, at...)...).expect(t, 1, "nearest: holds nothing on customer")
}

func TestCan(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		code  int
		words []string
	}{
		"an allow": {[]string{"li-ting", "read", "customer/cust-huaxin"}, 0, []string{"ALLOW\nsales-rep:read=own by UserBinding/sales-reps\n"}},
		"a deny says what came near": {[]string{"li-ting", "read", "customer/cust-bolan"}, 1, []string{
			"DENY\nno grant covers read on customer\nnearest: holds read on own", "the record belongs to wu-fan"}},
		"every reason of a deny is told":       {[]string{"han-dong", "delete", "lead/lead-318"}, 1, []string{"account state Departed\nno grant covers delete on lead\n"}},
		"a masked field":                       {[]string{"wang-yi", "read", "customer/cust-huaxin", "--field", "phone"}, 0, []string{"MASKED\n"}},
		"a field of none ends like a deny":     {[]string{"li-ting", "read", "contract/ct-0091", "--field", "amount"}, 1, []string{"NONE\n"}},
		"a field of a deny":                    {[]string{"xu-nuo", "update", "customer/cust-huaxin", "--field", "phone"}, 1, []string{"DENY\n"}},
		"a field that is not declared":         {[]string{"li-ting", "read", "customer/cust-huaxin", "--field", "fone"}, 1, []string{"DENY\n", "no field \"fone\"", "did you mean phone?"}},
		"an unknown user":                      {[]string{"li-tong", "read", "customer"}, 1, []string{"DENY\nno account \"li-tong\"\nnearest: ", "did you mean li-ting?"}},
		"an unknown object":                    {[]string{"li-ting", "read", "custmer/cust-huaxin"}, 1, []string{"DENY\nunknown object \"custmer\"\n", "did you mean customer?"}},
		"an unknown action":                    {[]string{"li-ting", "view", "customer"}, 1, []string{"DENY\nobject customer has no action \"view\""}},
		"an action that needs a record":        {[]string{"li-ting", "update", "customer"}, 1, []string{"DENY\nupdate needs a record"}},
		"an unknown record":                    {[]string{"li-ting", "read", "customer/cust-huaxing"}, 2, []string{"not in config/samples/huayue/records.yaml", "did you mean customer/cust-huaxin?", "--record"}},
		"facts of a record in no file":         {[]string{"li-ting", "read", "customer/new", "--record", "owner=li-ting"}, 0, []string{"ALLOW\n"}},
		"facts over those of the file":         {[]string{"li-ting", "read", "customer/cust-bolan", "--record", "owner=li-ting"}, 0, []string{"ALLOW\n"}},
		"a fact taken away":                    {[]string{"li-ting", "read", "customer/cust-huaxin", "--record", "owner="}, 1, []string{"belongs to nobody"}},
		"the facts of a proposed record":       {[]string{"li-ting", "create", "customer", "--record", "owner=li-ting"}, 0, []string{"ALLOW\n"}},
		"a misspelt fact":                      {[]string{"li-ting", "read", "customer/new", "--record", "ownr=li-ting"}, 2, []string{"did you mean owner?"}},
		"the department by its field":          {[]string{"li-ting", "read", "customer/new", "--record", "ownerDept=x"}, 2, []string{"department=NAME"}},
		"a fact without a value":               {[]string{"li-ting", "read", "customer/new", "--record", "owner"}, 2, []string{"want key=value"}},
		"a fact twice":                         {[]string{"li-ting", "read", "customer/new", "--record", "owner=a,owner=b"}, 2, []string{"gives owner twice"}},
		"a child by its parent's record":       {[]string{"li-ting", "read", "contact/c", "--record", "customer=cust-huaxin"}, 0, []string{"ALLOW\n"}},
		"a child by the parent named":          {[]string{"li-ting", "read", "contact/c", "--record", "parent=cust-huaxin"}, 0, []string{"ALLOW\n"}},
		"a parent that is in no file":          {[]string{"li-ting", "read", "contact/c", "--record", "parent=cust-huaxing"}, 2, []string{"did you mean customer/cust-huaxin?"}},
		"a parent where there is none":         {[]string{"li-ting", "read", "contract/c", "--record", "parent=cust-huaxin"}, 2, []string{"takes its access from no other object"}},
		"a parent named twice":                 {[]string{"li-ting", "read", "contact/c", "--record", "parent=cust-huaxin,customer=cust-huaxin"}, 2, []string{"keep one"}},
		"a child whose parent is not known":    {[]string{"li-ting", "read", "contact/c", "--record", "customer=elsewhere"}, 1, []string{"DENY\n", "note: customer/elsewhere, which decides, is not among the records"}},
		"a child that names no parent":         {[]string{"li-ting", "read", "contact/c", "--record", "owner=li-ting"}, 1, []string{"DENY\n", "names none"}},
		"the child's own owner does not count": {[]string{"wang-lei", "read", "contact/c", "--record", "owner=wang-lei,customer=cust-huaxin"}, 1, []string{"DENY\n"}},
		"another instant":                      {[]string{"li-ting", "read", "customer/cust-ruifeng", "--at", "2026-12-28T09:00:00+08:00"}, 0, []string{"until 2026-12-31T01:00:00Z"}},
		"what a request carries":               {[]string{"lin-che", "export", "customer", "--rows", "5", "--used", "0", "--channel", "mobile", "--reason", "x", "--target-department", "sales", "--target-user", "li-ting"}, 1, []string{"DENY\nguardrail no-bulk-export (channel mobile)\n"}},
		"a number that a guardrail must know":  {[]string{"lin-che", "export", "customer"}, 1, []string{"DENY\nguardrail no-bulk-export (rows not said)\n"}},
		"what needs approval": {[]string{"li-ting", "transfer", "customer/cust-huaxin", "--target-department", "sales-east-1"}, 3, []string{
			"APPROVAL\nneeds chen-mo, manager of li-ting (sales-rep:transfer=own); guardrail customer-transfer\nsales-rep:transfer=own by UserBinding/sales-reps\n"}},
		"who may approve each": {[]string{"li-ting", "transfer", "customer/cust-huaxin", "--why"}, 3, []string{
			"needs regional-manager (sales-rep:transfer=own); guardrail customer-transfer\n", "  path: UserBinding/sales-reps > sales-rep\n",
			"who may approve for customer-transfer: chen-mo\nwho may approve for customer-transfer: gao-yuan, lin-che, ma-xiao\n"}},
		"one who has approved":                {[]string{"li-ting", "transfer", "customer/cust-huaxin", "--target-department", "sales-east-1", "--approved-by", "chen-mo"}, 0, []string{"ALLOW\n"}},
		"each rule needs one of its own":      {[]string{"li-ting", "transfer", "customer/cust-huaxin", "--approved-by", "chen-mo"}, 3, []string{"APPROVAL\n"}},
		"and has them":                        {[]string{"li-ting", "transfer", "customer/cust-huaxin", "--approved-by", "chen-mo,gao-yuan"}, 0, []string{"ALLOW\n"}},
		"one who may not approve":             {[]string{"li-ting", "transfer", "customer/cust-huaxin", "--target-department", "sales-east-1", "--approved-by", "li-ting"}, 3, []string{"APPROVAL\n"}},
		"too few arguments":                   {[]string{"li-ting", "read"}, 2, []string{"want 3 arguments", "--help"}},
		"an empty record":                     {[]string{"li-ting", "read", "customer/"}, 2, []string{"a name is empty"}},
		"negative rows":                       {[]string{"li-ting", "read", "customer", "--rows", "-1"}, 2, []string{"zero or more"}},
		"negative records owned":              {[]string{"li-ting", "read", "customer", "--owned", "-1"}, 2, []string{"zero or more"}},
		"two fields":                          {[]string{"li-ting", "read", "customer", "--field", "name", "--field", "phone"}, 2, []string{"one field at a time"}},
		"an instant that is none":             {[]string{"li-ting", "read", "customer", "--at", "tomorrow"}, 2, []string{"--at: instant \"tomorrow\""}},
		"an output that is none":              {[]string{"li-ting", "read", "customer", "-o", "yaml"}, 2, []string{"want text or json"}},
		"a flag that is none":                 {[]string{"li-ting", "read", "customer", "--feild", "x"}, 2, []string{"unknown flag: --feild"}},
		"a namespace that is not declared":    {[]string{"li-ting", "read", "customer", "-n", "acme"}, 2, []string{"nothing for namespace \"acme\"; it has huayue"}},
		"a file of records that is not there": {[]string{"li-ting", "read", "customer", "--records", "none.yaml"}, 2, []string{"none.yaml"}},
	} {
		t.Run(name, func(t *testing.T) { can(c.args...).expect(t, c.code, c.words...) })
	}
}

func TestCanRefusesManifestsThatDoNotLoad(t *testing.T) {
	role := "apiVersion: crmaccess.io/v1alpha1\nkind: Role\nmetadata: {name: rep}\n"
	dir := write(t, map[string]string{"a.yaml": role + "spec: {displayName: R, privilegd: true}\n", "b.yaml": "a: [\n"})
	run("can", "lina", "read", "customer", "-f", dir).expect(t, 2,
		"error: "+filepath.Join(dir, "a.yaml")+":4: Role/rep: spec.privilegd: unknown field", "error: "+filepath.Join(dir, "b.yaml")+":1: ")
	run("can", "lina", "read", "customer", "-f", filepath.Join(dir, "none")).expect(t, 2, "none")
	run("can", "lina", "read", "customer", "-f", t.TempDir()).expect(t, 2, "no manifests of crmaccess.io")
}

const tenantManifests = `apiVersion: crmaccess.io/v1alpha1
kind: User
metadata: {name: lina, namespace: NAMESPACE}
spec: {displayName: Lina, type: Employee, state: Active}
`

func TestCanAsksForTheTenantWhereThereAreSeveral(t *testing.T) {
	object := "apiVersion: crmaccess.io/v1alpha1\nkind: ObjectType\nmetadata: {name: customer}\nspec: {displayName: C, actions: [read], fields: [{name: name, class: public}]}\n"
	dir := write(t, map[string]string{
		"a.yaml": strings.ReplaceAll(tenantManifests, "NAMESPACE", "acme"),
		"b.yaml": strings.ReplaceAll(tenantManifests, "NAMESPACE", "beta"),
		"c.yaml": object,
	})
	run("can", "lina", "read", "customer", "-f", dir).expect(t, 2, "choose one with -n: (manifests that name no namespace), acme, beta")
	run("can", "lina", "read", "customer", "-f", dir, "-n", "beta").expect(t, 1, "DENY\nno grant covers read on customer\n")
	run("can", "lina", "read", "customer", "-f", filepath.Join(dir, "c.yaml"), "-n", "any").expect(t, 1, "no account")
	twice := write(t, map[string]string{"a.yaml": strings.ReplaceAll(tenantManifests, "NAMESPACE", "acme"), "b.yaml": strings.ReplaceAll(tenantManifests, ", namespace: NAMESPACE", "")})
	run("can", "lina", "read", "customer", "-f", twice, "-n", "acme").expect(t, 2, "User/lina stands already at")
}

func TestCanInJSON(t *testing.T) {
	r := can("li-ting", "read", "customer/cust-bolan", "--field", "phone", "--why", "-o", "json")
	r.expect(t, 1)
	var got map[string]any
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatal(err)
	}
	for member, want := range map[string]any{
		"answer": "DENY", "decision": "DENY", "user": "li-ting", "action": "read", "object": "customer", "record": "cust-bolan",
		"field": "phone", "level": "none", "at": "2026-11-21T02:00:00Z",
		"nearestMiss": "holds read on own (sales-rep by UserBinding/sales-reps); the record belongs to wu-fan",
	} {
		if got[member] != want {
			t.Errorf("%s is %v, want %v", member, got[member], want)
		}
	}
}

func TestCanSaysWhoMayApproveInJSON(t *testing.T) {
	r := can("li-ting", "transfer", "customer/cust-huaxin", "--target-department", "sales-east-1", "-o", "json")
	r.expect(t, 3)
	var got struct {
		Answer    string
		Causes    []struct{ Text string }
		Approvals []struct {
			Guardrail string
			Approvers []string
		}
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Answer != "APPROVAL" || len(got.Causes) != 2 || !strings.HasPrefix(got.Causes[0].Text, "needs chen-mo") ||
		len(got.Approvals) != 1 || got.Approvals[0].Guardrail != "customer-transfer" || !slices.Equal(got.Approvals[0].Approvers, []string{"chen-mo"}) {
		t.Errorf("says %s", r.out)
	}
}

// Guardrails that ask for what the command line says of the device and of records owned.
func TestCanSaysTheDeviceAndWhatIsOwned(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": approving + "---\n" + crm + `kind: Guardrail
metadata: {name: quota}
spec:
  rules:
  - deny: {objects: [customer], actions: [read], when: {devices: [unmanaged]}}
  - limit: {objects: [customer], actions: [read], maxRecordsOwned: 3}
`})
	ask := func(more ...string) result {
		return run(append([]string{"can", "ann", "read", "customer/c", "-f", dir, "--record", "owner=ann"}, more...)...)
	}
	ask("--owned", "2", "--device", "managed").expect(t, 0, "ALLOW\n")
	ask("--owned", "3", "--device", "managed").expect(t, 1, "guardrail quota (owns 3 of at most 3 records)")
	ask("--owned", "2", "--device", "unmanaged").expect(t, 1, "guardrail quota (device unmanaged)")
	ask("--owned", "2").expect(t, 1, "guardrail quota (device not said)")
	ask("--device", "managed").expect(t, 1, "guardrail quota (owned not said)")
}

func TestCanTakesWhatNamesNoNamespace(t *testing.T) {
	restrictions := strings.ReplaceAll(approving, "{name: stop-ben}", "{name: stop-ann}")
	restrictions = strings.ReplaceAll(restrictions, "user: ben, reason", "user: ann, reason")
	var common, named []string
	for document := range strings.SplitSeq(restrictions, "---\n") {
		if strings.Contains(document, "kind: Guardrail") || strings.Contains(document, "kind: Revocation") {
			common = append(common, document)
		} else {
			named = append(named, strings.Replace(document, "metadata: {", "metadata: {namespace: acme, ", 1))
		}
	}
	all := map[string]string{"named.yaml": strings.Join(named, "---\n"), "common.yaml": strings.Join(common, "---\n")}
	dir := write(t, all)
	run("can", "ann", "read", "customer/c", "-f", dir, "-n", "acme", "--record", "owner=ann").expect(t, 1, "DENY\nrevocation stop-ann of user ann\n")
	waits := run("show", "ben", "-f", dir, "-n", "acme")
	waits.expect(t, 0, "waits: TemporaryGrant/holiday: 0 of 1 approval, from boss; guardrail elsewhere; effect sha256:")
	_, effect, _ := strings.Cut(strings.TrimSpace(waits.out), "effect ")
	all["common.yaml"] += "---\n" + crm + "kind: Approval\nmetadata: {name: a}\nspec: {for: {kind: TemporaryGrant, name: holiday}, effect: \"" + effect + "\", decision: Approve, approver: boss@sso.example}\n"
	if r := run("show", "ben", "-f", write(t, all), "-n", "acme"); r.code != 0 || strings.Contains(r.out, "waits:") {
		t.Errorf("still waits: %s%s", r.out, r.err)
	}
	delete(all, "common.yaml")
	run("can", "ann", "read", "customer/c", "-f", write(t, all), "-n", "acme", "--record", "owner=ann").expect(t, 0, "ALLOW\n")
}

func TestHostileNamesAreShownAndNotObeyed(t *testing.T) {
	const hostile = "\x1b[2Jx\u202ey\u009bz\x7f"
	for _, output := range []string{"text", "json"} {
		r := can("li-ting", "read", "customer/new", "--record", "owner="+hostile+"\nALLOW", "-o", output, "--why")
		r.expect(t, 1, `\u202e`)
		for _, forbidden := range []string{"\x1b", "\u202e", "\u009b", "\x7f", "\nALLOW"} {
			if strings.Contains(r.out+r.err, forbidden) {
				t.Errorf("%s: prints %q as it is: %q", output, forbidden, r.out)
			}
		}
		if output == "json" && !json.Valid([]byte(r.out)) {
			t.Errorf("is no JSON: %s", r.out)
		}
	}
	for _, r := range []result{can("li-ting"+hostile, "read", "customer"), can("li-ting", "read", "customer", hostile), run(hostile), can("li-ting", "read", "customer", "--records", hostile)} {
		if strings.ContainsAny(r.out+r.err, "\x1b\u202e\u009b\x7f") {
			t.Errorf("prints control characters: %q %q", r.out, r.err)
		}
	}
}

func TestTheServerAnswersLikeTheManifests(t *testing.T) {
	server := httptest.NewServer(decisionapi.New(serveSample(t), decisionapi.Options{HonourTime: true}))
	defer server.Close()
	records := filepath.Join(huayue, "records.yaml")
	for _, question := range [][]string{
		{"li-ting", "read", "customer/cust-huaxin"},
		{"li-ting", "read", "customer/cust-ruifeng", "--why"},
		{"li-ting", "read", "customer/cust-ruifeng", "--at", "2026-12-29T10:00:00+08:00", "--field", "phone", "--why", "-o", "json"},
		{"gao-yuan", "read", "customer/cust-beichen", "--why", "--field", "phone"},
		{"lin-che", "export", "customer", "--rows", "5", "--used", "3", "--reason", "audit", "--target-department", "sales", "--target-user", "li-ting", "-o", "json"},
		{"li-ting", "read", "contact/new", "--record", "customer=cust-huaxin", "--field", "mobile"},
		{"li-ting", "read", "customer/cust-bolan", "--record", "owner=,participants=li-ting;chen-mo,region=east,region=north"},
		{"li-tong", "read", "customer/cust-huaxin", "--why"},
		{"li-ting", "raed", "customer", "-o", "json"},
		{"li-ting", "read", "customer", "--field", "fone"},
		{"li-ting", "transfer", "customer/cust-huaxin", "--why"},
		{"li-ting", "transfer", "customer/cust-huaxin", "--target-department", "sales-east-1", "-o", "json"},
		{"lin-che", "export", "customer", "--rows", "5", "--device", "managed", "--owned", "3"},
		{"li-ting", "read", "contract/ct-0091", "--field", "amount"},
	} {
		want := can(question...)
		for _, namespace := range [][]string{nil, {"-n", "huayue"}} {
			args := append([]string{"can", "--records", records}, question...)
			if got := (sitting{server: server.URL}).run(append(args, namespace...)...); got != want {
				t.Errorf("%v: the server says\n%+v\nthe manifests\n%+v", question, got, want)
			}
		}
	}
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	ask := func(server string, more ...string) result {
		return run(append([]string{"can", "li-ting", "read", "customer", "--server", server}, more...)...)
	}
	ask("http://"+closed.Addr().String()).expect(t, 2, "cannot be reached", "-f DIR", "port-forward", "CRMACCESS_SERVER")
	ask("ftp://x").expect(t, 2, "want an address such as http://127.0.0.1:8082")
	ask("127.0.0.1:8082").expect(t, 2, "want an address")

	source := serveSample(t)
	server := httptest.NewServer(decisionapi.New(source, decisionapi.Options{}))
	defer server.Close()
	ask(server.URL, "-n", "acme").expect(t, 2, "404", "no tenant acme is served here")
	ask(server.URL, "-n", "../x").expect(t, 2, "namespace \"../x\"")
	ask(server.URL, "--at", "2026-12-29T10:00:00+08:00").expect(t, 2, "has not looked at --at")
	ask(server.URL, "--record", "parent=cust-huaxin").expect(t, 2, "needs -f")
	run("can", "gao-yuan", "read", "customer/cust-huaxin", "--server", server.URL).expect(t, 0, "ALLOW\n", "note: asked without facts of customer/cust-huaxin")
	source.old = errOld
	ask(server.URL).expect(t, 2, "503", "last seen 40s ago")

	for name, page := range map[string]http.HandlerFunc{
		"another site": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>\x1b[2J")) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, server.URL, http.StatusTemporaryRedirect)
		},
		"a decision alone": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"decision":true}`)) },
		"a hostile problem": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"error":"\u001b[2J"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			other := httptest.NewServer(page)
			defer other.Close()
			r := ask(other.URL)
			r.expect(t, 2)
			if strings.Contains(r.err, "\x1b") {
				t.Errorf("prints control characters: %q", r.err)
			}
		})
	}
}

func TestAnApprovalHasAnExitCodeOfItsOwn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"decision":false,"context":{"fields":{"phone":"none"},"obligations":[{"type":"approval","guardrail":"x\u001b","approvers":["chen-mo"]}],"reasons":["x"],"causes":[{"text":"needs chen-mo, manager of li-ting"},{"text":"sales-rep:transfer=own"}]}}`))
	}))
	defer server.Close()
	ask := func(more ...string) result {
		return run(append([]string{"can", "li-ting", "transfer", "customer/c", "--record", "owner=li-ting", "--server", server.URL, "--field", "phone"}, more...)...)
	}
	ask().expect(t, 3, "APPROVAL\nneeds chen-mo, manager of li-ting\nsales-rep:transfer=own\n")
	ask("--why").expect(t, 3, `who may approve for x\x1b: chen-mo`+"\n")
	ask("--approved-by", "chen-mo").expect(t, 2, "--approved-by needs -f: a server knows itself who has approved what")
}

func TestRecordsAreReadBesideTheManifests(t *testing.T) {
	dir := write(t, map[string]string{"one.yaml": strings.ReplaceAll(tenantManifests, "NAMESPACE", "acme") + "---\napiVersion: crmaccess.io/v1alpha1\nkind: ObjectType\nmetadata: {name: customer, namespace: acme}\nspec: {displayName: C, actions: [read], fields: [{name: name, class: public}]}\n"})
	file := filepath.Join(dir, "one.yaml")
	run("can", "lina", "read", "customer/c1", "-f", dir).expect(t, 2, "nothing is known of record customer/c1", "--records")
	if err := os.WriteFile(filepath.Join(dir, "records.yaml"), []byte("- {object: customer, id: c1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("can", "lina", "read", "customer/c1", "-f", dir).expect(t, 1, "DENY\n")
	run("can", "lina", "read", "customer/c1", "-f", file).expect(t, 1, "DENY\n")
	if err := os.WriteFile(filepath.Join(dir, "records.yaml"), []byte("- {object: customer, id: c1, ownr: x}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("can", "lina", "read", "customer/c1", "-f", file).expect(t, 2, "records.yaml:1", "unknown field")
}
