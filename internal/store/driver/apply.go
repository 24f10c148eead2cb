package driver

import (
	"context"
	"errors"
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// apply writes changes and returns those that were made: all but the objects' whose rows the database refuses.
func apply(ctx context.Context, tx Tx, tenant string, changes []store.Change) ([]store.Change, map[access.Ref]error, error) {
	if len(changes) == 0 {
		return nil, nil, nil
	}
	if err := tx.Announce(ctx, tenant); err != nil {
		return nil, nil, err
	}
	a := applier{tx: tx, tenant: tenant}
	err := a.attempt(ctx, changes)
	if errors.Is(err, store.ErrRefused) {
		a.refused = make(map[access.Ref]error)
		err = a.divide(ctx, byOwner(changes), err)
	}
	if err != nil {
		return nil, nil, err
	}
	return a.without(changes), a.refused, nil
}

type applier struct {
	tx      Tx
	tenant  string
	refused map[access.Ref]error
}

// object is what changes of one object's rows.
type object struct {
	owner   access.Ref
	changes []store.Change
}

// divide writes in two halves what was refused whole, and so on down to single objects: of n objects, one that is
// refused costs about 2 log n attempts instead of n. Objects' rows share no constraint, so each half stands for itself.
func (a *applier) divide(ctx context.Context, objects []object, refusal error) error {
	if len(objects) == 1 {
		a.refused[objects[0].owner] = refusal
		return nil
	}
	middle := len(objects) / 2
	for _, half := range [][]object{objects[:middle], objects[middle:]} {
		var changes []store.Change
		for _, o := range half {
			changes = append(changes, o.changes...)
		}
		err := a.attempt(ctx, sorted(changes))
		if errors.Is(err, store.ErrRefused) {
			err = a.divide(ctx, half, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attempt writes changes under a savepoint: all of them or, with ErrRefused, none.
func (a *applier) attempt(ctx context.Context, changes []store.Change) error {
	if err := a.tx.Savepoint(ctx); err != nil {
		return err
	}
	err := a.write(ctx, changes)
	switch {
	case err == nil:
		return a.tx.Release(ctx)
	case errors.Is(err, store.ErrRefused):
		if rollback := a.tx.Rollback(ctx); rollback != nil {
			return rollback
		}
	}
	return err
}

func (a *applier) write(ctx context.Context, changes []store.Change) error {
	for _, batch := range batches(a.tenant, changes) {
		touched, err := a.tx.Write(ctx, a.tenant, batch)
		if err != nil {
			return err
		}
		// Rows that are not there to change, or one too many, were written past the triggers.
		if touched != batch.Count {
			return fmt.Errorf("%w: %s of %d %s rows found %d", store.ErrStale, batch.Op, batch.Count, batch.Table, touched)
		}
	}
	return nil
}

func (a *applier) without(changes []store.Change) []store.Change {
	if len(a.refused) == 0 {
		return changes
	}
	var made []store.Change
	for _, c := range changes {
		if _, refused := a.refused[c.Owner]; !refused {
			made = append(made, c)
		}
	}
	return made
}

// byOwner groups changes, in the order in which the owners come.
func byOwner(changes []store.Change) []object {
	var objects []object
	at := make(map[access.Ref]int)
	for _, c := range changes {
		i, ok := at[c.Owner]
		if !ok {
			i = len(objects)
			at[c.Owner] = i
			objects = append(objects, object{owner: c.Owner})
		}
		objects[i].changes = append(objects[i].changes, c)
	}
	return objects
}
