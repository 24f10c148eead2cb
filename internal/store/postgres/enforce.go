package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres/enforcement"
)

const (
	readStorages = `
SELECT s.object, s.table_name, s.id_column, s.owner_column, s.department_column, s.participants_column, s.creator_column,
    s.tenant_column, s.tenant_value, coalesce(s.columns, '{}'), o.owner_field, o.department_field, o.parent_object,
    coalesce((
        SELECT jsonb_agg(jsonb_build_object('field', f.field, 'class', f.class, 'mask', f.mask) ORDER BY f.field)
        FROM crm_access.object_field AS f WHERE f.tenant = s.tenant AND f.object = s.object), '[]'),
    coalesce((
        SELECT jsonb_agg(c.conditions ORDER BY c.held DESC, c.conditions) FROM (
            SELECT t.conditions, count(*) AS held FROM crm_access.tuple AS t
            WHERE t.tenant = s.tenant AND t.object = s.object AND t.conditions IS NOT NULL AND t.actions && ARRAY['read', 'update', 'delete']
            GROUP BY t.conditions) AS c), '[]')
FROM crm_access.object_storage AS s
JOIN crm_access.object_type AS o ON o.tenant = s.tenant AND o.object = s.object
WHERE s.tenant = $1
ORDER BY s.object`

	readMade = `SELECT object, table_name, roles, digest, fingerprint FROM crm_access.enforcement WHERE tenant = $1 ORDER BY object`

	// Of the columns that this tenant lets read of the table, those that others that share it let read, too.
	readReadable = `
SELECT column_name FROM unnest($3::text[]) AS c (column_name)
WHERE NOT EXISTS (
    SELECT FROM crm_access.enforcement AS e
    WHERE e.table_name = $4 AND (e.tenant, e.object) <> ($1, $2) AND column_name <> ALL (e.readable))`

	writeMade = `
INSERT INTO crm_access.enforcement (tenant, object, table_name, roles, readable, digest, fingerprint)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant, object) DO UPDATE SET table_name = excluded.table_name, roles = excluded.roles, readable = excluded.readable,
    digest = excluded.digest, fingerprint = excluded.fingerprint`

	readFormer = `SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1) AND rolname <> ALL ($2)`

	forgetMade = `DELETE FROM crm_access.enforcement WHERE tenant = $1 AND object = $2`

	isAlone = `SELECT NOT EXISTS (SELECT FROM crm_access.enforcement WHERE table_name = $3 AND (tenant, object) <> ($1, $2))`

	// Whoever holds the table goes first: a pass later it is tried again. Backslashes are to be what they look like.
	besetting = `
SELECT set_config('lock_timeout', '500ms', true), set_config('standard_conforming_strings', 'on', true)`

	findViewSchema = `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`
)

// mostConditions is how many sets of conditions policies know by themselves: each costs every query a few microseconds.
const mostConditions = 2

// Enforce makes the tables of a tenant's objects enforce what the store holds, for the CRM's roles; what was made for
// objects that have no table any more, or for no roles, is taken down. Each table is by itself: one that somebody holds,
// or that cannot enforce, holds up no other. It changes nothing where nothing is to be changed.
func (s *db) Enforce(ctx context.Context, tenant string, wanted store.Enforcement) (map[string]store.Enforced, error) {
	within, cancel := context.WithTimeout(ctx, s.workTimeout)
	defer cancel()
	plans, err := s.plans(within, tenant, wanted)
	if err != nil {
		return nil, err
	}
	made, err := s.made(within, tenant)
	if err != nil {
		return nil, err
	}
	outcomes := make(map[string]store.Enforced, len(plans))
	for _, m := range made {
		if i := slices.IndexFunc(plans, func(p *enforcement.Plan) bool { return p.Object.Object == m.object }); i >= 0 && plans[i].Storage.Table == m.table {
			continue
		}
		outcome, err := s.takeDown(within, tenant, m)
		if err != nil {
			return outcomes, err
		}
		if outcome.Reason != store.EnforcedByTable {
			outcomes[m.object] = outcome
		}
	}
	for _, plan := range plans {
		if _, waits := outcomes[plan.Object.Object]; waits {
			continue // its former table first
		}
		outcome, err := s.setUp(within, plan, made)
		if err != nil {
			return outcomes, err
		}
		outcomes[plan.Object.Object] = outcome
	}
	return outcomes, nil
}

