-- What the driver says to the table crm_user. A load's ?1 is the tenant; a write's ?1 is an array of rows.

-- name: load
SELECT
    owner_kind, owner_name, key, user_name, display_name, type, state, manager, successor, revoked_by, logins
FROM crm_user WHERE tenant = ?1;

-- name: insert
INSERT INTO crm_user (
    tenant, owner_kind, owner_name, key, user_name, display_name, type, state, manager, successor, revoked_by, logins
)
SELECT
    value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key', value ->> 'user_name',
    value ->> 'display_name', value ->> 'type', value ->> 'state', value ->> 'manager', value ->> 'successor',
    value ->> 'revoked_by', value ->> 'logins'
FROM json_each(?1);

-- name: update
UPDATE crm_user SET
    user_name = n.user_name, display_name = n.display_name, type = n.type, state = n.state, manager = n.manager,
    successor = n.successor, revoked_by = n.revoked_by, logins = n.logins
FROM (
    SELECT
        value ->> 'tenant' AS tenant, value ->> 'owner_kind' AS owner_kind, value ->> 'owner_name' AS owner_name,
        value ->> 'key' AS key, value ->> 'user_name' AS user_name, value ->> 'display_name' AS display_name,
        value ->> 'type' AS type, value ->> 'state' AS state, value ->> 'manager' AS manager,
        value ->> 'successor' AS successor, value ->> 'revoked_by' AS revoked_by,
        value ->> 'logins' AS logins
    FROM json_each(?1)
) AS n
WHERE crm_user.tenant = n.tenant
    AND crm_user.owner_kind = n.owner_kind AND crm_user.owner_name = n.owner_name AND crm_user.key = n.key;

-- name: delete
DELETE FROM crm_user
WHERE (tenant, owner_kind, owner_name, key) IN (
    SELECT value ->> 'tenant', value ->> 'owner_kind', value ->> 'owner_name', value ->> 'key' FROM json_each(?1)
);
