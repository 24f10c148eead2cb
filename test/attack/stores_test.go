package attack

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
	"github.com/crmaccess/crm-access-operator/internal/store/sqlite"
)

// storeCase runs against each of the stores.
type storeCase struct {
	attack
	run func(*testing.T, *place)
}

// place is one database that any number of processes open.
type place struct {
	t    *testing.T
	open func() store.Store
	// setClock makes the store believe that it has been as late as this.
	setClock func(schedule.Instant)
}

const tenant = "huayue"

func TestStores(t *testing.T) {
	for _, c := range storeCases {
		t.Run(c.name, func(t *testing.T) {
			t.Run("sqlite", func(t *testing.T) { c.run(t, inFile(t)) })
			t.Run("postgres", func(t *testing.T) { c.run(t, inPostgres(t)) })
		})
	}
}

func inFile(t *testing.T) *place {
	t.Helper()
	file := filepath.Join(t.TempDir(), "crm.db")
	return &place{t,
		func() store.Store { return opened(t)(sqlite.Open(t.Context(), file)) },
		func(to schedule.Instant) {
			byHand(t, "sqlite", "file:"+file+"?_pragma=busy_timeout(5000)", `UPDATE tenant SET settled_through = ? WHERE name = ?`, to.String(), tenant)
		},
	}
}

func inPostgres(t *testing.T) *place {
	t.Helper()
	dsn := pgtest.Shared(t).Database(t)
	return &place{t,
		func() store.Store { return opened(t)(postgres.Open(t.Context(), dsn)) },
		func(to schedule.Instant) {
			byHand(t, "pgx", dsn, `UPDATE crm_access.tenant SET settled_through = $1 WHERE name = $2`, to.Time(), tenant)
		},
	}
}

func opened(t *testing.T) func(store.Store, error) store.Store {
	return func(s store.Store, err error) store.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
}

