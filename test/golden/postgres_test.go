package golden

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/follow"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// database is the sample organisation as a store in PostgreSQL holds it.
type database struct {
	store   store.Store
	conn    *pgx.Conn
	records map[[2]string]map[string]any // by object and id, as a question names them
}

func TestPostgreSQLGivesTheGoldenDecisions(t *testing.T) {
	d := loadDatabase(t)
	compare(t, d.ask)
}

// From the tables into a snapshot, and from there over HTTP: the way of the deciders.
func TestWhoFollowsPostgreSQLGivesTheGoldenDecisions(t *testing.T) {
	d := loadDatabase(t)
	follower := follow.New(follow.Options{MaxAge: time.Minute, Clock: clock.RealClock{}, Log: logr.Discard(), Metrics: follow.NewMetrics(prometheus.NewRegistry())})
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { follower.Run(ctx, d.store) })
	t.Cleanup(func() { cancel(); following.Wait() })
	gomega.NewWithT(t).Eventually(func() bool { _, isRead := follower.Snapshot("huayue"); return isRead }, 30*time.Second).Should(gomega.BeTrue())
	server := httptest.NewServer(decisionapi.New(follower, decisionapi.Options{HonourTime: true}))
	t.Cleanup(server.Close)
	compare(t, func(t *testing.T, g golden) answer {
		return askCommand(t, g, "-n", "huayue", "--server", server.URL, "--records", recordFile(t))
	})
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
	return &database{s, conn, readRecords(t)}
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
	said := map[string]any{"channel": g.channel, "reason": "because", "used": 0}
	if g.rows != "" {
		said["rows"] = json.Number(g.rows)
	}
	if g.target != "" {
		said["target"] = map[string]string{"department": g.target}
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
		"huayue", g.user, g.action, g.object, record, fields, said, at.Time()).Scan(&a.word, &levels, &a.causes)
	if err != nil {
		t.Fatal(err)
	}
	a.word = map[string]string{"allow": "ALLOW", "deny": "DENY", "needs-approval": "APPROVAL"}[a.word]
	if g.field != "" && a.word == "ALLOW" {
		a.word = strings.ToUpper(levels[g.field])
	}
	return a
}
