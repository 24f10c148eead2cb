// Package ledger says what an entry of the ledger is: one commit as canonical JSON, chained to the one before by its
// hash. It is pure: the drivers of the store write the entries, anyone can verify them.
package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/crmaccess/crm-access-operator/internal/schedule"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// hashPrefix names the algorithm, so that a later one can stand beside it in the same chain.
const hashPrefix = "sha256:"

// Commit is what an entry records. Changes are sorted, and their bodies canonical, as store.Diff and store.Encode
// make them.
type Commit struct {
	Tenant   string
	Revision store.Revision
	At       schedule.Instant
	Cause    string
	// Previous is the hash of the entry before, empty for the first.
	Previous string
	Changes  []store.Change
}

// Seal makes the entry of a commit.
func Seal(c Commit) store.Entry {
	body := encode(c)
	return store.Entry{Revision: c.Revision, At: c.At, Cause: c.Cause, Previous: c.Previous, Hash: Hash(body), Body: body}
}

// Hash is the hash of an entry's body, as the ledger and the tenant row keep it.
func Hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hashPrefix + hex.EncodeToString(sum[:])
}

// encode writes the body in one fixed order of keys, without white space, strings as store.AppendString writes them.
// The bytes are built directly: an entry can hold ten thousand changes and is written while the tenant row is locked.
func encode(c Commit) []byte {
	b := make([]byte, 0, size(c))
	b = append(b, `{"tenant":`...)
	b = store.AppendString(b, c.Tenant)
	b = append(b, `,"epoch":`...)
	b = strconv.AppendInt(b, c.Revision.Epoch, 10)
	b = append(b, `,"revision":`...)
	b = strconv.AppendInt(b, c.Revision.Number, 10)
	b = append(b, `,"at":`...)
	b = store.AppendString(b, c.At.String())
	b = append(b, `,"cause":`...)
	b = store.AppendString(b, c.Cause)
	b = append(b, `,"previous":`...)
	b = store.AppendString(b, c.Previous)
	b = append(b, `,"changes":[`...)
	for i := range c.Changes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendChange(b, &c.Changes[i])
	}
	return append(b, `]}`...)
}

func appendChange(b []byte, c *store.Change) []byte {
	b = append(b, `{"op":"`...)
	b = append(b, operation(c)...)
	b = append(b, `","table":`...)
	b = store.AppendString(b, string(c.Table))
	b = append(b, `,"owner_kind":`...)
	b = store.AppendString(b, string(c.Owner.Kind))
	b = append(b, `,"owner_name":`...)
	b = store.AppendString(b, c.Owner.Name)
	b = append(b, `,"key":`...)
	b = store.AppendString(b, c.Key)
	if c.Before != "" {
		b = append(append(b, `,"before":`...), c.Before...)
	}
	if c.After != "" {
		b = append(append(b, `,"after":`...), c.After...)
	}
	return append(b, '}')
}

func operation(c *store.Change) string {
	switch {
	case c.Before == "":
		return "insert"
	case c.After == "":
		return "delete"
	}
	return "update"
}

// size is an estimate that spares the buffer its growth.
func size(c Commit) int {
	n := 256 + len(c.Tenant) + len(c.Cause)
	for i := range c.Changes {
		change := &c.Changes[i]
		n += 112 + len(change.Table) + len(change.Owner.Kind) + len(change.Owner.Name) + len(change.Key) + len(change.Before) + len(change.After)
	}
	return n
}
