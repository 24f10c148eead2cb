-- What the driver says to the table department. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, department, display_name, parent, manager
FROM department WHERE tenant = ?1;

-- name: insert
INSERT INTO department (
    tenant, owner_kind, owner_name, key, department, display_name, parent, manager
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'department',
    value ->> 'display_name', value ->> 'parent', value ->> 'manager'
FROM json_each(?1);

-- name: update
UPDATE department SET
    department = n.department, display_name = n.display_name, parent = n.parent, manager = n.manager
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'department' AS department, value ->> 'display_name' AS display_name,
        value ->> 'parent' AS parent, value ->> 'manager' AS manager
    FROM json_each(?1)
) AS n
WHERE department.tenant = n.tenant
    AND department.owner_kind = n.owner_kind AND department.owner_name = n.owner_name AND department.key = n.key;

-- name: delete
DELETE FROM department
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
