-- What the driver says to the table holder. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, user_name, bundle, role, revoked_by, not_before, not_after
FROM holder WHERE tenant = ?1;

-- name: insert
INSERT INTO holder (
    tenant, owner_kind, owner_name, key, user_name, bundle, role, revoked_by, not_before, not_after
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'user_name',
    value ->> 'bundle', value ->> 'role', value ->> 'revoked_by', value ->> 'not_before', value ->> 'not_after'
FROM json_each(?1);

-- name: update
UPDATE holder SET
    user_name = n.user_name, bundle = n.bundle, role = n.role, revoked_by = n.revoked_by, not_before = n.not_before,
    not_after = n.not_after
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'user_name' AS user_name, value ->> 'bundle' AS bundle,
        value ->> 'role' AS role, value ->> 'revoked_by' AS revoked_by, value ->> 'not_before' AS not_before,
        value ->> 'not_after' AS not_after
    FROM json_each(?1)
) AS n
WHERE holder.tenant = n.tenant
    AND holder.owner_kind = n.owner_kind AND holder.owner_name = n.owner_name AND holder.key = n.key;

-- name: delete
DELETE FROM holder
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