// made is what was made of an object.
type made struct {
	object, table       string
	roles               []string
	digest, fingerprint string
}

func (s *db) made(ctx context.Context, tenant string) ([]made, error) {
	rows, err := s.pool.Query(ctx, readMade, tenant)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (made, error) {
		var m made
		return m, row.Scan(&m.object, &m.table, &m.roles, &m.digest, &m.fingerprint)
	})
	return all, mapError(ctx, err)
}

// plans are what is to be made; without roles nothing is.
func (s *db) plans(ctx context.Context, tenant string, wanted store.Enforcement) ([]*enforcement.Plan, error) {
	if len(wanted.Roles) == 0 {
		return nil, nil
	}
	roles := slices.Clone(wanted.Roles)
	slices.Sort(roles)
	rows, err := s.pool.Query(ctx, readStorages, tenant)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	plans, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*enforcement.Plan, error) {
		p := &enforcement.Plan{Tenant: tenant, Roles: slices.Compact(roles), ViewOwner: wanted.ViewOwner}
		st, o := &p.Storage, &p.Object
		var columns, fields, conditions []byte
		err := row.Scan(&o.Object, &st.Table, &st.IDColumn, &st.OwnerColumn, &st.DepartmentColumn, &st.ParticipantsColumn, &st.CreatorColumn,
			&st.TenantColumn, &st.TenantValue, &columns, &o.OwnerField, &o.DepartmentField, &o.ParentObject, &fields, &conditions)
		st.Object = o.Object
		return p, errors.Join(err, json.Unmarshal(columns, &st.Columns), json.Unmarshal(fields, &p.Fields), json.Unmarshal(conditions, &p.Conditions))
	})
	return plans, mapError(ctx, err)
}

// inTable runs work on one table in a transaction of its own. What the database refuses becomes an outcome; an error is
// the store's.
func (s *db) inTable(ctx context.Context, table string, work func(context.Context, pgx.Tx) (store.Enforced, error)) (store.Enforced, error) {
	var outcome store.Enforced
	err := s.transact(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		if _, err := tx.Exec(ctx, besetting); err != nil {
			return false, mapError(ctx, err)
		}
		var err error
		if outcome, err = work(ctx, tx); err != nil {
			return false, err
		}
		return outcome.Reason == store.EnforcedByTable, nil
	})
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return outcome, err
	}
	return refusal(table, refused)
}

// refusal says what became of a table by what the database said of a statement. Its text is not passed on, as elsewhere.
func refusal(table string, e *pgconn.PgError) (store.Enforced, error) {
	switch class := class(e); {
	case e.Code == "55P03":
		return store.Enforced{Reason: store.EnforcedWaiting, Message: "somebody holds table " + table + ": it is tried again"}, nil
	case e.Code == insufficientRole:
		return store.Enforced{Reason: store.EnforcedNotPermitted, Message: fmt.Sprintf(
			"the operator's role may not change table %s or make its masked view: make it a member of the table's owner, and the owner of the view's schema (%s)", table, e.Code)}, nil
	case class == "08" || class == "53" || class == "57" || class == "40":
		return store.Enforced{}, mapState(e)
	}
	return store.Enforced{Reason: store.EnforcedRefused, Message: fmt.Sprintf(
		"the database refused to set up table %s: %s; is something else built on its masked view?", table, sentence(e))}, nil
}

// setUp makes one object's table enforce, unless it does.
func (s *db) setUp(ctx context.Context, plan *enforcement.Plan, before []made) (store.Enforced, error) {
	return s.inTable(ctx, plan.Storage.Table, func(ctx context.Context, tx pgx.Tx) (store.Enforced, error) {
		table, obstacle, err := inspect(ctx, tx, plan)
		if err != nil || obstacle.Reason != "" {
			return obstacle, err
		}
		plan.Types = table.types
		all, sets := plan.Conditions, known(plan)
		plan.Conditions, plan.MoreConditions = sets, len(sets) < len(all)
		digest := plan.Digest()
		i := slices.IndexFunc(before, func(m made) bool { return m.object == plan.Object.Object })
		if i >= 0 && before[i].digest == digest {
			seen, err := fingerprint(ctx, tx, plan)
			if err != nil {
				return store.Enforced{}, err
			}
			if held, err := heldElsewhere(ctx, tx, plan); err != nil || (seen == before[i].fingerprint && held == "") {
				return enforcedBy(plan), err
			}
		}
		if i >= 0 {
			if err := withdraw(ctx, tx, plan, before[i]); err != nil {
				return store.Enforced{}, err
			}
		}
		return build(ctx, tx, plan, digest)
	})
}

