-- What the driver says to the table object_type. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, object, enabled, owner_field, department_field, label_field, parent_object,
    parent_field, actions, variants
FROM object_type WHERE tenant = ?1;

-- name: insert
INSERT INTO object_type (
    tenant, owner_kind, owner_name, key, object, enabled, owner_field, department_field, label_field, parent_object,
    parent_field, actions, variants
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'object',
    value ->> 'enabled', value ->> 'owner_field', value ->> 'department_field', value ->> 'label_field',
    value ->> 'parent_object', value ->> 'parent_field', value ->> 'actions', value ->> 'variants'
FROM json_each(?1);

-- name: update
UPDATE object_type SET
    object = n.object, enabled = n.enabled, owner_field = n.owner_field, department_field = n.department_field,
    label_field = n.label_field, parent_object = n.parent_object, parent_field = n.parent_field, actions = n.actions,
    variants = n.variants
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'object' AS object, value ->> 'enabled' AS enabled,
        value ->> 'owner_field' AS owner_field, value ->> 'department_field' AS department_field,
        value ->> 'label_field' AS label_field, value ->> 'parent_object' AS parent_object,
        value ->> 'parent_field' AS parent_field, value ->> 'actions' AS actions,
        value ->> 'variants' AS variants
    FROM json_each(?1)
) AS n
WHERE object_type.tenant = n.tenant
    AND object_type.owner_kind = n.owner_kind AND object_type.owner_name = n.owner_name AND object_type.key = n.key;

-- name: delete
DELETE FROM object_type
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
