package driver

import "github.com/crmaccess/crm-access-operator/internal/store"

// Op is what a batch does to its rows.
type Op string

// The operations, in the order in which they are done to a table.
const (
	Delete Op = "delete"
	Update Op = "update"
	Insert Op = "insert"
)

// Batch is all rows of one table that one statement writes.
type Batch struct {
	Table store.Table
	Op    Op
	// Rows is a JSON array of flat objects: tenant, owner_kind, owner_name, key and, unless deleted, the columns of the
	// body.
	Rows  []byte
	Count int64
}

// batches makes changes, sorted by table, travel set-based: at most three statements a table.
func batches(tenant string, changes []store.Change) []Batch {
	var all []Batch
	for from := 0; from < len(changes); {
		to := from
		for to < len(changes) && changes[to].Table == changes[from].Table {
			to++
		}
		all = appendTable(all, tenant, changes[from:to])
		from = to
	}
	return all
}

func appendTable(all []Batch, tenant string, changes []store.Change) []Batch {
	table := changes[0].Table
	byOp := map[Op]*Batch{}
	for i := range changes {
		c := &changes[i]
		op := opOf(c)
		batch, ok := byOp[op]
		if !ok {
			batch = &Batch{Table: table, Op: op, Rows: []byte{'['}}
			byOp[op] = batch
		} else {
			batch.Rows = append(batch.Rows, ',')
		}
		batch.Rows = appendRow(batch.Rows, tenant, c)
		batch.Count++
	}
	for _, op := range []Op{Delete, Update, Insert} {
		if batch, ok := byOp[op]; ok {
			batch.Rows = append(batch.Rows, ']')
			all = append(all, *batch)
		}
	}
	return all
}

func opOf(c *store.Change) Op {
	switch {
	case c.Before == "":
		return Insert
	case c.After == "":
		return Delete
	}
	return Update
}

func appendRow(dst []byte, tenant string, c *store.Change) []byte {
	dst = append(dst, `{"tenant":`...)
	dst = store.AppendString(dst, tenant)
	dst = append(dst, `,"owner_kind":`...)
	dst = store.AppendString(dst, string(c.Owner.Kind))
	dst = append(dst, `,"owner_name":`...)
	dst = store.AppendString(dst, c.Owner.Name)
	dst = append(dst, `,"key":`...)
	dst = store.AppendString(dst, c.Key)
	if c.After == "" {
		return append(dst, '}')
	}
	// A body is an object with at least one member: its members follow the identity's.
	dst = append(dst, ',')
	return append(dst, c.After[1:]...)
}
