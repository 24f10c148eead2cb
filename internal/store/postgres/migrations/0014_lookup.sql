-- A record is looked up without running what the owner of its table has made. See docs/postgresql.md, "What is trusted of a
-- table's owner".

-- Whether somebody could do without our help what a function of his does in our name.
CREATE FUNCTION crm_access.is_trusted(maker oid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
SELECT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = maker AND r.rolsuper)
    OR EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = 'crm_access' AND n.nspowner = maker)
$$;

-- How a column of this type is read: 'plain', or 'enum' where only the type's own output function may be called, for a cast
-- could be its owner's. Null where it is not read: then somebody's function could run.
CREATE FUNCTION crm_access.form_of(type oid) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t pg_type;
BEGIN
    SELECT * INTO t FROM pg_type AS p WHERE p.oid = type;
    WHILE t.typtype = 'd' LOOP -- a domain is read as what it is made of, and checked when it is written
        SELECT * INTO t FROM pg_type AS p WHERE p.oid = t.typbasetype;
    END LOOP;
    RETURN CASE
        WHEN t.typtype = 'c' OR EXISTS (SELECT FROM pg_type AS e WHERE e.oid = t.typelem AND e.typtype = 'c') THEN NULL
        WHEN crm_access.is_trusted(t.typowner) THEN 'plain'
        WHEN t.typtype = 'e' THEN 'enum'
    END;
END
$$;

-- Whether it is a table, with all of its parts, and planning a query of it runs nobody's function: a planner works out
-- what expressions of indexes, statistics and partition keys have that is constant.
CREATE FUNCTION crm_access.is_plain_table(relation oid) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        WITH RECURSIVE part AS (
            SELECT relation AS oid
            UNION
            SELECT i.inhrelid FROM part AS p JOIN pg_inherits AS i ON i.inhparent = p.oid
        ), planned AS (
            SELECT 'pg_class'::regclass AS class, p.oid FROM part AS p
            UNION ALL
            SELECT 'pg_class'::regclass, i.indexrelid FROM part AS p JOIN pg_index AS i ON i.indrelid = p.oid
            UNION ALL
            SELECT 'pg_statistic_ext'::regclass, x.oid FROM part AS p JOIN pg_statistic_ext AS x ON x.stxrelid = p.oid
        )
        -- A view runs what it calls, a foreign table its wrapper.
        SELECT (SELECT bool_and(c.relkind IN ('r', 'p')) FROM part AS p JOIN pg_class AS c ON c.oid = p.oid)
            AND NOT EXISTS (
                SELECT FROM planned AS n JOIN pg_depend AS d ON d.classid = n.class AND d.objid = n.oid AND d.objsubid = 0
                WHERE d.refclassid = 'pg_proc'::regclass
                        AND NOT EXISTS (SELECT FROM pg_proc AS f WHERE f.oid = d.refobjid AND crm_access.is_trusted(f.proowner))
                    OR d.refclassid = 'pg_operator'::regclass
                        AND NOT EXISTS (SELECT FROM pg_operator AS o WHERE o.oid = d.refobjid AND crm_access.is_trusted(o.oprowner))
                    OR d.refclassid = 'pg_type'::regclass
                        AND NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = d.refobjid AND crm_access.is_trusted(t.typowner))));
END
$$;

-- How to read the columns of a table: for each 'plain', 'enum', or '' where there is none. Null where the table is not there
-- or nothing may be read of it. Names that are empty stand for no column.
CREATE FUNCTION crm_access.forms_of(place text, columns text[]) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation constant oid := to_regclass(place);
    forms text[];
BEGIN
    IF relation IS NULL OR NOT crm_access.is_plain_table(relation) THEN
        RETURN NULL;
    END IF;
    -- What is worked out when it is read is its owner's to write.
    forms := ARRAY(
        SELECT CASE WHEN a.attname IS NULL THEN '' WHEN a.attgenerated IN ('', 's') THEN crm_access.form_of(a.atttypid) END
        FROM unnest(columns) WITH ORDINALITY AS c (name, position)
        LEFT JOIN pg_attribute AS a ON a.attrelid = relation AND a.attname = c.name AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY c.position);
    RETURN CASE WHEN array_position(forms, NULL) IS NULL THEN forms END;
END
$$;

