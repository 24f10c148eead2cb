-- Who may approve, texts in one spelling, and keys that an administrator makes anew. See docs/postgresql.md.

-- As before, in NFC, as the engine compares texts.
CREATE OR REPLACE FUNCTION crm_access.text_of(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN jsonb_typeof(value) = 'string' THEN normalize(value #>> '{}', NFC) ELSE '' END
$$;

CREATE OR REPLACE FUNCTION crm_access.texts_of(value jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT ARRAY(
    SELECT normalize(e #>> '{}', NFC) FROM jsonb_array_elements(CASE WHEN jsonb_typeof(value) = 'array' THEN value END) AS e
    WHERE jsonb_typeof(e) = 'string')
$$;

CREATE OR REPLACE FUNCTION crm_access.attribute_values(value jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF jsonb_typeof(value) = 'object' THEN
        value := value -> 'id'; -- a reference counts as the id that it names
    END IF;
    RETURN CASE jsonb_typeof(value)
        WHEN 'string' THEN ARRAY[normalize(value #>> '{}', NFC)]
        WHEN 'boolean' THEN ARRAY[value #>> '{}']
        WHEN 'number' THEN ARRAY[trim_scale((value #>> '{}')::numeric)::text]
        WHEN 'array' THEN (
            SELECT CASE WHEN bool_and(jsonb_typeof(e) = 'string') THEN array_agg(normalize(e #>> '{}', NFC)) END
            FROM jsonb_array_elements(value) AS e)
    END;
END
$$;

-- As before; the id is looked up as it is spelt, for so the table has it, and of one that is not there nothing is known but
-- the id.
CREATE OR REPLACE FUNCTION crm_access.known(tenant text, object text, said jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    s crm_access.object_storage;
    kept jsonb;
BEGIN
    SELECT * INTO s FROM crm_access.object_storage AS o WHERE o.tenant = known.tenant AND o.object = known.object LIMIT 1;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('facts', said, 'attributes', said);
    END IF;
    kept := crm_access.stored_row(s, CASE WHEN jsonb_typeof(said -> 'id') = 'string' THEN said ->> 'id' ELSE '' END);
    IF kept IS NULL THEN
        RETURN jsonb_build_object('facts', jsonb_build_object('id', crm_access.text_of(said -> 'id')), 'attributes', '{}'::jsonb);
    END IF;
    RETURN jsonb_build_object(
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'id', kept ->> s.id_column, 'owner', kept ->> nullif(s.owner_column, ''), 'department', kept ->> nullif(s.department_column, ''),
            'creator', kept ->> nullif(s.creator_column, ''), 'participants', kept -> nullif(s.participants_column, ''))),
        'attributes', (
            SELECT jsonb_object_agg(f.field, kept -> coalesce(nullif(s.columns ->> f.field, ''), f.field))
            FROM crm_access.object_field AS f WHERE f.tenant = known.tenant AND f.object = known.object));
END
$$;

-- The approvals that a question needs, each with the people who may give it, at most 20: [{"guardrail", "approvers"}].
CREATE FUNCTION crm_access.approvals_of(tenant text, subject text, at timestamptz, needs jsonb[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    q crm_access.question;
    need jsonb;
    people text[];
    approvals jsonb := '[]';
BEGIN
    q.tenant := tenant;
    q.subject := subject;
    q.at := at;
    FOREACH need IN ARRAY coalesce(needs, '{}') LOOP
        people := ARRAY(
            SELECT p.name COLLATE "C" FROM (
                SELECT crm_access.manager_of(tenant, subject) AS name
                UNION
                SELECT a.approver ->> 'user' FROM jsonb_array_elements(need -> 'by') AS a (approver)
                UNION
                SELECT h.user_name FROM crm_access.holder AS h
                WHERE h.tenant = approvals_of.tenant AND h.role IN (
                    SELECT a.approver ->> 'role' FROM jsonb_array_elements(need -> 'by') AS a (approver)
                    UNION
                    SELECT l.role FROM crm_access.role_lineage AS l
                    JOIN jsonb_array_elements(need -> 'by') AS a (approver) ON l.tenant = approvals_of.tenant AND l.ancestor = a.approver ->> 'role')
            ) AS p
            WHERE p.name IS NOT NULL AND crm_access.may_approve(q, p.name, need -> 'by')
            ORDER BY 1 LIMIT 20);
        approvals := approvals || jsonb_build_object('guardrail', need ->> 'name', 'approvers', to_jsonb(people));
    END LOOP;
    RETURN approvals;
END
$$;

-- As before, and they tell which approvals are needed.
DROP FUNCTION crm_access.weigh;
DROP FUNCTION crm_access.judge;
DROP FUNCTION crm_access.explain;

CREATE FUNCTION crm_access.weigh(
    q crm_access.question, actions text[], fields text[], classes text[], approved_by text[], OUT decision text, OUT levels text[], OUT reasons text[], OUT needs jsonb[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    covers constant crm_access.coverage[] := ARRAY(SELECT c FROM crm_access.covering(q) AS c)
        || ARRAY(SELECT c FROM crm_access.shared(q, actions) AS c);
    reach constant integer := (SELECT max(c.reach) FROM unnest(covers) AS c WHERE c.answers);
    checked record;
BEGIN
    needs := crm_access.asking_approval(q, coalesce(reach, 0));
    reasons := crm_access.forbidding(q);
    IF reach IS NULL THEN
        reasons := reasons || format('no grant covers %s on %s', q.action, q.object);
    END IF;
    IF cardinality(needs) > 16 THEN
        reasons := reasons || 'more than 16 rules of guardrails ask for an approval each'::text; -- nobody is asked in vain
    END IF;
    checked := crm_access.check_fields(q, covers, actions, fields, classes);
    reasons := reasons || checked.denials;
    IF cardinality(reasons) > 0 THEN
        decision := 'deny';
    ELSIF cardinality(needs) > 0 AND NOT crm_access.is_approved(q, needs, approved_by) THEN
        decision := 'needs-approval';
        reasons := crm_access.needs_text(q, covers, needs) || crm_access.grants_text(q, covers);
    ELSE
        decision := 'allow';
        levels := checked.levels;
        reasons := crm_access.grants_text(q, covers) || checked.held;
    END IF;
END
$$;

CREATE FUNCTION crm_access.judge(
    tenant text, subject text, action text, object text, record jsonb, fields text[], context jsonb, approved_by text[], at timestamptz,
    OUT decision text, OUT levels text[], OUT reasons text[], OUT needs jsonb[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    asked constant text[] := coalesce(fields, '{}');
    faults constant text[] := array_remove(ARRAY[
        crm_access.context_fault(context), CASE WHEN jsonb_typeof(record) NOT IN ('object', 'null') THEN 'record: want an object' END], NULL);
    classes text[];
    o crm_access.object_type;
    q crm_access.question;
    known jsonb;
    account record;
    checked record;
    weighed record;
BEGIN
    decision := 'deny';
    levels := array_fill('none'::text, ARRAY[cardinality(asked)]);
    account := crm_access.check_account(tenant, subject);
    reasons := account.denials || faults;
    IF account.done OR cardinality(faults) > 0 THEN
        RETURN;
    END IF;
    SELECT * INTO o FROM crm_access.object_type AS t WHERE t.tenant = judge.tenant AND t.object = judge.object LIMIT 1;
    q.tenant := tenant;
    q.subject := subject;
    q.action := action;
    q.object := object;
    q.at := at;
    q.context := coalesce(nullif(context, 'null'), '{}');
    IF jsonb_typeof(record) = 'object' THEN
        known := CASE WHEN action = 'create' THEN jsonb_build_object('facts', record, 'attributes', record)
            ELSE crm_access.known(tenant, object, record) END;
    END IF;
    q.record := known -> 'facts';
    q.attributes := known -> 'attributes';
    q.id := crm_access.text_of(q.record -> 'id');
    q.creator := crm_access.text_of(q.record -> 'creator');
    q.owner_field := o.owner_field;
    q.department_field := o.department_field;
    classes := crm_access.classes_of(tenant, object, asked);
    checked := crm_access.check_catalogue(q, o, asked, classes);
    reasons := reasons || checked.denials;
    IF checked.done THEN
        RETURN;
    END IF;
    q.scoped := crm_access.deciding(o, known, record);
    q := crm_access.stand(q);
    SELECT coalesce(array_agg(r.owner_name ORDER BY r.owner_name COLLATE "C", r.position COLLATE "C"), '{}'),
        coalesce(array_agg(r.parsed ORDER BY r.owner_name COLLATE "C", r.position COLLATE "C"), '{}') INTO q.guardrails, q.rules
    FROM crm_access.guardrail_rule AS r WHERE r.tenant = q.tenant;
    weighed := crm_access.weigh(q, o.actions, asked, classes, approved_by || crm_access.approved_by(q, asked));
    IF cardinality(reasons) = 0 THEN
        decision := weighed.decision;
        levels := coalesce(weighed.levels, levels);
        reasons := weighed.reasons;
        needs := CASE WHEN decision = 'needs-approval' THEN weighed.needs END;
    ELSIF weighed.decision = 'deny' THEN
        reasons := reasons || weighed.reasons; -- all causes are told
    END IF;
END
$$;

CREATE FUNCTION crm_access.explain(
    action text, object text, record jsonb DEFAULT NULL, fields text[] DEFAULT '{}', context jsonb DEFAULT NULL,
    OUT decision text, OUT levels jsonb, OUT reasons text[], OUT approvals jsonb)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant record := crm_access.asking();
    judged record;
    now constant timestamptz := crm_access.at();
BEGIN
    IF who.subject IS NULL THEN
        decision := 'deny';
        levels := crm_access.levels_object(fields, array_fill('none'::text, ARRAY[coalesce(cardinality(fields), 0)]));
        reasons := ARRAY['no token that is good names who asks'];
        approvals := '[]';
        RETURN;
    END IF;
    judged := crm_access.judge(
        who.tenant, who.subject, action, object, record, fields, coalesce(context, crm_access.session_context()), '{}', now);
    decision := judged.decision;
    levels := crm_access.levels_object(fields, judged.levels);
    reasons := judged.reasons;
    approvals := crm_access.approvals_of(who.tenant, who.subject, now, judged.needs);
END
$$;

-- Makes a new newest key. The former ones verify for this long: as long as a token may last, unless one got out; then not
-- at all. For administrators.
CREATE FUNCTION crm_access.rotate_token_key(tenant text, former interval DEFAULT '1 hour 1 second') RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Of each of the four 122 bits are random, by the server's source for secrets.
    secret constant bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    opening bytea := secret || decode(repeat('00', 32), 'hex');
    closing bytea := opening;
    now timestamptz;
BEGIN
    PERFORM FROM crm_access.tenant AS t WHERE t.name = rotate_token_key.tenant FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'making a key for tokens of %: there is no such tenant', tenant USING ERRCODE = 'no_data_found';
    END IF;
    FOR i IN 0 .. 63 LOOP
        opening := set_byte(opening, i, get_byte(opening, i) # 54); -- 0x36 and 0x5c, as HMAC has it
        closing := set_byte(closing, i, get_byte(closing, i) # 92);
    END LOOP;
    now := date_trunc('second', (SELECT c.now FROM crm_access.clock AS c));
    DELETE FROM crm_access.token_key AS k WHERE k.tenant = rotate_token_key.tenant AND k.not_after <= now;
    UPDATE crm_access.token_key AS k SET not_after = least(k.not_after, now + date_trunc('second', greatest(former, interval '0')))
    WHERE k.tenant = rotate_token_key.tenant;
    INSERT INTO crm_access.token_key (tenant, number, inner_block, outer_block)
    SELECT rotate_token_key.tenant, coalesce(max(k.number), 0) + 1, opening, closing
    FROM crm_access.token_key AS k WHERE k.tenant = rotate_token_key.tenant;
END
$$;

REVOKE EXECUTE ON FUNCTION crm_access.approvals_of, crm_access.weigh, crm_access.judge, crm_access.rotate_token_key FROM PUBLIC;
