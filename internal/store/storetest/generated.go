package storetest

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

var generated = []test{
	{"whatever is desired in whatever order, the store holds it, and the ledger replays to it", func(t *testing.T, h Harness) {
		tenants := 0
		rapid.Check(t, func(r *rapid.T) {
			tenants++
			l := lead(t, h, fmt.Sprint("tenant-", tenants))
			var desired access.Facts
			for range rapid.IntRange(1, 4).Draw(r, "steps") {
				now := l.now(t)
				switch rapid.SampledFrom([]string{"commit", "commit", "commit", "settle", "lead"}).Draw(r, "step") {
				case "commit":
					desired = drawFacts(r, now)
					l.commit(t, rowsOf(t, desired))
				case "settle":
					later := now + schedule.Instant(rapid.IntRange(1, 5000).Draw(r, "seconds"))
					h.Advance(t, l.tenant.Name, later)
					desired = desired.WithoutEnded(later)
					l.settle(t, rowsOf(t, desired))
				case "lead":
					l = lead(t, h, l.tenant.Name)
				}
			}
			l.verify(t)
		})
	}},
}

// drawFacts draws from a small world, so that successive draws share, change and drop rows.
func drawFacts(r *rapid.T, now schedule.Instant) access.Facts {
	var facts access.Facts
	text := rapid.OneOf(rapid.SampledFrom(hostile), rapid.StringMatching(`[a-z]{1,3}`))
	list := rapid.SliceOfN(text, 0, 3)
	users := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"li-ting", "tang-yue", "bai-he", "han-dong"}), 0, 4, rapid.ID[string]).Draw(r, "users")
	for _, name := range users {
		account := user(name)
		account.Users[0].DisplayName = text.Draw(r, "display name")
		account.Users[0].State = rapid.SampledFrom([]access.UserState{access.StateActive, access.StateSuspended}).Draw(r, "state")
		facts.Users = append(facts.Users, account.Users...)
		facts.Memberships = append(facts.Memberships, account.Memberships...)
	}
	if rapid.Bool().Draw(r, "rules") {
		all := rules()
		all.Guardrails[0].Rule.Limit.Objects = list.Draw(r, "objects")
		all.Approvals[1].Person = text.Draw(r, "person")
		facts.Lineage, facts.Guardrails, facts.Approvals = all.Lineage, all.Guardrails, all.Approvals
	}
	if rapid.Bool().Draw(r, "catalogue") {
		all := catalogue()
		all.Objects[0].Actions = list.Draw(r, "actions")
		all.Fields[0].Mask = access.Mask{Type: text.Draw(r, "mask"), KeepFirst: rapid.IntRange(0, 9).Draw(r, "first")}
		all.Storages[0].Columns = rapid.MapOfN(text, text, 0, 3).Draw(r, "columns")
		facts.Objects, facts.Fields, facts.Storages = all.Objects, all.Fields, all.Storages
		facts.Departments, facts.Closure = all.Departments, all.Closure
	}
	for i := range rapid.IntRange(0, 3).Draw(r, "roles") {
		tuple := role(fmt.Sprint("role-", i), "read")
		tuple.Tuples[0].Where = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) access.WhereFact {
			return access.WhereFact{Field: text.Draw(r, "field"), Operator: access.OperatorIn, Values: list.Draw(r, "values")}
		}), 0, 2).Draw(r, "where")
		tuple.Tuples[0].IDs = list.Draw(r, "ids")
		tuple.Tuples[0].RevokedBy = text.Draw(r, "revoked by")
		facts.Tuples = append(facts.Tuples, tuple.Tuples...)
	}
	for i := range rapid.IntRange(0, 4).Draw(r, "grants") {
		window := schedule.Unbounded
		if rapid.Bool().Draw(r, "ends") {
			window.NotAfter = now + schedule.Instant(rapid.IntRange(1000, 9000).Draw(r, "end"))
		}
		if rapid.Bool().Draw(r, "begins") {
			window.NotBefore = now + schedule.Instant(rapid.IntRange(-900, 900).Draw(r, "begin"))
		}
		holders := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"li-ting", "tang-yue", "bai-he"}), 1, 3, rapid.ID[string]).Draw(r, "holders")
		more := grant(fmt.Sprint("grant-", i), window, holders...)
		facts.Tuples = append(facts.Tuples, more.Tuples...)
		facts.Holders = append(facts.Holders, more.Holders...)
	}
	return facts
}
