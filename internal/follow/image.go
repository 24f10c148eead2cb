package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/ledger"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// maxEntries is how many commits are caught up with; who has missed more loads everything.
const maxEntries = 100

// errNotUnderstood is of commits that cannot be applied to what was loaded: everything is loaded then.
var errNotUnderstood = errors.New("what was committed does not fit what was loaded")

// image is what is kept of a tenant's facts so that commits can be applied to them: people and rules. The policy keeps the
// tuples, in another form, and catalogue and departments are loaded with everything else when they change.
type image struct {
	users       rows[access.UserFact]
	memberships rows[access.MembershipFact]
	lineage     rows[access.LineageFact]
	holders     rows[access.HolderFact]
	guardrails  rows[access.GuardrailFact]
}

// rows are those of a table, in the order of their ids. They are replaced whole.
type rows[T any] struct {
	ids   []store.RowID
	facts []T
}

// compile makes a policy of all rows, and keeps what further commits need.
func compile(v version, all []store.Row) (*compiled, error) {
	tables := make(map[store.Table][]store.Row)
	for _, row := range all {
		tables[row.Table] = append(tables[row.Table], row)
	}
	c := &compiled{version: v}
	facts, err := c.image.read(tables)
	if err != nil {
		return nil, err
	}
	c.policy = access.NewPolicy(facts)
	return c, nil
}

func (i *image) read(tables map[store.Table][]store.Row) (access.Facts, error) {
	var all []store.Row
	for _, table := range store.Tables {
		slices.SortFunc(tables[table], func(x, y store.Row) int { return compareIDs(x.RowID, y.RowID) })
		if table != store.TableSource {
			all = append(all, tables[table]...)
		}
	}
	facts, _, err := store.Decode(all)
	*i = image{
		users:       rows[access.UserFact]{idsOf(tables[store.TableUser]), facts.Users},
		memberships: rows[access.MembershipFact]{idsOf(tables[store.TableMembership]), facts.Memberships},
		lineage:     rows[access.LineageFact]{idsOf(tables[store.TableLineage]), facts.Lineage},
		holders:     rows[access.HolderFact]{idsOf(tables[store.TableHolder]), facts.Holders},
		guardrails:  rows[access.GuardrailFact]{idsOf(tables[store.TableGuardrail]), facts.Guardrails},
	}
	return facts, err
}

func idsOf(rows []store.Row) []store.RowID {
	ids := make([]store.RowID, len(rows))
	for i := range rows {
		ids[i] = rows[i].RowID
	}
	return ids
}

// compareIDs orders the rows of one table as the ledger does.
func compareIDs(x, y store.RowID) int {
	return cmp.Or(cmp.Compare(x.Owner.Kind, y.Owner.Kind), cmp.Compare(x.Owner.Name, y.Owner.Name), cmp.Compare(x.Key, y.Key))
}

// advance brings what was compiled to the state of a row, by the commits that lie between. Whatever is not just a row of
// commits, each after the one before, that fit what was loaded, is errNotUnderstood: another history, a write by somebody
// else, a gap.
func advance(ctx context.Context, s Store, c *compiled, row store.Tenant) (*compiled, error) {
	v := versionOf(row).withShares(0)
	missed := row.Revision.Number - c.version.revision.Number
	if v.revision.Epoch != c.version.revision.Epoch || v.tampered != c.version.tampered || missed < 1 || missed > maxEntries {
		return nil, errNotUnderstood
	}
	entries, err := s.Ledger(ctx, row.Name, c.version.revision, int(missed))
	if err != nil {
		return nil, err
	}
	if !leads(entries, c.version, v) {
		return nil, errNotUnderstood
	}
	changes, err := merged(entries)
	if err != nil {
		return nil, err
	}
	return c.after(v, changes)
}

// leads says whether these are all entries from one state to another, unbroken.
func leads(entries []store.Entry, from, to version) bool {
	head, revision := from.ledgerHead, from.revision
	for i := range entries {
		revision.Number++
		if entries[i].Previous != head || entries[i].Revision != revision {
			return false
		}
		head = entries[i].Hash
	}
	return head == to.ledgerHead && revision == to.revision && ledger.Verify(entries) == nil
}

