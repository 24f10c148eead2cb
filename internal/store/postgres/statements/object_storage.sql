-- What the driver says to the table object_storage. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, object, table_name, id_column, owner_column, department_column, participants_column,
    creator_column, tenant_column, tenant_value, columns
FROM crm_access.object_storage WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.object_storage (
    tenant, owner_kind, owner_name, key, object, table_name, id_column, owner_column, department_column,
    participants_column, creator_column, tenant_column, tenant_value, columns
)
SELECT
    $1, owner_kind, owner_name, key, object, table_name, id_column, owner_column, department_column,
    participants_column, creator_column, tenant_column, tenant_value, columns
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, object text, table_name text, id_column text, owner_column text,
    department_column text, participants_column text, creator_column text, tenant_column text, tenant_value text,
    columns jsonb
);

-- name: update
UPDATE crm_access.object_storage AS t SET
    object = n.object, table_name = n.table_name, id_column = n.id_column, owner_column = n.owner_column,
    department_column = n.department_column, participants_column = n.participants_column,
    creator_column = n.creator_column, tenant_column = n.tenant_column, tenant_value = n.tenant_value,
    columns = n.columns
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, object text, table_name text, id_column text, owner_column text,
    department_column text, participants_column text, creator_column text, tenant_column text, tenant_value text,
    columns jsonb
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.object_storage AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
