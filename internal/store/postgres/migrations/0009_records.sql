-- Decisions look a record up where its object has a table: what the row says counts, and nothing that the caller says of
-- it. See docs/postgresql.md.

-- Attributes stand apart from the facts of a record: a column may be called like one of them.
ALTER TYPE crm_access.question ADD ATTRIBUTE attributes jsonb;

-- Whether the id could be in a column of this type, without an error for what could not, and as an index finds it: "id = …".
-- Null where it could not be.
CREATE FUNCTION crm_access.id_condition(type regtype, id_column text, id text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN type IN ('text'::regtype, 'character varying'::regtype) THEN format('t.%I = $1', id_column)
        WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
            THEN CASE WHEN id ~ '^-?[0-9]+$' AND length(id) < 19 THEN format('t.%I = $1::bigint', id_column) END
        WHEN type = 'uuid'::regtype
            THEN CASE WHEN id LIKE '________-____-____-____-____________' AND translate(id, '0123456789abcdef', '') = '----'
                THEN format('t.%I = $1::uuid', id_column) END
        ELSE format('t.%I::text = $1', id_column)
    END;
END
$$;

-- The row of a record; null where there is none, or more than one of that id.
CREATE FUNCTION crm_access.stored_row(s crm_access.object_storage, id text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    -- Without a schema it is the one in public: a search path must not decide.
    place constant text := CASE
        WHEN s.table_name LIKE '%.%' THEN format('%I.%I', split_part(s.table_name, '.', 1), split_part(s.table_name, '.', 2))
        ELSE format('public.%I', s.table_name)
    END;
    condition text;
    kept jsonb;
BEGIN
    SELECT crm_access.id_condition(a.atttypid, s.id_column, id) INTO condition
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    -- A table and no view: what a view calls would run with our rights.
    WHERE c.oid = to_regclass(place) AND c.relkind IN ('r', 'p') AND a.attname = s.id_column AND a.attnum > 0 AND NOT a.attisdropped;
    IF condition IS NULL THEN
        RETURN NULL; -- no such table or column, or no such id in it
    END IF;
    IF s.tenant_column <> '' THEN
        condition := condition || format(' AND t.%I::text = $2', s.tenant_column);
    END IF;
    EXECUTE format('SELECT jsonb_agg(to_jsonb(r)) FROM (SELECT t.* FROM %s AS t WHERE %s LIMIT 2) AS r', place, condition)
    INTO kept USING id, s.tenant_value;
    RETURN CASE WHEN jsonb_array_length(kept) = 1 THEN kept -> 0 END;
END
$$;

-- What is known of a record: {"facts", "attributes"}. Of an object with a table it is the row's, except of a record that is
-- proposed; one that is not there, or has no id, is a record of which nothing is known.
CREATE FUNCTION crm_access.known(tenant text, object text, said jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    s crm_access.object_storage;
    kept jsonb;
BEGIN
    SELECT * INTO s FROM crm_access.object_storage AS o WHERE o.tenant = known.tenant AND o.object = known.object LIMIT 1;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('facts', said, 'attributes', said);
    END IF;
    kept := crm_access.stored_row(s, crm_access.text_of(said -> 'id'));
    IF kept IS NULL THEN
        RETURN '{"facts": {}, "attributes": {}}';
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

-- The facts of the record that decides: the record's own, or its parent's, as far up as access comes from one. Null where
-- it is not known. Which parent a stored record has, its row says; of a parent without a table, the caller says the rest.
CREATE FUNCTION crm_access.deciding(o crm_access.object_type, record jsonb, said jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    named jsonb;
    id text;
BEGIN
    FOR step IN 1 .. 16 LOOP -- facts that go round decide nothing
        IF o.parent_object = '' THEN
            RETURN record -> 'facts';
        END IF;
        named := record -> 'attributes' -> o.parent_field;
        id := (crm_access.attribute_values(named))[1];
        said := said -> o.parent_field;
        IF EXISTS (SELECT FROM crm_access.object_storage AS s WHERE s.tenant = o.tenant AND s.object = o.parent_object) THEN
            IF id IS NULL THEN
                RETURN NULL;
            END IF;
            record := crm_access.known(o.tenant, o.parent_object, jsonb_build_object('id', id));
        ELSIF jsonb_typeof(said) = 'object' AND (jsonb_typeof(named) = 'object' OR said ->> 'id' = id) THEN
            record := jsonb_build_object('facts', said, 'attributes', said);
        ELSE
            RETURN NULL;
        END IF;
        SELECT * INTO o FROM crm_access.object_type AS t WHERE t.tenant = o.tenant AND t.object = o.parent_object LIMIT 1;
    END LOOP;
    RETURN NULL;
END
$$;

DROP FUNCTION crm_access.deciding(crm_access.object_type, jsonb);

-- As before, with attributes apart.
CREATE OR REPLACE FUNCTION crm_access.meets(q crm_access.question, conditions jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    condition jsonb;
    field text;
    given text[];
BEGIN
    FOR condition IN SELECT * FROM jsonb_array_elements(conditions) LOOP
        field := condition ->> 'field';
        given := CASE field
            WHEN q.owner_field THEN ARRAY[nullif(crm_access.text_of(q.record -> 'owner'), '')]
            WHEN q.department_field THEN ARRAY[nullif(crm_access.text_of(q.record -> 'department'), '')]
            ELSE (
                SELECT crm_access.attribute_values(q.attributes -> field)
                WHERE EXISTS (
                    SELECT FROM crm_access.object_field AS f
                    WHERE f.tenant = q.tenant AND f.object = q.object AND f.field = condition ->> 'field'))
        END;
        IF given[1] IS NULL OR NOT coalesce(CASE condition ->> 'operator'
            WHEN 'In' THEN given && crm_access.texts_of(condition -> 'values')
            WHEN 'NotIn' THEN NOT given && crm_access.texts_of(condition -> 'values')
            WHEN 'Exists' THEN true
        END, false) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$;

-- As before, with the record that is stored.
CREATE OR REPLACE FUNCTION crm_access.judge(
    tenant text, subject text, action text, object text, record jsonb, fields text[], context jsonb, approved_by text[], at timestamptz,
    OUT decision text, OUT levels text[], OUT reasons text[])
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
    ELSIF weighed.decision = 'deny' THEN
        reasons := reasons || weighed.reasons; -- all causes are told
    END IF;
END
$$;

REVOKE EXECUTE ON FUNCTION crm_access.id_condition, crm_access.stored_row, crm_access.known, crm_access.deciding FROM PUBLIC;
