-- What the driver says to the table approval. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, for_kind, for_name, effect, decision, approver, person, document
FROM crm_access.approval WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.approval (
    tenant, owner_kind, owner_name, key, for_kind, for_name, effect, decision, approver, person, document
)
SELECT
    $1, owner_kind, owner_name, key, for_kind, for_name, effect, decision, approver, person, document
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, for_kind text, for_name text, effect text, decision text, approver text,
    person text, document json
);

-- name: update
UPDATE crm_access.approval AS t SET
    for_kind = n.for_kind, for_name = n.for_name, effect = n.effect, decision = n.decision, approver = n.approver,
    person = n.person, document = n.document
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, for_kind text, for_name text, effect text, decision text, approver text,
    person text, document json
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.approval AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
