package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/store"
	"github.com/crmaccess/crm-access-operator/internal/store/postgres/enforcement"
)

const (
	findTable = `
SELECT c.relkind IN ('r', 'p') FROM pg_class AS c WHERE c.oid = to_regclass($1)`

	// A policy binds a relation that is named in the query: of the same rows, asked of another one, it says nothing.
	findRelations = `
SELECT CASE WHEN c.relkind = 'p' THEN 'is partitioned' WHEN c.relispartition THEN 'is a partition' ELSE 'has inheritance children or parents' END
FROM pg_class AS c
WHERE c.oid = to_regclass($1)
    AND (c.relkind = 'p' OR c.relispartition OR EXISTS (SELECT FROM pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent)))`

	// A collation that is not deterministic takes two names for one.
	readColumns = `
SELECT a.attname::text, t.typname::text, coalesce(c.collisdeterministic, true)
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`

	// The roles that are not there, or that policies do not bind: as themselves, or as a role that SET ROLE makes of them.
	unsuitedRoles = `
SELECT n.name FROM unnest($2::text[]) AS n (name)
LEFT JOIN pg_roles AS r ON r.rolname = n.name
WHERE r.oid IS NULL
    OR EXISTS (SELECT FROM pg_roles AS m WHERE pg_has_role(r.oid, m.oid, 'MEMBER') AND (m.rolsuper OR m.rolbypassrls))
    OR pg_has_role(r.oid, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = to_regclass($1)), 'MEMBER')
    OR pg_has_role(r.oid, current_user, 'MEMBER')
    OR n.name <> $3 AND pg_has_role(r.oid, $3, 'MEMBER')`

	// Somebody else's policies that would show an application role more: permissive ones are ORed.
	foreignPolicies = `
SELECT p.polname::text FROM pg_policy AS p
WHERE p.polrelid = to_regclass($1) AND p.polpermissive AND p.polname !~ '^crm_access_[0-9a-f]{12}_(select|insert|update|delete|view)$'
    AND (0 = ANY (p.polroles) OR EXISTS (
        SELECT FROM unnest(p.polroles) AS o (role), unnest($2::text[]) AS n (name) WHERE pg_has_role(n.name, o.role, 'MEMBER')))`

	// Others that have the same rows: in the same table, and not told apart by one column's value.
	sharers = `
SELECT s.tenant || '/' || s.object FROM crm_access.object_storage AS s
WHERE s.table_name = $3 AND (s.tenant, s.object) <> ($1, $2)
    AND (s.tenant_column <> $4 OR s.tenant_column = '' OR s.tenant_value = $5)
    AND (s.tenant = $1 OR EXISTS (
        SELECT FROM crm_access.enforcement AS e WHERE e.tenant = s.tenant AND e.object = s.object AND e.table_name = s.table_name))
LIMIT 1`

	// Rights that nobody here has granted: by PUBLIC, or by another role that the application's inherits from or can become.
	// REFERENCES tells which values there are, whoever may see them; a trigger runs as whoever writes.
	heldRights = `
WITH role AS (
    SELECT m.oid, n.name || CASE WHEN m.rolname = n.name THEN '' ELSE ' as ' || m.rolname END AS name
    FROM unnest($2::text[]) AS n (name), pg_roles AS m WHERE pg_has_role(n.name, m.oid, 'MEMBER')
)
SELECT r.name || ' ' || lower(k.kind) || ' ' || a.attname
FROM role AS r, pg_attribute AS a, (VALUES ('SELECT'), ('UPDATE')) AS k (kind)
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
    AND has_column_privilege(r.oid, a.attrelid, a.attnum, k.kind)
    AND (k.kind = 'SELECT' AND a.attname <> ALL ($3::text[]) OR k.kind = 'UPDATE' AND a.attname <> ALL ($4::text[]))
UNION ALL
SELECT r.name || ' ' || lower(k.kind) FROM role AS r, (VALUES ('TRUNCATE'), ('TRIGGER')) AS k (kind)
WHERE has_table_privilege(r.oid, to_regclass($1)::oid, k.kind)
UNION ALL
SELECT r.name || ' references' FROM role AS r WHERE has_any_column_privilege(r.oid, to_regclass($1)::oid, 'REFERENCES')
ORDER BY 1 LIMIT 1`

	// What the catalogue says of all that was made.
	readFingerprint = `
SELECT md5(coalesce(string_agg(said, '|' ORDER BY said), '')) FROM (
    SELECT concat_ws(' ', p.polname, p.polcmd, p.polpermissive, (SELECT array_agg(r.rolname ORDER BY r.rolname) FROM pg_roles AS r WHERE r.oid = ANY (p.polroles)),
        pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS said
    FROM pg_policy AS p WHERE p.polrelid = to_regclass($1) AND p.polname = ANY ($3::text[])
    UNION ALL
    SELECT concat_ws(' ', c.relkind, c.relrowsecurity, c.relowner::regrole, c.reloptions, c.relacl) FROM pg_class AS c WHERE c.oid = to_regclass($2)
    UNION ALL
    SELECT concat_ws(' ', c.relrowsecurity) FROM pg_class AS c WHERE c.oid = to_regclass($1)
    UNION ALL
    SELECT pg_get_viewdef(to_regclass($2))
    UNION ALL
    SELECT concat_ws(' ', t.tgname, t.tgenabled, pg_get_triggerdef(t.oid)) FROM pg_trigger AS t
    WHERE t.tgrelid = to_regclass($2) OR t.tgrelid = to_regclass($1) AND t.tgname = ANY ($4::text[])
) AS c`
)

