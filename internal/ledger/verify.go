package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// BrokenLink is the first entry that does not fit: it or the one before it was changed, removed or put in by hand.
type BrokenLink struct {
	// Index is the entry's place in what was verified.
	Index    int
	Revision store.Revision
	Why      string
}

// Error names the entry.
func (b *BrokenLink) Error() string {
	return fmt.Sprintf("ledger broken at revision %s: %s", b.Revision, b.Why)
}

// Verify checks the hash of each entry, that it says what it is filed under, and that it follows the one before. The
// error is a *BrokenLink. Entries may start in the middle of a ledger; what it cannot see is entries missing before
// the first or after the last: the first entry of all has an empty Previous, and the last one's Hash is the tenant's
// LedgerHead.
func Verify(entries []store.Entry) error {
	var tenant string
	for i, entry := range entries {
		head, err := readHead(entry.Body)
		if err == nil && i == 0 {
			tenant = head.Tenant
		}
		why := ""
		switch {
		case Hash(entry.Body) != entry.Hash:
			why = "the hash is not that of the body"
		case err != nil:
			why = "the body is not an entry"
		case head != filed(tenant, entry):
			why = "the body is another entry's"
		case i > 0 && entry.Previous != entries[i-1].Hash:
			why = fmt.Sprintf("it does not follow %s", entries[i-1].Revision)
		case i > 0 && entry.Revision.Compare(entries[i-1].Revision) <= 0:
			why = fmt.Sprintf("it is not newer than %s", entries[i-1].Revision)
		}
		if why != "" {
			return &BrokenLink{Index: i, Revision: entry.Revision, Why: why}
		}
	}
	return nil
}

// head is a body without its changes.
type head struct {
	Tenant   string `json:"tenant"`
	Epoch    int64  `json:"epoch"`
	Revision int64  `json:"revision"`
	At       string `json:"at"`
	Cause    string `json:"cause"`
	Previous string `json:"previous"`
}

func readHead(body []byte) (head, error) {
	var h head
	err := json.Unmarshal(body, &h)
	return h, err
}

func filed(tenant string, e store.Entry) head {
	return head{tenant, e.Revision.Epoch, e.Revision.Number, e.At.String(), e.Cause, e.Previous}
}

// Changes reads what an entry says was changed. The entry must have been verified.
func Changes(e store.Entry) ([]store.Change, error) {
	var body struct {
		Changes []struct {
			Table     store.Table     `json:"table"`
			OwnerKind access.Kind     `json:"owner_kind"`
			OwnerName string          `json:"owner_name"`
			Key       string          `json:"key"`
			Before    json.RawMessage `json:"before"`
			After     json.RawMessage `json:"after"`
		} `json:"changes"`
	}
	if err := json.Unmarshal(e.Body, &body); err != nil {
		return nil, fmt.Errorf("read the changes of ledger entry %s: %w", e.Revision, err)
	}
	changes := make([]store.Change, len(body.Changes))
	for i, c := range body.Changes {
		id := store.RowID{Table: c.Table, Owner: access.Ref{Kind: c.OwnerKind, Name: c.OwnerName}, Key: c.Key}
		changes[i] = store.Change{RowID: id, Before: string(c.Before), After: string(c.After)}
	}
	return changes, nil
}
