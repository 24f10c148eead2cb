-- What the driver says to the table object_field. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, object, field, class, mask
FROM crm_access.object_field WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.object_field (
    tenant, owner_kind, owner_name, key, object, field, class, mask
)
SELECT
    $1, owner_kind, owner_name, key, object, field, class, mask
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, object text, field text, class text, mask jsonb
);

-- name: update
UPDATE crm_access.object_field AS t SET
    object = n.object, field = n.field, class = n.class, mask = n.mask
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, object text, field text, class text, mask jsonb
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.object_field AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
