package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/ledger"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

func change(table store.Table, kind access.Kind, name, key, before, after string) store.Change {
	return store.Change{RowID: store.RowID{Table: table, Owner: access.Ref{Kind: kind, Name: name}, Key: key}, Before: before, After: after}
}

// chain is n entries, each following the one before.
func chain(n int) []store.Entry {
	var entries []store.Entry
	previous := ""
	for i := range n {
		entry := ledger.Seal(ledger.Commit{
			Tenant: "huayue", Revision: store.Revision{Epoch: 1, Number: int64(i + 1)}, At: 1_800_000_000 + schedule.Instant(i),
			Cause: "pass", Previous: previous,
			Changes: []store.Change{change(store.TableHolder, access.KindUserBinding, "b", fmt.Sprint(i), "", `{"n":1}`)},
		})
		entries = append(entries, entry)
		previous = entry.Hash
	}
	return entries
}

func TestAnEntrysBodyIsTheGoldenText(t *testing.T) {
	entry := ledger.Seal(ledger.Commit{
		Tenant: "huayue", Revision: store.Revision{Epoch: 2, Number: 7}, At: 1_800_000_000, Cause: "pass", Previous: "sha256:00",
		Changes: []store.Change{
			change(store.TableDepartment, access.KindDepartment, "sales", "sales", `{"display_name":"销售"}`, `{"display_name":"<销售>"}`),
			change(store.TableHolder, access.KindUserBinding, `a"b`, "li-ting Role/r", "", `{"user_name":"li-ting"}`),
			change(store.TableHolder, access.KindUserBinding, "z", "", `{"user_name":"z"}`, ""),
		},
	})
	const want = `{"tenant":"huayue","epoch":2,"revision":7,"at":"2027-01-15T08:00:00Z","cause":"pass","previous":"sha256:00","changes":[` +
		`{"op":"update","table":"department","owner_kind":"Department","owner_name":"sales","key":"sales","before":{"display_name":"销售"},"after":{"display_name":"<销售>"}},` +
		`{"op":"insert","table":"holder","owner_kind":"UserBinding","owner_name":"a\"b","key":"li-ting Role/r","after":{"user_name":"li-ting"}},` +
		`{"op":"delete","table":"holder","owner_kind":"UserBinding","owner_name":"z","key":"","before":{"user_name":"z"}}]}`
	if got := string(entry.Body); got != want {
		t.Errorf("body\n got %s\nwant %s", got, want)
	}
	if !json.Valid(entry.Body) {
		t.Error("the body is not JSON")
	}
	// The same with another tool: printf '%s' "$body" | sha256sum
	if want := "sha256:73c1cc7ffc486d44aa56b8da580322a8eaf164c571de66b7445beab7b16a846e"; entry.Hash != want {
		t.Errorf("hash: got %s, want %s", entry.Hash, want)
	}
}

func TestChangesAreReadAsTheyWereCommitted(t *testing.T) {
	changes := []store.Change{
		change(store.TableDepartment, access.KindDepartment, "sales", "sales", `{"display_name":"销售"}`, `{"display_name":"<销售>"}`),
		change(store.TableHolder, access.KindUserBinding, `a"b`, "li-ting Role/r", "", `{"user_name":"li-ting","not_after":null}`),
		change(store.TableHolder, access.KindUserBinding, "z", "", `{"user_name":"z"}`, ""),
	}
	got, err := ledger.Changes(ledger.Seal(ledger.Commit{Tenant: "huayue", Revision: store.Revision{Epoch: 2, Number: 7}, Changes: changes}))
	if err != nil || !slices.Equal(got, changes) {
		t.Errorf("got %+v, %v, want %+v", got, err, changes)
	}
	if got, err := ledger.Changes(store.Entry{Body: []byte(`{"changes":7}`)}); err == nil {
		t.Errorf("of what is no entry: %+v", got)
	}
}

func TestAWholeChainAndAnyRunOfItVerify(t *testing.T) {
	entries := chain(5)
	for from := range entries {
		for to := from; to <= len(entries); to++ {
			if err := ledger.Verify(entries[from:to]); err != nil {
				t.Errorf("entries %d to %d: %v", from, to, err)
			}
		}
	}
}

func TestVerifyNamesTheFirstBrokenLink(t *testing.T) {
	reseal := func(e *store.Entry) { e.Hash = ledger.Hash(e.Body) }
	cases := map[string]struct {
		tamper func([]store.Entry) []store.Entry
		broken int
		why    string
	}{
		"a changed body": {func(e []store.Entry) []store.Entry {
			e[2].Body = []byte(strings.Replace(string(e[2].Body), `"n":1`, `"n":2`, 1))
			return e
		}, 2, "hash"},
		"a changed body with a hash to match breaks the next link": {func(e []store.Entry) []store.Entry {
			e[2].Body = []byte(strings.Replace(string(e[2].Body), `"n":1`, `"n":2`, 1))
			reseal(&e[2])
			return e
		}, 3, "does not follow 1.3"},
		"an entry that is gone": {func(e []store.Entry) []store.Entry {
			return append(e[:2], e[3:]...)
		}, 2, "does not follow 1.2"},
		"two entries that changed places": {func(e []store.Entry) []store.Entry {
			e[1], e[2] = e[2], e[1]
			return e
		}, 1, "does not follow 1.1"},
		"another instant": {func(e []store.Entry) []store.Entry {
			e[1].At++
			return e
		}, 1, "another entry's"},
		"another cause": {func(e []store.Entry) []store.Entry {
			e[1].Cause = "settle"
			return e
		}, 1, "another entry's"},
		"another previous hash in both columns": {func(e []store.Entry) []store.Entry {
			e[1].Previous = "sha256:00"
			return e
		}, 1, "another entry's"},
		"an entry of another tenant": {func(e []store.Entry) []store.Entry {
			e[3].Body = []byte(strings.Replace(string(e[3].Body), "huayue", "qingyun", 1))
			reseal(&e[3])
			return e
		}, 3, "another entry's"},
		"something that is no entry": {func(e []store.Entry) []store.Entry {
			e[0].Body = []byte("[]")
			reseal(&e[0])
			return e
		}, 0, "not an entry"},
		"a revision that repeats": {func(e []store.Entry) []store.Entry {
			e[4] = ledger.Seal(ledger.Commit{Tenant: "huayue", Revision: e[3].Revision, Cause: "pass", Previous: e[3].Hash})
			return e
		}, 4, "not newer than 1.4"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var broken *ledger.BrokenLink
			if err := ledger.Verify(c.tamper(chain(5))); !errors.As(err, &broken) {
				t.Fatalf("got %v, want a broken link", err)
			}
			if broken.Index != c.broken || !strings.Contains(broken.Why, c.why) {
				t.Errorf("got entry %d: %s; want entry %d: %s", broken.Index, broken.Why, c.broken, c.why)
			}
		})
	}
}

func BenchmarkSealTenThousandChanges(b *testing.B) {
	changes := make([]store.Change, 10_000)
	for i := range changes {
		changes[i] = change(store.TableHolder, access.KindTemporaryGrant, fmt.Sprintf("grant-%05d", i), fmt.Sprintf("user-%05d TemporaryGrant/grant-%05d/0011223344", i, i),
			`{"user_name":"user-00001","bundle":"TemporaryGrant/grant-00001/0011223344","not_before":null,"not_after":"2026-12-31T01:00:00Z"}`, "")
	}
	b.ReportAllocs()
	for b.Loop() {
		ledger.Seal(ledger.Commit{Tenant: "huayue", Revision: store.Revision{Epoch: 1, Number: 1}, Cause: "settle", Changes: changes})
	}
}
