package follow

import (
	"context"
	"errors"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// RecordReader is a Store in whose database the CRM's own tables are.
type RecordReader interface {
	// Record is nil where no record has the id.
	Record(ctx context.Context, place store.RecordPlace, id string) (*access.Record, error)
	// Page lists up to limit records after an id, which may be more than the filter takes in.
	Page(ctx context.Context, place store.RecordPlace, filter *access.Filter, after string, limit int) ([]*access.Record, error)
}

// records looks up records as one state of a tenant says where they are: decisionapi.Records.
type records struct {
	*Follower
	policy *access.Policy
}

// deepest is how many records can decide one for another in a row.
const deepest = 10

// Record is what is stored of a record, with the record that decides about it; nil where the object has no table.
func (r *records) Record(ctx context.Context, object, id string) (*access.Record, error) {
	return r.find(ctx, object, id, deepest)
}

func (r *records) find(ctx context.Context, object, id string, depth int) (*access.Record, error) {
	place, stored := r.place(object)
	if !stored {
		return nil, nil
	}
	if id == "" {
		return &access.Record{}, nil
	}
	record, err := (*r.reader.Load()).Record(ctx, place, id)
	if err != nil {
		return nil, r.failed(object, err)
	}
	if record == nil {
		return &access.Record{ID: id}, nil // of which nothing is known
	}
	record.Parent, err = r.parent(ctx, object, record, depth-1)
	return record, err
}

// parent is the record that decides about another. Of one that is stored nowhere nothing is known but the id.
func (r *records) parent(ctx context.Context, object string, of *access.Record, depth int) (*access.Record, error) {
	from := r.policy.AccessFrom(object)
	ids := of.Attributes[from.Field]
	if from.Object == "" || len(ids) != 1 || depth == 0 {
		return nil, nil
	}
	parent, err := r.find(ctx, from.Object, ids[0], depth)
	if err == nil && parent == nil {
		parent = &access.Record{ID: ids[0]}
	}
	return parent, err
}

// Page lists records as the table has them.
func (r *records) Page(ctx context.Context, object string, filter *access.Filter, after string, limit int) ([]*access.Record, error) {
	place, stored := r.place(object)
	if !stored {
		return nil, nil
	}
	page, err := (*r.reader.Load()).Page(ctx, place, filter, after, limit)
	if err != nil {
		return nil, r.failed(object, err)
	}
	if r.policy.AccessFrom(object).Object == "" {
		return page, nil
	}
	for _, record := range page {
		if record.Parent, err = r.parent(ctx, object, record, deepest); err != nil {
			return nil, err
		}
	}
	return page, nil
}

func (r *records) place(object string) (store.RecordPlace, bool) {
	storage, stored := r.policy.Storage(object)
	return store.RecordPlace{StorageFact: storage, Fields: r.policy.Compared(object)}, stored
}

// failed logs why records cannot be looked up: whoever asked is told nothing of tables. Who went away is no trouble.
func (r *records) failed(object string, err error) error {
	if !errors.Is(err, context.Canceled) {
		r.log.Info("Records cannot be looked up now", "object", object, "reason", err.Error())
	}
	return err
}
