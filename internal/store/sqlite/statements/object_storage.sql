-- What the driver says to the table object_storage. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, object, table_name, id_column, owner_column, department_column, participants_column,
    creator_column, tenant_column, tenant_value, columns
FROM object_storage WHERE tenant = ?1;

-- name: insert
INSERT INTO object_storage (
    tenant, owner_kind, owner_name, key, object, table_name, id_column, owner_column, department_column,
    participants_column, creator_column, tenant_column, tenant_value, columns
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'object',
    value ->> 'table_name', value ->> 'id_column', value ->> 'owner_column', value ->> 'department_column',
    value ->> 'participants_column', value ->> 'creator_column', value ->> 'tenant_column', value ->> 'tenant_value',
    value ->> 'columns'
FROM json_each(?1);

-- name: update
UPDATE object_storage SET
    object = n.object, table_name = n.table_name, id_column = n.id_column, owner_column = n.owner_column,
    department_column = n.department_column, participants_column = n.participants_column,
    creator_column = n.creator_column, tenant_column = n.tenant_column, tenant_value = n.tenant_value,
    columns = n.columns
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'object' AS object, value ->> 'table_name' AS table_name,
        value ->> 'id_column' AS id_column, value ->> 'owner_column' AS owner_column,
        value ->> 'department_column' AS department_column, value ->> 'participants_column' AS participants_column,
        value ->> 'creator_column' AS creator_column, value ->> 'tenant_column' AS tenant_column,
        value ->> 'tenant_value' AS tenant_value, value ->> 'columns' AS columns
    FROM json_each(?1)
) AS n
WHERE object_storage.tenant = n.tenant
    AND object_storage.owner_kind = n.owner_kind AND object_storage.owner_name = n.owner_name AND object_storage.key = n.key;

-- name: delete
DELETE FROM object_storage
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
