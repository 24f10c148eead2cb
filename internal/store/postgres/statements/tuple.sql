-- What the driver says to the table tuple. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, bundle, path, revoked_by, digest, origin, object, actions, scopes, ids, owners,
    departments, department_trees, conditions, field_rules, restricted, only_fields
FROM crm_access.tuple WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.tuple (
    tenant, owner_kind, owner_name, key, bundle, path, revoked_by, digest, origin, object, actions, scopes, ids, owners,
    departments, department_trees, conditions, field_rules, restricted, only_fields
)
SELECT
    $1, owner_kind, owner_name, key, bundle, path, revoked_by, digest, origin, object, actions, scopes, ids, owners,
    departments, department_trees, conditions, field_rules, restricted, only_fields
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, bundle text, path text, revoked_by text, digest text, origin text,
    object text, actions text[], scopes text[], ids text[], owners text[], departments text[], department_trees text[],
    conditions jsonb, field_rules jsonb, restricted boolean, only_fields text[]
);

-- name: update
UPDATE crm_access.tuple AS t SET
    bundle = n.bundle, path = n.path, revoked_by = n.revoked_by, digest = n.digest, origin = n.origin,
    object = n.object, actions = n.actions, scopes = n.scopes, ids = n.ids, owners = n.owners,
    departments = n.departments, department_trees = n.department_trees, conditions = n.conditions,
    field_rules = n.field_rules, restricted = n.restricted, only_fields = n.only_fields
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, bundle text, path text, revoked_by text, digest text, origin text,
    object text, actions text[], scopes text[], ids text[], owners text[], departments text[], department_trees text[],
    conditions jsonb, field_rules jsonb, restricted boolean, only_fields text[]
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.tuple AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