func byHand(t *testing.T, driver, dsn, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// claimed opens the store for a cluster.
func (p *place) claimed() (store.Store, store.Tenant) {
	p.t.Helper()
	s := p.open()
	row, err := s.Claim(p.t.Context(), tenant, store.Owner{Cluster: "c", Namespace: "n"}, "")
	if err != nil {
		p.t.Fatal(err)
	}
	return s, row
}

func using(user, object, action string, rows, most int64) store.Reservation {
	return store.Reservation{User: user, Object: object, Action: action, Rows: rows, Limits: []store.Limit{{Objects: []string{object}, Actions: []string{action}, Max: most}}}
}

// got says whether a reservation got through.
func (p *place) got(s store.Store, r store.Reservation) bool {
	p.t.Helper()
	reserved, err := s.Reserve(p.t.Context(), tenant, r)
	if err != nil {
		p.t.Fatal(err)
	}
	return reserved.OK
}

func (p *place) refused(s store.Store, r store.Reservation) {
	p.t.Helper()
	if p.got(s, r) {
		p.t.Errorf("attack: %+v got through", r)
	}
}

func (p *place) reserved(s store.Store, r store.Reservation) {
	p.t.Helper()
	if !p.got(s, r) {
		p.t.Errorf("twin: %+v was refused", r)
	}
}

var storeCases = []storeCase{
	{
		attack: attack{"fifty exports at once, over two handles, at the edge of a limit", "as many as fit get through", "design §7: consumption reserves rows with one conditional update"},
		run: func(t *testing.T, p *place) {
			first, _ := p.claimed()
			handles := []store.Store{first, p.open()}
			p.reserved(first, using("li-ting", "customer", "export", 901, 1000))
			var through atomic.Int64
			var everybody sync.WaitGroup
			for i := range 50 {
				everybody.Go(func() {
					r, err := handles[i%2].Reserve(t.Context(), tenant, using("li-ting", "customer", "export", 10, 1000))
					switch {
					case err != nil:
						t.Error(err)
					case r.OK:
						through.Add(1)
					}
				})
			}
			everybody.Wait()
			if through.Load() != 9 {
				t.Errorf("%d exports of 10 rows got through where 99 rows were left, want 9", through.Load())
			}
			p.reserved(first, using("li-ting", "customer", "export", 9, 1000))
			p.refused(first, using("li-ting", "customer", "export", 1, 1000))
		},
	},
	{
		attack: attack{"clear text of many records, by one request each", "as many as a day allows", "guardrail.md: maxRowsPerDay, over the last 24 hours"},
		run: func(_ *testing.T, p *place) {
			s, _ := p.claimed()
			for range 20 {
				p.reserved(s, using("feng-ke", "payment", "unmask", 1, 20))
			}
			for range 5 {
				p.refused(s, using("feng-ke", "payment", "unmask", 1, 20))
			}
			p.reserved(s, using("qian-sui", "payment", "unmask", 1, 20))
		},
	},
	{
		attack: attack{"two kinds of object, to use each one's share of a common limit", "both stay within it together", "design §4: summed over the rule's objects"},
		run: func(_ *testing.T, p *place) {
			s, _ := p.claimed()
			common := []store.Limit{{Objects: []string{"customer", "lead"}, Actions: []string{"export"}, Max: 1000}}
			of := func(object string, rows int64) store.Reservation {
				return store.Reservation{User: "li-ting", Object: object, Action: "export", Rows: rows, Limits: common}
			}
			p.reserved(s, of("customer", 600))
			p.refused(s, of("lead", 401))
			p.reserved(s, of("lead", 400))
		},
	},
	{
		attack: attack{"the store is started anew, to begin counting at nothing", "what is left may be used", "design §7: run-time facts live in the store"},
		run: func(t *testing.T, p *place) {
			s, _ := p.claimed()
			p.reserved(s, using("li-ting", "customer", "export", 990, 1000))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again, _ := p.claimed()
			p.refused(again, using("li-ting", "customer", "export", 11, 1000))
			p.reserved(again, using("li-ting", "customer", "export", 10, 1000))
		},
	},
	{
		attack: attack{"the guardrail is deleted and made anew, to begin counting at nothing", "what is left may be used", "design §4: a day is the last 24 hours, per user"},
		run: func(t *testing.T, p *place) {
			s, row := p.claimed()
			limited := func(uid string) map[store.RowID]string { return guardrailRows(t, uid) }
			row = p.commit(s, row, nil, limited("first"))
			p.reserved(s, using("li-ting", "customer", "export", 990, 1000))
			row = p.commit(s, row, limited("first"), nil)
			p.commit(s, row, nil, limited("second"))
			p.refused(s, using("li-ting", "customer", "export", 11, 1000))
			p.reserved(s, using("li-ting", "customer", "export", 10, 1000))
		},
	},
	{
		attack: attack{"negative rows give back what was used, and rows without end overflow it", "five rows are five rows", "docs/store.md: a reservation is of 1 row or more"},
		run: func(t *testing.T, p *place) {
			s, _ := p.claimed()
			p.reserved(s, using("li-ting", "customer", "export", 5, 10))
			for _, rows := range []int64{0, -1, -5, math.MinInt64, math.MaxInt64} {
				r, err := s.Reserve(t.Context(), tenant, using("li-ting", "customer", "export", rows, 10))
				if r.OK || !errors.Is(err, store.ErrRefused) {
					t.Errorf("attack: %d rows: %+v, %v", rows, r, err)
				}
			}
			p.refused(s, using("li-ting", "customer", "export", store.MaxRows, store.MaxRows))
			p.refused(s, using("li-ting", "customer", "export", 6, 10))
			p.reserved(s, using("li-ting", "customer", "export", 5, 10))
		},
	},
	{
		attack: attack{"the clock is set back, to revive what has ended", "until its end it was live", "design §4: the clock is the store's, and never runs backwards"},
		run: func(t *testing.T, p *place) {
			s, row := p.claimed()
			end := schedule.At(row.Now) + 1800
			policy := lent(end)
			asks := func() access.Effect {
				now, err := s.Tenant(t.Context(), tenant)
				if err != nil {
					t.Fatal(err)
				}
				return policy.Decide(schedule.At(now.Now), &access.Request{User: "ann", Action: "read", Object: "customer", Record: &access.Record{ID: "1"}}, nil)
			}
			if asks() != access.Allow {
				t.Error("twin: the loan is not live")
			}
			p.setClock(end + 1) // the store has been there; the clock on the wall now reads half an hour less
			if asks() == access.Allow {
				t.Error("attack: an ended loan is live again")
			}
			p.reserved(s, using("ann", "customer", "read", 10, 10))
			p.refused(s, using("ann", "customer", "read", 1, 10))
		},
	},
	{
		attack: attack{"a former leader writes what it still believes", "the present one writes", "design §6: every writing transaction stops unless owner and fence are ours"},
		run: func(t *testing.T, p *place) {
			former, stale := p.claimed()
			present, row := p.claimed()
			commit := store.Commit{Expect: stale, Changes: store.Diff(nil, guardrailRows(t, "first")), Cause: "pass"}
			if _, err := former.Commit(t.Context(), commit); !errors.Is(err, store.ErrFenced) {
				t.Errorf("attack: %v", err)
			}
			p.commit(present, row, nil, guardrailRows(t, "first"))
		},
	},
	{
		attack: attack{"another cluster takes the store, to write its own access into it", "its owner claims it again", "design §6: a store that another cluster owns is not written until adopt names it"},
		run: func(t *testing.T, p *place) {
			p.claimed()
			if _, err := p.open().Claim(t.Context(), tenant, store.Owner{Cluster: "other", Namespace: "n"}, "other/n"); !errors.Is(err, store.ErrOwnedElsewhere) {
				t.Errorf("attack: %v", err)
			}
			p.claimed()
		},
	},
}

// commit writes what differs.
func (p *place) commit(s store.Store, expect store.Tenant, before, after map[store.RowID]string) store.Tenant {
	p.t.Helper()
	done, err := s.Commit(p.t.Context(), store.Commit{Expect: expect, Changes: store.Diff(before, after), Cause: "pass"})
	if err != nil || len(done.Refused) > 0 {
		p.t.Fatal(done.Refused, err)
	}
	return done.Tenant
}

// guardrailRows are the rows of a guardrail that limits exports.
func guardrailRows(t *testing.T, uid string) map[store.RowID]string {
	t.Helper()
	owner := access.Ref{Kind: access.KindGuardrail, Name: "no-bulk-export"}
	rows, err := store.Encode(access.Facts{Guardrails: []access.GuardrailFact{{Owner: owner, Position: "000", Rule: access.GuardrailRule{
		Limit: &access.LimitRule{Target: access.Target{Objects: []string{"customer"}, Actions: []string{"export"}}, MaxRowsPerDay: number(1000)},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	source, err := store.SourceRow(owner, store.Source{UID: uid, Spec: []byte(fmt.Sprintf(`{"displayName":%q}`, strings.Repeat("x", 3)))})
	if err != nil {
		t.Fatal(err)
	}
	return store.Index(append(rows, source))
}

// lent is a policy by which ann may read customers until an instant.
func lent(until schedule.Instant) *access.Policy {
	return access.NewPolicy(access.Resolve(access.Declarations{
		ObjectTypes: []*access.ObjectType{{Name: "customer", Actions: []string{"read"}}},
		Users:       []*access.User{{Name: "ann", Type: access.UserEmployee, State: access.StateActive}},
		TemporaryGrants: []*access.TemporaryGrant{{
			Name: "loan", Users: []string{"ann"}, Window: schedule.Window{NotBefore: until - schedule.Instant(time.Hour/time.Second), NotAfter: until},
			Grants: []access.Grant{{Object: "customer", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeAll}}},
		}},
	}).Facts)
}