// steady are the types whose values read alike in every session: none follows a setting such as the time zone or the
// number of a float's digits, so that a condition means the same to whoever asks and to the engine.
var steady = []string{"text", "varchar", "bool", "int2", "int4", "int8", "numeric", "uuid", "date", "timestamp", "_text"}

// inspected is what the catalogue says of a table.
type inspected struct {
	types map[string]string
}

// inspect looks whether a table can enforce the plan, and says what stands in the way.
func inspect(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan) (inspected, store.Enforced, error) {
	name := enforcement.Table(plan.Storage.Table)
	table := inspected{types: make(map[string]string)}
	found, err := listOf[bool](ctx, tx, findTable, name)
	switch {
	case err != nil:
		return table, store.Enforced{}, err
	case len(found) == 0 || !found[0]:
		return table, obstacle(store.EnforcedNoTable, "there is no table %s: create it, or correct spec.storage.table", plan.Storage.Table), nil
	}
	unsuited, err := table.read(ctx, tx, plan)
	if err != nil || unsuited.Reason != "" {
		return table, unsuited, err
	}
	for _, look := range []func(context.Context, pgx.Tx, *enforcement.Plan) (store.Enforced, error){noRelation, rolesBound, noForeignPolicy, rowsOfItsOwn} {
		if obstacle, err := look(ctx, tx, plan); err != nil || obstacle.Reason != "" {
			return table, obstacle, err
		}
	}
	return table, store.Enforced{}, nil
}

