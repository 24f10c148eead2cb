package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// hostile are texts that a database, JSON or a terminal may take amiss. None holds U+0000, which is refused.
var hostile = []string{
	`'`, `''; DROP TABLE tuple; --`, `"`, `\`, `\\`, `\'`, `\u0000`, `\\u0000`, `$1`, `?1`, `:a`, `@b`, `{}`, `{a,"b"}`, `NULL`, `null`, ``,
	" leading and trailing ", "tab\tline\nreturn\rform\ffeed\bback", "\x01\x1f\x7f", "华东一部", "zero\u200bwidth\u200djoiner\ufeff",
	"\u202eright to left\u202c", "😀👩‍👩‍👧", "\u2028\u2029", "e\u0301 is not é", "\U0010fffd", "<script>&amp;", "%s%d", "1e5", "true", "2026-12-31T01:00:00Z",
	strings.Repeat("长", 500),
}

// hostileRows puts each hostile text into every column that takes text, lists and nested values included.
func hostileRows(t *testing.T) map[store.RowID]string {
	t.Helper()
	rows := map[store.RowID]string{}
	for i, s := range hostile {
		ref := func(kind access.Kind) access.Ref { return access.Ref{Kind: kind, Name: fmt.Sprintf("%d%s", i, s)} }
		list := []string{s, "", s + s}
		facts := access.Facts{
			Objects: []access.ObjectFact{{Owner: ref(access.KindObjectType), Object: s, Enabled: i%2 == 0, OwnerField: s, DepartmentField: s,
				LabelField: s, ParentObject: s, ParentField: s, Actions: list, Variants: []access.Variant{{Action: s, Of: s, Property: s, Value: s}, {}}}},
			Fields: []access.FieldFact{{Owner: ref(access.KindObjectType), Object: s, Field: s, Class: s, Mask: access.Mask{Type: s, KeepFirst: i}}},
			Storages: []access.StorageFact{{Owner: ref(access.KindObjectType), Object: s, Table: s, IDColumn: s, OwnerColumn: s, DepartmentColumn: s,
				ParticipantsColumn: s, CreatorColumn: s, TenantColumn: s, TenantValue: s, Columns: map[string]string{s: s, "longer-than-" + s: s, "": s}}},
			Departments: []access.DepartmentFact{{Owner: ref(access.KindDepartment), Department: s, DisplayName: s, Parent: s, Manager: s}},
			Closure:     []access.ClosureFact{{Owner: ref(access.KindDepartment), Department: s, Ancestor: s}},
			Users: []access.UserFact{{Owner: ref(access.KindUser), User: s, DisplayName: s, Type: access.UserType(s), State: access.UserState(s),
				Manager: s, Successor: s, RevokedBy: s, Logins: []access.Login{{Issuer: s, Subject: s, Username: s}, {}}}},
			Memberships: []access.MembershipFact{{Owner: ref(access.KindUser), User: s, Department: s, Primary: i%2 == 0}},
			Lineage:     []access.LineageFact{{Owner: ref(access.KindRole), Role: s, Ancestor: s}},
			Tuples: []access.TupleFact{{Owner: ref(access.KindRole), Bundle: s, Path: s, RevokedBy: s, Tuple: &access.Tuple{Digest: s, Origin: s, Object: s, Actions: list, Scopes: list,
				IDs: list, Owners: list, Departments: list, DepartmentTrees: list,
				Where:  []access.WhereFact{{Field: s, Operator: access.Operator(s), Values: list}, {Operator: access.OperatorExists}},
				Fields: []access.RuleFact{{Field: s, Class: s, Level: s}, {Level: s}}, Restricted: i%2 == 0, OnlyFields: list}}},
			Holders: []access.HolderFact{{Owner: ref(access.KindUserBinding), User: s, Bundle: s, Role: s, RevokedBy: s,
				Window: schedule.Window{NotBefore: schedule.Instant(i), NotAfter: 4_000_000_000 + schedule.Instant(i)}}},
			Guardrails: []access.GuardrailFact{{Owner: ref(access.KindGuardrail), Position: s, Rule: access.GuardrailRule{
				Cap: &access.CapRule{Objects: list, Classes: list, Fields: list, Level: s}}}},
			Approvals: []access.ApprovalFact{{Owner: ref(access.KindApproval), ForKind: access.Kind(s), ForName: s, Effect: s, Decision: s, Approver: s, Person: s,
				Document: json.RawMessage(`{"` + "\u003c" + `":` + string(store.AppendString(nil, s)) + `,"a":[1e5,1.00,-0,12345678901234567890]}`)}},
		}
		spec := string(store.AppendString(nil, s))
		rows = with(rows, rowsOf(t, facts, source(t, ref(access.KindRole), fmt.Sprintf(`{"z": %s, "a": [1e5, 1.00, -0, 12345678901234567890, null, {%s: 0.1e-7}]}`, spec, spec))))
	}
	return rows
}

