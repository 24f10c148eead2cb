-- What the driver says to the table approval. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, for_kind, for_name, effect, decision, approver, person, document
FROM approval WHERE tenant = ?1;

-- name: insert
INSERT INTO approval (
    tenant, owner_kind, owner_name, key, for_kind, for_name, effect, decision, approver, person, document
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'for_kind',
    value ->> 'for_name', value ->> 'effect', value ->> 'decision', value ->> 'approver', value ->> 'person',
    value ->> 'document'
FROM json_each(?1);

-- name: update
UPDATE approval SET
    for_kind = n.for_kind, for_name = n.for_name, effect = n.effect, decision = n.decision, approver = n.approver,
    person = n.person, document = n.document
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'for_kind' AS for_kind, value ->> 'for_name' AS for_name,
        value ->> 'effect' AS effect, value ->> 'decision' AS decision, value ->> 'approver' AS approver,
        value ->> 'person' AS person, value ->> 'document' AS document
    FROM json_each(?1)
) AS n
WHERE approval.tenant = n.tenant
    AND approval.owner_kind = n.owner_kind AND approval.owner_name = n.owner_name AND approval.key = n.key;

-- name: delete
DELETE FROM approval
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
