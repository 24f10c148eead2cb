package postgres_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/token"
)

// tables are the CRM's records by object and id; of an object that is not among them nothing is stored.
type tables map[string]map[string]*access.Record

// newTables gives about every second object of the world a table.
func newTables(random *rand.Rand, d access.Declarations) tables {
	all := tables{}
	for _, o := range d.ObjectTypes {
		o.Storage = access.Storage{}
		if random.IntN(2) == 0 {
			all[o.Name] = map[string]*access.Record{}
			o.Storage = access.Storage{
				Table: "crm." + strings.ReplaceAll(o.Name, "-", "_"), ID: "id", Owner: "owner_id", Department: "Dept", Participants: "people", Creator: "creator",
				TenantColumn: "org", TenantValue: "hua yue's", Columns: map[string]string{"field_0": "owner_id", "field_1": "Dept", "field_3": "region"},
			}
		}
	}
	return all
}

// keep stores a record, unless one of its id is there.
func (all tables) keep(object string, r *access.Record) {
	if rows := all[object]; rows != nil && rows[r.ID] == nil {
		rows[r.ID] = r
	}
}

// truth is the record that counts where the caller says one: the row, and where there is none one of which nothing is known
// but the id.
func (all tables) truth(policy *access.Policy, object string, said *access.Record) *access.Record {
	from, known := policy.AccessFrom(object), *said
	if rows := all[object]; rows != nil {
		if rows[said.ID] == nil {
			return &access.Record{ID: said.ID}
		}
		known = *rows[said.ID]
	}
	named := known.Parent
	if known.Parent = nil; from.Object == "" || named == nil {
		return &known
	}
	switch stored := all[from.Object] != nil; {
	case stored:
		known.Parent = all.truth(policy, from.Object, named)
	case said.Parent != nil && said.Parent.ID == named.ID:
		known.Parent = said.Parent
	}
	return &known
}

