-- The keys of subject tokens, and who asks: see docs/postgresql.md. A key is nobody's content: no declaration owns it, no
-- revision or ledger counts it.

CREATE TABLE crm_access.token_key (
    tenant text NOT NULL,
    number bigint NOT NULL,
    -- The key as HMAC begins its two hashes with it (RFC 2104): padded to a block, combined with 0x36 and with 0x5c. With
    -- them sha256() is all that SQL needs.
    inner_block bytea NOT NULL CHECK (length(inner_block) = 64),
    outer_block bytea NOT NULL CHECK (length(outer_block) = 64),
    -- Until when it verifies. The newest has no end, and alone mints.
    not_after timestamptz CHECK (isfinite(not_after) AND date_trunc('second', not_after) = not_after),
    PRIMARY KEY (tenant, number)
);

CREATE UNIQUE INDEX token_key_newest ON crm_access.token_key (tenant) WHERE not_after IS NULL;

-- Whose token the session's setting crm_access.token holds; null where it is nobody's. Whatever the setting holds, it is
-- no error: a policy that asks would fail for everybody who set nothing.
CREATE FUNCTION crm_access.subject(tenant text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- subject.expiry.mac, each in its one spelling. Longer than this it is none, and not worth the reading.
    parts constant text[] := regexp_match(
        left(current_setting('crm_access.token', true), 400) COLLATE "C",
        '^([a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?)\.([1-9][0-9]{0,11})\.([0-9a-f]{64})$');
    now constant timestamptz := (SELECT c.now FROM crm_access.clock AS c);
    message bytea;
BEGIN
    IF parts IS NULL OR parts[2]::bigint <= extract(epoch FROM now) THEN
        RETURN NULL;
    END IF;
    message := convert_to('crm-access-token/v1' || chr(10) || tenant || chr(10) || parts[1] || '.' || parts[2], 'UTF8');
    RETURN (
        SELECT parts[1] FROM crm_access.token_key AS k
        WHERE k.tenant = subject.tenant AND (k.not_after IS NULL OR k.not_after > now)
            -- The macs of the macs are compared: how long it takes says nothing of a mac that would be right.
            AND sha256(k.outer_block || sha256(k.outer_block || sha256(k.inner_block || message)))
                = sha256(k.outer_block || decode(parts[3], 'hex'))
        LIMIT 1);
END
$$;

-- Mints a token for a user. Who may do this may be anybody: it is for the service at which people log in, and not for the
-- role that the CRM reads its tables with.
CREATE FUNCTION crm_access.mint_token(tenant text, subject text, lifetime interval) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seconds constant bigint := floor(extract(epoch FROM lifetime));
    said constant text := subject || '.' || floor(extract(epoch FROM (SELECT c.now FROM crm_access.clock AS c)))::bigint + seconds;
    token text;
BEGIN
    IF NOT coalesce(length(subject) <= 253 AND subject COLLATE "C" ~ '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$', false) THEN
        RAISE EXCEPTION 'minting a token: the subject is not the name of a user'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the name of the User, such as li-ting.';
    END IF;
    IF NOT coalesce(seconds BETWEEN 1 AND 3600, false) THEN
        RAISE EXCEPTION 'minting a token for %: it would last % seconds', subject, seconds
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a lifetime of one second to one hour.';
    END IF;
    SELECT said || '.' || encode(sha256(k.outer_block || sha256(k.inner_block
        || convert_to('crm-access-token/v1' || chr(10) || mint_token.tenant || chr(10) || said, 'UTF8'))), 'hex')
    INTO token
    FROM crm_access.token_key AS k WHERE k.tenant = mint_token.tenant AND k.not_after IS NULL;
    IF token IS NULL THEN
        RAISE EXCEPTION 'minting a token for %: the tenant has no key', subject
            USING ERRCODE = 'no_data_found', HINT = 'Tenants get one when the operator claims them.';
    END IF;
    RETURN token;
END
$$;

REVOKE EXECUTE ON FUNCTION crm_access.mint_token(text, text, interval) FROM PUBLIC;
