-- What the driver says to the table role_lineage. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, role, ancestor
FROM role_lineage WHERE tenant = ?1;

-- name: insert
INSERT INTO role_lineage (
    tenant, owner_kind, owner_name, key, role, ancestor
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'role',
    value ->> 'ancestor'
FROM json_each(?1);

-- name: update
UPDATE role_lineage SET
    role = n.role, ancestor = n.ancestor
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'role' AS role, value ->> 'ancestor' AS ancestor
    FROM json_each(?1)
) AS n
WHERE role_lineage.tenant = n.tenant
    AND role_lineage.owner_kind = n.owner_kind AND role_lineage.owner_name = n.owner_name AND role_lineage.key = n.key;

-- name: delete
DELETE FROM role_lineage
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
