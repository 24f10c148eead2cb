-- What the driver says to the table guardrail_rule. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, position, rule
FROM guardrail_rule WHERE tenant = ?1;

-- name: insert
INSERT INTO guardrail_rule (
    tenant, owner_kind, owner_name, key, position, rule
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'position',
    value ->> 'rule'
FROM json_each(?1);

-- name: update
UPDATE guardrail_rule SET
    position = n.position, rule = n.rule
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'position' AS position, value ->> 'rule' AS rule
    FROM json_each(?1)
) AS n
WHERE guardrail_rule.tenant = n.tenant
    AND guardrail_rule.owner_kind = n.owner_kind AND guardrail_rule.owner_name = n.owner_name AND guardrail_rule.key = n.key;

-- name: delete
DELETE FROM guardrail_rule
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
