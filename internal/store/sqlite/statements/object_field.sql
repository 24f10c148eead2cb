-- What the driver says to the table object_field. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, object, field, class, mask
FROM object_field WHERE tenant = ?1;

-- name: insert
INSERT INTO object_field (
    tenant, owner_kind, owner_name, key, object, field, class, mask
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'object',
    value ->> 'field', value ->> 'class', value ->> 'mask'
FROM json_each(?1);

-- name: update
UPDATE object_field SET
    object = n.object, field = n.field, class = n.class, mask = n.mask
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'object' AS object, value ->> 'field' AS field, value ->> 'class' AS class,
        value ->> 'mask' AS mask
    FROM json_each(?1)
) AS n
WHERE object_field.tenant = n.tenant
    AND object_field.owner_kind = n.owner_kind AND object_field.owner_name = n.owner_name AND object_field.key = n.key;

-- name: delete
DELETE FROM object_field
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