// merged are the changes of entries as if one had made them.
func merged(entries []store.Entry) ([]store.Change, error) {
	byID := make(map[store.RowID]store.Change)
	for _, entry := range entries {
		changes, err := ledger.Changes(entry)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotUnderstood, err)
		}
		for _, c := range changes {
			if former, again := byID[c.RowID]; again {
				if former.After != c.Before {
					return nil, errNotUnderstood
				}
				c.Before = former.Before
			}
			byID[c.RowID] = c
		}
	}
	all := slices.SortedFunc(maps.Values(byID), func(x, y store.Change) int { return x.Compare(y.RowID) })
	return slices.DeleteFunc(all, func(c store.Change) bool { return c.Before == c.After }), nil
}

// after is what changes make of what was compiled.
func (c *compiled) after(v version, changes []store.Change) (*compiled, error) {
	next := &compiled{version: v, image: c.image, policy: c.policy, whole: c.whole}
	gone, come, err := next.image.apply(changes)
	if err != nil || !slices.ContainsFunc(changes, decides) {
		return next, err
	}
	policy, fits := c.policy.Revise(next.image.facts(), gone.Tuples, come.Tuples)
	if next.policy = policy; !fits {
		return nil, errNotUnderstood
	}
	return next, nil
}

// decides says whether anything is decided from the row.
func decides(c store.Change) bool {
	return c.Table != store.TableSource && c.Table != store.TableApproval
}

func (i *image) facts() access.Facts {
	return access.Facts{
		Users: i.users.facts, Memberships: i.memberships.facts, Lineage: i.lineage.facts, Holders: i.holders.facts, Guardrails: i.guardrails.facts,
	}
}

// apply changes the image, and returns the facts that are gone and that have come.
func (i *image) apply(changes []store.Change) (gone, come access.Facts, err error) {
	tables := make(map[store.Table][]store.Change)
	var before, after []store.Row
	for _, c := range changes {
		switch c.Table {
		case store.TableSource, store.TableApproval:
			continue
		case store.TableUser, store.TableMembership, store.TableLineage, store.TableTuple, store.TableHolder, store.TableGuardrail:
		default:
			return gone, come, errNotUnderstood
		}
		tables[c.Table] = append(tables[c.Table], c)
		if c.Before != "" {
			before = append(before, store.Row{RowID: c.RowID, Body: c.Before})
		}
		if c.After != "" {
			after = append(after, store.Row{RowID: c.RowID, Body: c.After})
		}
	}
	gone, _, err = store.Decode(before)
	if err != nil {
		return gone, come, fmt.Errorf("%w: %w", errNotUnderstood, err)
	}
	if come, _, err = store.Decode(after); err != nil {
		return gone, come, fmt.Errorf("%w: %w", errNotUnderstood, err)
	}
	fits := i.users.apply(tables[store.TableUser], come.Users) && i.memberships.apply(tables[store.TableMembership], come.Memberships) &&
		i.lineage.apply(tables[store.TableLineage], come.Lineage) && i.holders.apply(tables[store.TableHolder], come.Holders) &&
		i.guardrails.apply(tables[store.TableGuardrail], come.Guardrails)
	if !fits {
		return gone, come, errNotUnderstood
	}
	return gone, come, nil
}

// apply makes the changes of a table, whose facts come in their order. It is false where a row that changes is not there,
// or one that is new is.
func (r *rows[T]) apply(changes []store.Change, come []T) bool {
	if len(changes) == 0 {
		return true
	}
	next := rows[T]{make([]store.RowID, 0, len(r.ids)+len(come)), make([]T, 0, len(r.ids)+len(come))}
	from := 0
	for i := range changes {
		c := &changes[i]
		at, there := slices.BinarySearchFunc(r.ids, c.RowID, compareIDs)
		if at < from || there != (c.Before != "") {
			return false
		}
		next.ids, next.facts = append(next.ids, r.ids[from:at]...), append(next.facts, r.facts[from:at]...)
		if from = at; there {
			from++
		}
		if c.After != "" {
			next.ids, next.facts, come = append(next.ids, c.RowID), append(next.facts, come[0]), come[1:]
		}
	}
	r.ids, r.facts = append(next.ids, r.ids[from:]...), append(next.facts, r.facts[from:]...)
	return true
}
