package filter

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/access/accesstest"
)

// A CRM's tables: records, and their parents with the same number. The amount is a number, and the views show it as a
// question says it; the views' columns have the names that a filter asks for.
const tables = `
CREATE TABLE record (number int, id text, owner text, department text, participants text[], region text, amount numeric);
CREATE TABLE parent (LIKE record);
CREATE VIEW records AS SELECT number, id, owner, department, participants, owner AS field_0, department AS field_1, region AS field_3, trim_scale(amount)::text AS field_4 FROM record;
CREATE VIEW parents AS SELECT number, id, owner, department, participants, owner AS field_0, department AS field_1, region AS field_3, trim_scale(amount)::text AS field_4 FROM parent;`

// What the worlds' conditions compare, in place of plain names: a text that can be spelt in two ways, and numbers.
var spelt = map[string]string{"east": "öst", "west": "7", "open": "7.5", "won": "8"}

// respell puts them into the grants' conditions.
func respell(d access.Declarations) {
	grants := func(all []access.Grant) {
		for _, g := range all {
			for _, w := range g.Where {
				for i, value := range w.Values {
					if other, is := spelt[value]; is {
						w.Values[i] = other
					}
				}
			}
		}
	}
	for _, r := range d.Roles {
		grants(r.Grants)
	}
	for _, t := range d.TemporaryGrants {
		grants(t.Grants)
	}
}

// row is a record as the CRM stores it: nothing is null, or empty.
type row struct {
	owner, department, region *string
	participants              []string
	amount                    *string
	// decomposed says that its region is spelt in another way than conditions are.
	decomposed bool
}

// stored makes a row of a record, and takes out of the record what the row leaves open.
func stored(random *rand.Rand, r *access.Record) row {
	if random.IntN(6) == 0 {
		r.Department = ""
	}
	if random.IntN(6) == 0 {
		r.Participants = [][]string{nil, {}, {""}}[random.IntN(3)]
	}
	s := row{owner: orNull(random, r.Owner), department: orNull(random, r.Department), participants: r.Participants}
	region, stage := r.Attributes["field_3"], r.Attributes["field_4"]
	for _, values := range [][]string{region, stage} {
		if len(values) > 0 && spelt[values[0]] != "" {
			values[0] = spelt[values[0]]
		}
	}
	if len(region) > 0 {
		text := region[0]
		if random.IntN(2) == 0 {
			text = norm.NFD.String(text)
		}
		s.region, s.decomposed = &text, text != region[0]
	}
	delete(r.Attributes, "field_4")
	if len(stage) > 0 && stage[0] != "lost" {
		r.Attributes["field_4"] = stage
		amount := stage[0]
		if random.IntN(2) == 0 { // 7.50 is 7.5, and 8.00 is 8
			whole, _, _ := strings.Cut(amount, ".")
			amount = whole + map[bool]string{true: ".50", false: ".00"}[strings.Contains(amount, ".")]
		}
		s.amount = &amount
	}
	return s
}

// orNull is how a CRM stores a text that may be empty: as null, or empty.
func orNull(random *rand.Rand, text string) *string {
	if text == "" && random.IntN(2) == 0 {
		return nil
	}
	return &text
}

// fill replaces what is in the tables.
func fill(t *testing.T, conn *pgx.Conn, records, parents []row) {
	t.Helper()
	var batch pgx.Batch
	batch.Queue("TRUNCATE record, parent")
	for table, rows := range map[string][]row{"record": records, "parent": parents} {
		for i, r := range rows {
			batch.Queue("INSERT INTO "+table+" VALUES ($1, $2, $3, $4, $5, $6, $7::text::numeric)", i, accesstest.Name("record", i), r.owner, r.department, r.participants, r.region, r.amount)
		}
	}
	if err := conn.SendBatch(context.Background(), &batch).Close(); err != nil {
		t.Fatal(err)
	}
}

// listed are the numbers of the records that the condition takes in, as the CRM's own query has them: with the objects'
// names as aliases.
func listed(t *testing.T, conn *pgx.Conn, object, parent string, condition sql) []int {
	t.Helper()
	from := "records AS " + pgx.Identifier{object}.Sanitize()
	if parent != "" {
		from += " LEFT JOIN parents AS " + pgx.Identifier{parent}.Sanitize() + " ON " + pgx.Identifier{parent, "number"}.Sanitize() + " = " + pgx.Identifier{object, "number"}.Sanitize()
	}
	arguments := make([]any, len(condition.Parameters))
	for i, values := range condition.Parameters {
		arguments[i] = values
	}
	rows, err := conn.Query(context.Background(), "SELECT "+pgx.Identifier{object, "number"}.Sanitize()+" FROM "+from+" WHERE "+condition.Where, arguments...)
	if err != nil {
		t.Fatalf("%s: %v", condition.Where, err)
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatalf("%s: %v", condition.Where, err)
	}
	slices.Sort(numbers)
	return numbers
}

// contextOf is a question's context as a body says it.
func contextOf(now string, c *access.Context) map[string]any {
	said := map[string]any{"time": now}
	for name, text := range map[string]string{"channel": c.Channel, "device": c.Device, "reason": c.Reason} {
		if text != "" {
			said[name] = text
		}
	}
	for name, number := range map[string]*int64{"rows": c.Rows, "used": c.Used, "owned": c.Owned} {
		if number != nil {
			said[name] = *number
		}
	}
	target := map[string]string{"user": c.TargetUser, "department": c.TargetDepartment}
	maps.DeleteFunc(target, func(_, text string) bool { return text == "" })
	if len(target) > 0 {
		said["target"] = target
	}
	return said
}
