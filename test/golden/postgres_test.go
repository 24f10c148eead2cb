package golden

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// database is the sample organisation as a store in PostgreSQL holds it.
type database struct {
	conn    *pgx.Conn
	records map[[2]string]map[string]any // by object and id, as a question names them
}

func TestPostgreSQLGivesTheGoldenDecisions(t *testing.T) {
	d := loadDatabase(t)
	compare(t, d.ask)
}

func loadDatabase(t *testing.T) *database {
	t.Helper()
	tree, err := manifest.Load(sampleFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.Encode(access.Resolve(tree.Tenants["huayue"].Declarations).Facts)
	if err != nil {
		t.Fatal(err)
	}
	dsn := pgtest.Shared(t).Database(t)
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	claimed, err := s.Claim(t.Context(), "huayue", store.Owner{Cluster: "golden", Namespace: "huayue"}, "")
	if err != nil {
		t.Fatal(err)
	}
	committed, err := s.Commit(t.Context(), store.Commit{Expect: claimed, Changes: store.Diff(nil, store.Index(rows)), Cause: "pass"})
	if err != nil || len(committed.Refused) > 0 {
		t.Fatal(err, committed.Refused)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return &database{conn, readRecords(t)}
}

// readRecords reads the record file. A parent that an object names is put in as what is known of it.
func readRecords(t *testing.T) map[[2]string]map[string]any {
	t.Helper()
	list, err := manifest.LoadRecords(recordFile(t))
	if err != nil {
		t.Fatal(err)
	}
	records := make(map[[2]string]map[string]any)
	for _, r := range list {
		records[[2]string{r.Object, r.ID}] = map[string]any{
			"id": r.ID, "owner": r.Owner, "department": r.Department, "creator": r.Creator, "participants": r.Participants,
		}
	}
	for _, r := range list {
		for field, value := range r.Attributes {
			records[[2]string{r.Object, r.ID}][field] = value
			if id, isText := value.(string); isText && records[[2]string{field, id}] != nil {
				records[[2]string{r.Object, r.ID}][field] = records[[2]string{field, id}]
			}
		}
	}
	return records
}

// ask asks at the instant of the line, which no application may: its questions are answered at the store's clock.
func (d *database) ask(t *testing.T, g golden) answer {
	at, err := schedule.Parse(g.at)
	if err != nil {
		t.Fatal(err)
	}
	context := map[string]any{"channel": g.channel, "reason": "because", "used": 0}
	if g.rows != "" {
		context["rows"] = json.Number(g.rows)
	}
	if g.target != "" {
		context["target"] = map[string]string{"department": g.target}
	}
	var record any
	if g.record != "" {
		known := d.records[[2]string{g.object, g.record}]
		if record = known; known == nil {
			t.Fatalf("no record %s", g.record)
		}
	}
	fields := []string{}
	if g.field != "" {
		fields = []string{g.field}
	}
	const question = `($1, $2, $3, $4, $5::jsonb, $6::text[], $7::jsonb, `
	var a answer
	var levels map[string]string
	err = d.conn.QueryRow(t.Context(), `SELECT d.decision, d.levels, j.reasons
FROM crm_access.decide_as`+question+`$8) AS d, crm_access.judge`+question+`'{}', $8) AS j`,
		"huayue", g.user, g.action, g.object, record, fields, context, at.Time()).Scan(&a.word, &levels, &a.causes)
	if err != nil {
		t.Fatal(err)
	}
	a.word = map[string]string{"allow": "ALLOW", "deny": "DENY", "needs-approval": "APPROVAL"}[a.word]
	if g.field != "" && a.word == "ALLOW" {
		a.word = strings.ToUpper(levels[g.field])
	}
	return a
}