var committing = []test{
	{"what was committed is loaded byte for byte, whatever the text", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, hostileRows(t))
		if l.tenant.Tampered != 0 {
			t.Errorf("our own rows count as tampered %d times", l.tenant.Tampered)
		}
		l.commit(t, map[store.RowID]string{})
	}},
	{"what was updated is loaded byte for byte, whatever the text", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		rows := hostileRows(t)
		l.commit(t, rows)
		// Each row takes the body of another row of its table.
		previous := map[store.Table]string{}
		swapped := map[store.RowID]string{}
		for _, change := range store.Diff(nil, rows) {
			swapped[change.RowID] = change.After
			if body, ok := previous[change.Table]; ok {
				swapped[change.RowID] = body
			}
			previous[change.Table] = change.After
		}
		l.commit(t, swapped)
	}},
	{"a commit counts up the revision, and says what it changed and when", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		for n := int64(1); n <= 3; n++ {
			rows := with(organisation(t), rowsOf(t, user(fmt.Sprint("user-", n))))
			want := store.Diff(l.held, rows)
			got := l.commit(t, rows)
			if got.Tenant.Revision != (store.Revision{Epoch: 1, Number: n}) {
				t.Errorf("revision %s after %d commits", got.Tenant.Revision, n)
			}
			if !equalChanges(got.Changes, want) {
				t.Errorf("changes: got %v, want %v", got.Changes, want)
			}
			if got.Tenant.SettledThrough != schedule.At(got.Tenant.Now) {
				t.Errorf("settled through %s, committed at %s", got.Tenant.SettledThrough, got.Tenant.Now)
			}
		}
	}},
	{"a commit writes the rows that change and no others", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		written := h.Audit(t)
		rows := many(t, 50)
		l.commit(t, rows)
		if got := written(); got != len(rows) {
			t.Errorf("first commit: %d rows written of %d", got, len(rows))
		}
		edited := with(rows, rowsOf(t, role("sales-rep", "update")))
		l.commit(t, without(with(edited, rowsOf(t, binding("reps", "sales-rep", "user-0001"))), userRef("user-0002")))
		// One tuple and one holder come, one account and one membership go.
		if got := written(); got != 4 {
			t.Errorf("second commit: %d rows written, want 4", got)
		}
		renamed := user("user-0003")
		renamed.Users[0].DisplayName = "李婷"
		l.commit(t, with(l.held, rowsOf(t, renamed)))
		if got := written(); got != 1 {
			t.Errorf("third commit: %d rows written, want 1", got)
		}
	}},
	{"two objects that ask for the same right both own it", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		base := with(rowsOf(t, catalogue()), rowsOf(t, user("li-ting")), rowsOf(t, role("sales-rep", "read")))
		one, two := rowsOf(t, binding("one", "sales-rep", "li-ting")), rowsOf(t, binding("two", "sales-rep", "li-ting"))
		l.commit(t, with(base, one, two))
		if got := len(live(t, h)); got != 2 {
			t.Fatalf("%d live rows, want one for each object", got)
		}
		l.commit(t, with(base, two))
		if got := live(t, h); len(got) != 1 || got[0] != "li-ting UserBinding/two read" {
			t.Errorf("after one went: %v", got)
		}
		l.commit(t, base)
		if got := live(t, h); len(got) != 0 {
			t.Errorf("after both went: %v", got)
		}
	}},
	{"what shrinks loses exactly what it no longer asks for", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		base := with(rowsOf(t, catalogue()), rowsOf(t, user("li-ting")), rowsOf(t, user("tang-yue")))
		l.commit(t, with(base, rowsOf(t, role("sales-rep", "read", "update")), rowsOf(t, binding("reps", "sales-rep", "li-ting", "tang-yue"))))
		l.commit(t, with(base, rowsOf(t, role("sales-rep", "read")), rowsOf(t, binding("reps", "sales-rep", "tang-yue"))))
		if got := live(t, h); len(got) != 1 || got[0] != "tang-yue UserBinding/reps read" {
			t.Errorf("live: %v", got)
		}
	}},
	{"where nothing changes nothing is written", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		before := h.State(t)
		commit := l.write(organisation(t))
		commit.ResourceVersion = l.tenant.ResourceVersion + 1
		got, err := l.Commit(t.Context(), commit)
		if err != nil {
			t.Fatal(err)
		}
		sameTenant(t, got.Tenant, l.tenant)
		if len(got.Changes) != 0 {
			t.Errorf("changes: %v", got.Changes)
		}
		if settled, err := l.Settle(t.Context(), l.tenant); err != nil || len(settled.Changes) != 0 {
			t.Errorf("settle: %v, %v", settled.Changes, err)
		}
		if _, err := l.Tenant(t.Context(), tenant); err != nil {
			t.Error(err)
		}
		l.load(t)
		if after := h.State(t); after != before {
			t.Error("the database was written")
		}
	}},
	{"the resource version only grows, up to the largest there is", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		rows := map[store.RowID]string{}
		for i, step := range []struct{ given, want uint64 }{{7, 7}, {5, 7}, {math.MaxInt64 + 10, math.MaxInt64 + 10}, {math.MaxUint64, math.MaxUint64}, {9, math.MaxUint64}} {
			rows = with(rows, rowsOf(t, user(fmt.Sprint("user-", i))))
			commit := l.write(rows)
			commit.ResourceVersion = step.given
			got, err := l.Commit(t.Context(), commit)
			if err != nil {
				t.Fatal(err)
			}
			l.load(t)
			if got.Tenant.ResourceVersion != step.want || l.tenant.ResourceVersion != step.want {
				t.Errorf("after %d: committed %d, loaded %d, want %d", step.given, got.Tenant.ResourceVersion, l.tenant.ResourceVersion, step.want)
			}
		}
	}},
	{"a brake alone is written down without a revision or a ledger entry", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		commit := l.write(organisation(t))
		commit.Brake = `{"held": ["'li-ting'"]}`
		commit.ResourceVersion = 12
		got, err := l.Commit(t.Context(), commit)
		if err != nil {
			t.Fatal(err)
		}
		want := l.tenant
		want.Brake, want.ResourceVersion, want.SettledThrough = commit.Brake, 12, got.Tenant.SettledThrough
		sameTenant(t, got.Tenant, want)
		l.load(t)
		sameTenant(t, l.tenant, want)
		if entries := l.ledger(t); len(entries) != 1 {
			t.Errorf("%d ledger entries, want the first commit's alone", len(entries))
		}
	}},
	{"a raised epoch begins at revision 1 and is recorded, with changes or without", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		commit := l.write(organisation(t))
		commit.RaiseEpoch, commit.Cause = true, "restore"
		if _, err := l.Commit(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		l.load(t)
		if want := (store.Revision{Epoch: 2, Number: 1}); l.tenant.Revision != want {
			t.Errorf("revision %s, want %s", l.tenant.Revision, want)
		}
		commit = l.write(map[store.RowID]string{})
		commit.RaiseEpoch = true
		if _, err := l.Commit(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		l.load(t)
		sameRows(t, l.held, map[store.RowID]string{})
		entries := l.ledger(t)
		if want := (store.Revision{Epoch: 3, Number: 1}); l.tenant.Revision != want || entries[len(entries)-1].Revision != want {
			t.Errorf("revision %s, last entry %s, want %s", l.tenant.Revision, entries[len(entries)-1].Revision, want)
		}
	}},
	{"a commit computed against an older state is stale and writes nothing", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		behind := l.write(map[store.RowID]string{})
		quietBehind := l.write(organisation(t))
		l.commit(t, with(organisation(t), rowsOf(t, user("bai-he"))))
		before := h.State(t)
		wrongEpoch := l.write(map[store.RowID]string{})
		wrongEpoch.Expect.Revision.Epoch++
		wrongHead := l.write(map[store.RowID]string{})
		wrongHead.Expect.LedgerHead = "sha256:00"
		for what, commit := range map[string]store.Commit{
			"an older revision": behind, "an older revision and no change": quietBehind, "another epoch": wrongEpoch, "another ledger": wrongHead,
		} {
			if _, err := l.Commit(t.Context(), commit); !errors.Is(err, store.ErrStale) {
				t.Errorf("%s: got %v, want ErrStale", what, err)
			}
		}
		if after := h.State(t); after != before {
			t.Error("a stale commit wrote")
		}
	}},
	{"changes to rows that are not as they were read are stale, and nothing of them is kept", func(t *testing.T, h Harness) {
		l := lead(t, h, tenant)
		l.commit(t, organisation(t))
		there, gone := rowsOf(t, user("li-ting")), rowsOf(t, user("bai-he"))
		for what, changes := range map[string][]store.Change{
			"a row to insert is there already":  store.Diff(nil, with(there, gone)),
			"a row to delete is not there":      store.Diff(gone, rowsOf(t, user("han-dong"))),
			"a row to update is not there":      store.Diff(gone, changed(gone)),
			"one of the rows to delete is gone": store.Diff(with(there, gone), nil),
		} {
			before := h.State(t)
			_, err := l.Commit(t.Context(), store.Commit{Expect: l.tenant, Changes: changes, Cause: "pass"})
			if !errors.Is(err, store.ErrStale) {
				t.Errorf("%s: got %v, want ErrStale", what, err)
			}
			if after := h.State(t); after != before {
				t.Errorf("%s: the database was written", what)
			}
		}
	}},
}

// changed are the rows with another body each.
func changed(rows map[store.RowID]string) map[store.RowID]string {
	other := map[store.RowID]string{}
	for id, body := range rows {
		other[id] = strings.Replace(body, `"user_name":"`, `"user_name":"x`, 1)
	}
	return other
}

func equalChanges(a, b []store.Change) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// live is what the view says is live: "user cause action".
func live(t testing.TB, h Harness) []string {
	t.Helper()
	var lines []string
	for _, row := range h.Query(t.(*testing.T), `SELECT user_name, owner_kind, owner_name, digest FROM `+h.Schema()+`live_grants ORDER BY 1, 2, 3, 4`) {
		lines = append(lines, fmt.Sprintf("%s %s/%s %s", row[0], row[1], row[2], strings.TrimPrefix(row[3], "digest-")))
	}
	return lines
}
