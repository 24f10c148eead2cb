-- What the driver says to the table user_department. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, user_name, department, is_primary
FROM user_department WHERE tenant = ?1;

-- name: insert
INSERT INTO user_department (
    tenant, owner_kind, owner_name, key, user_name, department, is_primary
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'user_name',
    value ->> 'department', value ->> 'is_primary'
FROM json_each(?1);

-- name: update
UPDATE user_department SET
    user_name = n.user_name, department = n.department, is_primary = n.is_primary
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'user_name' AS user_name, value ->> 'department' AS department,
        value ->> 'is_primary' AS is_primary
    FROM json_each(?1)
) AS n
WHERE user_department.tenant = n.tenant
    AND user_department.owner_kind = n.owner_kind AND user_department.owner_name = n.owner_name AND user_department.key = n.key;

-- name: delete
DELETE FROM user_department
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