func obstacle(reason store.EnforcedReason, format string, args ...any) store.Enforced {
	return store.Enforced{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// read reads the columns' types, and says which column cannot be compared as decisions compare.
func (t *inspected) read(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan) (store.Enforced, error) {
	rows, err := tx.Query(ctx, readColumns, enforcement.Table(plan.Storage.Table)) //nolint:rowserrcheck // ForEachRow returns it
	if err != nil {
		return store.Enforced{}, err
	}
	loose := make(map[string]bool)
	var name, kind string
	var deterministic bool
	if _, err := pgx.ForEachRow(rows, []any{&name, &kind, &deterministic}, func() error {
		t.types[name], loose[name] = kind, !deterministic
		return nil
	}); err != nil {
		return store.Enforced{}, err
	}
	for _, column := range plan.Columns() {
		if t.types[column] == "" {
			return obstacle(store.EnforcedNoTable, "table %s has no column %s: add it, or correct spec.storage", plan.Storage.Table, column), nil
		}
		if loose[column] {
			return obstacle(store.EnforcedUnsuited, "column %s of table %s has a collation that is not deterministic: it takes different names for one", column, plan.Storage.Table), nil
		}
	}
	s := &plan.Storage
	for _, c := range []struct {
		column string
		kinds  []string
	}{
		{s.OwnerColumn, []string{"text", "varchar"}}, {s.DepartmentColumn, []string{"text", "varchar"}}, {s.CreatorColumn, []string{"text", "varchar"}},
		{s.TenantColumn, []string{"text", "varchar"}}, {s.ParticipantsColumn, []string{"_text"}}, {s.IDColumn, []string{"text", "varchar", "int2", "int4", "int8", "uuid"}},
	} {
		if c.column != "" && !slices.Contains(c.kinds, t.types[c.column]) {
			return obstacle(store.EnforcedUnsuited, "column %s of table %s is of type %s: want %s", c.column, s.Table, t.types[c.column], strings.Join(c.kinds, " or ")), nil
		}
	}
	for _, column := range plan.Columns() {
		if !slices.Contains(steady, t.types[column]) {
			return obstacle(store.EnforcedUnsuited, "column %s of table %s is of type %s, which a condition may read differently in each session: want %s",
				column, s.Table, t.types[column], strings.Join(steady, " or ")), nil
		}
	}
	return store.Enforced{}, nil
}

// noRelation refuses a table whose rows another relation shows, too, or that shows another's.
func noRelation(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan) (store.Enforced, error) {
	related, err := listOf[string](ctx, tx, findRelations, enforcement.Table(plan.Storage.Table))
	if err != nil || len(related) == 0 {
		return store.Enforced{}, err
	}
	return obstacle(store.EnforcedShared, "table %s %s: its rows can be had from a relation that no policy binds; keep them in one plain table", plan.Storage.Table, related[0]), nil
}

func rolesBound(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan) (store.Enforced, error) {
	roles, err := listOf[string](ctx, tx, unsuitedRoles, enforcement.Table(plan.Storage.Table), append([]string{plan.ViewOwner}, plan.Roles...), plan.ViewOwner)
	if err != nil || len(roles) == 0 {
		return store.Enforced{}, err
	}
	return obstacle(store.EnforcedRole, "role %s does not exist, or policies do not bind it: it must be no superuser, not BYPASSRLS, and no member of such a role, of the one that owns table %s, of the operator's, or of %s",
		roles[0], plan.Storage.Table, plan.ViewOwner), nil
}

func noForeignPolicy(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan) (store.Enforced, error) {
	policies, err := listOf[string](ctx, tx, foreignPolicies, enforcement.Table(plan.Storage.Table), append([]string{plan.ViewOwner}, plan.Roles...))
	if err != nil || len(policies) == 0 {
		return store.Enforced{}, err
	}
	return obstacle(store.EnforcedForeign, "policy %s on table %s would show more than access allows: make it restrictive, or drop it", policies[0], plan.Storage.Table), nil
}

func rowsOfItsOwn(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan) (store.Enforced, error) {
	s := &plan.Storage
	others, err := listOf[string](ctx, tx, sharers, plan.Tenant, plan.Object.Object, s.Table, s.TenantColumn, s.TenantValue)
	if err != nil || len(others) == 0 {
		return store.Enforced{}, err
	}
	return obstacle(store.EnforcedShared, "table %s holds the records of another object, %s, and no tenant column tells them apart: give both spec.storage.tenant with a value of its own",
		s.Table, others[0]), nil
}

// heldElsewhere names a right to the table that an application role has though nobody here has granted it.
func heldElsewhere(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan) (string, error) {
	held, err := listOf[string](ctx, tx, heldRights, enforcement.Table(plan.Storage.Table), plan.Roles, plan.Direct(), plan.Writable())
	if err != nil || len(held) == 0 {
		return "", err
	}
	return fmt.Sprintf("a right to table %s comes from elsewhere, by PUBLIC or another role: %s; revoke it", plan.Storage.Table, held[0]), nil
}

func fingerprint(ctx context.Context, tx pgx.Tx, plan *enforcement.Plan) (string, error) {
	var seen string
	err := tx.QueryRow(ctx, readFingerprint, enforcement.Table(plan.Storage.Table), enforcement.View(plan.Tenant, plan.Object.Object),
		plan.PolicyNames(), enforcement.Guards).Scan(&seen)
	return seen, err
}