// write makes the tables anew.
func (all tables) write(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	tables := `DROP SCHEMA IF EXISTS crm CASCADE; CREATE SCHEMA crm;`
	batch := &pgx.Batch{}
	for object, rows := range all {
		table := pgx.Identifier{"crm", strings.ReplaceAll(object, "-", "_")}.Sanitize()
		tables += `CREATE TABLE ` + table + ` (org text, id text, owner_id text, "Dept" text, people text[], creator text, field_2 text, region text, field_4 text[], UNIQUE (org, id));`
		insert := `INSERT INTO ` + table + ` VALUES ($1, $2, nullif($3, ''), nullif($4, ''), $5, nullif($6, ''), nullif($7, ''), nullif($8, ''), $9)`
		for id, r := range rows {
			parent := ""
			if r.Parent != nil {
				parent = r.Parent.ID
			}
			batch.Queue(insert, "hua yue's", id, r.Owner, r.Department, r.Participants, r.Creator, parent, strings.Join(r.Attributes["field_3"], ""), r.Attributes["field_4"])
			batch.Queue(insert, "another", id, "user-0", "dept-0", nil, "", "", "", nil) // the neighbour's record of that id
		}
	}
	if _, err := conn.PgConn().Exec(t.Context(), tables).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSQLDecisionsAboutStoredRecordsAgreeWithTheEngineOnWhatIsStored(t *testing.T) {
	h := newHarness(t)
	s := h.Open(t)
	if _, err := s.Claim(t.Context(), tenant, owner, ""); err != nil {
		t.Fatal(err)
	}
	random, questions := accesstest.Random(t), accesstest.Questions(t)/4
	counts, lies := map[access.Effect]int{}, 0
	for done := 0; done < questions; done += questionsPerWorld {
		d := accesstest.NewWorld(random, accesstest.Small)
		stored := newTables(random, d)
		facts := access.Resolve(d).Facts
		policy := access.NewPolicy(facts)
		become(t, s, facts)
		var batch []asked
		var requests []*access.Request
		var instants []schedule.Instant
		for i := range questionsPerWorld {
			now, q := accesstest.NewQuestion(random, d)
			if q.Record != nil {
				if random.IntN(2) == 0 {
					q.Record.ID = accesstest.Name("record", 100+i)
				}
				if random.IntN(10) > 0 {
					stored.keep(q.Object, q.Record)
				}
				if from := policy.AccessFrom(q.Object); from.Object != "" && random.IntN(10) > 0 {
					stored.keep(from.Object, q.Record.Parent)
				}
				if random.IntN(3) == 0 {
					lie := *q.Record
					lie.Owner, lie.Participants, lie.Creator = q.User, []string{q.User}, "user-0"
					q.Record = &lie
				}
			}
			requests, instants, batch = append(requests, q), append(instants, now), append(batch, newAsked(t, policy, now, q))
		}
		stored.write(t, h.hand)
		for i, got := range judge(t, h.hand, batch) {
			now, q := instants[i], *requests[i]
			said := policy.Explain(now, &q)
			if q.Record != nil && q.Action != access.ActionCreate {
				q.Record = stored.truth(policy, q.Object, q.Record)
			} else if q.Record != nil {
				q.Record = stored.proposed(policy, q.Object, q.Record)
			}
			e := policy.Explain(now, &q)
			levels, reasons := explained(e)
			if got.decision != effectNames[e.Effect] || !slices.Equal(got.levels, levels) || !slices.Equal(got.reasons, reasons) {
				text, _ := json.Marshal(batch[i])
				t.Fatalf("question %d %s, the record %+v:\nSQL says    %s %v %q\nthe engine %s %v %q", done+i, text, q.Record, got.decision, got.levels, got.reasons, e.Effect, levels, reasons)
			}
			counts[e.Effect]++
			if said.Effect != e.Effect {
				lies++
			}
		}
	}
	t.Logf("decisions: %v; what the caller said would have changed %d", counts, lies)
	if counts[access.Allow] < questions/10 || lies < questions/100 {
		t.Errorf("%v and %d lies prove little", counts, lies)
	}
}

// proposed is the truth about a record that is proposed: as it is said, but for a parent that is stored.
func (all tables) proposed(policy *access.Policy, object string, said *access.Record) *access.Record {
	if from := policy.AccessFrom(object); all[from.Object] != nil && said.Parent != nil {
		known := *said
		known.Parent = all.truth(policy, from.Object, said.Parent)
		return &known
	}
	return said
}

func TestAStoredRecordIsFoundByItsIdWhateverTheColumnsTypeAndNothingElseIs(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	h.must(t, `CREATE SCHEMA crm`)
	app := application(t, h)
	say(t, app, "token", made)
	const uuid = "0191f6a0-0000-7000-8000-00000000000a"
	for kind, c := range map[string]struct {
		hers string
		not  []string
	}{
		"text":          {"c-1", []string{"c-9", "C-1", "", "c-1 ", "c%", "' OR true --"}},
		"varchar(20)":   {"c-1", []string{"c-9", "", "' OR true --"}},
		"bigint":        {"1750000000000000001", []string{"01750000000000000001", "18", "-0", "x", "", "17.0", "1e1", "9223372036854775808", "99999999999999999999", "17; DROP TABLE crm.customer"}},
		"integer":       {"17", []string{"18", "-17", "017", "+17", "999999999999999"}},
		"uuid":          {uuid, []string{strings.ToUpper(uuid), uuid[1:], "0191f6a0000070008000000000000-0--a-a", "", "x"}},
		"numeric(10,1)": {"17.0", []string{"17", "18", "x"}},
		"date":          {"2026-12-31", []string{"2026-12-30", "31.12.2026", "x"}},
	} {
		t.Run(kind, func(t *testing.T) {
			d := office()
			d.ObjectTypes[0].Storage = access.Storage{Table: "crm.customer", ID: "id", Owner: "owner"}
			become(t, s, access.Resolve(d).Facts)
			h.must(t, fmt.Sprintf(`DROP TABLE IF EXISTS crm.customer; CREATE TABLE crm.customer (id %s PRIMARY KEY, owner text); INSERT INTO crm.customer VALUES ('%s', 'li-ting')`, kind, c.hers))
			about := func(id, owner string) string {
				got, _ := decide(t, app, `decide('read', 'customer', jsonb_build_object('id', $1::text, 'owner', $2::text))`, id, owner)
				return got
			}
			if got := about(c.hers, "wang-lei"); got != "allow" {
				t.Errorf("hers: %s", got)
			}
			for _, id := range c.not {
				if got := about(id, "li-ting"); got != "deny" {
					t.Errorf("%q: %s", id, got)
				}
			}
			h.must(t, `UPDATE crm.customer SET owner = 'wang-lei'`)
			if got := about(c.hers, "li-ting"); got != "deny" {
				t.Errorf("wang-lei's, which li-ting says is hers: %s", got)
			}
			if got, _ := decide(t, app, `decide('read', 'customer', '{"owner": "li-ting"}')`); got != "deny" {
				t.Errorf("a record without id: %s", got)
			}
		})
	}
}

func TestATableThatIsNotThereOrHasTwoOfOneIdHoldsNothingThatIsKnown(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	d := office()
	d.ObjectTypes[0].Storage = access.Storage{Table: "customer", ID: "id", Owner: "owner"}
	become(t, s, access.Resolve(d).Facts)
	app := application(t, h)
	say(t, app, "token", made)
	for _, step := range []struct{ name, make, want string }{
		{"no table", ``, "deny"},
		{"a temporary table of whoever asks", `CREATE TEMPORARY TABLE customer AS SELECT 'c-1' AS id, 'li-ting' AS owner`, "deny"},
		{"the table", `CREATE TABLE public.customer AS SELECT 'c-1' AS id, 'li-ting' AS owner`, "allow"},
		{"two of one id", `INSERT INTO public.customer VALUES ('c-1', 'li-ting')`, "deny"},
		{"no column", `ALTER TABLE public.customer DROP COLUMN owner`, "deny"},
		{"no id", `ALTER TABLE public.customer DROP COLUMN id`, "deny"},
		{"a view", `DROP TABLE public.customer; CREATE VIEW public.customer AS SELECT 'c-1' AS id, 'li-ting' AS owner`, "deny"},
	} {
		h.must(t, step.make)
		if got, _ := decide(t, app, `decide('read', 'customer', `+hers+`)`); got != step.want {
			t.Errorf("%s: got %s, want %s", step.name, got, step.want)
		}
	}
}

func TestAPaddedOwnerIsWhoHeIsAndOneOfSeveralParentsDecidesNothing(t *testing.T) {
	h := newHarness(t)
	s, key, now := claimed(t, h)
	made, err := token.Mint(key, tenant, "li-ting", now, now+600)
	if err != nil {
		t.Fatal(err)
	}
	h.must(t, `CREATE SCHEMA crm; CREATE TABLE crm.customer (id text PRIMARY KEY, owner char(10)); INSERT INTO crm.customer VALUES ('c-1', 'li-ting'), ('c-2', 'wang-lei')`)
	h.must(t, `CREATE TABLE crm.visit (id text PRIMARY KEY, customer text[]);
INSERT INTO crm.visit VALUES ('hers', '{c-1}'), ('his', '{c-2}'), ('both', '{c-1,c-2}'), ('nobodys', '{}')`)
	d := office()
	d.ObjectTypes[0].Storage = access.Storage{Table: "crm.customer", ID: "id", Owner: "owner"}
	d.ObjectTypes = append(d.ObjectTypes, &access.ObjectType{
		Name: "visit", Actions: []string{"read"}, Fields: []access.Field{{Name: "customer", Class: access.ClassPublic}},
		AccessFrom: access.AccessFrom{Object: "customer", Field: "customer"}, Storage: access.Storage{Table: "crm.visit", ID: "id"},
	})
	d.Roles[0].Grants = append(d.Roles[0].Grants, access.Grant{Object: "visit", Actions: []string{"read"}, Records: access.Records{Scopes: access.ScopeOwn}})
	become(t, s, access.Resolve(d).Facts)
	app := application(t, h)
	say(t, app, "token", made)
	for _, c := range []struct{ object, id, want string }{
		{"customer", "c-1", "allow"}, {"customer", "c-2", "deny"},
		{"visit", "hers", "allow"}, {"visit", "his", "deny"}, {"visit", "both", "deny"}, {"visit", "nobodys", "deny"},
	} {
		if got, _ := decide(t, app, `decide('read', $1, jsonb_build_object('id', $2::text))`, c.object, c.id); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.object, c.id, got, c.want)
		}
	}
}
