-- What a write and its refusal tell of a row that is not shown: nothing. See docs/postgresql.md, "What the application writes".

-- A row as it is compared: what is said of it does not depend on how the session writes numbers, instants and bytes.
CREATE FUNCTION crm_access.row_of(given record) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET extra_float_digits = 1 SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO, MDY' SET "IntervalStyle" = 'postgres' SET bytea_output = 'hex' AS $$
BEGIN
    RETURN to_jsonb(given);
END
$$;

-- So are rows that decisions look up.
ALTER FUNCTION crm_access.stored_row(crm_access.object_storage, text, text[]) SET extra_float_digits = 1;
ALTER FUNCTION crm_access.stored_row(crm_access.object_storage, text, text[]) SET "TimeZone" = 'UTC';
ALTER FUNCTION crm_access.stored_row(crm_access.object_storage, text, text[]) SET "DateStyle" = 'ISO, MDY';
ALTER FUNCTION crm_access.stored_row(crm_access.object_storage, text, text[]) SET "IntervalStyle" = 'postgres';
ALTER FUNCTION crm_access.stored_row(crm_access.object_storage, text, text[]) SET bytea_output = 'hex';

-- As before, among the tenant's own rows.
CREATE OR REPLACE FUNCTION crm_access.last_id(tenant text, object text, action text, conditions jsonb, directly text[], known jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s crm_access.object_storage;
    last text;
BEGIN
    IF (CASE WHEN known IS NULL THEN (crm_access.reach_of(tenant, object, action, conditions, directly)).everything IS NOT TRUE
        ELSE crm_access.conditioned_reach_of(tenant, object, action, known, directly) IS NULL END) THEN
        RETURN NULL;
    END IF;
    SELECT e.* INTO s FROM crm_access.object_storage AS e
    WHERE e.tenant = last_id.tenant AND e.object = last_id.object
        AND EXISTS (SELECT FROM crm_access.enforcement AS m WHERE m.tenant = e.tenant AND m.object = e.object AND m.table_name = e.table_name);
    IF s.object IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT max(t.%I)::text FROM %s AS t', s.id_column, crm_access.quoted_table(s.table_name))
        || CASE WHEN s.tenant_column <> '' THEN format(' WHERE t.%I = %L', s.tenant_column, s.tenant_value) ELSE '' END INTO last;
    RETURN last;
END
$$;

DROP FUNCTION crm_access.require_change(text, text, jsonb, jsonb);

-- As before. What was written in place of what was shown is a change, also where the row holds it already: else writing
-- would tell what is hidden. The fields of what comes of a change are looked at again where the record stays with whoever
-- has it, so that fields and owner or department are not changed at once.
CREATE FUNCTION crm_access.require_change(tenant text, object text, before jsonb, after jsonb, written text[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    s crm_access.object_storage;
    actions text[];
    held jsonb;
    fields text[];
    fixed text;
    moves boolean;
BEGIN
    SELECT e.* INTO s FROM crm_access.object_storage AS e WHERE e.tenant = require_change.tenant AND e.object = require_change.object;
    held := jsonb_build_object('id', before ->> s.id_column);
    SELECT o.actions INTO actions FROM crm_access.object_type AS o WHERE o.tenant = require_change.tenant AND o.object = require_change.object;
    SELECT array_agg(f.field ORDER BY f.field) INTO fields FROM crm_access.object_field AS f
    WHERE f.tenant = require_change.tenant AND f.object = require_change.object
        AND coalesce(s.columns ->> f.field, f.field) NOT IN (s.owner_column, s.department_column)
        AND (coalesce(s.columns ->> f.field, f.field) = ANY (written)
            OR before -> coalesce(s.columns ->> f.field, f.field) IS DISTINCT FROM after -> coalesce(s.columns ->> f.field, f.field));
    SELECT c.name INTO fixed FROM unnest(ARRAY[s.id_column, s.tenant_column, s.creator_column]
        || CASE WHEN EXISTS (
            SELECT FROM crm_access.object_field AS f WHERE f.tenant = require_change.tenant AND f.object = require_change.object
                AND coalesce(s.columns ->> f.field, f.field) = s.participants_column) THEN '' ELSE s.participants_column END) AS c (name)
    WHERE c.name <> '' AND (c.name = ANY (written) OR before -> c.name IS DISTINCT FROM after -> c.name) LIMIT 1;
    IF fixed IS NOT NULL THEN
        RAISE EXCEPTION 'update of % %: column % is not to be changed', object, held ->> 'id', fixed
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    moves := s.owner_column = ANY (written) OR s.department_column = ANY (written)
        OR before -> s.owner_column IS DISTINCT FROM after -> s.owner_column
        OR before -> s.department_column IS DISTINCT FROM after -> s.department_column;
    IF fields IS NOT NULL AND moves THEN
        RAISE EXCEPTION 'update of % %: it changes fields and moves the record: write one, then the other', object, held ->> 'id'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF fields IS NOT NULL THEN
        PERFORM crm_access.require(tenant, object, 'update', held, fields, NULL);
    END IF;
    IF moves THEN
        PERFORM crm_access.require(tenant, object,
            CASE WHEN 'assign' = ANY (actions) AND (coalesce(before ->> s.owner_column, '') = '' OR NOT 'transfer' = ANY (actions))
                THEN 'assign' ELSE 'transfer' END,
            held, '{}', jsonb_strip_nulls(jsonb_build_object(
                'user', nullif(after ->> s.owner_column, ''), 'department', nullif(after ->> s.department_column, ''))));
    END IF;
    RETURN fields IS NOT NULL;
END
$$;

-- As before. Rows of a table that the operator has not made a guard of are not looked at: to read one of somebody else's
-- types runs that one's code.
CREATE OR REPLACE FUNCTION crm_access.guard_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before jsonb;
    after jsonb;
    s crm_access.object_storage;
BEGIN
    IF NOT EXISTS (SELECT FROM crm_access.enforcement AS m WHERE to_regclass(crm_access.quoted_table(m.table_name)) = TG_RELID) THEN
        RAISE EXCEPTION '% of a row of %: it enforces nothing', lower(TG_OP), TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    before := CASE WHEN TG_OP <> 'INSERT' THEN crm_access.row_of(OLD) END;
    after := CASE WHEN TG_OP <> 'DELETE' THEN crm_access.row_of(NEW) END;
    SELECT e.* INTO s FROM crm_access.object_storage AS e
    JOIN crm_access.enforcement AS m ON m.tenant = e.tenant AND m.object = e.object
    WHERE to_regclass(crm_access.quoted_table(m.table_name)) = TG_RELID
        AND (e.tenant_column = '' OR coalesce(before, after) ->> e.tenant_column = e.tenant_value);
    IF s.object IS NULL THEN
        RAISE EXCEPTION '% of a row of %: it is no tenant''s', lower(TG_OP), TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    CASE TG_OP
        WHEN 'INSERT' THEN
            RETURN jsonb_populate_record(NEW, crm_access.require_creation(s.tenant, s.object, after));
        WHEN 'UPDATE' THEN
            IF TG_WHEN = 'AFTER' THEN
                PERFORM crm_access.require(s.tenant, s.object, 'update', jsonb_build_object('id', after ->> s.id_column), '{}', NULL);
            ELSE
                PERFORM crm_access.require_change(s.tenant, s.object, before, after, '{}');
            END IF;
            RETURN NEW;
        ELSE
            PERFORM crm_access.require(s.tenant, s.object, 'delete', jsonb_build_object('id', before ->> s.id_column), '{}', NULL);
            RETURN OLD;
    END CASE;
END
$$;

-- The schema of a tenant's masked views, as the operator names it.
CREATE FUNCTION crm_access.schema_of_views(tenant text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN length(n.name) <= 63 THEN n.name
        ELSE left(n.name, 50) || '_' || left(encode(sha256(convert_to(tenant, 'UTF8')), 'hex'), 12) END
    FROM (SELECT 'crm_masked_' || replace(tenant, '-', '_')) AS n (name)
$$;

-- As before, of the operator's own views alone, and an error of a constraint says which and no more.
CREATE OR REPLACE FUNCTION crm_access.write_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant constant text := TG_ARGV[0];
    object constant text := TG_ARGV[1];
    s crm_access.object_storage;
    place text;
    before jsonb;
    shown jsonb;
    changes jsonb;
    id jsonb;
    stays boolean;
    code text;
    broken text;
    broken_column text;
BEGIN
    IF NOT EXISTS (
        SELECT FROM crm_access.enforcement AS m
        WHERE m.tenant = TG_ARGV[0] AND m.object = TG_ARGV[1]
            AND to_regclass(format('%I.%I', crm_access.schema_of_views(m.tenant), replace(m.object, '-', '_'))) = TG_RELID
    ) THEN
        RAISE EXCEPTION '% of a row of %: it is no masked view', lower(TG_OP), TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT e.* INTO s FROM crm_access.object_storage AS e WHERE e.tenant = TG_ARGV[0] AND e.object = TG_ARGV[1];
    IF s.object IS NULL THEN
        RAISE EXCEPTION '% of %: the object has no table any more', lower(TG_OP), object USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'INSERT' THEN
        changes := crm_access.require_creation(tenant, object, crm_access.row_of(NEW));
        EXECUTE format('INSERT INTO %1$s AS t (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1) RETURNING to_jsonb(t.%3$I)',
            crm_access.quoted_table(s.table_name), (SELECT string_agg(quote_ident(k.name), ', ') FROM jsonb_object_keys(changes) AS k (name)), s.id_column)
            INTO id USING changes;
        RETURN jsonb_populate_record(NEW, jsonb_build_object(s.id_column, id));
    END IF;
    place := format('%1$s AS t WHERE t.%2$I = ($1).%2$I', crm_access.quoted_table(s.table_name), s.id_column)
        || CASE WHEN s.tenant_column <> '' THEN format(' AND t.%I = %L', s.tenant_column, s.tenant_value) ELSE '' END;
    -- Locked: what is decided on is what is changed.
    EXECUTE 'SELECT crm_access.row_of(t.*) FROM ' || place || ' FOR UPDATE' INTO before USING OLD;
    IF before IS NULL THEN
        RETURN NULL; -- somebody else was first
    END IF;
    IF TG_OP = 'DELETE' THEN
        PERFORM crm_access.require(tenant, object, 'delete', jsonb_build_object('id', before ->> s.id_column), '{}', NULL);
        EXECUTE 'DELETE FROM ' || place USING OLD;
        RETURN OLD;
    END IF;
    shown := crm_access.row_of(OLD);
    SELECT jsonb_object_agg(n.key, n.value) INTO changes
    FROM jsonb_each(crm_access.row_of(NEW)) AS n WHERE n.value IS DISTINCT FROM shown -> n.key;
    IF changes IS NULL THEN
        RETURN NEW;
    END IF;
    stays := crm_access.require_change(tenant, object, before, before || changes, ARRAY(SELECT jsonb_object_keys(changes)));
    EXECUTE format('UPDATE %s AS t SET %s WHERE t.%3$I = ($1).%3$I', crm_access.quoted_table(s.table_name),
        (SELECT string_agg(format('%1$I = ($2).%1$I', k.name), ', ') FROM jsonb_object_keys(changes) AS k (name)), s.id_column)
        || CASE WHEN s.tenant_column <> '' THEN format(' AND t.%I = %L', s.tenant_column, s.tenant_value) ELSE '' END
        USING OLD, NEW;
    IF stays THEN
        PERFORM crm_access.require(tenant, object, 'update', jsonb_build_object('id', before ->> s.id_column), '{}', NULL);
    END IF;
    RETURN NEW;
EXCEPTION
    -- The detail would be the whole row, as we see it.
    WHEN integrity_constraint_violation THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, broken = CONSTRAINT_NAME, broken_column = COLUMN_NAME;
        RAISE EXCEPTION '% of %: the row breaks constraint %', lower(TG_OP), object, coalesce(nullif(broken, ''), 'of column ' || broken_column)
            USING ERRCODE = code, CONSTRAINT = broken, COLUMN = broken_column;
END
$$;

REVOKE EXECUTE ON FUNCTION crm_access.row_of, crm_access.require_change, crm_access.schema_of_views FROM PUBLIC;
