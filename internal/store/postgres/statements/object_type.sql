-- What the driver says to the table object_type. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, object, enabled, owner_field, department_field, label_field, parent_object,
    parent_field, actions, variants
FROM crm_access.object_type WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.object_type (
    tenant, owner_kind, owner_name, key, object, enabled, owner_field, department_field, label_field, parent_object,
    parent_field, actions, variants
)
SELECT
    $1, owner_kind, owner_name, key, object, enabled, owner_field, department_field, label_field, parent_object,
    parent_field, actions, variants
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, object text, enabled boolean, owner_field text, department_field text,
    label_field text, parent_object text, parent_field text, actions text[], variants jsonb
);

-- name: update
UPDATE crm_access.object_type AS t SET
    object = n.object, enabled = n.enabled, owner_field = n.owner_field, department_field = n.department_field,
    label_field = n.label_field, parent_object = n.parent_object, parent_field = n.parent_field, actions = n.actions,
    variants = n.variants
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, object text, enabled boolean, owner_field text, department_field text,
    label_field text, parent_object text, parent_field text, actions text[], variants jsonb
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.object_type AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
