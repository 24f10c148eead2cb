-- What anybody could make the functions of 0001 and 0013 do. See docs/postgresql.md, "What it does not protect against".

-- A trigger function has its owner's rights, and whoever may execute it may hang it on a table of their own, whose types and
-- casts are theirs as well. Triggers that are there need no right of those who write.
REVOKE EXECUTE ON FUNCTION crm_access.mark_written(), crm_access.mark_updated(), crm_access.mark_truncated(),
    crm_access.refuse_rewriting(), crm_access.guard_row(), crm_access.write_row()
FROM PUBLIC;

-- As before, but for their bodies: a body that is text is read with the search_path of whoever asks, and theirs may hold an
-- unnest or a length of their own.
CREATE OR REPLACE FUNCTION crm_access.integers_of(ids text[], lowest bigint, highest bigint) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT pg_catalog.array_agg(i.id::bigint) FROM pg_catalog.unnest(ids) AS i (id)
    WHERE CASE WHEN i.id OPERATOR (pg_catalog.~) '^(0|-?[1-9][0-9]{0,18})$' THEN i.id::numeric BETWEEN lowest AND highest ELSE false END);

CREATE OR REPLACE FUNCTION crm_access.uuids_of(ids text[]) RETURNS uuid[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT pg_catalog.array_agg(i.id::uuid) FROM pg_catalog.unnest(ids) AS i (id)
    WHERE i.id OPERATOR (pg_catalog.~) '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$');

CREATE OR REPLACE FUNCTION crm_access.masked(value text, type text, keep_first integer, keep_last integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN value IS NULL OR value = '' THEN value
    WHEN type = 'Keep' AND pg_catalog.length(value) > keep_first + keep_last
        THEN pg_catalog.left(value, keep_first) || '****' || pg_catalog.right(value, keep_last)
    WHEN type = 'Email' AND value ~ '^[^@]{3,}@[^@]+$'
        THEN pg_catalog.left(value, 2) || '****' || pg_catalog.substr(value, pg_catalog.strpos(value, '@'))
    WHEN type = 'Email' AND value ~ '^[^@]+@[^@]+$' THEN '****' || pg_catalog.substr(value, pg_catalog.strpos(value, '@'))
    WHEN type = 'Year' AND value ~ '^[0-9]{4}-' THEN pg_catalog.left(value, 4)
    WHEN type IN ('Keep', 'Email', 'Year', 'Listed') THEN '****'
END;

-- As before, but nobody's in a transaction that keeps to one snapshot: it would go on with what has been revoked since.
CREATE OR REPLACE FUNCTION crm_access.subject(tenant text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- subject.expiry.mac, each in its one spelling. Longer than this it is none, and not worth the reading.
    token constant text := left(current_setting('crm_access.token', true), 400) COLLATE "C";
    said constant text := left(token, -65);
    mac constant text := right(token, 64);
    expiry constant text := split_part(said, '.', -1);
    name constant text := left(said, -1 - length(expiry));
    now timestamptz;
    message bytea;
BEGIN
    IF token IS DISTINCT FROM name || '.' || expiry || '.' || mac OR length(mac) <> 64 OR length(expiry) > 12 OR length(name) > 253
        OR translate(mac, '0123456789abcdef', '') <> '' OR translate(expiry, '0123456789', '') <> '' OR left(expiry, 1) IN ('', '0')
        OR name !~ '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$'
        OR current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RETURN NULL;
    END IF;
    now := (SELECT c.now FROM crm_access.clock AS c);
    IF expiry::bigint <= extract(epoch FROM now) THEN
        RETURN NULL;
    END IF;
    message := convert_to('crm-access-token/v1' || chr(10) || tenant || chr(10) || said, 'UTF8');
    RETURN (
        SELECT name FROM crm_access.token_key AS k
        WHERE k.tenant = subject.tenant AND (k.not_after IS NULL OR k.not_after > now)
            -- The macs of the macs are compared: how long it takes says nothing of a mac that would be right.
            AND sha256(k.outer_block || sha256(k.outer_block || sha256(k.inner_block || message)))
                = sha256(k.outer_block || decode(mac, 'hex'))
        LIMIT 1);
END
$$;
