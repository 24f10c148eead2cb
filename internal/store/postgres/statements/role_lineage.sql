-- What the driver says to the table role_lineage. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, role, ancestor
FROM crm_access.role_lineage WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.role_lineage (
    tenant, owner_kind, owner_name, key, role, ancestor
)
SELECT
    $1, owner_kind, owner_name, key, role, ancestor
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, role text, ancestor text
);

-- name: update
UPDATE crm_access.role_lineage AS t SET
    role = n.role, ancestor = n.ancestor
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, role text, ancestor text
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.role_lineage AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
