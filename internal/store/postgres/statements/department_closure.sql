-- What the driver says to the table department_closure. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, department, ancestor
FROM crm_access.department_closure WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.department_closure (
    tenant, owner_kind, owner_name, key, department, ancestor
)
SELECT
    $1, owner_kind, owner_name, key, department, ancestor
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, department text, ancestor text
);

-- name: update
UPDATE crm_access.department_closure AS t SET
    department = n.department, ancestor = n.ancestor
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, department text, ancestor text
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.department_closure AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
