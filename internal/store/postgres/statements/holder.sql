-- What the driver says to the table holder. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, user_name, bundle, role, revoked_by, not_before, not_after
FROM crm_access.holder WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.holder (
    tenant, owner_kind, owner_name, key, user_name, bundle, role, revoked_by, not_before, not_after
)
SELECT
    $1, owner_kind, owner_name, key, user_name, bundle, role, revoked_by, not_before, not_after
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, user_name text, bundle text, role text, revoked_by text,
    not_before timestamptz, not_after timestamptz
);

-- name: update
UPDATE crm_access.holder AS t SET
    user_name = n.user_name, bundle = n.bundle, role = n.role, revoked_by = n.revoked_by, not_before = n.not_before,
    not_after = n.not_after
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, user_name text, bundle text, role text, revoked_by text,
    not_before timestamptz, not_after timestamptz
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.holder AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
