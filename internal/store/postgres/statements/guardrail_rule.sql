-- What the driver says to the table guardrail_rule. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, position, rule
FROM crm_access.guardrail_rule WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.guardrail_rule (
    tenant, owner_kind, owner_name, key, position, rule
)
SELECT
    $1, owner_kind, owner_name, key, position, rule
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, position text, rule json
);

-- name: update
UPDATE crm_access.guardrail_rule AS t SET
    position = n.position, rule = n.rule
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, position text, rule json
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.guardrail_rule AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
