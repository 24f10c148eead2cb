-- What the driver says to the table tuple. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, bundle, path, revoked_by, digest, origin, object, actions, scopes, ids, owners,
    departments, department_trees, conditions, field_rules, restricted, only_fields
FROM tuple WHERE tenant = ?1;

-- name: insert
INSERT INTO tuple (
    tenant, owner_kind, owner_name, key, bundle, path, revoked_by, digest, origin, object, actions, scopes, ids, owners,
    departments, department_trees, conditions, field_rules, restricted, only_fields
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'bundle',
    value ->> 'path', value ->> 'revoked_by', value ->> 'digest', value ->> 'origin', value ->> 'object',
    value ->> 'actions', value ->> 'scopes', value ->> 'ids', value ->> 'owners', value ->> 'departments',
    value ->> 'department_trees', value ->> 'conditions', value ->> 'field_rules', value ->> 'restricted',
    value ->> 'only_fields'
FROM json_each(?1);

-- name: update
UPDATE tuple SET
    bundle = n.bundle, path = n.path, revoked_by = n.revoked_by, digest = n.digest, origin = n.origin,
    object = n.object, actions = n.actions, scopes = n.scopes, ids = n.ids, owners = n.owners,
    departments = n.departments, department_trees = n.department_trees, conditions = n.conditions,
    field_rules = n.field_rules, restricted = n.restricted, only_fields = n.only_fields
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'bundle' AS bundle, value ->> 'path' AS path,
        value ->> 'revoked_by' AS revoked_by, value ->> 'digest' AS digest, value ->> 'origin' AS origin,
        value ->> 'object' AS object, value ->> 'actions' AS actions, value ->> 'scopes' AS scopes,
        value ->> 'ids' AS ids, value ->> 'owners' AS owners, value ->> 'departments' AS departments,
        value ->> 'department_trees' AS department_trees, value ->> 'conditions' AS conditions,
        value ->> 'field_rules' AS field_rules, value ->> 'restricted' AS restricted,
        value ->> 'only_fields' AS only_fields
    FROM json_each(?1)
) AS n
WHERE tuple.tenant = n.tenant
    AND tuple.owner_kind = n.owner_kind AND tuple.owner_name = n.owner_name AND tuple.key = n.key;

-- name: delete
DELETE FROM tuple
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
