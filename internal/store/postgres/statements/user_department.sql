-- What the driver says to the table user_department. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, user_name, department, is_primary
FROM crm_access.user_department WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.user_department (
    tenant, owner_kind, owner_name, key, user_name, department, is_primary
)
SELECT
    $1, owner_kind, owner_name, key, user_name, department, is_primary
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, user_name text, department text, is_primary boolean
);

-- name: update
UPDATE crm_access.user_department AS t SET
    user_name = n.user_name, department = n.department, is_primary = n.is_primary
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, user_name text, department text, is_primary boolean
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.user_department AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
