-- The same decisions in less time.

-- A SQL function that cannot be inlined is parsed and planned anew in each statement, a PL/pgSQL function once a session.
CREATE OR REPLACE FUNCTION crm_access.texts_of(value jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF jsonb_typeof(value) IS DISTINCT FROM 'array' THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT normalize(e #>> '{}', NFC) FROM jsonb_array_elements(value) AS e WHERE jsonb_typeof(e) = 'string');
END
$$;

CREATE OR REPLACE FUNCTION crm_access.levels_object(fields text[], levels text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF coalesce(cardinality(fields), 0) = 0 THEN
        RETURN '{}';
    END IF;
    RETURN (SELECT coalesce(jsonb_object_agg(f.name, f.level), '{}') FROM unnest(fields, levels) AS f (name, level) WHERE f.name IS NOT NULL);
END
$$;

-- A scalar subselect, not EXISTS: it is looked up by index for each row, of which there are few, where EXISTS becomes a hash
-- of all departments.
CREATE OR REPLACE FUNCTION crm_access.departments_of(tenant text, user_name text) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(
        SELECT m.department FROM crm_access.user_department AS m
        WHERE m.tenant = departments_of.tenant AND m.user_name = departments_of.user_name
            AND (SELECT true FROM crm_access.department AS d WHERE d.tenant = m.tenant AND d.department = m.department LIMIT 1));
END
$$;

CREATE OR REPLACE FUNCTION crm_access.stand(q crm_access.question) RETURNS crm_access.question
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    theirs constant text[] := crm_access.departments_of(q.tenant, q.subject);
    covered text[] := '{}';
BEGIN
    IF q.record IS NULL THEN
        q.covered := crm_access.scopes();
        RETURN q;
    END IF;
    q.owner := crm_access.text_of(q.scoped -> 'owner');
    SELECT d.department INTO q.department FROM crm_access.department AS d
    WHERE d.tenant = q.tenant AND d.department = crm_access.text_of(q.scoped -> 'department') LIMIT 1;
    q.departments := ARRAY(
        SELECT c.ancestor FROM crm_access.department_closure AS c
        WHERE c.tenant = q.tenant AND c.department = q.department
            AND (SELECT true FROM crm_access.department AS d WHERE d.tenant = c.tenant AND d.department = c.ancestor LIMIT 1));
    IF q.owner = q.subject THEN
        covered := covered || 'own'::text;
    END IF;
    IF q.subject = ANY (crm_access.texts_of(q.scoped -> 'participants')) THEN
        covered := covered || 'involved'::text;
    END IF;
    IF q.owner <> q.subject AND q.owner <> '' AND crm_access.leads(q.tenant, q.subject, q.owner) THEN
        covered := covered || 'subordinates'::text;
    END IF;
    IF q.department = ANY (theirs) THEN
        covered := covered || ARRAY['department', 'departmentAndBelow'];
    ELSIF q.departments && theirs THEN
        covered := covered || 'departmentAndBelow'::text;
    END IF;
    q.covered := covered || 'all'::text;
    RETURN q;
END
$$;
