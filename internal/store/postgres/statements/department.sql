-- What the driver says to the table department. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, department, display_name, parent, manager
FROM crm_access.department WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.department (
    tenant, owner_kind, owner_name, key, department, display_name, parent, manager
)
SELECT
    $1, owner_kind, owner_name, key, department, display_name, parent, manager
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, department text, display_name text, parent text, manager text
);

-- name: update
UPDATE crm_access.department AS t SET
    department = n.department, display_name = n.display_name, parent = n.parent, manager = n.manager
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, department text, display_name text, parent text, manager text
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.department AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
