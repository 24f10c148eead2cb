-- What the driver says to the table source. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, uid, spec
FROM crm_access.source WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.source (
    tenant, owner_kind, owner_name, key, uid, spec
)
SELECT
    $1, owner_kind, owner_name, key, uid, spec
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, uid text, spec json
);

-- name: update
UPDATE crm_access.source AS t SET
    uid = n.uid, spec = n.spec
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, uid text, spec json
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.source AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
