-- What the driver says to the table department_closure. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, department, ancestor
FROM department_closure WHERE tenant = ?1;

-- name: insert
INSERT INTO department_closure (
    tenant, owner_kind, owner_name, key, department, ancestor
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'department',
    value ->> 'ancestor'
FROM json_each(?1);

-- name: update
UPDATE department_closure SET
    department = n.department, ancestor = n.ancestor
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'department' AS department, value ->> 'ancestor' AS ancestor
    FROM json_each(?1)
) AS n
WHERE department_closure.tenant = n.tenant
    AND department_closure.owner_kind = n.owner_kind AND department_closure.owner_name = n.owner_name AND department_closure.key = n.key;

-- name: delete
DELETE FROM department_closure
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
