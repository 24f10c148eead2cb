-- What the driver says to the table crm_user. $1 is the tenant, $2 an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, user_name, display_name, type, state, manager, successor, revoked_by, logins
FROM crm_access.crm_user WHERE tenant = $1;

-- name: insert
INSERT INTO crm_access.crm_user (
    tenant, owner_kind, owner_name, key, user_name, display_name, type, state, manager, successor, revoked_by, logins
)
SELECT
    $1, owner_kind, owner_name, key, user_name, display_name, type, state, manager, successor, revoked_by, logins
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, user_name text, display_name text, type text, state text, manager text,
    successor text, revoked_by text, logins jsonb
);

-- name: update
UPDATE crm_access.crm_user AS t SET
    user_name = n.user_name, display_name = n.display_name, type = n.type, state = n.state, manager = n.manager,
    successor = n.successor, revoked_by = n.revoked_by, logins = n.logins
FROM json_to_recordset($2) AS n (
    owner_kind text, owner_name text, key text, user_name text, display_name text, type text, state text, manager text,
    successor text, revoked_by text, logins jsonb
)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;

-- name: delete
DELETE FROM crm_access.crm_user AS t
USING json_to_recordset($2) AS n (owner_kind text, owner_name text, key text)
WHERE t.tenant = $1 AND t.owner_kind = n.owner_kind AND t.owner_name = n.owner_name AND t.key = n.key;