// known are the sets of conditions that the plan's policies know by themselves: those that most tuples have.
func known(plan *enforcement.Plan) (sets [][]access.WhereFact) {
	for _, where := range plan.Conditions {
		if len(sets) < mostConditions && plan.KnowsConditions(where) {
			sets = append(sets, where)
		}
	}
	return sets
}

// withdraw takes the rights from roles that are no application roles any more.
func withdraw(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan, m made) error {
	former, err := listOf[string](ctx, tx, readFormer, m.roles, append([]string{plan.ViewOwner}, plan.Roles...))
	if err != nil || len(former) == 0 {
		return err
	}
	for _, statement := range enforcement.RemovalOfRights(m.table, former) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func build(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan, digest string) (store.Enforced, error) {
	readable, err := listOf[string](ctx, tx, readReadable, plan.Tenant, plan.Object.Object, plan.Direct(), plan.Storage.Table)
	if err != nil {
		return store.Enforced{}, err
	}
	schema := enforcement.Schema(plan.Tenant)
	var found bool
	if err := tx.QueryRow(ctx, findViewSchema, schema).Scan(&found); err != nil {
		return store.Enforced{}, err
	}
	if !found {
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{schema}.Sanitize()); err != nil {
			return store.Enforced{}, err
		}
	}
	for _, statement := range plan.Statements(append([]string{}, readable...)) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return store.Enforced{}, err
		}
	}
	held, err := heldElsewhere(ctx, tx, plan)
	if err != nil {
		return store.Enforced{}, err
	}
	if held != "" {
		return store.Enforced{Reason: store.EnforcedRight, Message: held}, nil
	}
	seen, err := fingerprint(ctx, tx, plan)
	if err != nil {
		return store.Enforced{}, err
	}
	_, err = tx.Exec(ctx, writeMade, plan.Tenant, plan.Object.Object, plan.Storage.Table, append([]string{plan.ViewOwner}, plan.Roles...), plan.Direct(), digest, seen)
	return enforcedBy(plan), err
}

func enforcedBy(plan *enforcement.Plan) store.Enforced {
	return store.Enforced{Reason: store.EnforcedByTable, Message: "table " + plan.Storage.Table + " enforces; masked view " + enforcement.View(plan.Tenant, plan.Object.Object)}
}

// takeDown removes what was made of an object, and leaves its table closed.
func (s *db) takeDown(ctx context.Context, tenant string, m made) (store.Enforced, error) {
	return s.inTable(ctx, m.table, func(ctx context.Context, tx pgx.Tx) (store.Enforced, error) {
		var alone, there bool
		if err := tx.QueryRow(ctx, isAlone, tenant, m.object, m.table).Scan(&alone); err != nil {
			return store.Enforced{}, err
		}
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, enforcement.Table(m.table)).Scan(&there); err != nil {
			return store.Enforced{}, err
		}
		roles, err := listOf[string](ctx, tx, `SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1)`, m.roles)
		if err != nil {
			return store.Enforced{}, err
		}
		statements := enforcement.RemovalOfView(tenant, m.object)
		if there {
			statements = append(statements, enforcement.RemovalOfPolicies(tenant, m.object, m.table)...)
		}
		if there && alone {
			statements = append(statements, enforcement.RemovalOfRights(m.table, roles)...)
		}
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return store.Enforced{}, err
			}
		}
		_, err = tx.Exec(ctx, forgetMade, tenant, m.object)
		return store.Enforced{Reason: store.EnforcedByTable}, err
	})
}

// listOf reads the one column of a query.
func listOf[T any](ctx context.Context, tx pgx.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[T])
}
