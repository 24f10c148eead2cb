package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
	"github.com/crmaccess/crm-access-operator/internal/store/pgtest"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres"
)

// company is an organisation of 10,000 users.
var company = accesstest.Size{Objects: 40, Departments: 400, Users: 10_000, Roles: 500, GrantsPerRole: 20, Bindings: 40_000, Temporary: 2_000, InheritEvery: 3}

// BenchmarkDecide asks one question a statement, as an application does, with three fields, at 10,000 users. Besides the
// time it tells how much of a processor the server's process took: that does not depend on what else the machine does.
func BenchmarkDecide(b *testing.B) {
	dsn := pgtest.Shared(b).Database(b)
	s, err := postgres.Open(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Claim(b.Context(), tenant, owner, ""); err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	d := accesstest.NewWorld(random, company)
	facts := access.Resolve(d).Facts
	become(b, s, facts)
	policy := access.NewPolicy(facts)
	conn, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	if _, err := conn.Exec(b.Context(), `VACUUM ANALYZE`); err != nil {
		b.Fatal(err)
	}
	var questions []asked
	for range 500 {
		now, q := accesstest.NewQuestion(random, d)
		questions = append(questions, newAsked(b, policy, now, q))
	}
	ask := func(i int) {
		q := questions[i%len(questions)]
		if _, err := conn.Exec(b.Context(), `SELECT * FROM crm_access.decide_as($1, $2, $3, $4, $5, $6, $7, $8::timestamptz)`,
			tenant, q.Subject, q.Action, q.Object, q.Record, q.Fields, q.Context, q.At); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 20 {
		ask(i) // the session's plans
	}
	before := worked(b, conn)
	for i := 0; b.Loop(); i++ {
		ask(i)
	}
	b.ReportMetric(float64(worked(b, conn)-before)*1000/ticks/float64(b.N), "cpu-ms/op")
}

// ticks are how many of them a second has in /proc, on every Linux there is.
const ticks = 100

// worked is how many ticks the server's process behind the connection has worked. It runs on this machine.
func worked(b *testing.B, conn *pgx.Conn) int {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", conn.PgConn().PID()))
	if err != nil {
		b.Skip("what a process has worked is not told here")
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	user, err := strconv.Atoi(fields[12])
	if err != nil {
		b.Fatal(err)
	}
	system, err := strconv.Atoi(fields[13])
	if err != nil {
		b.Fatal(err)
	}
	return user + system
}
