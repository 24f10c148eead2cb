-- An approval is of one operation, once, inside PostgreSQL, too. See docs/postgresql.md.

-- What is decided of an operation that is about to be done. Where it is allowed by an approval, that is spent in the same
-- statement: of two at once the second waits for the first, and finds it spent.
CREATE FUNCTION crm_access.spend(
    tenant text, subject text, action text, object text, record jsonb, fields text[], context jsonb, at timestamptz,
    OUT decision text, OUT levels jsonb)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    approval constant text := crm_access.text_of(context -> 'approval');
BEGIN
    PERFORM FROM crm_access.request AS r
    WHERE r.tenant = spend.tenant AND r.id = approval AND r.subject = spend.subject AND r.used_at IS NULL FOR UPDATE;
    SELECT d.decision, d.levels INTO decision, levels
    FROM crm_access.decide_as(tenant, subject, action, object, record, fields, context, at) AS d;
    IF decision <> 'allow' OR approval = '' THEN
        RETURN;
    END IF;
    IF (crm_access.decide_as(tenant, subject, action, object, record, fields, context - 'approval', at)).decision <> 'allow' THEN
        UPDATE crm_access.request AS r SET used_at = date_trunc('second', (SELECT c.now FROM crm_access.clock AS c))
        WHERE r.tenant = spend.tenant AND r.id = approval;
    END IF;
END
$$;

-- As decide, for who does at once what is allowed: the approval that it needed is spent.
CREATE FUNCTION crm_access.use(
    action text, object text, record jsonb DEFAULT NULL, fields text[] DEFAULT '{}', context jsonb DEFAULT NULL,
    OUT decision text, OUT levels jsonb)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant record := crm_access.asking();
BEGIN
    SELECT d.decision, d.levels INTO decision, levels
    FROM crm_access.spend(
        who.tenant, who.subject, action, object, record, fields, coalesce(context, crm_access.session_context()), crm_access.at()) AS d;
END
$$;

-- As before, and an approval is spent. An update is asked for twice, of its fields and of the row that comes of it: the
-- second spends.
CREATE OR REPLACE FUNCTION crm_access.require(tenant text, object text, action text, record jsonb, fields text[], target jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    subject constant text := crm_access.subject(tenant);
    now constant timestamptz := (SELECT c.now FROM crm_access.clock AS c);
    context jsonb := crm_access.session_context();
    decision text := 'deny';
BEGIN
    IF subject IS NULL THEN
        RAISE EXCEPTION '% of %: no token says who asks', action, object
            USING ERRCODE = 'insufficient_privilege', HINT = 'Set crm_access.token.';
    END IF;
    IF target IS NOT NULL AND coalesce(jsonb_typeof(context), 'object') = 'object' THEN
        context := coalesce(context, '{}') || jsonb_build_object('target', target);
    END IF;
    IF action = 'update' AND fields <> '{}' THEN
        SELECT d.decision INTO decision
        FROM crm_access.decide_as(tenant, subject, action, object, record, fields, context, now) AS d;
    ELSE
        SELECT d.decision INTO decision
        FROM crm_access.spend(tenant, subject, action, object, record, fields, context, now) AS d;
    END IF;
    IF decision IS DISTINCT FROM 'allow' THEN
        RAISE EXCEPTION '% of % %: %', action, object, coalesce(record ->> 'id', ''),
            CASE decision WHEN 'needs-approval' THEN 'needs an approval' ELSE 'denied' END
            USING ERRCODE = 'insufficient_privilege',
            DETAIL = CASE WHEN fields <> '{}' THEN 'fields: ' || array_to_string(fields, ', ') ELSE '' END,
            HINT = 'crm_access.explain says why.';
    END IF;
END
$$;

ALTER FUNCTION crm_access.require_change VOLATILE;
ALTER FUNCTION crm_access.require_creation VOLATILE;

REVOKE EXECUTE ON FUNCTION crm_access.spend FROM PUBLIC;