-- A column as text, and as JSON.
CREATE FUNCTION crm_access.as_text(name text, form text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
SELECT CASE form
    WHEN 'plain' THEN format('t.%I::text', name)
    WHEN 'enum' THEN format('CASE WHEN t.%1$I IS NOT NULL THEN format(''%%s'', t.%1$I) END', name)
    ELSE 'NULL::text'
END
$$;

CREATE FUNCTION crm_access.as_json(name text, form text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
SELECT CASE form WHEN 'plain' THEN format('to_jsonb(t.%I)', name) ELSE format('to_jsonb(%s)', crm_access.as_text(name, form)) END
$$;

-- As before, with all ids that a bigint holds, each as the table spells it: 007 is not 7.
CREATE OR REPLACE FUNCTION crm_access.id_condition(type regtype, id_column text, id text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN type IN ('text'::regtype, 'character varying'::regtype) THEN format('t.%I = $1', id_column)
        WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
            THEN CASE WHEN id ~ '^(0|-?[1-9][0-9]*)$' AND length(id) <= 20 THEN
                CASE WHEN id::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN format('t.%I = $1::bigint', id_column) END
            END
        WHEN type = 'uuid'::regtype
            THEN CASE WHEN id LIKE '________-____-____-____-____________' AND translate(id, '0123456789abcdef', '') = '----'
                THEN format('t.%I = $1::uuid', id_column) END
        ELSE format('t.%I::text = $1', id_column)
    END;
END
$$;

DROP FUNCTION crm_access.stored_row(crm_access.object_storage, text);

-- The row of a record, as {"facts", "attributes"} of these fields and no other of its columns; null where there is none, more
-- than one of that id, or reading it would run somebody's function. A policy that would bind us is an error: we neither run
-- it nor do we see less than there is.
CREATE FUNCTION crm_access.stored_row(s crm_access.object_storage, id text, fields text[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET row_security = off SET constraint_exclusion = off AS $$
DECLARE
    -- Without a schema it is the one in public: a search path must not decide.
    place constant text := CASE
        WHEN s.table_name LIKE '%.%' THEN format('%I.%I', split_part(s.table_name, '.', 1), split_part(s.table_name, '.', 2))
        ELSE format('public.%I', s.table_name)
    END;
    columns constant text[] := ARRAY[s.id_column, s.owner_column, s.department_column, s.creator_column, s.participants_column, s.tenant_column]
        || ARRAY(SELECT coalesce(nullif(s.columns ->> f.field, ''), f.field) FROM unnest(fields) WITH ORDINALITY AS f (field, position) ORDER BY f.position);
    forms constant text[] := crm_access.forms_of(place, columns);
    condition text;
    shown text;
    kept jsonb;
BEGIN
    IF forms IS NULL OR forms[1] <> 'plain' OR s.tenant_column <> '' AND forms[6] <> 'plain' THEN
        RETURN NULL;
    END IF;
    SELECT crm_access.id_condition(a.atttypid, s.id_column, id) INTO condition
    FROM pg_attribute AS a WHERE a.attrelid = to_regclass(place) AND a.attname = s.id_column;
    IF condition IS NULL THEN
        RETURN NULL; -- no such id in it
    END IF;
    IF s.tenant_column <> '' THEN
        condition := condition || format(' AND t.%I::text = $2', s.tenant_column);
    END IF;
    SELECT string_agg(
        CASE WHEN c.position <= 4 THEN format('to_jsonb(%s)', crm_access.as_text(c.name, c.form)) ELSE crm_access.as_json(c.name, c.form) END,
        ', ' ORDER BY c.position) INTO shown
    FROM unnest(columns, forms) WITH ORDINALITY AS c (name, form, position) WHERE c.position <> 6;
    EXECUTE format('SELECT jsonb_agg(to_jsonb(r.shown)) FROM (SELECT ARRAY[%s]::jsonb[] AS shown FROM %s AS t WHERE %s LIMIT 2) AS r', shown, place, condition)
    INTO kept USING id, s.tenant_value;
    IF jsonb_array_length(kept) IS DISTINCT FROM 1 OR kept -> 0 ->> 0 IS DISTINCT FROM id COLLATE "C" THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object(
        'facts', jsonb_strip_nulls(jsonb_build_object(
            'id', kept -> 0 -> 0, 'owner', kept -> 0 -> 1, 'department', kept -> 0 -> 2, 'creator', kept -> 0 -> 3, 'participants', kept -> 0 -> 4)),
        'attributes', (
            SELECT jsonb_object_agg(f.field, kept -> 0 -> (f.position + 4)::integer) FROM unnest(fields) WITH ORDINALITY AS f (field, position)));
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION crm_access.known(tenant text, object text, said jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    s crm_access.object_storage;
BEGIN
    SELECT * INTO s FROM crm_access.object_storage AS o WHERE o.tenant = known.tenant AND o.object = known.object LIMIT 1;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('facts', said, 'attributes', said);
    END IF;
    RETURN coalesce(
        crm_access.stored_row(
            s, CASE WHEN jsonb_typeof(said -> 'id') = 'string' THEN said ->> 'id' ELSE '' END,
            ARRAY(SELECT f.field FROM crm_access.object_field AS f WHERE f.tenant = known.tenant AND f.object = known.object ORDER BY f.field)),
        jsonb_build_object('facts', jsonb_build_object('id', crm_access.text_of(said -> 'id')), 'attributes', '{}'::jsonb));
END
$$;

-- As before; of several parents none is the one that decides.
CREATE OR REPLACE FUNCTION crm_access.deciding(o crm_access.object_type, record jsonb, said jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    named jsonb;
    ids text[];
    id text;
BEGIN
    FOR step IN 1 .. 16 LOOP -- facts that go round decide nothing
        IF o.parent_object = '' THEN
            RETURN record -> 'facts';
        END IF;
        named := record -> 'attributes' -> o.parent_field;
        ids := crm_access.attribute_values(named);
        id := CASE WHEN cardinality(ids) = 1 THEN ids[1] END;
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

-- What tells how a table may be read looks at the catalogue alone, with the rights of whoever asks: deciders do.
REVOKE EXECUTE ON FUNCTION crm_access.stored_row, crm_access.as_text, crm_access.as_json FROM PUBLIC;
