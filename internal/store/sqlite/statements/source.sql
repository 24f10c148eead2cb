-- What the driver says to the table source. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, uid, spec
FROM source WHERE tenant = ?1;

-- name: insert
INSERT INTO source (
    tenant, owner_kind, owner_name, key, uid, spec
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'uid',
    value ->> 'spec'
FROM json_each(?1);

-- name: update
UPDATE source SET
    uid = n.uid, spec = n.spec
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'uid' AS uid, value ->> 'spec' AS spec
    FROM json_each(?1)
) AS n
WHERE source.tenant = n.tenant
    AND source.owner_kind = n.owner_kind AND source.owner_name = n.owner_name AND source.key = n.key;

-- name: delete
DELETE FROM source
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
